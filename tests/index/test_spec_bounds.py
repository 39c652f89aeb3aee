"""Specs of sparse and multi-vector indexes at their bounds: the last value that is taken, the first that is not."""

from __future__ import annotations

from typing import Any

import pytest

from vecstore.errors import InvalidArgument
from vecstore.index_check import FDE_DIM_MAX, check_index
from vecstore.index_spec import PQ, SAQ, Index, Int8, Muvera, Plaid, RaBitQ, Seismic
from vecstore.schema import DataType, Metric, VectorField, VectorKind

DIM = 16


def check(spec: Index) -> None:
    sparse = isinstance(spec, Seismic)
    kind, metric = (VectorKind.SPARSE, Metric.DOT) if sparse else (VectorKind.MULTI, Metric.MAXSIM)
    check_index(VectorField(kind, 0 if sparse else DIM, metric, DataType.FLOAT32, spec))


@pytest.mark.parametrize(
    "spec",
    [
        Seismic(postings=1),
        Seismic(postings=1 << 20),
        Seismic(postings=10, list_factor=1),
        Seismic(postings=10, list_factor=100),
        Seismic(values="fixed8", components="plain"),
        Seismic(values="float16", components="delta8"),
        Plaid(centroids=1),
        Plaid(centroids=1 << 16),
        Plaid(centroids=8, nprobe=8),
        Plaid(pooling=16, protected=0),
        Plaid(tokens="residual8", rerank="none"),
        Muvera(repetitions=1),
        Muvera(repetitions=1000, k_sim=0),
        Muvera(repetitions=2, k_sim=12),
        Muvera(projection=DIM),
        Muvera(projection=0),
        Muvera(final_dim=20 * 32 * 8),
        Muvera(repetitions=128, k_sim=5, projection=16),
        Muvera(tokens="int8", rerank="none"),
        Muvera(quantizer=PQ(m=8)),
        Muvera(first="graph", quantizer=SAQ(bits=2)),
        Muvera(first="graph", quantizer=RaBitQ(bits=4)),
    ],
)
def test_taken(spec: Index) -> None:
    check(spec)


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        (Seismic(postings=0), "postings"),
        (Seismic(postings=(1 << 20) + 1), "postings"),
        (Seismic(postings=10, list_factor=0.9), "list_factor"),
        (Seismic(postings=10, list_factor=101), "list_factor"),
        (Seismic(list_factor=2), "list_factor"),  # a multiple of nothing
        (Seismic(components="delta8"), "components"),  # of no copy
        (Seismic(values="fixed16"), ""),  # type: ignore[arg-type]
        (Plaid(centroids=0), "centroids"),
        (Plaid(centroids=(1 << 16) + 1), "centroids"),
        (Plaid(nprobe=0), "nprobe"),
        (Plaid(centroids=8, nprobe=9), "nprobe"),
        (Plaid(pooling=0), "pooling"),
        (Plaid(pooling=17), "pooling"),
        (Plaid(protected=-1), "protected"),
        (Plaid(dedup_eps=-0.1), "dedup_eps"),
        (Plaid(dedup_eps=1.5), "dedup_eps"),
        (Plaid(dedup_eps=float("nan")), "dedup_eps"),
        (Plaid(rerank="none"), "rerank"),
        (Plaid(tokens="int8"), "tokens"),
        (Muvera(repetitions=0), "repetitions"),
        (Muvera(repetitions=1001), "repetitions"),
        (Muvera(k_sim=-1), "k_sim"),
        (Muvera(k_sim=13), "k_sim"),
        (Muvera(projection=DIM + 1), "projection"),
        (Muvera(final_dim=20 * 32 * 8 + 1), "final_dim"),
        (Muvera(repetitions=129, k_sim=5, projection=16), ""),
        (Muvera(seed=-1), "seed"),
        (Muvera(dedup_eps=1.5), "dedup_eps"),
        (Muvera(rerank="none"), "rerank"),
        (Muvera(quantizer=RaBitQ(bits=9)), "quantizer.bits"),
        (Muvera(first="graph", quantizer=PQ(m=8)), "quantizer"),
        (Muvera(first="graph", quantizer=Int8()), "quantizer"),
        (Muvera(first="graph", quantizer=RaBitQ(bits=3)), "quantizer.bits"),
    ],
)
def test_refused(spec: Any, part: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        check(spec)
    assert error.value.reason == "BAD_INDEX_SPEC"
    assert error.value.field_violations[0][0] == f"index.{part}".rstrip(".")


def test_the_widest_encoding_is_as_wide_as_is_said() -> None:
    assert FDE_DIM_MAX == 128 * (1 << 5) * 16
