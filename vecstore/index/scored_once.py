"""Distances of candidates, each computed once: a calibration finds mostly the same rows by every effort and depth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array

# Distances (nq, m) of candidates, -1 for none: by stored tokens, by codes; +inf for what is no answer.
Scores = Callable[[Int64Array], Float32Array]


class ScoredOnce:
    """`scores`, asked for each pair of a query and a row once: always for the same queries, of rows below 2**32 - 1."""

    def __init__(self, scores: Scores) -> None:
        self._scores = scores
        self._keys, self._known = np.empty(0, np.int64), np.empty(0, np.float32)  # ascending: the query, then the row

    def __call__(self, found: Int64Array) -> Float32Array:
        keys = (np.arange(len(found), dtype=np.int64)[:, None] << 32) + found + 1  # -1 is none
        new = np.sort(keys[~self._has(keys)])
        if len(new):
            self._add(new[np.diff(new, prepend=-1) > 0], len(found))
        distances: Float32Array = self._known[np.searchsorted(self._keys, keys)]
        return distances

    def _has(self, keys: Int64Array) -> NDArray[np.bool_]:
        if not len(self._keys):
            return np.zeros(keys.shape, np.bool_)
        known: NDArray[np.bool_] = self._keys.take(np.searchsorted(self._keys, keys), mode="clip") == keys
        return known

    def _add(self, new: Int64Array, queries: int) -> None:
        asked, ends = new >> 32, np.cumsum(np.bincount(new >> 32, minlength=queries))
        place = np.arange(len(new)) - (ends - np.diff(ends, prepend=0))[asked]
        rows = np.full((queries, int(place.max()) + 1), -1, np.int64)
        rows[asked, place] = (new & 0xFFFFFFFF) - 1
        keys, known = np.append(self._keys, new), np.append(self._known, self._scores(rows)[asked, place])
        order = np.argsort(keys, kind="stable")
        self._keys, self._known = keys[order], known[order]
