"""Closed loops: each caller sends its next query when it has the answer to its last one."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import vecstore
from bench.systems.base import System

if TYPE_CHECKING:
    from vecstore.client import AsyncClient
    from vecstore.query.filter import Filter

WARM_UP = 50  # queries


@dataclass(slots=True)
class Rate:
    """`seconds` holds the latency of each query that was answered in the window of `window_s` seconds."""

    seconds: np.ndarray
    window_s: float

    @property
    def qps(self) -> float:
        return len(self.seconds) / self.window_s


def one_caller(system: System, test: np.ndarray, k: int, window_s: float) -> tuple[np.ndarray, Rate]:
    """Every test row once, one after another, and again until `window_s` has passed. Returns the answers, (nq, k) rows
    with -1 for none, and the rate."""
    for vector in test[:WARM_UP]:
        system.query(vector, k)
    answers = np.full((len(test), k), -1, dtype=np.int64)
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < len(test) or time.perf_counter() < began + window_s:
        query = len(seconds) % len(test)
        sent = time.perf_counter()
        rows = system.query(test[query], k)
        seconds.append(time.perf_counter() - sent)
        answers[query, : len(rows)] = rows
    return answers, Rate(np.array(seconds), time.perf_counter() - began)


def threads(system: System, test: np.ndarray, k: int, callers: int, window_s: float) -> Rate:
    """`callers` threads of this process."""
    barrier = threading.Barrier(callers)
    latencies: list[list[float]] = [[] for _ in range(callers)]
    errors: list[BaseException] = []

    def call(number: int) -> None:
        try:
            own = itertools.cycle(np.roll(test, -number * len(test) // callers, axis=0))
            barrier.wait()
            end = time.perf_counter() + window_s
            while (sent := time.perf_counter()) < end:
                system.query(next(own), k)
                latencies[number].append(time.perf_counter() - sent)
        except BaseException as error:
            barrier.abort()
            errors.append(error)

    running = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    return Rate(np.concatenate([np.array(own) for own in latencies]), window_s)


class Work(Protocol):
    """What one remote caller does again and again; sent to the client processes."""

    async def prepare(self, client: AsyncClient, caller: int) -> Callable[[], Awaitable[object]]:
        """Returns the call to repeat."""


@dataclass(slots=True)
class Queries:
    """Each caller goes through the test rows from a place of its own."""

    collection: str
    filter: Filter | None
    test: np.ndarray
    k: int
    callers: int

    async def prepare(self, client: AsyncClient, caller: int) -> Callable[[], Awaitable[object]]:
        handle = await client.get_collection(self.collection)
        own = itertools.cycle(np.roll(self.test, -caller * len(self.test) // self.callers, axis=0))

        async def call() -> object:
            return await handle.query(next(own), self.k, filter=self.filter, with_payload=False)

        return call


def remote_callers(url: str, work: Work, callers: int, window_s: float) -> Rate:
    """`callers` coroutines with the asynchronous SDK, spread over processes: half as many as there are cores, so that
    clients and server both get some."""
    processes = max(1, min(callers, (os.cpu_count() or 1) // 2))
    context = multiprocessing.get_context("spawn")
    children: list[tuple[Any, Connection]] = []
    for number in range(processes):
        ours, theirs = context.Pipe()
        mine = range(number, callers, processes)
        child = context.Process(target=_client_process, args=(theirs, url, work, mine, window_s))
        child.start()
        theirs.close()
        children.append((child, ours))
    try:
        pipes = [pipe for _, pipe in children]
        for pipe in pipes:
            _receive(pipe)  # connected and warm
        for pipe in pipes:
            pipe.send("go")
        return Rate(np.concatenate([_receive(pipe) for pipe in pipes]), window_s)
    finally:
        for child, _ in children:
            child.join(timeout=10)
            child.kill()


def _receive(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise RuntimeError("a client process died; its error is above") from None


def _client_process(pipe: Connection, url: str, work: Work, callers: range, window_s: float) -> None:
    asyncio.run(_client(pipe, url, work, callers, window_s))


async def _client(pipe: Connection, url: str, work: Work, callers: range, window_s: float) -> None:
    async with await vecstore.connect_async(url) as client:
        calls = [await work.prepare(client, caller) for caller in callers]
        await asyncio.gather(*(call() for call in calls))
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        latencies: list[float] = []
        end = time.perf_counter() + window_s

        async def repeat(call: Callable[[], Awaitable[object]]) -> None:
            while (sent := time.perf_counter()) < end:
                await call()
                latencies.append(time.perf_counter() - sent)

        await asyncio.gather(*(repeat(call) for call in calls))
        pipe.send(np.array(latencies))
