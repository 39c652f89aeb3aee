"""Sealing, merging, indexing and dropping in the background, in place and in worker processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

import msgspec
import numpy as np
import pytest
from engine_support import SCHEMA, batch_of, put, settle, vectors_of
from waiting import wait_until

from vecstore.config import Settings, Storage
from vecstore.engine import changes, keys, maintenance, stepper
from vecstore.engine.database import Database
from vecstore.engine.search import search_view
from vecstore.engine.segment_work import SegmentWork
from vecstore.errors import NotFound, ResourceExhausted
from vecstore.query.builder import F
from vecstore.schema import FieldKind
from vecstore.storage.interfaces import Family
from vecstore.types import (
    CountRequest,
    DeleteRequest,
    FieldIndexRequest,
    OperationState,
    PointBatch,
    QueryRequest,
    ScrollRequest,
    UpsertRequest,
    VectorBatch,
)

MIXED = [*range(400), *(UUID(int=n) for n in range(100)), *(f"s{n}" for n in range(400))]


def kinds(db: Database) -> list[str]:
    return [segment["kind"] for segment in db.stats("c")["segments"]]


def check_all(db: Database, ids: list) -> None:
    """Every id is there once, in order, and finds itself."""
    seen, after = [], None
    while True:
        page = db.scroll(ScrollRequest("c", None, 100, after))
        seen += [point.id for point in page.points]
        after = page.next_after
        if after is None:
            break
    assert len(seen) == len(ids)
    assert set(seen) == set(ids)
    for point_id in ids[:: max(1, len(ids) // 20)]:
        hit = db.query(QueryRequest("c", vectors_of([point_id])[0], using="v", k=1))[0]
        assert hit.id == point_id
        assert hit.score == pytest.approx(1.0, abs=1e-5)


def test_a_full_growing_segment_is_sealed_by_a_worker(db: Database, reopen: Callable[..., Database]) -> None:
    put(db, MIXED)  # 900 rows: past seal_rows, and more than are built in place
    wait_until(lambda: kinds(db) == ["sealed"])
    wait_until(lambda: [(o.kind, o.state) for o in db.list_operations("c")] == [("seal", OperationState.DONE)])
    check_all(db, MIXED)
    check_all(reopen(), MIXED)


def test_writes_during_a_seal_are_carried_over(db: Database, reopen: Callable[..., Database]) -> None:
    put(db, MIXED)
    db.write(DeleteRequest("c", ids=MIXED[:50]))  # the worker has begun, or will find them dead: both must do
    put(db, MIXED[60:70], {"again": True})
    wait_until(lambda: kinds(db)[0] == "sealed")
    for opened in (lambda: db, reopen):  # the first is closed by the second
        database = opened()
        check_all(database, MIXED[50:])
        assert database.count(CountRequest("c", F("again").eq(True)))[0] == 10


def test_small_segments_are_merged_and_dead_rows_go(db: Database) -> None:
    for start in range(0, 2400, 600):
        put(db, range(start, start + 600))
        wait_until(lambda: "growing" not in kinds(db))
    wait_until(lambda: kinds(db) == ["sealed"])
    db.write(DeleteRequest("c", filter=F("n").lt(200)))  # a third of all rows
    wait_until(lambda: db.stats("c")["deleted"] == 0)
    check_all(db, [i for i in range(2400) if i % 600 >= 200])


def test_deleting_everything_leaves_no_segment_and_keeps_the_seq(db: Database, reopen: Callable[..., Database]) -> None:
    put(db, range(600))
    seq = db.write(DeleteRequest("c", ids=list(range(600)))).seq
    settle(db, db.compact("c"))
    assert kinds(db) == []
    again = reopen()
    assert again.collection_info("c").seq == seq
    assert put(again, [1]).seq == seq + 1


def test_a_reader_may_be_late_for_a_segment_without_rows(db: Database, reopen: Callable[..., Database]) -> None:
    """After a restart nothing of it is mapped, no merge reads it, and a reader has it in its view."""
    rows = batch_of(range(50))
    rows.vectors["b"] = VectorBatch(rows.vectors["b"].rows, np.arange(50) % 2 == 0)
    db.write(UpsertRequest("c", rows))
    settle(db, db.compact("c"))
    db = reopen()
    late = db.collection("c").view
    db.write(DeleteRequest("c", list(range(50))))
    settle(db, db.compact("c"))
    assert not db.collection("c").sealed
    (segment,) = [view for view in late.segments if view.segment.sorted_by_id]
    found = search_view(
        db.reader.kernels, late, "b", np.packbits(vectors_of([4]) > 0, axis=1), 1, F("n").eq(4), db._filtering
    )
    assert segment.segment.take_ids(found.rows[0]).tolist() == [4]
    assert segment.segment.payload(4) is not None
    assert segment.segment.vectors("v", 50).shape == (50, 16)


def test_a_field_index_reaches_every_segment(db: Database, reopen: Callable[..., Database]) -> None:
    put(db, range(600))
    wait_until(lambda: kinds(db) == ["sealed"])
    put(db, range(600, 700))
    where = F("id").prefix("1")
    before = db.count(CountRequest("c", where))
    info = settle(db, db.create_field_index(FieldIndexRequest("c", "id", FieldKind.KEYWORD)))
    assert info.kind == "create_field"
    assert all(segment["indexed"] == ["id", "n"] for segment in db.stats("c")["segments"])
    put(db, range(700, 710))
    for opened in (lambda: db, reopen):  # the first is closed by the second
        database = opened()
        plan = database.query(QueryRequest("c", vectors_of([5])[0], "v", where, explain=True)).explain
        assert plan is not None
        assert sum(segment["payloads_scanned"] for segment in plan["segments"]) == 0
        assert database.count(CountRequest("c", where)) == (before[0], before[1] + 1)
    again = reopen()
    assert again.delete_field_index(FieldIndexRequest("c", "id"))
    assert not again.delete_field_index(FieldIndexRequest("c", "id"))
    assert again.count(CountRequest("c", where))[0] == before[0]
    settle(again, again.create_field_index(FieldIndexRequest("c", "id", FieldKind.TEXT)))
    assert again.count(CountRequest("c", where))[0] == before[0]


def test_a_dropped_collection_is_gone_and_its_name_free(db: Database, reopen: Callable[..., Database]) -> None:
    put(db, MIXED)
    wait_until(lambda: kinds(db) == ["sealed"])
    assert db.delete_collection("c")
    assert not db.delete_collection("c")
    with pytest.raises(NotFound, match="COLLECTION_NOT_FOUND"):
        put(db, [1])
    db.create_collection("c", SCHEMA)
    assert put(db, [1]).seq == 2  # they go on
    wait_until(lambda: any(o.kind == "drop" and o.state is OperationState.DONE for o in db.list_operations()))
    check_all(reopen(), [1])


def test_an_operation_can_be_cancelled_and_loses_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    held, go = threading.Event(), threading.Event()
    real = SegmentWork.seal

    def slow(self: SegmentWork, collection: object, operation: object) -> None:
        held.set()
        assert go.wait(60)
        real(self, collection, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentWork, "seal", slow)
    monkeypatch.setattr(stepper, "RETRY_S", 0.05)
    put(db, range(600))
    assert held.wait(60)
    seal = db.list_operations("c")[0]
    db.cancel_operation(seal.id)
    go.set()
    assert db.wait_operation(seal.id, 60).state is OperationState.CANCELLED
    wait_until(lambda: kinds(db) == ["sealed"])  # tried again, since it is still due
    check_all(db, list(range(600)))


def test_writers_are_held_back_while_sealing_is_far_behind(
    reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BACKLOG_WAIT_S", 0.2)
    stop = threading.Event()
    monkeypatch.setattr(SegmentWork, "seal", lambda *_: stop.wait(60))
    db = reopen(Settings(storage=Storage(seal_bytes=10_000, disk_reserve_bytes=0)))
    db.create_collection("c", SCHEMA)
    collection = db.collection("c")
    collection.frozen = [collection.growing] * 5
    put(db, range(600))
    try:
        with pytest.raises(ResourceExhausted, match="OVERLOADED"):
            put(db, [1])
    finally:
        collection.frozen = []
        stop.set()


def test_reads_see_whole_batches_while_everything_moves(db: Database) -> None:
    """Each batch rewrites the same ids with one round number: a read that sees two rounds has torn a batch."""
    put(db, range(100), {"round": 0})
    stop = threading.Event()
    torn: list[object] = []

    def read() -> None:
        seen = 0
        while not stop.is_set():
            page = db.scroll(ScrollRequest("c", None, 200))
            rounds = {point.payload["round"] for point in page.points if point.payload}
            hits = db.query(QueryRequest("c", vectors_of([7])[0], "v", k=100))
            found = {msgspec.json.decode(hit.payload_json or b"{}")["round"] for hit in hits}
            now = max(rounds | {seen})
            if len(page.points) != 100 or len(rounds) != 1 or len(hits) != 100 or len(found) != 1 or now < seen:
                torn.append((len(page.points), rounds, len(hits), found, seen))
                return
            seen = now

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(1, 60):
            put(db, range(100), {"round": turn})
            if turn % 20 == 0:
                settle(db, db.compact("c"))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not torn
    assert db.stats("c")["points"] == 100


def test_a_queued_write_cannot_be_cancelled(db: Database) -> None:
    future = db.submit(UpsertRequest("c", batch_of([1])))
    assert not future.cancel()
    assert future.result().seq == 1
    assert put(db, [2]).seq == 2


def test_ties_are_broken_by_id_wherever_the_rows_are(db: Database) -> None:
    same = np.tile(vectors_of(["same"]), (40, 1))
    order = np.random.default_rng(3).permutation(40).tolist()
    for part in (order[:10], order[10:25], order[25:]):
        db.write(UpsertRequest("c", PointBatch(part, {"v": VectorBatch(same[: len(part)])})))
        if len(part) == 10:
            settle(db, db.compact("c"))
    for k in (1, 5, 39, 40, 41):
        hits = db.query(QueryRequest("c", same[0], "v", k=k))
        assert [hit.id for hit in hits] == list(range(min(k, 40)))


@pytest.mark.parametrize("work", ["compact", "field"])
def test_work_that_is_queued_when_its_collection_is_dropped_ends(
    db: Database, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is queued before the end of a collection may begin after it, and must neither wait nor write."""
    put(db, range(10))
    collection = db.collection("c")
    reached, go = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        assert go.wait(60)

    monkeypatch.setattr(db._maintenance, "_tend_growing", lambda _: False)
    db._maintenance._want(hold)
    assert reached.wait(60)
    if work == "compact":
        before = db.compact("c")
        db._committer.exclusive(lambda: changes.freeze(collection))
    else:
        before = db.create_field_index(FieldIndexRequest("c", "id", FieldKind.KEYWORD))
    assert collection.frozen
    assert db.delete_collection("c")
    after = db._maintenance.compact(collection).info()
    go.set()
    for operation in (before, after):
        info = db.wait_operation(operation.id, 60)
        assert info.state is OperationState.FAILED
        assert "COLLECTION_NOT_FOUND" in str(info.error)
    assert db._storage.kv.get(Family.META, keys.manifest(collection.number)) is None
