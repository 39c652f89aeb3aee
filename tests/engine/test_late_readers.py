"""Readers of a view that was replaced: what they read stays readable, at whatever point the change overtakes them.

The database is opened again before each test's reader begins, so that no column of its segment is mapped yet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from engine_support import SCHEMA, put, settle, vectors_of

from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.segment import SegmentView
from vecstore.index_spec import Flat, Graph
from vecstore.query.builder import F
from vecstore.types import (
    CountRequest,
    DeleteRequest,
    GetRequest,
    OperationState,
    QueryRequest,
    ScrollRequest,
    Selection,
    VectorIndexRequest,
)

N = 50
EVERYTHING = Selection(payload=True, vectors=True)


class Overtaken:
    """A segment's lock that has one thread wait before it takes the lock for the `nth` time, not counting when it has
    it already."""

    def __init__(self, lock: Any, nth: int) -> None:
        self._lock, self._left, self._depth = lock, nth, 0
        self.reader: threading.Thread | None = None
        self.waits, self.go = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        if threading.current_thread() is self.reader:
            self._left -= not self._depth
            if not self._left and not self._depth:
                self.waits.set()
                assert self.go.wait(60)
            self._depth += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._depth -= threading.current_thread() is self.reader
        self._lock.release()


def overtaken(segment: SealedSegment, read: Callable[[], Any], change: Callable[[], Any], nth: int = 1) -> Any:
    """What `read` returns or raises when `change` happens between its look at the segment and its taking the lock."""
    lock = Overtaken(segment._lock, nth)
    segment._lock = lock  # type: ignore[assignment]
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(read())
        except Exception as error:
            outcome.append(error)
        lock.waits.set()

    lock.reader = threading.Thread(target=run)
    lock.reader.start()
    try:
        assert lock.waits.wait(60)
        assert not outcome, f"the reader did not come to the lock: {outcome}"
        change()
    finally:
        lock.go.set()
        lock.reader.join()
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def sealed(db: Database) -> SegmentView:
    (view,) = [view for view in db.collection("c").view.segments if view.segment.sorted_by_id]
    return view


@pytest.fixture
def unread(db: Database, reopen: Callable[..., Database]) -> Database:
    put(db, range(N))
    settle(db, db.compact("c"))
    return reopen()


def drop(db: Database) -> None:
    db.delete_collection("c")
    (operation,) = [one for one in db.list_operations() if one.kind == "drop"]
    settle(db, operation)


def bury(db: Database) -> None:
    db.write(DeleteRequest("c", list(range(N))))
    settle(db, db.compact("c"))
    assert not db.collection("c").sealed


def rewrite(db: Database) -> None:
    db.write(DeleteRequest("c", list(range(N // 2))))
    settle(db, db.compact("c"))
    assert sealed(db).n_rows == N // 2


CHANGES = [bury, rewrite, drop]
READS: dict[str, Callable[[Database], Any]] = {
    "count": lambda db: db.count(CountRequest("c", F("id").text("7")))[0],
    "query": lambda db: [hit.id for hit in db.query(QueryRequest("c", vectors_of([4])[0], "v", k=1))],
    "get": lambda db: [point.id for point in db.get(GetRequest("c", [4, 5], EVERYTHING))[0]],
    "scroll": lambda db: [point.id for point in db.scroll(ScrollRequest("c", F("n").gte(40), 3)).points],
}
ANSWERS = {"count": 1, "query": [4], "get": [4, 5], "scroll": [40, 41, 42]}


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("read", READS)
def test_a_read_is_not_hurt_by_a_change_that_overtakes_it(
    unread: Database, read: str, change: Callable[[Database], None], nth: int
) -> None:
    """It found a column unmapped, and by the time that it has the lock the column's blob is deleted."""
    segment = sealed(unread).segment
    assert isinstance(segment, SealedSegment)
    found = overtaken(segment, lambda: READS[read](unread), lambda: change(unread), nth)
    assert found == ANSWERS[read]
    assert not segment.data_damaged


@pytest.mark.parametrize("change", CHANGES)
def test_a_view_stays_readable(unread: Database, change: Callable[[Database], None]) -> None:
    """A reader that begins only after the change."""
    view = sealed(unread)
    change(unread)
    assert [row for row, payload in view.payloads(None) if payload and payload["n"] == 4] == [4]
    assert view.segment.take_ids(np.array([4])).tolist() == [4]
    assert view.segment.seqs(np.array([4])).tolist() == [1]
    np.testing.assert_array_equal(view.segment.vectors("b", N), np.packbits(vectors_of(range(N)) > 0, axis=1))


def test_a_query_finds_the_index_taken_away_that_it_was_about_to_open(reopen: Callable[..., Database]) -> None:
    indexed = Settings(storage=Storage(index_rows_min=10, disk_reserve_bytes=0))
    db = reopen(indexed)
    db.create_collection("c", SCHEMA)
    settle(db, db.update_index(VectorIndexRequest("c", "v", Graph())))
    put(db, range(N))
    settle(db, db.compact("c"))
    db = reopen(indexed)
    segment = sealed(db).segment
    assert isinstance(segment, SealedSegment)
    assert segment.header.indexes

    def unindex() -> None:
        settle(db, db.update_index(VectorIndexRequest("c", "v", Flat())))
        assert not segment.header.indexes

    assert overtaken(segment, lambda: READS["query"](db), unindex) == [4]
    assert not segment.quarantined


def test_verify_finds_nothing_wrong_with_what_is_merged_away_meanwhile(
    unread: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = unread._storage.blobs
    real = blobs.verify
    reached, go = threading.Event(), threading.Event()

    def slow(ref: Any) -> None:
        reached.set()
        assert go.wait(60)
        real(ref)

    monkeypatch.setattr(blobs, "verify", slow)
    operation = unread.verify("c")
    assert reached.wait(60)
    unread.write(DeleteRequest("c", list(range(N // 2))))
    settle(unread, unread.compact("c"))
    go.set()
    info = unread.wait_operation(operation.id, 60)
    assert info.state is OperationState.DONE, info
