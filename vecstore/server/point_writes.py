"""Calls that change points: converted and checked in the pool, then awaited without holding a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future

from vecstore.config import Limits
from vecstore.engine.database import Database
from vecstore.errors import invalid
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.schema import Schema
from vecstore.server.admission import Admission
from vecstore.types import PayloadOp, WriteRequest, WriteResult
from vecstore.wire.writes import (
    delete_from_pb,
    delete_vectors_from_pb,
    payload_request_from_pb,
    update_batch_from_pb,
    update_vectors_from_pb,
    upsert_from_pb,
    write_result_to_pb,
)


class PointWrites:
    _database: Database
    _limits: Limits
    _admission: Admission
    _writes: Executor
    _loop: asyncio.AbstractEventLoop

    async def upsert(self, data: bytes, remaining_s: float) -> bytes:
        return await self._write(lambda: self._upsert(data), remaining_s)

    async def delete(self, data: bytes, remaining_s: float) -> bytes:
        return await self._write(
            lambda: delete_from_pb(pb.DeletePointsRequest.FromString(data), self._limits), remaining_s
        )

    async def set_payload(self, data: bytes, remaining_s: float) -> bytes:
        return await self._payload(pb.SetPayloadRequest, PayloadOp.SET, data, remaining_s)

    async def overwrite_payload(self, data: bytes, remaining_s: float) -> bytes:
        return await self._payload(pb.SetPayloadRequest, PayloadOp.OVERWRITE, data, remaining_s)

    async def delete_payload(self, data: bytes, remaining_s: float) -> bytes:
        return await self._payload(pb.DeletePayloadRequest, PayloadOp.DELETE_KEYS, data, remaining_s)

    async def clear_payload(self, data: bytes, remaining_s: float) -> bytes:
        return await self._payload(pb.ClearPayloadRequest, PayloadOp.CLEAR, data, remaining_s)

    async def update_vectors(self, data: bytes, remaining_s: float) -> bytes:
        def convert() -> WriteRequest:
            message = pb.UpdateVectorsRequest.FromString(data)
            return update_vectors_from_pb(message, self._limits, self._schema(message.collection))

        return await self._write(convert, remaining_s)

    async def delete_vectors(self, data: bytes, remaining_s: float) -> bytes:
        return await self._write(
            lambda: delete_vectors_from_pb(pb.DeleteVectorsRequest.FromString(data), self._limits), remaining_s
        )

    async def update_batch(self, data: bytes, remaining_s: float) -> bytes:
        def convert() -> WriteRequest:
            message = pb.UpdateBatchRequest.FromString(data)
            return update_batch_from_pb(message, self._limits, self._schema(message.collection))

        return await self._write(convert, remaining_s)

    async def start_upsert(self, data: bytes, remaining_s: float) -> Future[WriteResult]:
        """Convert, embed, check and queue; the future resolves once the batch is durable and visible."""

        def convert() -> WriteRequest:
            request = self._upsert(data)
            if request.wait is not None:
                raise invalid("BAD_ARGUMENT", "wait=INDEXED is not for streams: send the last points by Upsert", "wait")
            return request

        return (await self._start(convert, time.monotonic() + remaining_s))[1]

    async def _write(self, convert: Callable[[], WriteRequest], remaining_s: float) -> bytes:
        deadline = time.monotonic() + remaining_s
        request, pending = await self._start(convert, deadline)
        if request.wait is None:
            written = await self._database.finished(request, pending)
        else:
            request.wait = request.wait.within(max(0.0, deadline - time.monotonic()))
            with self._admission.idle():
                written = await self._database.finished(request, pending)
        return write_result_to_pb(written).SerializeToString()

    async def _start(
        self, convert: Callable[[], WriteRequest], deadline: float
    ) -> tuple[WriteRequest, Future[WriteResult]]:
        request, pending = await self._loop.run_in_executor(self._writes, self._begin, convert)
        if pending is not None:
            return request, pending
        (request,) = await self._database.embedding.resolved_async([request], deadline)
        return request, await self._loop.run_in_executor(self._writes, self._database.submit, request)

    def _begin(self, convert: Callable[[], WriteRequest]) -> tuple[WriteRequest, Future[WriteResult] | None]:
        """Not queued yet where texts are to be embedded first: that takes no thread of these."""
        request = convert()
        return request, None if self._database.embedding.wanted([request]) else self._database.submit(request)

    def _upsert(self, data: bytes) -> WriteRequest:
        message = pb.UpsertRequest.FromString(data)
        return upsert_from_pb(message, self._limits, self._schema(message.collection))

    async def _payload(
        self,
        kind: type[pb.SetPayloadRequest] | type[pb.DeletePayloadRequest] | type[pb.ClearPayloadRequest],
        op: PayloadOp,
        data: bytes,
        remaining_s: float,
    ) -> bytes:
        return await self._write(lambda: payload_request_from_pb(kind.FromString(data), op, self._limits), remaining_s)

    def _schema(self, collection: str) -> Schema:
        return self._database.collection_info(collection).schema
