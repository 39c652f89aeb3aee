"""vecstore's own indexes as entrants: built by their spec, searched through the interface that the engine uses."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench.contest import Built, Entrant
from vecstore.advise.measure import bytes_per_vector
from vecstore.index.base import BuiltIndex, SearchParams
from vecstore.index.registry import built_index
from vecstore.index_spec import IVF, OPQ, PCA, PQ, SAQ, Flat, Int4, Int8, LloydMax, RaBitQ
from vecstore.index_spec import Index as IndexSpec
from vecstore.index_text import format_index, parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind

OVERSAMPLING = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)


def flat_specs(dim: int) -> list[Flat]:
    """Every quantizer at 1, 2, 4 and 8 bits a dimension. SAQ's bits may be fractional: also at what peers take when
    their factors come on top."""
    found = [Flat(SAQ(bits=bits), rerank="none") for bits in (1.0, 1.16, 2.0, 2.08, 2.4, 4.0, 4.08, 4.4, 6.0, 8.0, 8.4)]
    for bits in (1, 2, 4, 8):
        code = dim * bits // 8
        found.append(Flat(RaBitQ(bits=bits), rerank="none"))
        if bits < 8:
            found.append(Flat(LloydMax(bits=bits), rerank="none"))  # type: ignore[arg-type]
        if 2 * code <= dim and dim % (2 * code) == 0:
            found.append(Flat(PQ(m=2 * code), rerank="none"))
            if 2 * code < dim:
                found.append(Flat(PQ(m=2 * code), (OPQ(m=2 * code),), rerank="none"))
        if 2 * code <= dim:
            found.append(Flat(Int4(), (PCA(2 * code),) if 2 * code < dim else (), rerank="none"))
        found.append(Flat(Int8(), (PCA(code),) if code < dim else (), rerank="none"))
    return found


def race_specs(nlists: Iterable[int], dim: int) -> list[IVF]:
    """Coarse codes and deep rerank, fine codes and shallow rerank, rows in one list or in two."""
    half, quarter = PQ(m=dim // 2), PQ(m=dim // 4)
    once = (half, quarter, LloydMax(bits=4), Int4(), RaBitQ(bits=1), RaBitQ(bits=4), SAQ(bits=2.0))
    twice = (half, quarter, LloydMax(bits=4))
    return [
        *(IVF(nlist=nlist, quantizer=quantizer) for nlist in nlists for quantizer in once),
        *(IVF(nlist=nlist, quantizer=quantizer, spill="soar") for nlist in nlists for quantizer in twice),
    ]


def parsed(texts: Iterable[str]) -> list[IndexSpec]:
    return [parse_index(text) for text in texts]


def entrant(spec: IndexSpec, family: str = "vecstore") -> Entrant:
    return Entrant("vecstore", family, format_index(spec), lambda rows: build(rows, spec))


def make(rows: np.ndarray, spec: IndexSpec) -> BuiltIndex:
    """The index over unit rows by cosine, as a sealed segment would hold it."""
    field = VectorField(VectorKind.DENSE, rows.shape[1], Metric.COSINE, index=spec)
    ones = np.ones(len(rows), np.float32)
    kernels = get_kernels()
    kernels.set_threads(0)
    return built_index(spec).build(field, spec, rows, ones, kernels, lambda phase, done, total: None)


def build(rows: np.ndarray, spec: IndexSpec) -> Built:
    index = make(rows, spec)
    kernels = get_kernels()

    def search(queries: np.ndarray, k: int, nprobe: int = 0, oversampling: float = 0.0) -> np.ndarray:
        kernels.set_threads(1)
        params = SearchParams(nprobe=nprobe, oversampling=oversampling, rescore=oversampling > 0)
        return index.search(kernels, queries, k, None, params).rows

    settings = [{}] if isinstance(spec, Flat) else [{"oversampling": one, "nprobe": 0} for one in OVERSAMPLING]
    return Built(search, bytes_per_vector(index), settings)
