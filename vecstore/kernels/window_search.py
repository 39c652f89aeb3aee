"""Exact search through windows of postings for the backends written in Python; see native/src/window_search.h for why
it is exact."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.allowed import allowed_mask
from vecstore.kernels.sparse import Bitmap, OpenWindow, Saturation, Window
from vecstore.kernels.sparse_checks import check_document_frequency, check_sparse_scan
from vecstore.kernels.sparse_numpy import by_weight, document_frequency
from vecstore.kernels.stop import check_stop
from vecstore.kernels.window_build import TOP, build_window, padded
from vecstore.kernels.window_checks import check_counters, check_window, check_windows
from vecstore.packed_sparse import StoredRows
from vecstore.sparse import SparseRows

SUM_TOP = 65_535
_WEIGHT_TOP = 65_250
_PARTS_MAX = 8_192
_TOTAL_LEAST, _TOTAL_MOST = 1e-30, 1e38  # scores that float32 cannot hold, or only coarsely, are left to the scan
_SLACK = 1 + 1e-6


@dataclass(slots=True)
class _Plan:
    """What one query adds up in one window. A sum less `start` is at most spread * true score * unit + above, and at
    least true score * unit - below."""

    lists: NDArray[np.int64]
    weights: NDArray[np.int64]
    negative: NDArray[np.bool_]
    most: float = 0.0
    unit: float = 0.0
    start: int = 0
    above: float = 0.0
    below: float = 0.0
    spread: float = 1.0
    rounding: float = 0.0


def _lists_of(window: Window, terms: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lists of terms, and the places of those that they belong to."""
    low, high = np.searchsorted(window.terms, terms), np.searchsorted(window.terms, terms, side="right")
    first, second = np.flatnonzero(high > low), np.flatnonzero(high > low + 1)
    return np.concatenate([first, second]), np.concatenate([low[first], low[second] + 1])


def _codes_of(window: Window, number: int) -> tuple[NDArray[np.uint16] | None, NDArray[np.uint8]]:
    """Rows of one list, less the window's first, and their codes; None and a code for every row of a dense one."""
    begin, end = int(window.starts[number]), int(window.starts[number + 1])
    if begin < end:
        return window.ids[begin:end], window.codes[begin:end]
    place = int(np.searchsorted(window.dense_lists, number))
    if place == len(window.dense_lists) or window.dense_lists[place] != number:
        return window.ids[:0], window.codes[:0]
    return None, window.dense[place]


def _plan(
    window: Window, terms: NDArray[np.uint32], by: NDArray[np.float32], saturation: Saturation | None
) -> _Plan | None:
    """None where sums cannot tell the window's rows apart."""
    grown = spread = 1.0
    if saturation is not None:
        if (saturation.slope == 0) != (window.slope == 0):
            return None
        if saturation.slope:
            ratio = window.slope / saturation.slope
            grown, spread = max(1.0, ratio) * _SLACK, max(ratio, 1 / ratio) * _SLACK * _SLACK
    places, lists = _lists_of(window, terms)
    signed = by[places].astype(np.float64) * window.steps[lists]
    bounds, negative = np.abs(signed) * TOP * grown, signed < 0
    total, down = float(bounds.sum()), float(bounds[negative].sum())
    if not len(lists):
        return _Plan(lists, lists, negative)
    if len(lists) > _PARTS_MAX or not (total == 0 or _TOTAL_LEAST < total < _TOTAL_MOST) or (down > 0 and spread > 1):
        return None
    relative = (len(terms) + 8) * 2.0**-23
    unit = min((SUM_TOP - 2 * len(lists) - 2) / total, _WEIGHT_TOP / float(bounds.max())) if total else 0.0
    units = bounds * unit
    whole = np.ceil(units * 256 / TOP).astype(np.int64)
    errors = units / TOP + 2
    start = int(((whole[negative] * TOP >> 8) + 1).sum())
    above, below = float(errors[~negative].sum()), float(errors[negative].sum())
    most = (total - down + total * relative) * _SLACK
    return _Plan(lists, whole, negative, most, unit, start, above, below, spread, 1 + SUM_TOP * relative)


class _Search:
    """One query. `flags` (n,) says which rows are allowed."""

    def __init__(
        self,
        kernels: PortableSparse,
        query: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        flags: NDArray[np.bool_],
        k: int,
        counters: NDArray[np.int64],
    ) -> None:
        self._kernels, self._query, self._data = kernels, query, rows
        self._saturation, self._flags, self._k, self._counters = saturation, flags, k, counters
        self._terms, self._weights = by_weight(query)
        self.rows, self.distances = np.empty(0, np.int64), np.empty(0, np.float32)

    def score(self, candidates: NDArray[np.int64]) -> None:
        """Keep the k nearest of those found and of the candidates, rows behind them."""
        self._counters[1] += len(candidates)
        listed = candidates[_share(self._terms, self._data, candidates)]
        distances = np.empty((1, len(listed)), np.float32)
        self._kernels.sparse_rerank(self._query, self._data, self._saturation, listed[np.newaxis], distances)
        rows, distances = np.append(self.rows, listed), np.append(self.distances, distances[0])
        best = np.argsort(distances, kind="stable")[: self._k]
        self.rows, self.distances = rows[best], distances[best]

    def window(self, window: Window) -> None:
        first, last = window.first_row, min(window.first_row + window.n_rows, len(self._data))
        if first >= last:
            return
        plan = _plan(window, self._terms, self._weights, self._saturation)
        flags = self._flags[first:last]
        if plan is None:
            self.score(first + np.flatnonzero(flags))
            return
        full = len(self.rows) == self._k
        if not len(plan.lists) or (full and -plan.most > self.distances[-1]):
            self._counters[2] += 1
            return
        sums = np.full(padded(window.n_rows), plan.start, np.int32)
        for number, weight, negative in zip(
            plan.lists.tolist(), plan.weights.tolist(), plan.negative.tolist(), strict=True
        ):
            ids, codes = _codes_of(window, number)
            self._counters[0] += len(codes)
            if ids is None:
                self._kernels.add_dense(sums, codes, weight, negative)
            else:
                self._kernels.add_list(sums, ids, codes, weight, negative)
        sums = sums[: last - first]
        self.score(first + np.flatnonzero((sums >= self._least(plan, sums, flags)) & flags))

    def _least(self, plan: _Plan, sums: NDArray[np.int32], flags: NDArray[np.bool_]) -> int:
        """The least sum that a row among the k nearest can have."""
        lowest = 0.0 if plan.below > 0 else 1.0
        kth = self._kernels.kth_sum(sums, flags, plan.start, self._k)
        if kth > plan.start:
            reached = (kth - plan.start - plan.above) / plan.spread
            lowest = max(lowest, plan.start + reached - plan.below - plan.rounding)
        if len(self.rows) == self._k and self.distances[-1] < np.inf:
            nearer = plan.start - float(self.distances[-1]) * plan.unit
            lowest = max(lowest, nearer - plan.below - plan.rounding)
        return floor(lowest)


class PortableSparse(ABC):
    """Postings for the numpy and Numba backends."""

    @abstractmethod
    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        candidates: NDArray[np.int64],
        out_distances: NDArray[np.float32],
    ) -> None: ...

    def add_list(
        self, sums: NDArray[np.int32], ids: NDArray[Any], codes: NDArray[np.uint8], weight: int, negative: bool
    ) -> None:
        """Contributions of one list, ((weight * code) >> 8) + 1, to the sums of its rows."""
        parts = (weight * codes.astype(np.int32) >> 8) + 1
        sums[ids] += -parts if negative else parts

    def add_dense(self, sums: NDArray[np.int32], codes: NDArray[np.uint8], weight: int, negative: bool) -> None:
        """The same of a dense list: rows whose code is 0 lack the term."""
        parts = (weight * codes.astype(np.int32) >> 8) + (codes > 0)
        sums += -parts if negative else parts

    def kth_sum(self, sums: NDArray[np.int32], flags: NDArray[np.bool_], above: int, k: int) -> int:
        """The k-th largest of the flagged sums that are larger than `above`; `above` where there are fewer."""
        touched = sums[flags & (sums > above)]
        return int(np.partition(touched, len(touched) - k)[len(touched) - k]) if len(touched) >= k else above

    def build_window(self, first_row: int, rows: SparseRows, saturation: Saturation | None) -> Window:
        return build_window(first_row, rows, saturation)

    def open_window(self, window: Window) -> OpenWindow:
        check_window(window)
        return OpenWindow(window, None)

    def inverted_search(
        self,
        windows: Sequence[OpenWindow],
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],
        out_distances: NDArray[np.float32],
        out_counters: NDArray[np.int64],
    ) -> None:
        end = check_windows(windows, len(rows))
        check_sparse_scan(queries, rows, saturation, allowed, out_rows, out_distances)
        check_counters(out_counters, len(queries))
        flags = allowed_mask(allowed, len(rows))
        out_rows.fill(-1)
        out_distances.fill(np.inf)
        out_counters.fill(0)
        k = out_rows.shape[1]
        for q, query in enumerate(queries if k else ()):
            search = _Search(self, query, rows, saturation, flags, k, out_counters[q])
            for one in windows:
                check_stop()
                search.window(one.window)
            search.score(end + np.flatnonzero(flags[end:]))
            out_rows[q, : len(search.rows)], out_distances[q, : len(search.rows)] = search.rows, search.distances

    def inverted_document_frequency(
        self,
        windows: Sequence[OpenWindow],
        terms: NDArray[np.uint32],
        rows: StoredRows,
        allowed: Bitmap | None,
        out: NDArray[np.int64],
    ) -> None:
        end = check_windows(windows, len(rows))
        check_document_frequency(terms, rows, allowed, out)
        flags = allowed_mask(allowed, len(rows))
        out[:] = document_frequency(terms, rows.take(end + np.flatnonzero(flags[end:])))
        for window in (one.window for one in windows):
            mine = np.zeros(window.n_rows, bool)
            held = flags[window.first_row : window.first_row + window.n_rows]
            mine[: len(held)] = held
            for place, number in zip(*_lists_of(window, terms), strict=True):
                ids, codes = _codes_of(window, int(number))
                out[place] += np.count_nonzero(mine & (codes[: len(mine)] > 0) if ids is None else mine[ids])


def _share(terms: NDArray[np.uint32], rows: StoredRows, candidates: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the rows listed hold one of the terms: a distance of +inf does not tell."""
    listed = rows.take(candidates)
    found = np.zeros(listed.nnz + 1, np.int64)
    np.cumsum(np.isin(listed.indices, terms), out=found[1:])
    held: NDArray[np.bool_] = found[listed.offsets[1:]] > found[listed.offsets[:-1]]
    return held
