"""Concurrent queries on the same collection with the same settings become one kernel batch.

The first query starts at once; those that arrive while it runs wait together and run as the next batch. So an idle
database adds no delay, and a busy one reads each row once for many queries.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecstore.engine.collection import Collection
from vecstore.engine.database import Database
from vecstore.engine.read_path import batch_key, deadline_of
from vecstore.errors import DeadlineExceeded
from vecstore.types import QueryRequest, QueryResult


@dataclass(slots=True)
class _Waiting:
    request: QueryRequest
    vector: np.ndarray
    deadline: float
    future: asyncio.Future[QueryResult]


class Coalescer:
    """Belongs to one event loop; the work runs in `executor`'s threads."""

    def __init__(self, database: Database, executor: Executor) -> None:
        self._database = database
        self._executor = executor
        self._waiting: dict[tuple[Any, ...], list[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def query(self, request: QueryRequest) -> QueryResult:
        """As `Database.query`. A bad request fails alone, before it joins others."""
        database = self._database
        collection = database.collection(request.collection)
        vector = database.reader.check(collection, request)
        deadline = deadline_of(request.timeout_s, database.settings)
        if request.min_seq and request.min_seq <= collection.view.seq:
            request = dataclasses.replace(request, min_seq=0)  # fulfilled: no reason to keep it apart
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, vector, deadline, loop.create_future())
        key = batch_key(request)
        queue = self._waiting.get(key)
        if queue is not None:
            queue.append(waiting)
        else:
            self._waiting[key] = [waiting]
            task = loop.create_task(self._drain(key, collection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiting.future

    async def _drain(self, key: tuple[Any, ...], collection: Collection) -> None:
        loop = asyncio.get_running_loop()
        bound = self._database.settings.limits.queries_per_request_max
        while self._waiting[key]:
            batch = self._waiting[key][:bound]
            self._waiting[key] = self._waiting[key][bound:]
            batch = [waiting for waiting in batch if self._is_wanted(waiting)]
            if not batch:
                continue
            try:
                results = await loop.run_in_executor(self._executor, self._run, collection, batch)
            except Exception as error:  # the waiters' to handle
                for waiting in batch:
                    if not waiting.future.done():
                        waiting.future.set_exception(error)
                continue
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(result)
        del self._waiting[key]

    def _is_wanted(self, waiting: _Waiting) -> bool:
        """False for a caller that has gone, or whose time ran out in the queue."""
        if waiting.future.done():
            return False
        if time.monotonic() > waiting.deadline:
            waiting.future.set_exception(DeadlineExceeded("the query ran past its deadline while it waited"))
            return False
        return True

    def _run(self, collection: Collection, batch: Sequence[_Waiting]) -> list[QueryResult]:
        deadline = max(waiting.deadline for waiting in batch)
        requests = [waiting.request for waiting in batch]
        return self._database.reader.run(collection, requests, [waiting.vector for waiting in batch], deadline)
