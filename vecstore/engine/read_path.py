"""Reads: query, get, scroll, count. Each takes one view, so it sees one seq, which the answer reports."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vecstore import validate
from vecstore.config import Settings
from vecstore.engine import bitmaps
from vecstore.engine.answers import hits_of
from vecstore.engine.collection import Collection, View
from vecstore.engine.contents import contents, gathered
from vecstore.engine.exact_cache import ExactCache
from vecstore.engine.filtering import Filtering
from vecstore.engine.kinds import Kind, check_selection, kind_of
from vecstore.engine.params import check_params
from vecstore.engine.parts import PARTS
from vecstore.engine.scan import Queries
from vecstore.engine.search import Plan, search_view
from vecstore.engine.segment import STOP_ROWS, SegmentView
from vecstore.engine.shadow import Shadow
from vecstore.engine.term_statistics import TermStatistics
from vecstore.errors import DeadlineExceeded, VecstoreError, invalid
from vecstore.given import query_batch
from vecstore.hits import Hits
from vecstore.index.base import DEFAULT_PARAMS
from vecstore.kernels.base import Kernels
from vecstore.kernels.stop import Stop, check_stop, current_stop
from vecstore.memory.room import ROOM
from vecstore.query.filter import Filter, PointId
from vecstore.query.parse import check_filter
from vecstore.rows import Rows
from vecstore.schema import Schema
from vecstore.sparse import SparseRows
from vecstore.types import (
    CountRequest,
    GetRequest,
    Point,
    QueryRequest,
    ScrollRequest,
    ScrollResult,
)

FOUND_BYTES = 48  # for each row that a query asks for, while segments are searched
LOOK_S = 0.02  # how often a read that waits for a write looks whether its caller is still there


class Reader:
    """Threads may share one object. What is under way ends when the thread's `Stop` says so."""

    def __init__(self, kernels: Kernels, settings: Settings, filtering: Filtering) -> None:
        self.kernels = kernels
        self.settings = settings
        self.filtering = filtering
        self.terms = TermStatistics()
        self.exact = ExactCache(settings.search.exact_cache_bytes)
        self.shadow: Shadow | None = (
            Shadow(kernels, filtering, settings.search) if settings.search.shadow_sample else None
        )

    def close(self) -> None:
        if self.shadow is not None:
            self.shadow.close()

    def check(self, collection: Collection, request: QueryRequest) -> Rows:
        """Everything about a request that can be wrong; returns its vector as the kernels take it, as one row."""
        kind = self._checked(collection.view, request)
        assert request.vector is not None
        return kind.query(request.vector, self.settings.limits)

    def check_many(self, collection: Collection, request: QueryRequest) -> Rows:
        """The same where `request.vector` has a row for each query; errors of a row name its place."""
        kind = self._checked(collection.view, request)
        assert request.vector is not None
        vectors = query_batch(request.vector, kind.field, self.settings.limits)
        for place in range(len(vectors) if request.params.truncate_dim else 0):
            try:
                check_params(request.params, kind.field, vectors[place : place + 1])
            except VecstoreError as error:
                raise error.at(f"queries[{place}]") from None
        return vectors

    def answer(self, collection: Collection, request: QueryRequest) -> Hits:
        """Check a request with one vector, and answer it."""
        view = collection.view
        kind = self._checked(view, request)
        assert request.vector is not None
        vectors = kind.query(request.vector, self.settings.limits)
        if view.seq < request.min_seq:
            return self.run(collection, request, vectors)[0]
        return self._run(collection, view, kind, request, vectors)[0]

    def run(self, collection: Collection, request: QueryRequest, vectors: Rows) -> list[Hits]:
        """Answer a checked request for each of `vectors`, in one pass over the data."""
        view = self.view_at(collection, request.min_seq)
        return self._run(collection, view, kind_of(view, request, self.settings.limits), request, vectors)

    def _run(self, collection: Collection, view: View, kind: Kind, request: QueryRequest, vectors: Rows) -> list[Hits]:
        started = time.perf_counter()
        counted: list[Mapping[str, int]] = []
        plan = Plan() if request.explain else None
        name, k, nq = kind.name, kind.k, len(vectors)
        queries: Queries = vectors
        if isinstance(vectors, SparseRows):
            queries = self.terms.prepared(self.kernels, view, name, kind.field, vectors)
        held = ROOM.take(FOUND_BYTES * nq * k, "{} queries for {} points each", nq, k)
        try:
            ranked = search_view(
                self.kernels, view, name, queries, k, request.filter, self.filtering, plan, kind.params,
                settings=self.settings.storage, counted=counted, exact=self.exact,
            )  # fmt: skip
        finally:
            held.free()
        if self.shadow is not None:
            self.shadow.offer(collection, view, name, queries, request, ranked, k)
        explain = None if plan is None else _explained(plan, view, name, nq, started)
        parts = PARTS.get()
        found = 0.0 if parts is None else time.perf_counter()
        answers, hits = hits_of(view, ranked, kind.field.metric, request, explain)
        ended = time.perf_counter()
        answers.usage = started, ended, nq, counted
        if parts is not None:
            parts.add("search", started, found)
            parts.add("payload", found, ended)
        return hits

    def _checked(self, view: View, request: QueryRequest) -> Kind:
        kind = kind_of(view, request, self.settings.limits)
        if request.vector is None:
            raise invalid("BAD_ARGUMENT", "query is missing: give a vector or a fusion", "query")
        if request.filter is not None:
            request.filter = self.checked_filter(request.filter, view.schema)
        return kind

    def checked_filter(self, where: Filter | None, schema: Schema) -> Filter | None:
        if where is None:
            return None
        checked = check_filter(where, self.settings.limits)
        self.filtering.check(checked, schema)
        return checked

    def view_at(self, collection: Collection, min_seq: int) -> View:
        """The newest view, waiting for `min_seq` to be in it. Raises DeadlineExceeded."""
        if collection.view.seq >= min_seq:
            return collection.view
        stop = current_stop() or Stop(self.settings.limits.deadline_default_s)
        with collection.changed:
            while (view := collection.view).seq < min_seq:
                left = stop.deadline - time.monotonic()
                if left <= 0:
                    raise not_reached(view, min_seq)
                stop.check()
                collection.changed.wait(min(left, LOOK_S))
        return view

    def get(self, collection: Collection, request: GetRequest) -> tuple[list[Point], int]:
        ids = validate.check_ids(request.ids, self.settings.limits)
        check_selection(request.select, collection.schema)
        view = self.view_at(collection, request.min_seq)
        found: dict[int, Point] = {}
        for segment in view.segments:
            rows = segment.find(ids)
            places = np.flatnonzero(rows >= 0)
            if len(places):
                read = contents(segment, rows[places], view.schema, request.select)
                found.update(zip(places.tolist(), read.points(), strict=True))
        return [found[place] for place in sorted(found)], view.seq

    def scroll(self, collection: Collection, request: ScrollRequest) -> ScrollResult:
        limits = self.settings.limits
        limit = validate.check_count(request.limit, "limit", 1, "k_max", limits.k_max)
        after = None if request.after is None else validate.check_id(request.after, limits, "after")
        where = self.checked_filter(request.filter, collection.schema)
        check_selection(request.select, collection.schema)
        view = self.view_at(collection, request.min_seq)
        streams = [self._in_order(segment, place, after, where) for place, segment in enumerate(view.segments)]
        page = list(itertools.islice(heapq.merge(*streams), limit + 1))
        more = len(page) > limit
        places, rows = (np.array([one[at] for one in page[:limit]], dtype=np.int64) for at in (1, 2))
        points = gathered(view.segments, places, rows, view.schema, request.select).points()
        return ScrollResult(points, points[-1].id if more else None, view.seq, collection.record.name)

    def _in_order(
        self, segment: SegmentView, place: int, after: PointId | None, where: Filter | None
    ) -> Iterator[tuple[bytes, int, int]]:
        allowed = np.unpackbits(self.filtering.allowed(segment, where).view(np.uint8), bitorder="little")
        for count, (key, row) in enumerate(segment.segment.rows_after(after, segment.n_rows)):
            if count % STOP_ROWS == 0:
                check_stop()
            if allowed[row]:
                yield key, place, row

    def count(self, collection: Collection, request: CountRequest) -> tuple[int, int]:
        where = self.checked_filter(request.filter, collection.schema)
        view = self.view_at(collection, request.min_seq)
        if where is None:
            return view.points, view.seq
        total = 0
        for segment in view.segments:
            check_stop()
            total += bitmaps.count_bits(self.filtering.allowed(segment, where))
        return total, view.seq


def not_reached(view: View, min_seq: int) -> DeadlineExceeded:
    return DeadlineExceeded(f"min_seq={min_seq} was not reached in time; the collection is at seq={view.seq}")


def batch_key(request: QueryRequest) -> tuple[Any, ...]:
    """Requests with equal keys can share one pass. `repr` keeps filters apart that only compare equal (1 and True)."""
    select = (_frozen(request.select.payload), _frozen(request.select.vectors))
    where = None if request.filter is None else repr(request.filter)
    return (
        request.collection, request.using, where, request.k, request.offset, request.score_threshold, select,
        request.min_seq, request.explain, None if request.params is DEFAULT_PARAMS else request.params,
    )  # fmt: skip


def _frozen(value: bool | Sequence[str]) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else tuple(value)


def stop_after(timeout_s: float | None, settings: Settings) -> Stop:
    """What ends a request after its timeout, or after the default."""
    if timeout_s is not None and not timeout_s > 0:
        raise invalid("BAD_ARGUMENT", f"timeout_s={timeout_s} must be positive", "timeout_s")
    return Stop(timeout_s or settings.limits.deadline_default_s)


def _explained(plan: Plan, view: View, name: str, batch: int, started: float) -> dict[str, Any]:
    return {
        "using": name,
        "seq": view.seq,
        "points": view.points,
        "batch": batch,
        "segments": plan.segments,
        "merge_ms": plan.merge_ms,
        "total_ms": 1e3 * (time.perf_counter() - started),
    }
