"""One segment's part of a query: by its index where there is one and it pays, else by an exact scan.

An index may miss rows, so it is left aside when few rows are allowed (scanning these is cheaper than probing lists for
them) and when it finds fewer than were asked for: if at least k rows are allowed, k come back.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from vecstore.engine.exact_cache import ExactCache
from vecstore.engine.segment import SegmentView
from vecstore.index.base import BuiltIndex, Candidates, SearchParams, is_stale
from vecstore.index.familiar import search_promised
from vecstore.index.scanned import ScannedIndex
from vecstore.index.terms import TermQueries
from vecstore.kernels.base import Bitmap, Int64Array, Kernels
from vecstore.rows import Rows

Queries: TypeAlias = Rows | TermQueries

FEW_ROWS = 1_000  # allowed rows that are scanned whatever the index
FEW_SHARE = 50  # and one row in so many


def search_segment(
    kernels: Kernels,
    view: SegmentView,
    name: str,
    queries: Queries,
    k: int,
    allowed: Bitmap | None,
    n_allowed: int,
    params: SearchParams,
    exact: ExactCache | None = None,
) -> Candidates:
    """The candidates, which say what found them. Kernels break ties by row, the API by id: where rows do not ascend by
    id, a tie at the last place may have kept the wrong one, so the search is widened until the tied run ends."""
    index = usable(view, name, n_allowed, params)
    if index is not None:
        kernels = view.segment.guard(kernels, name)
        return _by_index(kernels, index, view, name, queries, k, allowed, n_allowed, params)
    flat = view.segment.flat(name, view.n_rows) if view.segment.sorted_by_id else view.flat(name)
    kernels = view.segment.guard(kernels, name)  # after what opens the rows, or it sees nothing to guard
    if exact is not None and isinstance(flat, ScannedIndex) and not params.truncate_dim:
        flat = exact.reading(kernels, view, name, flat, len(queries), k, n_allowed)
    if view.segment.sorted_by_id:
        return flat.search(kernels, queries, k, allowed, params)
    wide = min(k + 1, view.n_rows)
    while True:
        candidates = flat.search(kernels, queries, wide, allowed, params)
        candidates.strategy = candidates.strategy or flat.name
        if wide in (k, view.n_rows):
            break
        distances = candidates.distances
        if len(distances) == 1 and distances.item(wide - 1) != distances.item(k - 1):
            break
        tied = distances[:, -1] == distances[:, k - 1]
        if not tied.any() or not (tied & (candidates.rows[:, -1] >= 0)).any():
            break
        wide = min(2 * wide, view.n_rows)
    candidates.strategy = candidates.strategy or flat.name
    return candidates


def usable(view: SegmentView, name: str, n_allowed: int, params: SearchParams) -> BuiltIndex | None:
    """The index that answers where so many rows are allowed; None where an exact scan does."""
    if params.exact:
        return None
    index = view.segment.index(name)
    if index is None or (params.truncate_dim and not index.truncates):
        return None
    if index.plans_filters or n_allowed > max(FEW_ROWS, view.n_rows // FEW_SHARE):
        return index
    return None


def _are_few(rows: Int64Array, k: int) -> bool:
    """Whether a query found fewer than k."""
    if len(rows) == 1:
        return bool(rows.item(k - 1) < 0)
    return bool(min(rows[:, k - 1].tolist()) < 0)


def _by_index(
    kernels: Kernels,
    index: BuiltIndex,
    view: SegmentView,
    name: str,
    queries: Queries,
    k: int,
    allowed: Bitmap | None,
    n_allowed: int,
    params: SearchParams,
) -> Candidates:
    found = search_promised(index, kernels, queries, k, allowed, n_allowed, params)
    if found.recall is not None and is_stale(index, view.n_alive):
        found.recall, found.basis = None, ""
    if not found.strategy:
        found.strategy, found.is_usual = index.name, True
    if not index.complete and _are_few(found.rows, k):
        short = np.flatnonzero(found.rows[:, k - 1] < 0)
        flat = view.segment.flat(name, view.n_rows)
        assert not isinstance(queries, TermQueries)  # the indexes of texts are complete
        exact = flat.search(kernels, queries[short], k, allowed, params)
        found.rows[short, :k], found.distances[short, :k] = exact.rows, exact.distances
        found.counters["queries_rescanned"] = len(short)
        found.counters["rows_scanned"] = found.counters.get("rows_scanned", 0) + exact.counters["rows_scanned"]
    return found
