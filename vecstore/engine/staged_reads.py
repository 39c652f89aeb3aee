"""Queries of several stages, and those whose answers are grouped: checked, run on one view, answered."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from vecstore import validate
from vecstore.engine.answers import answers_of, hits_of
from vecstore.engine.collection import Collection, View
from vecstore.engine.groups import Grouping
from vecstore.engine.kinds import check_counts, check_selection
from vecstore.engine.number_columns import NumberColumns
from vecstore.engine.read_path import Reader
from vecstore.engine.row_keys import places_of, rows_of
from vecstore.engine.stage import Stage, StagePlan
from vecstore.engine.stage_check import StageCheck
from vecstore.engine.staged import Staged
from vecstore.engine.why_not import WhyNot
from vecstore.errors import invalid, limit_exceeded
from vecstore.grouping import Group, Groups, GroupsRequest
from vecstore.hits import Hits
from vecstore.query.filter import Filter, MatchAny, PointId
from vecstore.query.validate import check_key
from vecstore.schema import score_of
from vecstore.types import QueryRequest
from vecstore.usage import usage_of


class StagedReader:
    """Threads may share one object. What is under way ends when the thread's `Stop` says so."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._numbers = NumberColumns(reader.settings.search.number_cache_bytes)

    @property
    def cached_bytes(self) -> int:
        """Of numbers at payload keys."""
        return self._numbers.cached_bytes

    def check(self, collection: Collection, request: QueryRequest) -> Stage:
        """Everything about a request that can be wrong."""
        reader = self._reader
        k, schema = check_counts(request, reader.settings.limits), collection.schema
        check_selection(request.select, schema)
        return StageCheck(schema, reader.settings.limits, reader.filtering).root(request, k)

    def run(self, collection: Collection, request: QueryRequest, stage: Stage) -> Hits:
        """Answer a request that is checked."""
        view = self._reader.view_at(collection, request.min_seq)
        started = time.perf_counter()
        staged, plan = self._staged(view), StagePlan("answer") if request.explain else None
        ranked, legs = staged.run(stage, plan)
        if request.mmr is not None:
            ranked = staged.diversified(stage, ranked, request.mmr, request.k + request.offset)
        explain = _explained(view, plan, started)
        answers, (hits,) = hits_of(view, ranked, stage.metric, request, explain, legs)
        answers.usage = started, time.perf_counter(), 1, staged.counted
        return hits

    def why_not(
        self, collection: Collection, request: QueryRequest, point_id: PointId, stage: Stage
    ) -> tuple[dict[str, Any], int]:
        """Why a point is not an answer to a request that is checked, and the seq read."""
        point_id = validate.check_id(point_id, self._reader.settings.limits)
        view = self._reader.view_at(collection, request.min_seq)
        return WhyNot(self._staged(view), point_id).report(request, stage), view.seq

    def check_groups(self, collection: Collection, request: GroupsRequest) -> Stage:
        """Everything about a request that can be wrong."""
        query, reader = request.query, self._reader
        for name, given in (("offset", query.offset), ("mmr", query.mmr)):
            if given:
                raise invalid("BAD_ARGUMENT", f"{name} does not apply to groups", name)
        bound = reader.settings.limits.k_max
        request.size = validate.check_count(request.size, "group_size", 1, "k_max", bound)
        stage = self.check(collection, query)
        if query.k * request.size > bound:
            value = query.k * request.size
            raise limit_exceeded("k_max", value, bound, path="limit * group_size")
        check_key(request.by, "group_by")
        reader.filtering.check(Filter(must=(MatchAny(request.by, ()),)), collection.schema)
        return stage

    def run_groups(self, collection: Collection, request: GroupsRequest, stage: Stage) -> Groups:
        """Answer a request that is checked."""
        query = request.query
        view = self._reader.view_at(collection, query.min_seq)
        started = time.perf_counter()
        plan = StagePlan("answer") if query.explain else None
        staged = self._staged(view)
        found = Grouping(staged, request.by, request.size, query.k).run(stage, plan)
        at = np.array([place for places in found.groups.values() for place in places], np.int64)
        keys, scores = found.keys[at], score_of(stage.metric, found.distances[at])
        legs = None if found.legs is None else found.legs[at]
        answers = answers_of(view, places_of(keys), rows_of(keys), scores, query.select, None, legs)
        groups, low = [], 0
        for (_, value), places in found.groups.items():
            groups.append(Group(value, Hits(answers, low, low + len(places))))
            low += len(places)
        usage = usage_of((started, time.perf_counter(), 1, staged.counted))
        return Groups(groups, view.seq, _explained(view, plan, started), found.quality, usage)

    def _staged(self, view: View) -> Staged:
        reader = self._reader
        settings = reader.settings
        return Staged(
            reader.kernels, reader.filtering, reader.terms, reader.exact, self._numbers, view, settings.limits,
            settings.storage, [],
        )  # fmt: skip


def _explained(view: View, plan: StagePlan | None, started: float) -> dict[str, Any] | None:
    if plan is None:
        return None
    explain = {"seq": view.seq, "points": view.points, **plan.described()}
    explain["total_ms"] = 1e3 * (time.perf_counter() - started)
    return explain
