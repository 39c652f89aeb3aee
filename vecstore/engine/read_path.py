"""Reads: query, get, scroll, count. Each takes one view, so it sees one seq, which the answer reports."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vecstore import validate
from vecstore.config import Settings
from vecstore.engine import bitmaps
from vecstore.engine.collection import Collection, View
from vecstore.engine.contents import Content, contents
from vecstore.engine.filtering import Filtering
from vecstore.engine.params import check_params
from vecstore.engine.search import Plan, Ranked, check_deadline, search_view
from vecstore.engine.segment import SegmentView
from vecstore.errors import DeadlineExceeded
from vecstore.kernels.base import Kernels
from vecstore.query.filter import Filter, PointId
from vecstore.query.parse import check_filter
from vecstore.schema import Schema, VectorField, larger_is_nearer, score_of
from vecstore.types import (
    CountRequest,
    GetRequest,
    Hit,
    Point,
    QueryRequest,
    QueryResult,
    ScrollRequest,
    ScrollResult,
    Selection,
)


class Reader:
    """Threads may share one object."""

    def __init__(self, kernels: Kernels, settings: Settings, filtering: Filtering) -> None:
        self._kernels = kernels
        self._settings = settings
        self._filtering = filtering

    def check(self, collection: Collection, request: QueryRequest) -> np.ndarray:
        """Everything about a request that can be wrong; returns its vector as the kernels take it."""
        _, spec = self.field_of(collection.schema, request.using)
        self._check_query(request, collection.schema)
        vector = validate.check_query_vector(request.vector, spec)
        check_params(request.params, spec, vector)
        return vector

    def run(
        self, collection: Collection, requests: Sequence[QueryRequest], vectors: Sequence[np.ndarray], deadline: float
    ) -> list[QueryResult]:
        """Answer checked requests that differ in nothing but the vector (see `batch_key`) in one pass over the data."""
        first = requests[0]
        started = time.perf_counter()
        name, spec = self.field_of(collection.schema, first.using)
        view = self.view_at(collection, first.min_seq, deadline)
        plan = Plan() if first.explain else None
        k = min(first.k + first.offset, max(1, view.points))
        ranked = search_view(
            self._kernels, view, name, np.stack(vectors), k, first.filter, self._filtering, deadline, plan, first.params
        )
        explain = _explained(plan, view, name, len(requests), started)
        return [QueryResult(self._hits(view, answer, spec, first), view.seq, explain) for answer in ranked]

    def _check_query(self, request: QueryRequest, schema: Schema) -> None:
        limits = self._settings.limits
        k = validate.check_count(request.k, "k", 1, "k_max", limits.k_max)
        offset = validate.check_count(request.offset, "offset", 0, "k_max", limits.k_max)
        validate.check_count(k + offset, "k + offset", 1, "k_max", limits.k_max)
        if request.score_threshold is not None and not np.isfinite(request.score_threshold):
            raise validate.invalid("NAN_OR_INF", "score_threshold must be finite", "score_threshold")
        request.filter = self._checked_filter(request.filter, schema)
        _check_selection(request.select, schema)

    def _checked_filter(self, where: Filter | None, schema: Schema) -> Filter | None:
        if where is None:
            return None
        checked = check_filter(where, self._settings.limits)
        self._filtering.check_indexed(checked, schema)
        return checked

    def field_of(self, schema: Schema, using: str | None) -> tuple[str, VectorField]:
        """The vector field a query means. Raises VECTOR_NAME_UNKNOWN."""
        names = ", ".join(sorted(schema.vectors))
        if using is None:
            if len(schema.vectors) > 1:
                message = f"the collection has several vector fields ({names}); name one with `using`"
                raise validate.invalid("VECTOR_NAME_UNKNOWN", message, "using")
            return next(iter(schema.vectors.items()))
        spec = schema.vectors.get(using)
        if spec is None:
            message = f"no vector field named {using!r:.80}; the collection has {names}"
            raise validate.invalid("VECTOR_NAME_UNKNOWN", message, "using")
        return using, spec

    def view_at(self, collection: Collection, min_seq: int, deadline: float) -> View:
        """The newest view, waiting for `min_seq` to be in it. Raises DeadlineExceeded."""
        view = collection.view
        if view.seq >= min_seq:
            return view
        with collection.changed:
            collection.changed.wait_for(lambda: collection.view.seq >= min_seq, deadline - time.monotonic())
        view = collection.view
        if view.seq < min_seq:
            raise DeadlineExceeded(f"min_seq={min_seq} was not reached in time; the collection is at seq={view.seq}")
        return view

    def _hits(self, view: View, ranked: Ranked, spec: VectorField, request: QueryRequest) -> list[Hit]:
        scores = score_of(spec.metric, ranked.distances)
        keep = slice(request.offset, request.offset + request.k)
        segments, rows = ranked.segments[keep].tolist(), ranked.rows[keep].tolist()
        kept: list[float] = scores[keep].tolist()
        if request.score_threshold is not None:
            bound, up = request.score_threshold, larger_is_nearer(spec.metric)
            near = sum(1 for score in kept if (score >= bound if up else score <= bound))
            segments, rows, kept = segments[:near], rows[:near], kept[:near]
        found = _contents(view, segments, rows, request.select)
        return [Hit(*content, score) for content, score in zip(found, kept, strict=True)]

    def get(self, collection: Collection, request: GetRequest) -> tuple[list[Point], int]:
        ids = validate.check_ids(request.ids, self._settings.limits)
        _check_selection(request.select, collection.schema)
        view = self.view_at(collection, request.min_seq, deadline_of(None, self._settings))
        found: dict[int, Point] = {}
        for segment in view.segments:
            rows = segment.find(ids)
            places = np.flatnonzero(rows >= 0)
            if len(places):
                read = contents(segment, rows[places].tolist(), view.schema, request.select)
                found.update((place, Point(*one)) for place, one in zip(places.tolist(), read, strict=True))
        return [found[place] for place in sorted(found)], view.seq

    def scroll(self, collection: Collection, request: ScrollRequest) -> ScrollResult:
        limits = self._settings.limits
        limit = validate.check_count(request.limit, "limit", 1, "k_max", limits.k_max)
        after = None if request.after is None else validate.check_id(request.after, limits, "after")
        where = self._checked_filter(request.filter, collection.schema)
        _check_selection(request.select, collection.schema)
        view = self.view_at(collection, request.min_seq, deadline_of(None, self._settings))
        streams = [self._in_order(segment, place, after, where) for place, segment in enumerate(view.segments)]
        page = list(itertools.islice(heapq.merge(*streams), limit + 1))
        more = len(page) > limit
        found = _contents(
            view, [place for _, place, _ in page[:limit]], [row for *_, row in page[:limit]], request.select
        )
        points = [Point(*content) for content in found]
        return ScrollResult(points, points[-1].id if more else None, view.seq)

    def _in_order(
        self, segment: SegmentView, place: int, after: PointId | None, where: Filter | None
    ) -> Iterator[tuple[bytes, int, int]]:
        allowed = np.unpackbits(self._filtering.allowed(segment, where).view(np.uint8), bitorder="little")
        for key, row in segment.segment.rows_after(after, segment.n_rows):
            if allowed[row]:
                yield key, place, row

    def count(self, collection: Collection, request: CountRequest) -> tuple[int, int]:
        where = self._checked_filter(request.filter, collection.schema)
        deadline = deadline_of(None, self._settings)
        view = self.view_at(collection, request.min_seq, deadline)
        if where is None:
            return view.points, view.seq
        total = 0
        for segment in view.segments:
            check_deadline(deadline)
            total += bitmaps.count_bits(self._filtering.allowed(segment, where))
        return total, view.seq


def batch_key(request: QueryRequest) -> tuple[Any, ...]:
    """Requests with equal keys can share one pass. `repr` keeps filters apart that only compare equal (1 and True)."""
    select = (_frozen(request.select.payload), _frozen(request.select.vectors))
    where = None if request.filter is None else repr(request.filter)
    return (
        request.collection, request.using, where, request.k, request.offset, request.score_threshold, select,
        request.min_seq, request.explain, request.params,
    )  # fmt: skip


def _frozen(value: bool | Sequence[str]) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else tuple(value)


def deadline_of(timeout_s: float | None, settings: Settings) -> float:
    """A time.monotonic() value."""
    if timeout_s is not None and not timeout_s > 0:
        raise validate.invalid("BAD_ARGUMENT", f"timeout_s={timeout_s} must be positive", "timeout_s")
    return time.monotonic() + (timeout_s or settings.limits.deadline_default_s)


def _check_selection(select: Selection, schema: Schema) -> None:
    if isinstance(select.vectors, bool):
        return
    for name in select.vectors:
        if name not in schema.vectors:
            known = ", ".join(sorted(schema.vectors))
            message = f"no vector field named {name!r:.80}; the collection has {known}"
            raise validate.invalid("VECTOR_NAME_UNKNOWN", message, "with_vectors")


def _contents(view: View, places: Sequence[int], rows: Sequence[int], select: Selection) -> list[Content]:
    """The contents of rows of several segments, read segment by segment, in the order given."""
    found: list[Content | None] = [None] * len(rows)
    for place in set(places):
        ats = [at for at, other in enumerate(places) if other == place]
        read = contents(view.segments[place], [rows[at] for at in ats], view.schema, select)
        for at, content in zip(ats, read, strict=True):
            found[at] = content
    return [content for content in found if content is not None]


def _explained(plan: Plan | None, view: View, name: str, batch: int, started: float) -> dict[str, Any] | None:
    if plan is None:
        return None
    return {
        "using": name,
        "seq": view.seq,
        "points": view.points,
        "batch": batch,
        "segments": plan.segments,
        "merge_ms": plan.merge_ms,
        "total_ms": 1e3 * (time.perf_counter() - started),
    }
