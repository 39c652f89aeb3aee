"""k nearest points over the segments of one view: mask, search each segment (`scan.py`), merge."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

import numpy as np

from vecstore.config import Storage
from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.exact_cache import ExactCache
from vecstore.engine.filtering import Filtering
from vecstore.engine.ids import encode_id
from vecstore.engine.kinds import live_rows, wholes_of
from vecstore.engine.left_out import LeftOut
from vecstore.engine.scan import Queries, search_segment
from vecstore.engine.segment import SegmentView
from vecstore.index.base import DEFAULT_PARAMS, Candidates, SearchParams
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.stop import check_stop
from vecstore.quality import NOTHING, Part, Quality, of_segment, over_segments
from vecstore.query.evaluate import EvalStats
from vecstore.query.filter import Filter

DEFAULT_SETTINGS = Storage()
_UNBOUNDED = nullcontext()


@dataclass(slots=True)
class Ranked:
    """Answers to queries, (nq, n) each, ascending by (distance, id): rows, and which of the view's segments they are
    of (one number where a single segment answered). Unused places are last, with row -1."""

    segments: int | Int64Array
    rows: Int64Array
    distances: Float32Array
    quality: Quality = NOTHING


@dataclass(slots=True)
class Plan:
    """What a search did, for explain."""

    segments: list[dict[str, Any]] = default(default_factory=list)
    merge_ms: float = 0.0


def search_view(
    kernels: Kernels,
    view: View,
    name: str,
    queries: Queries,
    k: int,
    where: Filter | None,
    filtering: Filtering,
    plan: Plan | None = None,
    params: SearchParams = DEFAULT_PARAMS,
    within: Mapping[int, Bitmap] | None = None,
    settings: Storage = DEFAULT_SETTINGS,
    counted: list[Mapping[str, int]] | None = None,
    exact: ExactCache | None = None,
) -> Ranked:
    """The k nearest live points that match, for each query. If at least k points match, k come back, unless `params`
    let segments be left out. `within` has the rows to search, by place of the segment, where these are not all.
    `counted` gets the counters of each segment that was searched, `exact` keeps what makes scans of them faster."""
    left_out = LeftOut(params, settings) if params.indexed_only or params.allow_partial else None
    if plan is None and where is None and within is None and left_out is None:
        return _search_wholes(kernels, view, name, queries, k, params, counted, exact)
    found: list[tuple[int, Candidates]] = []
    parts: list[Part] = []
    filtered_out = where is not None or within is not None
    for place, segment in enumerate(view.segments):
        started = time.perf_counter()
        stats = EvalStats() if plan is not None else None
        if within is not None and place not in within:
            continue
        if left_out is not None and left_out.waits(segment, name, view.schema.vectors[name]):
            if plan is not None:
                plan.segments.append(_explain(segment, "left_out", 0, stats, None, started, started))
            continue
        candidates, strategy, n_allowed, filtered = None, "timed_out", 0, started
        with _UNBOUNDED if left_out is None else left_out.in_time(segment):
            check_stop()
            allowed = allowed_rows(segment, name, where, filtering, stats)
            if within is not None:
                allowed = within[place] & (segment.alive if allowed is None else allowed)
            filtered = time.perf_counter()
            n_allowed = segment.n_rows if allowed is None else bitmaps.count_bits(allowed)
            strategy = "none" if not n_allowed else strategy
            if n_allowed:
                few = min(k, n_allowed)
                candidates = search_segment(kernels, segment, name, queries, few, allowed, n_allowed, params, exact)
        if candidates is not None:
            found.append((place, candidates))
            if counted is not None:
                counted.append(candidates.counters)
            strategy = candidates.strategy
            if filtered_out and candidates.is_usual:
                strategy += "_filtered"
            basis = "exact" if candidates.recall == 1 else candidates.basis
            parts.append(Part(n_allowed, candidates.recall, strategy, basis))
        if plan is not None:
            plan.segments.append(_explain(segment, strategy, n_allowed, stats, candidates, started, filtered))
    started = time.perf_counter()
    ranked = merge(view, found, len(queries), k)
    ranked.quality = over_segments(parts) if left_out is None else left_out.told(over_segments(parts))
    if plan is not None:
        plan.merge_ms = 1e3 * (time.perf_counter() - started)
    return ranked


def _search_wholes(
    kernels: Kernels,
    view: View,
    name: str,
    queries: Queries,
    k: int,
    params: SearchParams,
    counted: list[Mapping[str, int]] | None,
    exact: ExactCache | None,
) -> Ranked:
    """What the loop of `search_view` comes to where nothing is filtered, left out or explained."""
    wholes = wholes_of(view, name)
    found: list[tuple[int, Candidates]] = []
    for whole in wholes:
        check_stop()
        n_allowed = whole.n_allowed
        few = k if k < n_allowed else n_allowed
        candidates = search_segment(kernels, whole.segment, name, queries, few, whole.allowed, n_allowed, params, exact)
        if candidates.recall == 1:
            candidates.basis = "exact"
        found.append((whole.place, candidates))
        if counted is not None:
            counted.append(candidates.counters)
    ranked = merge(view, found, len(queries), k)
    if len(found) == 1:
        ranked.quality = of_segment(candidates.recall, candidates.strategy, candidates.basis)
    else:
        parts = [Part(w.n_allowed, c.recall, c.strategy, c.basis) for w, (_, c) in zip(wholes, found, strict=True)]
        ranked.quality = over_segments(parts)
    return ranked


def allowed_rows(
    segment: SegmentView, name: str, where: Filter | None, filtering: Filtering, stats: EvalStats | None
) -> Bitmap | None:
    """Live rows that match and have the vector; None when that is every row."""
    if where is None:
        return live_rows(segment, name)
    present = segment.segment.present(name, segment.n_rows)
    allowed = filtering.allowed(segment, where, stats)
    return allowed if present is None else allowed & present


def allowed_by_segment(view: View, name: str | None, where: Filter | None, filtering: Filtering) -> dict[int, Bitmap]:
    """Live rows that match, and have the vector where one is named, by place of the segment; must not be changed."""
    words = {}
    for place, segment in enumerate(view.segments):
        check_stop()
        if name is None:
            words[place] = filtering.allowed(segment, where)
        else:
            rows = allowed_rows(segment, name, where, filtering, None)
            words[place] = segment.alive if rows is None else rows
    return words


def merge(view: View, found: list[tuple[int, Candidates]], nq: int, k: int) -> Ranked:
    """The k best of each query over all segments, ties by id."""
    if not found:
        none = np.empty((nq, 0), np.int64)
        return Ranked(none, none, none.astype(np.float32))
    if len(found) == 1:
        place, candidates = found[0]
        segments: int | Int64Array = place
        rows, distances = candidates.rows, candidates.distances
    else:
        distances = np.concatenate([candidates.distances for _, candidates in found], axis=1)
        rows = np.concatenate([candidates.rows for _, candidates in found], axis=1)
        numbers = np.repeat([place for place, _ in found], [candidates.rows.shape[1] for _, candidates in found])
        order = np.argsort(distances, axis=1, kind="stable")  # unused places are last: +inf, and nothing else is
        segments, rows = numbers[order], np.take_along_axis(rows, order, axis=1)
        distances = np.take_along_axis(distances, order, axis=1)
    if len(found) > 1 or not view.segments[place].segment.sorted_by_id:
        segments, rows = _ties_by_id(view, segments, rows, distances, k)
    if rows.shape[1] > k:
        segments = segments if isinstance(segments, int) else segments[:, :k]
        rows, distances = rows[:, :k], distances[:, :k]
    return Ranked(segments, rows, distances)


def ordered_ties(view: View, ranked: Ranked, k: int) -> Int64Array:
    """The order of one query's answers, (1, n), in which equal distances among the first k are by id."""
    distances = ranked.distances[0]
    order = np.arange(len(distances))
    if isinstance(ranked.segments, np.ndarray) and (distances[1 : k + 1] == distances[:-1][:k]).any():
        places, rows = ranked.segments[0], ranked.rows[0]
        for low, high in _tied_runs(distances, k):
            keys = {at: _id_key(view, int(places[at]), int(rows[at])) for at in range(low, high)}
            order[low:high] = sorted(keys, key=keys.__getitem__)
    return order


def _ties_by_id(
    view: View, segments: int | Int64Array, rows: Int64Array, distances: Float32Array, k: int
) -> tuple[int | Int64Array, Int64Array]:
    """Segments and rows with runs of equal distances that begin among the first k ordered by id."""
    equal = distances[:, 1 : k + 1] == distances[:, :-1][:, :k]
    if not equal.any():
        return segments, rows
    rows = rows.copy()
    for query in np.flatnonzero(equal.any(axis=1)).tolist():
        own = rows[query]
        places = np.full(len(own), segments) if isinstance(segments, int) else segments[query]
        order = np.arange(len(own))
        for low, high in _tied_runs(distances[query], k):
            keys = {at: _id_key(view, int(places[at]), int(own[at])) for at in range(low, high)}
            order[low:high] = sorted(keys, key=keys.__getitem__)
        rows[query] = own[order]
        if not isinstance(segments, int):
            segments[query] = places[order]
    return segments, rows


def _tied_runs(distances: Float32Array, k: int) -> Iterator[tuple[int, int]]:
    """Half-open runs of equal distances that begin before place k; unused places are not equal to anything."""
    edges = np.flatnonzero(distances[1:] != distances[:-1]) + 1
    bounds = [0, *edges.tolist(), len(distances)]
    for low, high in itertools.pairwise(bounds):
        if low >= k or low == high or distances[low] == np.inf:
            return
        if high - low > 1:
            yield low, high


def _id_key(view: View, place: int, row: int) -> bytes:
    return encode_id(view.segments[place].segment.take_ids(np.array([row])).tolist()[0])


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
        "estimated_us": None if candidates is None else candidates.est_us,
        "est_recall": None if candidates is None else candidates.recall,
        "payloads_scanned": 0 if stats is None else stats.rows_scanned,
        "counters": {} if candidates is None else dict(candidates.counters),
        "filter_ms": 1e3 * (filtered - started),
        "scan_ms": 1e3 * (time.perf_counter() - filtered),
    }
