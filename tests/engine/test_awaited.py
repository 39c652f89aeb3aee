"""Writes that wait until they are indexed: what is there then, who waits together, and how a wait ends otherwise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from engine_support import batch_of
from index_support import INDEXED, ROWS_MIN, ToyIVF, load, schema
from waiting import wait_until

from vecstore.engine.awaited import Awaited
from vecstore.engine.collection import Collection
from vecstore.engine.database import Database
from vecstore.engine.maintenance import Maintenance
from vecstore.engine.requested import Requested
from vecstore.errors import Cancelled, DeadlineExceeded, InvalidArgument, VecstoreError
from vecstore.index.registry import BUILT
from vecstore.index_spec import IVF
from vecstore.types import GetRequest, Indexed, UpsertRequest, WriteResult


@pytest.fixture
def db(reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setitem(BUILT, "ivf", ToyIVF)
    db = reopen(INDEXED)
    db.create_collection("c", schema(IVF(16)))
    return db


@pytest.fixture
def held(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until it is set, nothing is indexed."""
    go, plain = threading.Event(), Requested.index_written

    def later(self: Requested, collection: object, operation: object) -> None:
        while not go.wait(0.01):
            operation.progress("seal", 0, 1)  # type: ignore[attr-defined]
        plain(self, collection, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(Requested, "index_written", later)
    yield go
    go.set()


def waiting(db: Database, low: int, high: int, timeout_s: float | None = 60) -> WriteResult:
    return db.write(UpsertRequest("c", batch_of(range(low, high)), wait=Indexed(timeout_s)))


def unserved(db: Database) -> int:
    """Rows of the collection that are growing, or in a segment large enough for an index and without one."""
    segments = db.stats("c")["segments"]
    return sum(
        one["rows"]
        for one in segments
        if one["kind"] == "growing" or (one["rows"] >= ROWS_MIN and "v" not in one["vector_indexes"])
    )


def waits(db: Database) -> int:
    return sum(one.kind == "index_written" for one in db.list_operations())


def test_what_was_written_before_is_served_by_its_index(db: Database) -> None:
    load(db, 0, 400)
    assert unserved(db) == 400
    written = waiting(db, 400, 450)
    assert (written.seq, written.changed, unserved(db)) == (2, 50, 0)
    assert waiting(db, 450, 460).seq == 3  # too few for an index: sealed, and scanned as small segments are
    assert unserved(db) == 0
    served = db.stats("c")["vectors"]["v"]
    assert (served["index_state"], served["rows_indexed"]) == ("ready", 450)


def test_a_write_that_is_sent_again_waits_too(db: Database, held: threading.Event) -> None:
    request = UpsertRequest("c", batch_of(range(10)), idempotency_key="once", wait=Indexed(0.05))
    with pytest.raises(DeadlineExceeded):
        db.write(request)
    held.set()
    request.wait = Indexed(60)
    assert db.write(request).seq == 1
    assert (unserved(db), db.collection_info("c").seq) == (0, 1)


def test_time_that_runs_out_leaves_the_write(db: Database, held: threading.Event) -> None:
    with pytest.raises(DeadlineExceeded, match="durable and visible as seq=1, but was not indexed within") as late:
        waiting(db, 0, 10, 0.1)
    assert late.value.reason == "NOT_INDEXED_YET"
    assert late.value.metadata == {"seq": "1", "collection": "c"}
    assert len(db.get(GetRequest("c", [3]))[0]) == 1


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What those who wait have joined."""
    join, found = Awaited.join, []

    def noted(self: Awaited, collection: Collection) -> object:
        found.append(join(self, collection))
        return found[-1]

    monkeypatch.setattr(Awaited, "join", noted)
    return found


def test_those_who_come_before_it_begins_wait_for_one_operation(
    db: Database, held: threading.Event, joined: list[object]
) -> None:
    with ThreadPoolExecutor(12) as pool:
        writes = [pool.submit(waiting, db, 10 * n, 10 * n + 10) for n in range(12)]
        wait_until(lambda: len(joined) == 12)
        held.set()
        assert sorted(write.result().seq for write in writes) == list(range(1, 13))
    assert unserved(db) == 0
    assert waits(db) <= 2  # one that had begun, and one for all others


@pytest.mark.parametrize("end", [Database.close, lambda db: db.end_waits("the server is shutting down")])
def test_an_end_ends_those_who_wait(
    db: Database, held: threading.Event, joined: list[object], end: Callable[[Database], None]
) -> None:
    with ThreadPoolExecutor(2) as pool:
        writes = [pool.submit(waiting, db, n, n + 1) for n in (1, 2)]
        wait_until(lambda: len(joined) == 2)
        end(db)
        for write in writes:
            with pytest.raises(Cancelled, match="durable and visible as seq=") as told:
                write.result(60)
            assert told.value.reason == "NOT_INDEXED_YET"


def test_an_index_that_cannot_be_built_is_told_with_the_seq(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyIVF, "fail", InvalidArgument("no such luck"))
    for seq in (1, 2):  # when it is tried, and when it is known
        with pytest.raises(VecstoreError, match="no such luck") as failed:
            waiting(db, 0, 400)
        assert (type(failed.value), failed.value.reason) == (VecstoreError, "OPERATION_FAILED")
        assert failed.value.metadata["seq"] == str(seq)


def test_on_a_loop_it_takes_no_thread_and_one_who_goes_leaves_the_others(db: Database, held: threading.Event) -> None:
    async def run() -> None:
        async def one(id: int) -> WriteResult:
            request = UpsertRequest("c", batch_of([id]), wait=Indexed(60))
            return await db.finished(request, db.submit(request))

        tasks = [asyncio.create_task(one(id)) for id in range(40)]
        while not waits(db):
            await asyncio.sleep(0.005)
        before = threading.active_count()
        tasks[0].cancel()
        await asyncio.sleep(0.05)
        assert tasks[0].cancelled()
        assert not any(task.done() for task in tasks[1:])
        assert threading.active_count() <= before
        held.set()
        assert [written.seq for written in await asyncio.gather(*tasks[1:])] == list(range(2, 41))

    asyncio.run(run())
    assert unserved(db) == 0


def test_merges_have_their_turn_however_many_wait(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    done, over = [], threading.Event()

    def index(self: Requested, collection: Collection, operation: object) -> None:
        done.append("wait")
        if done.count("wait") < 10:
            db._maintenance.index_written(collection)  # there is always someone who waits
        else:
            over.set()

    monkeypatch.setattr(Requested, "index_written", index)
    monkeypatch.setattr(Maintenance, "_tend_sealed", lambda *_: bool(done.append("merge")))
    waiting(db, 0, 1)
    assert over.wait(60)
    first = done.index("wait")
    assert done[first : first + 19] == ["wait", "merge"] * 9 + ["wait"]


def test_what_is_no_wait_is_refused_before_anything_is_written(db: Database) -> None:
    for bad in (True, "indexed", Indexed(0), Indexed(float("nan"))):
        with pytest.raises(InvalidArgument, match="wait"):
            db.write(UpsertRequest("c", batch_of([1]), wait=bad))  # type: ignore[arg-type]
    assert db.collection_info("c").seq == 0
