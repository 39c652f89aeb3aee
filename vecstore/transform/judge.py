"""How much of the nearest neighbours a map keeps, judged on the sample that it was fitted to.

Few neighbours are counted: those of a sample are as far as the hundredth of a collection many times larger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array

_BATCH = 128  # queries of one product
ROWS_MIN, ROWS_MAX, QUERIES, K = 1000, 16384, 512, 3


def judges(sample: Float32Array) -> Float32Array | None:
    """The rows to judge by, None where there are too few for an answer worth more than the rule."""
    return sample[:: max(1, len(sample) // ROWS_MAX)][:ROWS_MAX] if len(sample) >= ROWS_MIN else None


def neighbours_kept(rows: Float32Array, mapped: Float32Array) -> float:
    """Recall@3 of inner products of `mapped` (n, k), against those of `rows` (n, dim). Some rows are the queries; a
    query does not find itself."""
    queries = np.arange(0, len(rows), max(1, len(rows) // QUERIES))
    truth, found = _nearest(rows, queries), _nearest(mapped, queries)
    return float(np.mean([np.isin(a, b, assume_unique=True).mean() for a, b in zip(truth, found, strict=True)]))


def _nearest(rows: Float32Array, queries: NDArray[np.int64]) -> NDArray[np.int64]:
    found = np.empty((len(queries), K), np.int64)
    for start in range(0, len(queries), _BATCH):
        batch = queries[start : start + _BATCH]
        products = rows[batch] @ rows.T
        products[np.arange(len(batch)), batch] = -np.inf
        found[start : start + _BATCH] = np.argpartition(products, -K, axis=1)[:, -K:]
    return found
