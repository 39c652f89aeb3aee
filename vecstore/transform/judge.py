"""How much of the nearest neighbours a map keeps, judged on the sample that it was fitted to.

Few neighbours are counted: those of a sample are as far as the hundredth of a collection many times larger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array

ROWS_MIN, ROWS_MAX, QUERIES, K = 1000, 16384, 256, 3
_BATCH = 128  # queries of one product


def judges(sample: Float32Array) -> Float32Array | None:
    """The rows to judge by, None where there are too few for an answer worth more than a rule."""
    if len(sample) < ROWS_MIN:
        return None
    return np.ascontiguousarray(sample[:: max(1, len(sample) // ROWS_MAX)][:ROWS_MAX])


class Judge:
    """Some rows are the queries; a query does not find itself."""

    def __init__(self, rows: Float32Array) -> None:
        self._queries = np.arange(0, len(rows), max(1, len(rows) // QUERIES))
        self._truth = self._nearest(rows)

    def kept(self, mapped: Float32Array) -> float:
        """Recall@3 of inner products of `mapped` (n, k), against those of the rows (n, dim)."""
        pairs = zip(self._truth, self._nearest(mapped), strict=True)
        return float(np.mean([np.isin(a, b, assume_unique=True).mean() for a, b in pairs]))

    def _nearest(self, rows: Float32Array) -> NDArray[np.int64]:
        found = np.empty((len(self._queries), K), np.int64)
        for start in range(0, len(self._queries), _BATCH):
            batch = self._queries[start : start + _BATCH]
            products = rows[batch] @ rows.T
            products[np.arange(len(batch)), batch] = -np.inf
            found[start : start + _BATCH] = np.argpartition(products, -K, axis=1)[:, -K:]
        return found
