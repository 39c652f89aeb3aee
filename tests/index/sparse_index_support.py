"""Sparse and text fields, and random rows for them."""

from __future__ import annotations

import numpy as np

from vecstore.index.terms import TermQueries
from vecstore.schema import Analysis, DataType, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows

SPARSE = VectorField(kind=VectorKind.SPARSE, dim=0, metric=Metric.DOT, datatype=DataType.FLOAT16)
TEXT = VectorField(kind=VectorKind.TEXT, dim=0, metric=Metric.BM25, analysis=Analysis(k1=1.5, b=0.6))
VOCABULARY = np.unique(np.random.default_rng(9).integers(0, 2**32, 500, dtype=np.uint64)).astype(np.uint32)


def rows_for(field: VectorField, rng: np.random.Generator, n: int, mean: float = 20) -> SparseRows:
    """Rows whose commonest indices come first in the vocabulary; whole numbers for text."""
    weights = 1 / np.arange(1, len(VOCABULARY) + 1)
    lengths = np.minimum(rng.poisson(mean, n) * (rng.random(n) > 0.05), 200)
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    keys = rng.gumbel(size=(n, len(VOCABULARY))) + np.log(weights)
    order = np.argsort(-keys, axis=1)
    chosen = [np.sort(order[row, :length]) for row, length in enumerate(lengths.tolist())]
    places = np.concatenate([np.empty(0, np.int64), *chosen])
    values = (
        rng.geometric(0.6, len(places)) if field.kind is VectorKind.TEXT else rng.exponential(1, len(places)) + 0.01
    )
    return SparseRows(offsets, VOCABULARY[places], values.astype(field.storage_dtype))


def queries_for(
    field: VectorField, rng: np.random.Generator, nq: int, mean_length: float = 30
) -> SparseRows | TermQueries:
    weights = rows_for(SPARSE, rng, nq, 5).astype(np.float32)
    return TermQueries(weights, mean_length) if field.kind is VectorKind.TEXT else weights
