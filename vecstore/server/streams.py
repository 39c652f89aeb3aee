"""The calls with many messages: QueryStream, UpsertStream and Operations.Watch. They end when the server drains."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from vecstore.access import Access, Principal
from vecstore.config import Limits
from vecstore.engine.database import Database
from vecstore.errors import Unavailable, VecstoreError
from vecstore.observe.calls import Observer
from vecstore.pb.v1 import operations_pb2
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.server.admission import Admission
from vecstore.server.calls import Context, code_of, facts, typed
from vecstore.server.incoming import next_message
from vecstore.server.names import Names
from vecstore.server.operations import seen_operation
from vecstore.server.points import Points
from vecstore.server.rules import RULES
from vecstore.types import OperationState, WriteResult
from vecstore.wire.errors import cut
from vecstore.wire.schemas import operation_to_pb
from vecstore.wire.writes import write_result_to_pb

# Queries of one stream that run at a time, and its batches that are not yet acknowledged. gRPC's flow control holds the
# sender back beyond them.
QUERY_WINDOW = 32
UPSERT_WINDOW = 8
WATCH_INTERVAL_S = 0.2

T = TypeVar("T")


class Streams:
    def __init__(
        self,
        database: Database,
        points: Points,
        admission: Admission,
        limits: Limits,
        executor: Executor,
        access: Access,
        observer: Observer,
        names: Names,
    ) -> None:
        self._database = database
        self._points = points
        self._admission = admission
        self._limits = limits
        self._executor = executor
        self._access = access
        self._names = names
        self._queries = observer.method("Points/QueryStream.query")
        self._batches = observer.method("Points/UpsertStream.batch").meter

    async def query(self, context: Context, principal: Principal) -> None:
        window = asyncio.Semaphore(QUERY_WINDOW)
        writing = asyncio.Lock()
        failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

        async def answer(data: bytes) -> None:
            try:
                response = await self._answer(data, principal, context)
                async with writing:
                    await context.write(response)
            except Exception as error:
                if not failed.done():
                    failed.set_result(error)  # whoever waits for the next message is told
            finally:
                window.release()

        async with asyncio.TaskGroup() as group:
            while not failed.done() and (data := await self._read(context, failed)) is not None:
                await window.acquire()
                group.create_task(answer(data))
        if failed.done():
            raise failed.result()
        self._check_draining()

    async def _answer(self, data: bytes, principal: Principal, context: Context) -> bytes:
        """The answer or the error of one query. Raises only when the message cannot be read, as it then has no tag."""
        request = pb.QueryStreamRequest.FromString(data)
        response = pb.QueryStreamResponse(tag=request.tag)
        observed = self._queries.begin(context.invocation_metadata)
        query = request.query
        own = self._names.own
        observed.facts = lambda: facts("Points/Query", principal, context, query.SerializeToString(), self._limits, own)
        code, known = "OK", None
        try:
            rule, limit_s = RULES["Points/QueryStream"], self._limits.deadline_default_s

            async def run(settled: bytes) -> None:
                named = request if settled is data else pb.QueryStreamRequest.FromString(settled)
                await self._points.answer_query(named.query, limit_s, response.result)

            async with asyncio.timeout(limit_s):
                await self._admission.wait_slot()
                try:
                    principal = self._renewed(principal, "Points/QueryStream")
                    await self._names.run(rule, principal, data, limit_s, run)
                finally:
                    self._admission.release_slot()
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception as error:
            known = typed(error)
            code = known.grpc_code
            response.error.code, response.error.reason = known.grpc_code, known.reason
            response.error.message = cut(known.message, 1000)
            response.error.metadata.update(known.metadata)
        finally:
            observed.end(code, known)
        return response.SerializeToString()

    async def upsert(self, context: Context, principal: Principal) -> None:
        pending: asyncio.Queue[asyncio.Future[WriteResult] | None] = asyncio.Queue(UPSERT_WINDOW)

        async def acknowledge() -> None:
            number = 0
            while (write := await pending.get()) is not None:
                try:
                    result = await asyncio.shield(write)
                except VecstoreError as error:
                    error.metadata["batch"] = str(number)
                    raise
                response = pb.UpsertStreamResponse(batch=number, result=write_result_to_pb(result))
                await context.write(response.SerializeToString())
                number += 1

        acknowledging = asyncio.create_task(acknowledge())
        writes: set[asyncio.Future[WriteResult]] = set()

        def settled(write: asyncio.Future[WriteResult], started: float) -> None:
            writes.discard(write)
            # Looked at, also when an earlier batch ended the stream.
            error = asyncio.CancelledError() if write.cancelled() else write.exception()
            self._batches.done("OK" if error is None else code_of(error), time.perf_counter() - started)

        try:
            while (data := await self._read(context, acknowledging)) is not None:
                started = time.perf_counter()
                write = await self._start_upsert(data, principal)
                writes.add(write)
                write.add_done_callback(functools.partial(settled, started=started))
                await _either(pending.put(write), acknowledging)
            await _either(pending.put(None), acknowledging)
            await acknowledging
        finally:
            acknowledging.cancel()
            open_ends: list[asyncio.Future[Any]] = [acknowledging, *writes]
            await asyncio.wait(open_ends)
        self._check_draining()

    async def _start_upsert(self, data: bytes, principal: Principal) -> asyncio.Future[WriteResult]:
        """Queue one batch; batches of a stream are queued one after another, so that the last of equal ids wins. What
        is wrong with it comes from the future, after the acknowledgements of the batches before."""
        try:
            with self._admission.holding(len(data)):
                await self._admission.wait_slot()
                try:
                    limit_s = self._limits.deadline_default_s
                    principal = self._renewed(principal, "Points/UpsertStream")

                    def start(settled: bytes) -> Awaitable[Future[WriteResult]]:
                        return self._points.start_upsert(settled, limit_s)

                    rule = RULES["Points/UpsertStream"]
                    return asyncio.wrap_future(await self._names.run(rule, principal, data, limit_s, start))
                finally:
                    self._admission.release_slot()
        except Exception as error:
            failed: asyncio.Future[WriteResult] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    async def watch(self, context: Context, principal: Principal) -> None:
        data = await self._read(context)
        name = operations_pb2.WatchOperationRequest.FromString(data or b"").id
        loop = asyncio.get_running_loop()
        sent: object = None
        while True:
            principal = self._renewed(principal, "Operations/Watch")
            info = await loop.run_in_executor(self._executor, seen_operation, self._database, name, principal)
            if info != sent:
                await context.write(operation_to_pb(info).SerializeToString())
                sent = info
            if info.state is not OperationState.RUNNING:
                return
            self._check_draining()
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def _read(self, context: Context, other: asyncio.Future[Any] | None = None) -> bytes | None:
        return await next_message(context, self._admission.draining, other)

    def _renewed(self, principal: Principal, name: str) -> Principal:
        """As the caller's key is now: it may have been revoked, have expired or have been given another role."""
        now = self._access.renew(principal)
        now.check_role(RULES[name].action)
        return now

    def _check_draining(self) -> None:
        if self._admission.draining.is_set():
            raise Unavailable("the server is shutting down")


async def _either(action: Awaitable[T], other: asyncio.Task[Any]) -> None:
    """Wait for `action`, unless `other` fails first, which raises its error."""
    task = asyncio.ensure_future(action)
    try:
        await asyncio.wait([task, other], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            other.result()
    finally:
        task.cancel()
