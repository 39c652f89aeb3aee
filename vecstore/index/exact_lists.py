"""Lists without codes: the rows of the probed lists are scored as they are stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.index.rerank import Rescorer, smallest
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.quantize.base import Found, Lists, Probes

_PLACES = 1 << 21  # candidates gathered at once


@dataclass(frozen=True, slots=True)
class ExactLists:
    lists: Lists
    scores: Rescorer

    def search(
        self,
        kernels: Kernels,
        queries: Float32Array,  # (nq, field.dim), as the caller gave them
        probes: Probes,
        m: int,
        allowed: Bitmap | None,
    ) -> Found:
        """The m nearest allowed rows of the probed lists, by exact distances."""
        sizes = np.where(probes.lists >= 0, np.diff(self.lists.offsets)[probes.lists], 0)
        totals = sizes.sum(axis=1)
        rows, distances = np.empty((len(queries), m), np.int64), np.empty((len(queries), m), np.float32)
        step = max(1, _PLACES // max(1, int(totals.max(initial=1))))
        for low in range(0, len(queries), step):
            part = slice(low, low + step)
            gathered = self._gather(probes.lists[part], sizes[part], totals[part], allowed)
            near = self.scores.distances(queries[part], gathered, kernels)
            rows[part], distances[part] = smallest(gathered, near, m)
        return Found(rows, distances, {"rows_scanned": int(totals.sum())})

    def _gather(
        self, lists: NDArray[np.int32], sizes: Int64Array, totals: Int64Array, allowed: Bitmap | None
    ) -> Int64Array:
        """The rows of each query's lists, one list after another, then -1."""
        flat = sizes.ravel()
        starts = self.lists.offsets[:-1][np.maximum(lists, 0)].ravel()
        places = np.repeat(starts - (np.cumsum(flat) - flat), flat) + np.arange(int(flat.sum()))
        rows = self.lists.rows[places].astype(np.int64)
        if allowed is not None:
            words = allowed[rows >> 6] >> (rows & 63).astype(np.uint64)
            rows[(words & np.uint64(1)) == 0] = -1
        out = np.full((len(lists), max(1, int(totals.max(initial=1)))), -1, np.int64)
        out[np.arange(out.shape[1])[None, :] < totals[:, None]] = rows
        return out
