"""vecstore.v1.Points. Calls that wait for locks or disk run in the pool; single queries meet in the coalescer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from vecstore.config import Limits
from vecstore.engine.coalesce import Coalescer
from vecstore.engine.database import Database
from vecstore.engine.in_thread import in_thread
from vecstore.engine.parts import PARTS
from vecstore.engine.reached import reached
from vecstore.errors import invalid, limit_exceeded
from vecstore.facets import MatrixRequest
from vecstore.grouping import GroupsRequest
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.server.admission import Admission
from vecstore.server.point_writes import PointWrites
from vecstore.types import QueryRequest
from vecstore.wire.answers import hits_to_pb, points_to_pb, scroll_result_to_pb
from vecstore.wire.facets import facet_from_pb, facets_to_pb, matrix_request_from_pb, matrix_to_pb
from vecstore.wire.given import check_kind
from vecstore.wire.groups import groups_request_from_pb, groups_to_pb
from vecstore.wire.ids import id_from_pb
from vecstore.wire.reads import count_from_pb, get_from_pb, query_from_pb, scroll_from_pb
from vecstore.wire.values import set_fields

# An answer with more hits is built in a thread: it would hold up the event loop.
HITS_ON_LOOP = 200


R = TypeVar("R")


@dataclass(slots=True)
class _Waiting:
    """Requests whose texts are to be embedded, and what runs them then, in a thread."""

    requests: Sequence[Any]
    run: Callable[[Sequence[Any]], bytes]


class Points(PointWrites):
    def __init__(
        self, database: Database, coalescer: Coalescer, admission: Admission, reads: Executor, writes: Executor
    ) -> None:
        self._database = database
        self._limits: Limits = database.settings.limits
        self._coalescer = coalescer
        self._admission = admission
        self._reads = reads
        self._writes = writes
        self._loop = asyncio.get_running_loop()

    # ---- reads

    async def get(self, data: bytes, remaining_s: float) -> bytes:
        return await self._when_seen(pb.GetPointsRequest, self._get, data, remaining_s)

    async def scroll(self, data: bytes, remaining_s: float) -> bytes:
        return await self._when_seen(pb.ScrollRequest, self._scroll, data, remaining_s)

    async def count(self, data: bytes, remaining_s: float) -> bytes:
        return await self._when_seen(pb.CountRequest, self._count, data, remaining_s)

    async def facet(self, data: bytes, remaining_s: float) -> bytes:
        return await self._when_seen(pb.FacetRequest, self._facet, data, remaining_s)

    async def _when_seen(self, kind: Any, method: Callable[[bytes], bytes], data: bytes, remaining_s: float) -> bytes:
        """Run in the pool, after waiting on the loop for the write that the request wants to see."""
        message = kind.FromString(data)
        if message.min_seq:
            collection = self._database.collection(message.collection)
            await reached(collection, message.min_seq, time.monotonic() + remaining_s)
        return await in_thread(self._reads, method, data)

    def _get(self, data: bytes) -> bytes:
        message = pb.GetPointsRequest.FromString(data)
        points, seq = self._database.get(get_from_pb(message))
        answer = pb.GetPointsResponse(seq=seq)
        points_to_pb(points, answer.points, message.payload_encoding)
        return answer.SerializeToString()

    def _scroll(self, data: bytes) -> bytes:
        message = pb.ScrollRequest.FromString(data)
        result = self._database.scroll(scroll_from_pb(message, self._limits))
        return scroll_result_to_pb(result, message.payload_encoding).SerializeToString()

    def _count(self, data: bytes) -> bytes:
        message = pb.CountRequest.FromString(data)
        count, seq = self._database.count(count_from_pb(message, self._limits))
        return pb.CountResponse(count=count, seq=seq).SerializeToString()

    def _facet(self, data: bytes) -> bytes:
        request = facet_from_pb(pb.FacetRequest.FromString(data), self._limits)
        return facets_to_pb(self._database.facet(request)).SerializeToString()

    async def distance_matrix(self, data: bytes, remaining_s: float) -> bytes:
        return await in_thread(self._reads, self._matrix, data, remaining_s)

    def _matrix(self, data: bytes, remaining_s: float) -> bytes:
        request = matrix_request_from_pb(pb.DistanceMatrixRequest.FromString(data), self._limits)
        _bound_time(request, remaining_s)
        return matrix_to_pb(self._database.matrix(request)).SerializeToString()

    # ---- queries

    async def query(self, data: bytes, remaining_s: float) -> bytes:
        answer = pb.QueryResponse()
        await self.answer_query(pb.QueryRequest.FromString(data), remaining_s, answer)
        return answer.SerializeToString()

    async def answer_query(self, message: pb.QueryRequest, remaining_s: float, answer: pb.QueryResponse) -> None:
        """Run a query and write its result into `answer`."""
        request = query_from_pb(message, self._limits)
        self._check_kind(request, "nearest")
        _bound_time(request, remaining_s)
        hits = await self._coalescer.query(request)
        found = time.perf_counter()
        if len(hits) <= HITS_ON_LOOP:
            hits_to_pb(hits, message.payload_encoding, answer)
        else:
            encoding = message.payload_encoding
            await self._loop.run_in_executor(self._reads, hits_to_pb, hits, encoding, answer)
        parts = PARTS.get()
        if parts is not None:
            parts.add("encode", found, time.perf_counter())

    async def _read(self, call: Callable[[bytes, float], bytes | _Waiting], data: bytes, remaining_s: float) -> bytes:
        """Run a call in the pool for reads, and what it embeds in between, apart from that pool."""
        answer = await in_thread(self._reads, call, data, remaining_s)
        if isinstance(answer, bytes):
            return answer
        requests = await self._database.embedding.resolved_async(answer.requests)
        return await in_thread(self._reads, answer.run, requests)

    def _embedded(self, requests: Sequence[R], run: Callable[[Sequence[R]], bytes]) -> bytes | _Waiting:
        return _Waiting(requests, run) if self._database.embedding.wanted(requests) else run(requests)

    async def query_batch(self, data: bytes, remaining_s: float) -> bytes:
        return await self._read(self._query_batch, data, remaining_s)

    def _query_batch(self, data: bytes, remaining_s: float) -> bytes | _Waiting:
        queries = pb.QueryBatchRequest.FromString(data).queries
        bound = self._limits.queries_per_request_max
        if not queries:
            raise invalid("EMPTY_BATCH", "queries is empty", "queries")
        if len(queries) > bound:
            raise limit_exceeded("queries_per_request_max", len(queries), bound, path="queries count")
        requests = [query_from_pb(query, self._limits, f"queries[{place}].") for place, query in enumerate(queries)]
        for place, request in enumerate(requests):
            self._check_kind(request, f"queries[{place}].nearest")
            _bound_time(request, remaining_s)

        def run(requests: Sequence[QueryRequest]) -> bytes:
            answer = pb.QueryBatchResponse()
            for query, hits in zip(queries, self._database.query_batch(requests), strict=True):
                hits_to_pb(hits, query.payload_encoding, answer.results.add())
            return answer.SerializeToString()

        return self._embedded(requests, run)

    async def explain(self, data: bytes, remaining_s: float) -> bytes:
        return await self._read(self._explain, data, remaining_s)

    def _explain(self, data: bytes, remaining_s: float) -> bytes | _Waiting:
        message = pb.ExplainRequest.FromString(data)
        request = query_from_pb(message.query, self._limits)
        self._check_kind(request, "nearest")
        _bound_time(request, remaining_s)

        def run(requests: Sequence[QueryRequest]) -> bytes:
            answer = pb.ExplainResponse()
            set_fields(answer.explained.fields, self._database.explain(requests[0], analyze=message.analyze))
            return answer.SerializeToString()

        return self._embedded([request], run)

    async def why_not(self, data: bytes, remaining_s: float) -> bytes:
        return await self._read(self._why_not, data, remaining_s)

    def _why_not(self, data: bytes, remaining_s: float) -> bytes | _Waiting:
        message = pb.WhyNotRequest.FromString(data)
        request = query_from_pb(message.query, self._limits)
        self._check_kind(request, "nearest")
        _bound_time(request, remaining_s)

        def run(requests: Sequence[QueryRequest]) -> bytes:
            report, seq = self._database.why_not(requests[0], id_from_pb(message.id, "id"))
            answer = pb.WhyNotResponse(seq=seq)
            set_fields(answer.report.fields, report)
            return answer.SerializeToString()

        return self._embedded([request], run)

    async def query_groups(self, data: bytes, remaining_s: float) -> bytes:
        return await self._read(self._query_groups, data, remaining_s)

    def _query_groups(self, data: bytes, remaining_s: float) -> bytes | _Waiting:
        message = pb.QueryGroupsRequest.FromString(data)
        request = groups_request_from_pb(message, self._limits)
        self._check_kind(request.query, "nearest")
        _bound_time(request.query, remaining_s)

        def run(requests: Sequence[GroupsRequest]) -> bytes:
            groups = self._database.query_groups(requests[0])
            return groups_to_pb(groups, message.query.payload_encoding).SerializeToString()

        return self._embedded([request], run)

    def _check_kind(self, request: QueryRequest, path: str) -> None:
        if not isinstance(request.vector, np.ndarray) or request.vector.dtype != np.uint8:
            return  # the engine refuses numbers for a binary field
        vectors = self._database.collection_info(request.collection).schema.vectors
        field = vectors.get(request.using) if request.using else next(iter(vectors.values()))
        if field is not None:
            check_kind(request.vector, field, path)


def _bound_time(request: QueryRequest | MatrixRequest, remaining_s: float) -> None:
    """The engine stops at the query's own timeout or at the call's deadline, whichever comes first."""
    if request.timeout_s is None or request.timeout_s > remaining_s:
        request.timeout_s = remaining_s
