"""What compiled loops are given for stored rows, for queries, and for what is absent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array
from vecstore.schema import Metric

NO_NORMS = np.empty(0, np.float32)
NO_WORDS = np.empty(0, np.uint64)


def as_typed(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows under the dtype that tells the loops what they hold: float16 travels as int16. Columns of a wider array
    come as rows of its whole width, so that the compiler sees contiguous rows; loops end where the queries do."""
    if not rows.flags.c_contiguous:
        rows = as_strided(rows, (len(rows), rows.strides[0] // rows.itemsize), writeable=False)
    return rows.view(np.int16) if rows.dtype == np.float16 else rows


def padded_queries(metric: Metric, queries: Float32Array, tile: int) -> Float32Array:
    """Queries padded with zero rows to whole tiles, for cosine at unit length."""
    prepared = np.zeros((-(-len(queries) // tile) * tile, queries.shape[1]), np.float32)
    prepared[: len(queries)] = queries
    if metric is Metric.COSINE:
        norms = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
        np.divide(queries, norms, out=prepared[: len(queries)], where=norms > 0, casting="same_kind")
    return prepared
