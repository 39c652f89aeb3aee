"""Queries that wait together run together, and give what they would have given alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from engine_support import put, vectors_of

from vecstore.engine import coalesce, left_out, search
from vecstore.engine.coalesce import Coalescer
from vecstore.engine.database import Database
from vecstore.engine.patience import Patience
from vecstore.errors import DeadlineExceeded, InvalidArgument
from vecstore.hits import Hits
from vecstore.index.base import SearchParams
from vecstore.kernels.stop import Stopped, check_stop
from vecstore.query.builder import F
from vecstore.types import QueryRequest


def request(point_id: int, **options: object) -> QueryRequest:
    return QueryRequest("c", vectors_of([point_id])[0], "v", **options)  # type: ignore[arg-type]


def gather(db: Database, run: Callable[[Coalescer], object]) -> object:
    async def main() -> object:
        with ThreadPoolExecutor(2) as executor:
            return await run(Coalescer(db, executor))  # type: ignore[misc]

    return asyncio.run(main())


def test_answers_equal_those_alone_and_batches_form(db: Database) -> None:
    put(db, range(300))
    asked = [request(n, filter=F("n").lt(100 + n % 3), k=5 + n % 2, explain=True) for n in range(100)]

    async def run(coalescer: Coalescer) -> list[Hits]:
        return await asyncio.gather(*(coalescer.query(one) for one in asked))

    results = gather(db, run)
    assert isinstance(results, list)
    for one, together in zip(asked, results, strict=True):
        alone = db.query(one)
        assert [(hit.id, hit.score) for hit in together] == [(hit.id, hit.score) for hit in alone]
    assert max(result.explain["batch"] for result in results) > 5


def test_what_may_be_partial_ends_with_its_own_time(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not with that of others that asked the same."""
    put(db, range(300))
    monkeypatch.setattr(coalesce, "INLINE_S", 0)

    def endless(*_arguments: object) -> None:
        while True:
            check_stop()
            time.sleep(0.001)

    monkeypatch.setattr(search, "search_segment", endless)
    monkeypatch.setattr(left_out, "RESERVE", 0.99)  # so that the answer comes in time from a busy machine
    monkeypatch.setattr(left_out, "RESERVE_MAX_S", 1e3)
    partial = SearchParams(allow_partial=True)

    async def run(coalescer: Coalescer) -> None:
        async def caller(timeout_s: float) -> None:
            quality = (await coalescer.query(request(1, params=partial, timeout_s=timeout_s))).quality
            assert quality is not None
            assert quality.timed_out

        third = asyncio.ensure_future(caller(900.0))
        await asyncio.gather(caller(30.0), caller(30.0))
        assert not third.done()
        third.cancel()
        await asyncio.wait([third])

    gather(db, run)


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_answers_are_the_same_on_the_loop_and_in_threads(
    db: Database, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(coalesce, "INLINE_S", seconds)
    put(db, range(300))

    async def run(coalescer: Coalescer) -> list[Hits]:
        async def caller(first: int) -> list[Hits]:
            return [await coalescer.query(request(n, k=3)) for n in range(first, first + 10)]

        return [result for part in await asyncio.gather(*(caller(10 * n) for n in range(16))) for result in part]

    results = gather(db, run)
    assert isinstance(results, list)
    assert [result[0].id for result in results] == list(range(160))


@pytest.mark.parametrize(("query_s", "inline"), [(0.0001, True), (0.1, False)])
def test_slow_queries_leave_the_loop_free(
    db: Database, monkeypatch: pytest.MonkeyPatch, query_s: float, inline: bool
) -> None:
    put(db, range(50))
    threads: set[int] = set()
    real = db.reader.run

    def noted(*arguments: object) -> object:
        threads.add(threading.get_ident())
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(db.reader, "run", noted)
    monkeypatch.setattr(Patience, "timed", lambda self, seconds, size: setattr(self, "query_s", query_s))

    async def run(coalescer: Coalescer) -> None:
        await coalescer.query(request(1))
        threads.clear()
        await coalescer.query(request(2))

    gather(db, run)
    assert (threads == {threading.get_ident()}) is inline


def test_a_bad_request_fails_alone(db: Database) -> None:
    put(db, range(10))

    async def run(coalescer: Coalescer) -> list[object]:
        bad = QueryRequest("c", vectors_of([1])[0][:3], "v")
        asked = [request(1), bad, request(2)]
        return await asyncio.gather(*(coalescer.query(one) for one in asked), return_exceptions=True)

    first, failed, second = gather(db, run)  # type: ignore[misc]
    assert (first[0].id, second[0].id) == (1, 2)
    assert isinstance(failed, InvalidArgument)
    assert failed.reason == "DIMENSION_MISMATCH"


def test_time_spent_waiting_counts(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    put(db, range(10))
    monkeypatch.setattr(coalesce, "INLINE_S", 0)  # in a thread, so that the loop can be waited on
    go = threading.Event()
    real = db.reader.run

    def slow(*arguments: object) -> object:
        assert go.wait(60)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(db.reader, "run", slow)

    async def run(coalescer: Coalescer) -> list[object]:
        running = asyncio.ensure_future(coalescer.query(request(1)))
        await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(coalescer.query(request(2, timeout_s=0.01)))
        await asyncio.wait([waiting])  # told so while the first still runs
        assert not running.done()
        go.set()
        return await asyncio.gather(running, waiting, return_exceptions=True)

    first, late = gather(db, run)  # type: ignore[misc]
    assert first[0].id == 1
    assert isinstance(late, DeadlineExceeded)


def test_a_collection_made_anew_answers_for_itself(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query of it does not join those that wait for the dropped one of its name."""
    put(db, range(10))
    monkeypatch.setattr(coalesce, "INLINE_S", 0)
    schema, go, began = db.collection_info("c").schema, threading.Event(), threading.Event()
    real = db.reader.run

    def slow(*arguments: object) -> object:
        began.set()
        assert go.wait(10)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(db.reader, "run", slow)

    async def run(coalescer: Coalescer) -> list[Hits]:
        before = asyncio.ensure_future(coalescer.query(request(1)))
        while not began.is_set():
            await asyncio.sleep(0.001)
        db.delete_collection("c")
        db.create_collection("c", schema)
        put(db, [77])
        after = asyncio.ensure_future(coalescer.query(request(1)))
        await asyncio.sleep(0.05)
        go.set()
        return await asyncio.gather(before, after)

    before, after = gather(db, run)  # type: ignore[misc]
    assert before[0].id == 1
    assert after.ids.tolist() == [77]


def test_a_batch_ends_early_when_all_its_callers_have_gone(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    put(db, range(10))
    monkeypatch.setattr(coalesce, "INLINE_S", 0)
    sizes: list[int] = []
    stopped = threading.Event()

    def endless(collection: object, one: object, vectors: list[object]) -> object:
        sizes.append(len(vectors))
        try:
            while True:
                check_stop()
                time.sleep(0.001)
        except Stopped:
            stopped.set()
            raise

    async def run(coalescer: Coalescer) -> None:
        monkeypatch.setattr(db.reader, "run", endless)
        monkeypatch.setattr(Patience, "target", lambda self, shortage: 3)
        callers = [asyncio.ensure_future(coalescer.query(request(n))) for n in range(3)]
        while not sizes:
            await asyncio.sleep(0.001)
        for caller in callers[:-1]:
            caller.cancel()
        await asyncio.sleep(0.05)
        assert not stopped.is_set()
        callers[-1].cancel()
        await asyncio.gather(*callers, return_exceptions=True)

    gather(db, run)
    assert stopped.wait(60)
    assert sizes == [3]
