"""The k smallest of many distances for each query of a batch, taken in chunk by chunk.

Whole rows of scores are never sorted. The k-th smallest of what has been seen bounds what can still be among the
answers; of a chunk only what is within the bound is kept, which after the first is a few in a thousand. Distances may
be known up to a slack: then what is kept certainly holds the k smallest, for a caller that computes those exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.arrays import Device

POOL_FACTOR = 4  # what is kept, as a multiple of the answers, before it is cut to the bound again
POOL_MIN = 1 << 16


class Nearest:
    """NaN marks rows that do not take part."""

    def __init__(self, device: Device, nq: int, k: int) -> None:
        xp = device.xp
        self._device, self._xp, self._nq, self._k = device, xp, nq, k
        self._bound = xp.full(nq, np.inf, np.float32)
        self._parts: list[tuple[Any, Any, Any, Any]] = []
        self._kept = 0
        self._cut_at = max(POOL_MIN, POOL_FACTOR * nq * k)

    def add(self, distances: Any, rows: Any, slack: Any | None = None, which: Any | None = None) -> None:
        """distances float32 (m, c) of the queries `which` int64 (m,), of all when left out; rows int64 (c,); slack that
        broadcasts with distances: how far they may be off, either way."""
        xp = self._xp
        high = distances if slack is None else distances + slack
        low = distances if slack is None else distances - slack
        if which is None:
            which = xp.arange(self._nq)
        bound = xp.minimum(self._bound[which], self._kth(high))
        self._bound[which] = bound
        queries, columns = self._device.within(low, bound)
        self._parts.append((which[queries], rows[columns], distances[queries, columns], high[queries, columns]))
        self._kept += int(queries.size)
        if self._kept > self._cut_at:
            self._cut()
            self._cut_at = max(POOL_MIN, POOL_FACTOR * self._nq * self._k, 2 * self._kept)

    def kept(self) -> tuple[Any, Any, Any]:
        """(query, row, distance) of everything that may be among the k nearest, by query."""
        queries, rows, distances, _ = self._cut()
        return queries, rows, distances

    def _kth(self, high: Any) -> Any:
        """A bound from one chunk alone: the k-th smallest of each query; +inf where it has fewer."""
        xp = self._xp
        if high.shape[1] < self._k or not self._loose():
            return xp.full(len(high), np.inf, np.float32)
        kth = xp.partition(high, self._k - 1, axis=1)[:, self._k - 1]
        return xp.where(xp.isnan(kth), np.float32(np.inf), kth)

    def _loose(self) -> bool:
        return not self._parts or bool(self._xp.isinf(self._bound).any())

    def _cut(self) -> tuple[Any, Any, Any, Any]:
        """Keep what is within the k-th smallest of everything kept, which becomes the bound."""
        xp = self._xp
        if not self._parts:
            none = xp.empty(0, np.int64)
            return none, none, none.astype(np.float32), none.astype(np.float32)
        queries, rows, distances, high = (xp.concatenate(column) for column in zip(*self._parts, strict=True))
        order = xp.lexsort(xp.stack((high.astype(np.float64), queries.astype(np.float64))))
        queries, rows, distances, high = queries[order], rows[order], distances[order], high[order]
        counts = xp.bincount(queries, minlength=self._nq)
        starts = xp.cumsum(counts) - counts
        enough = counts >= self._k
        last = xp.where(enough, starts + self._k - 1, 0)
        if len(high):
            self._bound = xp.minimum(self._bound, xp.where(enough, high[last], np.float32(np.inf)))
        low = distances - (high - distances)
        within = xp.isinf(high) | (low <= self._bound[queries])
        kept = (queries[within], rows[within], distances[within], high[within])
        self._parts, self._kept = [kept], int(kept[0].size)
        return kept


def write_answers(
    queries: NDArray[np.int64],
    rows: NDArray[np.int64],
    distances: NDArray[np.float32],
    out_rows: NDArray[np.int64],
    out_distances: NDArray[np.float32],
) -> None:
    """The nearest of each query into its places, ties by row; the rest of the places -1 and +inf."""
    out_rows.fill(-1)
    out_distances.fill(np.inf)
    order = np.lexsort((rows, distances, queries))
    queries, rows, distances = queries[order], rows[order], distances[order]
    counts = np.bincount(queries, minlength=len(out_rows))
    place = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
    within = place < out_rows.shape[1]
    out_rows[queries[within], place[within]] = rows[within]
    out_distances[queries[within], place[within]] = distances[within]
