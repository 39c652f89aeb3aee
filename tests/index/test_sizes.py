"""What an index is said to take before it is built, against what it takes: every kind, on random rows."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from vecstore.index.registry import BUILT, built_index
from vecstore.index.sizes import SIZES, Shape, index_sizes
from vecstore.index_spec import (
    IVF,
    MIH,
    PCA,
    PQ,
    SAQ,
    Binary,
    Flat,
    Float8,
    Float16,
    Funnel,
    Graph,
    HammingIVF,
    Int4,
    Int8,
    Inverted,
    LloydMax,
    Muvera,
    Plaid,
    RaBitQ,
    Rotate,
    Seismic,
)
from vecstore.index_text import format_index
from vecstore.kernels.select import get_kernels
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.tokens import TokenRows

WITHIN = 0.15
N, DIM = 800, 64
RNG = np.random.default_rng(20261128)
DENSE = RNG.standard_normal((N, DIM)).astype(np.float32)
BITS = RNG.integers(0, 256, (N, 16), np.uint8)
QUANTIZED = [
    Float16(), Float8(), Int8(), Int4(), PQ(16), PQ(16, 8), RaBitQ(1), RaBitQ(4), RaBitQ(7), SAQ(2), SAQ(4),
    LloydMax(1), LloydMax(4), Binary(),
]  # fmt: skip
SPECS: list[Any] = [
    *(Flat(quantizer) for quantizer in QUANTIZED), IVF(), IVF(quantizer=RaBitQ(4)), IVF(quantizer=SAQ(4)),
    IVF(20, Int8(), spill="soar"), Flat(SAQ(4), rerank="float16"), Flat(SAQ(4), rerank="int8"),
    IVF(quantizer=Int8(), transforms=(PCA(32),)), Flat(Int8(), (Rotate(),)), Graph(),
    Graph(32, RaBitQ(2), rerank="int8"), Funnel((16, 32)),
]  # fmt: skip
UNIT: list[Any] = [  # whose factors depend on the metric
    *(Flat(quantizer) for quantizer in (Int8(), RaBitQ(4), RaBitQ(7), SAQ(2), SAQ(4), LloydMax(1), Binary())),
    Flat(SAQ(4), rerank="int8"), IVF(quantizer=Int8(), transforms=(PCA(32),)), Funnel((16, 32)),
]  # fmt: skip
LATE: list[Any] = [
    Plaid(), Plaid(pooling=2, tokens="int8"), Muvera(4, 3, 8), Muvera(4, 3, 8, first="ivf", tokens="int8"),
    Muvera(4, 3, 8, tokens="residual4"), Muvera(4, 3, 8, whole=True),
]  # fmt: skip


def check(spec: Any, field: VectorField, rows: Any, shape: Shape) -> None:
    norms = None
    if field.metric is Metric.COSINE:
        norms = (1 / np.linalg.norm(rows, axis=1)).astype(np.float32)
    field = msgspec.structs.replace(field, index=spec)
    built = built_index(spec).build(field, spec, rows, norms, get_kernels(), lambda *_: None)
    arrays = {name: values.nbytes for name, values in built.arrays().items() if name != "inverse_norms"}
    said, takes = sum(index_sizes(spec, field, shape).values()), sum(arrays.values())
    assert abs(said / takes - 1) <= WITHIN, (format_index(spec), said, arrays)


def test_every_kind_of_index_and_of_code_is_known() -> None:
    assert {str(spec.__struct_config__.tag) for spec in SIZES} == BUILT.keys()  # type: ignore[attr-defined]
    assert {str(quantizer.__struct_config__.tag) for quantizer in QUANTIZED} | {"bfloat16"} == QUANTIZERS.keys()


def test_dense() -> None:
    for metric, specs in ((Metric.L2, SPECS), (Metric.COSINE, UNIT)):
        for spec in specs:
            check(spec, VectorField(VectorKind.DENSE, DIM, metric), DENSE, Shape(N))


def test_binary() -> None:
    for spec in (HammingIVF(), HammingIVF(20), MIH(), MIH(16)):
        check(spec, VectorField(VectorKind.BINARY, 128, Metric.HAMMING), BITS, Shape(N))


@pytest.mark.parametrize(("entries", "terms"), [(20, 100), (20, 300), (60, 2_000)])
def test_sparse_and_texts(entries: int, terms: int) -> None:
    indices = np.sort(np.argsort(RNG.random((N, terms)), axis=1)[:, :entries]).astype(np.uint32).ravel()
    offsets = np.arange(N + 1, dtype=np.int64) * entries
    texts = SparseRows(offsets, indices, RNG.integers(1, 4, len(indices)).astype(np.float32))
    check(Inverted(), VectorField(VectorKind.TEXT, 0, Metric.BM25), texts, Shape(N, entries, terms))
    rows = SparseRows(offsets, indices, RNG.uniform(0.01, 1, len(indices)).astype(np.float32))
    for spec in (Inverted(), Seismic(), Seismic(postings=50)):
        check(spec, VectorField(VectorKind.SPARSE, 0, Metric.DOT), rows, Shape(N, entries, terms))


def test_multi_vectors() -> None:
    counts = RNG.integers(4, 12, 300)
    tokens = RNG.standard_normal((counts.sum(), 32)).astype(np.float32)
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    rows = TokenRows(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), tokens)
    for spec in LATE:
        check(spec, VectorField(VectorKind.MULTI, 32, Metric.MAXSIM), rows, Shape(300, float(counts.mean())))


def test_what_is_not_built_takes_nothing() -> None:
    field = VectorField(VectorKind.DENSE, DIM, Metric.L2)
    assert index_sizes(Flat(), field, Shape(N)) == index_sizes(IVF(), field, Shape(0)) == {}
