"""Late interaction in float64, a block of documents at a time; what the other backends are tested against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.stop import check_stop
from vecstore.tokens import TokenRows

_BLOCK_TOKENS = 1 << 12


def query_distances(query: NDArray[Any], rows: TokenRows, listed: Int64Array) -> Float32Array:
    """Minus the scores of the listed rows with the tokens (m, dim) of one query; +inf for a row without tokens."""
    out = np.full(len(listed), np.inf, np.float32)
    used = np.flatnonzero(rows.offsets[listed + 1] > rows.offsets[listed])
    wide = query.astype(np.float64)
    ends = np.cumsum(rows.offsets[listed[used] + 1] - rows.offsets[listed[used]])
    while len(used):
        check_stop()
        count = max(1, int(np.searchsorted(ends, _BLOCK_TOKENS, side="right")))
        part = rows.take(listed[used[:count]])
        out[used[:count]] = -_scores(wide, part)
        ends = ends[count:] - ends[count - 1]
        used = used[count:]
    return out


def _scores(query: NDArray[np.float64], rows: TokenRows) -> NDArray[Any]:
    # Pair by pair (einsum, not a matrix product), so that equal tokens get equal products wherever they stand.
    products = np.einsum("td,md->tm", rows.tokens.astype(np.float64), query)
    best = np.maximum.reduceat(products, rows.offsets[:-1], axis=0)
    scores: NDArray[Any] = best.sum(axis=1)
    return scores
