"""k nearest points over the segments of one view: mask, search each segment (`scan.py`), merge."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.filtering import Filtering
from vecstore.engine.ids import encode_id
from vecstore.engine.scan import search_segment
from vecstore.engine.segment import SegmentView
from vecstore.errors import DeadlineExceeded
from vecstore.index.base import DEFAULT_PARAMS, Candidates, SearchParams
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.query.evaluate import EvalStats
from vecstore.query.filter import Filter


@dataclass(slots=True)
class Ranked:
    """The answer to one query: places in `segments` and rows there, ascending by (distance, id)."""

    segments: Int64Array
    rows: Int64Array
    distances: Float32Array


@dataclass(slots=True)
class Plan:
    """What a search did, for explain."""

    segments: list[dict[str, Any]] = default(default_factory=list)
    merge_ms: float = 0.0


def search_view(
    kernels: Kernels,
    view: View,
    name: str,
    queries: np.ndarray,
    k: int,
    where: Filter | None,
    filtering: Filtering,
    deadline: float | None,
    plan: Plan | None = None,
    params: SearchParams = DEFAULT_PARAMS,
) -> list[Ranked]:
    """The k nearest live points that match, for each query. If at least k points match, k come back.

    Raises DeadlineExceeded between segments once `deadline` (time.monotonic) has passed."""
    found: list[tuple[int, Candidates]] = []
    for place, segment in enumerate(view.segments):
        check_deadline(deadline)
        started = time.perf_counter()
        stats = EvalStats() if plan is not None else None
        allowed = allowed_rows(segment, name, where, filtering, stats)
        filtered = time.perf_counter()
        n_allowed = segment.n_rows if allowed is None else bitmaps.count_bits(allowed)
        candidates, strategy = None, "none"
        if n_allowed:
            candidates, strategy = search_segment(
                kernels, segment, name, queries, min(k, n_allowed), allowed, n_allowed, params
            )
            found.append((place, candidates))
        if plan is not None:
            plan.segments.append(_explain(segment, strategy, n_allowed, stats, candidates, started, filtered))
    started = time.perf_counter()
    ranked = [merge(view, found, query, k) for query in range(len(queries))]
    if plan is not None:
        plan.merge_ms = 1e3 * (time.perf_counter() - started)
    return ranked


def check_deadline(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise DeadlineExceeded("the query ran past its deadline")


def allowed_rows(
    segment: SegmentView, name: str, where: Filter | None, filtering: Filtering, stats: EvalStats | None
) -> Bitmap | None:
    """Live rows that match and have the vector; None when that is every row."""
    present = segment.segment.present(name, segment.n_rows)
    if where is None and present is None and segment.n_alive == segment.n_rows:
        return None
    allowed = filtering.allowed(segment, where, stats)
    return allowed if present is None else allowed & present


def merge(view: View, found: list[tuple[int, Candidates]], query: int, k: int) -> Ranked:
    """The k best of one query over all segments, ties by id."""
    if not found:
        return Ranked(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    if len(found) == 1:
        place, candidates = found[0]
        distances, rows = candidates.distances[query], candidates.rows[query]
        used = int(np.count_nonzero(rows >= 0))
        distances, rows = distances[:used], rows[:used]
        segments = np.full(used, place, dtype=np.int64)
        if view.segments[place].segment.sorted_by_id:
            return Ranked(segments[:k], rows[:k], distances[:k])
    else:
        distances = np.concatenate([candidates.distances[query] for _, candidates in found])
        rows = np.concatenate([candidates.rows[query] for _, candidates in found])
        segments = np.repeat(
            np.array([place for place, _ in found]), [candidates.rows.shape[1] for _, candidates in found]
        )
        order = np.argsort(distances, kind="stable")
        order = order[rows[order] >= 0]
        distances, rows, segments = distances[order], rows[order], segments[order]
    if not (distances[1:] == distances[:-1]).any():
        return Ranked(segments[:k], rows[:k], distances[:k])
    order = np.arange(len(rows))
    for low, high in _tied_runs(distances, k):
        tied = order[low:high].tolist()
        order[low:high] = sorted(tied, key=lambda at: _id_key(view, int(segments[at]), int(rows[at])))
    order = order[:k]
    return Ranked(segments[order], rows[order], distances[order])


def _tied_runs(distances: Float32Array, k: int) -> Iterator[tuple[int, int]]:
    """Half-open runs of equal distances that begin before place k."""
    edges = np.flatnonzero(distances[1:] != distances[:-1]) + 1
    bounds = [0, *edges.tolist(), len(distances)]
    for low, high in itertools.pairwise(bounds):
        if low >= k:
            return
        if high - low > 1:
            yield low, high


def _id_key(view: View, place: int, row: int) -> bytes:
    return encode_id(view.segments[place].segment.take_ids([row])[0])


def _explain(
    segment: SegmentView,
    strategy: str,
    n_allowed: int,
    stats: EvalStats | None,
    candidates: Candidates | None,
    started: float,
    filtered: float,
) -> dict[str, Any]:
    return {
        "kind": "sealed" if segment.segment.sorted_by_id else "growing",
        "strategy": strategy,
        "rows": segment.n_rows,
        "alive": segment.n_alive,
        "allowed": n_allowed,
        "payloads_scanned": 0 if stats is None else stats.rows_scanned,
        "counters": {} if candidates is None else dict(candidates.counters),
        "filter_ms": 1e3 * (filtered - started),
        "scan_ms": 1e3 * (time.perf_counter() - filtered),
    }
