"""Concurrent queries on the same collection with the same settings become one kernel batch.

A lone query starts at once. Queries that arrive while one runs wait together and run as the next batch; and as long as
waiting a moment brings others, a query waits for them, at most WINDOW_S (`Patience`). So an idle database adds no
delay, and a busy one reads each row once for many queries. A batch of little work runs on the event loop itself: to
hand it to a thread and back, with the interpreter lock, takes longer than others would gain.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache

from vecstore.engine.collection import Collection
from vecstore.engine.database import Database
from vecstore.engine.in_thread import in_thread
from vecstore.engine.params import field_of
from vecstore.engine.parts import PARTS, Parts, carrying
from vecstore.engine.patience import Patience
from vecstore.engine.reached import named, reached
from vecstore.engine.read_path import batch_key, stop_after
from vecstore.engine.shortage import Shortage
from vecstore.hits import Hits
from vecstore.kernels.stop import Stop
from vecstore.rows import Rows, TextRows, concat
from vecstore.types import QueryRequest

WINDOW_S = 0.002
INLINE_S = 0.005  # what a batch may take on the loop; the kernels use every core meanwhile
COMPONENTS_PER_S = 10 << 30  # of a scan, about; by it a batch is judged before any of its kind has been timed
KEYS_REMEMBERED = 1_000
LEAST_S = 1e-3  # of a query's time that waiting for a write leaves

Key = tuple[Any, ...]


@dataclass(slots=True)
class _Waiting:
    request: QueryRequest
    vectors: Rows  # one row
    stop: Stop
    future: asyncio.Future[Hits]
    parts: Parts | None
    since: float  # of time.perf_counter, as parts are

    async def answer(self, loop: asyncio.AbstractEventLoop) -> Hits:
        """Told when its time is up, wherever its batch is by then."""
        timer = loop.call_later(self.stop.deadline - time.monotonic(), self.expire)
        try:
            return await self.future
        finally:
            timer.cancel()

    def expire(self) -> None:
        if not self.future.done():
            self.future.set_exception(self.stop.error())


@dataclass(slots=True)
class _Queue:
    """Queries with one key that wait, and the task that runs them."""

    waiting: list[_Waiting]
    target: int = 1
    enough: asyncio.Future[None] | None = None  # set while the task waits for more queries

    def add(self, waiting: _Waiting) -> None:
        self.waiting.append(waiting)
        if len(self.waiting) >= self.target:
            self.release()

    def release(self) -> None:
        if self.enough is not None and not self.enough.done():
            self.enough.set_result(None)


class Coalescer:
    """Belongs to one event loop; batches that take time run in `executor`'s threads."""

    def __init__(self, database: Database, executor: Executor) -> None:
        self._database = database
        self._executor = executor
        self._shortage = Shortage()
        self._queues: dict[Key, _Queue] = {}
        self._patience: LRUCache[Key, Patience] = LRUCache(KEYS_REMEMBERED)
        self._tasks: set[asyncio.Task[None]] = set()

    async def query(self, request: QueryRequest) -> Hits:
        """As `Database.query`. A bad request fails alone, before it joins others."""
        database, parts = self._database, PARTS.get()
        if request.min_seqs or database.aliases:
            request = await named(database, request)
        # What else holds no texts: one vector is the common case, and the loop's time is dear.
        may_hold_texts = isinstance(request.vector, TextRows) or request.is_staged
        if may_hold_texts and database.embedding.wanted([request]):
            started = time.perf_counter()
            (request,) = await database.embedding.resolved_async([request])
            if parts is not None:
                parts.add("embed", started, time.perf_counter())
        collection = database.collection(request.collection)
        stop = stop_after(request.timeout_s, database.settings)
        if request.is_staged or request.params.allow_partial:  # which ends with its own time, and not with a batch's
            if request.min_seq > collection.view.seq:
                await reached(collection, request.min_seq, stop.deadline)
                request = dataclasses.replace(request, timeout_s=max(stop.deadline - time.monotonic(), LEAST_S))
            return await in_thread(self._executor, carrying, parts, database.query, request)
        vectors = database.reader.check(collection, request)
        if request.min_seq:
            await reached(collection, request.min_seq, stop.deadline)
            request = dataclasses.replace(request, min_seq=0)  # fulfilled: no reason to keep it apart
        key = (id(collection), *batch_key(request))  # not the name alone: it may be of another collection by now
        queue = self._queues.get(key)
        loop = asyncio.get_running_loop()
        if queue is not None:
            waiting = _Waiting(request, vectors, stop, loop.create_future(), parts, time.perf_counter())
            queue.add(waiting)
            return await waiting.answer(loop)
        patience = self._patience.get(key)
        if patience is None:
            patience = self._patience[key] = Patience()
        target = patience.target(self._shortage.now())
        if target == 1 and self._is_small(collection, request, 1, patience):
            with stop:
                return self._timed(patience, collection, request, vectors)[0]  # alone, and quick
        waiting = _Waiting(request, vectors, stop, loop.create_future(), parts, time.perf_counter())
        queue = self._queues[key] = _Queue([waiting])
        task = loop.create_task(self._drain(key, queue, collection, patience, target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await waiting.answer(loop)

    async def _drain(self, key: Key, queue: _Queue, collection: Collection, patience: Patience, target: int) -> None:
        bound = self._database.settings.limits.queries_per_request_max
        while queue.waiting:
            if len(queue.waiting) < min(target, bound):
                await self._gather(queue, min(target, bound))
            batch, queue.waiting = queue.waiting[:bound], queue.waiting[bound:]
            patience.learn(target, len(batch))
            batch = [waiting for waiting in batch if self._is_wanted(waiting)]
            if batch:
                await self._answer(collection, batch, patience)
            target = patience.target(self._shortage.now())
        del self._queues[key]

    async def _gather(self, queue: _Queue, target: int) -> None:
        loop = asyncio.get_running_loop()
        queue.target, queue.enough = target, loop.create_future()
        timer = loop.call_later(WINDOW_S, queue.release)
        await queue.enough
        timer.cancel()
        queue.enough = None

    async def _answer(self, collection: Collection, batch: Sequence[_Waiting], patience: Patience) -> None:
        inline = False
        try:
            inline = self._is_small(collection, batch[0].request, len(batch), patience)
            if inline:
                results = self._run(collection, batch, patience, _last_of(batch))
            else:
                results = await self._in_thread(collection, batch, patience)
        except Exception as error:  # the waiters' to handle
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
            return
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(result)
        if inline:
            await asyncio.sleep(0)  # others' turn

    async def _in_thread(self, collection: Collection, batch: Sequence[_Waiting], patience: Patience) -> list[Hits]:
        """The batch ends early when nobody waits for it."""
        loop, stop, left = asyncio.get_running_loop(), _last_of(batch), len(batch)

        def gone(_future: asyncio.Future[Hits]) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                stop.cancel()

        for one in batch:
            one.future.add_done_callback(gone)
        try:
            return await loop.run_in_executor(self._executor, self._run, collection, batch, patience, stop)
        finally:
            for one in batch:
                one.future.remove_done_callback(gone)

    def _is_small(self, collection: Collection, request: QueryRequest, queries: int, patience: Patience) -> bool:
        if request.filter is not None or request.k + request.offset > 100:
            return False  # reading payloads and building large answers are no work for the loop
        if patience.query_s is not None:
            return patience.query_s * queries <= INLINE_S
        name, spec = field_of(collection.schema, request.using)
        segments = collection.view.segments
        whole = request.params.exact or request.params.truncate_dim > 0
        rows = sum(view.weight(name) if whole else view.segment.work(name, view.n_rows) for view in segments)
        return rows * spec.storage_width * queries <= INLINE_S * COMPONENTS_PER_S

    def _is_wanted(self, waiting: _Waiting) -> bool:
        """False for a caller that has gone, or whose time ran out in the queue."""
        if waiting.future.done():
            return False
        if time.monotonic() > waiting.stop.deadline:
            waiting.expire()
            return False
        return True

    def _run(self, collection: Collection, batch: Sequence[_Waiting], patience: Patience, stop: Stop) -> list[Hits]:
        vectors = concat([waiting.vectors for waiting in batch])
        request = batch[0].request
        if all(waiting.parts is None for waiting in batch):
            with stop:
                return self._timed(patience, collection, request, vectors)
        shared, started = Parts(), time.perf_counter()
        with stop:
            answers = carrying(shared, self._timed, patience, collection, request, vectors)
        for waiting in batch:
            if waiting.parts is not None:
                waiting.parts.add("wait", waiting.since, started)
                waiting.parts.join(shared.spans, len(batch))
        return answers

    def _timed(self, patience: Patience, collection: Collection, request: QueryRequest, vectors: Rows) -> list[Hits]:
        started = time.perf_counter()
        answers = self._database.reader.run(collection, request, vectors)
        took = time.perf_counter() - started
        patience.timed(took, len(vectors))
        self._database.probes.on_batch(len(vectors), took)
        return answers


def _last_of(batch: Sequence[_Waiting]) -> Stop:
    """What ends a batch: the time of the member that may take longest, on the clock since the first of them came."""
    return max((waiting.stop for waiting in batch), key=lambda stop: stop.deadline)
