"""Reads: batches and groups of queries, and points without a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vecstore.engine.asking import Asking
from vecstore.engine.overviews import Overviews
from vecstore.engine.read_path import batch_key, stop_after
from vecstore.engine.stage import Stage
from vecstore.errors import VecstoreError, invalid, limit_exceeded
from vecstore.facets import FacetRequest, Facets, Matrix, MatrixRequest
from vecstore.grouping import Groups, GroupsRequest
from vecstore.hits import Hits
from vecstore.rows import Rows, concat
from vecstore.types import (
    CountRequest,
    GetRequest,
    Point,
    QueryRequest,
    ScrollRequest,
    ScrollResult,
)


class Reading(Asking):
    _overviews: Overviews

    def query_groups(self, request: GroupsRequest) -> Groups:
        (request,) = self.embedding.resolved([self.named(request)])
        collection = self.collection(request.query.collection)
        with stop_after(request.query.timeout_s, self.settings):
            return self._staged.run_groups(collection, request, self._staged.check_groups(collection, request))

    def query_many(self, request: QueryRequest) -> list[Hits]:
        """`query` for each row of `request.vector`, in one pass."""
        self._check_queries(0 if request.vector is None else len(request.vector))
        (request,) = self.embedding.resolved([self.named(request)], many=True)
        collection = self.collection(request.collection)
        with stop_after(request.timeout_s, self.settings):
            return self.reader.run(collection, request, self.reader.check_many(collection, request))

    def query_batch(self, requests: Sequence[QueryRequest]) -> list[Hits]:
        """Answers in order. Requests that differ only in the vector share one pass. One bad request fails them all,
        named by its place."""
        self._check_queries(len(requests))
        requests = self.embedding.resolved(self.named_all(requests))
        groups: dict[tuple[Any, ...], list[int]] = {}
        vectors: dict[int, Rows] = {}
        stages: dict[int, Stage] = {}
        for place, request in enumerate(requests):
            collection = self.collection(request.collection)
            try:
                if request.is_staged:
                    stages[place] = self._staged.check(collection, request)
                    continue
                vectors[place] = self.reader.check(collection, request)
            except VecstoreError as error:
                raise error.at(f"queries[{place}]") from None
            groups.setdefault(batch_key(request), []).append(place)
        results: dict[int, Hits] = {}
        for place, stage in stages.items():
            request = requests[place]
            try:
                with stop_after(request.timeout_s, self.settings):
                    results[place] = self._staged.run(self.collection(request.collection), request, stage)
            except VecstoreError as error:
                raise error.at(f"queries[{place}]") from None
        for places in groups.values():
            first = requests[places[0]]
            together = concat([vectors[place] for place in places])
            with stop_after(first.timeout_s, self.settings):
                answers = self.reader.run(self.collection(first.collection), first, together)
            results.update(zip(places, answers, strict=True))
        return [results[place] for place in range(len(requests))]

    def _check_queries(self, count: int) -> None:
        bound = self.settings.limits.queries_per_request_max
        if not count:
            raise invalid("EMPTY_BATCH", "queries is empty", "queries")
        if count > bound:
            raise limit_exceeded("queries_per_request_max", count, bound, path="queries count")

    def get(self, request: GetRequest) -> tuple[list[Point], int]:
        """Points that exist, in the order asked for, and the seq read."""
        with stop_after(None, self.settings):
            request = self.named(request)
            return self.reader.get(self.collection(request.collection), request)

    def scroll(self, request: ScrollRequest) -> ScrollResult:
        with stop_after(None, self.settings):
            request = self.named(request)
            return self.reader.scroll(self.collection(request.collection), request)

    def count(self, request: CountRequest) -> tuple[int, int]:
        """The exact number of points that match, and the seq read."""
        with stop_after(None, self.settings):
            request = self.named(request)
            return self.reader.count(self.collection(request.collection), request)

    def facet(self, request: FacetRequest) -> Facets:
        """How many points have each value of a payload key."""
        with stop_after(None, self.settings):
            request = self.named(request)
            return self._overviews.facet(self.collection(request.collection), request)

    def matrix(self, request: MatrixRequest) -> Matrix:
        """The scores of points with each other."""
        with stop_after(request.timeout_s, self.settings):
            request = self.named(request)
            return self._overviews.matrix(self.collection(request.collection), request)
