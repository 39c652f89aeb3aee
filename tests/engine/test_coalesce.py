"""Queries that wait together run together, and give what they would have given alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from engine_support import put, vectors_of

from vecstore.engine.coalesce import Coalescer
from vecstore.engine.database import Database
from vecstore.errors import DeadlineExceeded, InvalidArgument
from vecstore.query.builder import F
from vecstore.types import QueryRequest, QueryResult


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

    async def run(coalescer: Coalescer) -> list[QueryResult]:
        return await asyncio.gather(*(coalescer.query(one) for one in asked))

    results = gather(db, run)
    assert isinstance(results, list)
    for one, together in zip(asked, results, strict=True):
        alone = db.query(one)
        assert [(hit.id, hit.score) for hit in together.hits] == [(hit.id, hit.score) for hit in alone.hits]
    assert max(result.explain["batch"] for result in results) > 5


def test_a_bad_request_fails_alone(db: Database) -> None:
    put(db, range(10))

    async def run(coalescer: Coalescer) -> list[object]:
        bad = QueryRequest("c", vectors_of([1])[0][:3], "v")
        asked = [request(1), bad, request(2)]
        return await asyncio.gather(*(coalescer.query(one) for one in asked), return_exceptions=True)

    first, failed, second = gather(db, run)  # type: ignore[misc]
    assert (first.hits[0].id, second.hits[0].id) == (1, 2)
    assert isinstance(failed, InvalidArgument)
    assert failed.reason == "DIMENSION_MISMATCH"


def test_time_spent_waiting_counts(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    put(db, range(10))
    go = threading.Event()
    real = db.reader.run

    def slow(*arguments: object) -> object:
        assert go.wait(10)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(db.reader, "run", slow)

    async def run(coalescer: Coalescer) -> list[object]:
        running = asyncio.ensure_future(coalescer.query(request(1)))
        await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(coalescer.query(request(2, timeout_s=0.01)))
        await asyncio.sleep(0.1)
        go.set()
        return await asyncio.gather(running, waiting, return_exceptions=True)

    first, late = gather(db, run)  # type: ignore[misc]
    assert first.hits[0].id == 1
    assert isinstance(late, DeadlineExceeded)
