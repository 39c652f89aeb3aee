"""What one process writes and another follows: what is shown, when, and what stays readable. Both ends are in this
process, over the real socket."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_support import SCHEMA, SMALL, batch_of, put, settle, vectors_of
from faults.faulty_kv import Fault, FaultyKV
from waiting import wait_until

import vecstore
from vecstore.aliases import Alias, CreateAlias, DeleteAlias
from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.engine.sealed import SealedSegment
from vecstore.errors import Corruption, DeadlineExceeded, FailedPrecondition, IoFailed, NotFound, Unavailable
from vecstore.index_spec import Graph
from vecstore.query.builder import F
from vecstore.schema import FieldKind
from vecstore.storage import feed
from vecstore.storage.open import open_storage
from vecstore.types import (
    CountRequest,
    DeleteRequest,
    FieldIndexRequest,
    GetRequest,
    PayloadOp,
    PayloadRequest,
    QueryRequest,
    ScrollRequest,
    Selection,
    UpsertRequest,
    VectorIndexRequest,
)

N = 50
FED = msgspec.structs.replace(SMALL, storage=msgspec.structs.replace(SMALL.storage, feed=True, index_rows_min=10))
EVERYTHING = Selection(payload=True, vectors=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Longer than the address of a socket may be."""
    return tmp_path / ("d" * 90) / "data"


@pytest.fixture
def writer(path: Path) -> Iterator[Database]:
    path.parent.mkdir()
    with Database.open(path, FED) as db:
        db.create_collection("c", SCHEMA)
        yield db


@pytest.fixture
def follower(writer: Database, path: Path) -> Iterator[Follower]:
    with Follower.open(path, SMALL, "reader") as db:
        yield db


class Held:
    """A follower whose thread stops before it takes in the next batch, until `go`."""

    def __init__(self, follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
        self._go, self.reached = threading.Event(), threading.Event()
        real = follower._apply

        def apply(*arguments: Any) -> None:
            self.reached.set()
            assert self._go.wait(60)
            real(*arguments)

        monkeypatch.setattr(follower, "_apply", apply)

    def go(self) -> None:
        self._go.set()


def everything(db: Database, min_seq: int = 0) -> list[Any]:
    page = db.scroll(ScrollRequest("c", None, 5000, None, EVERYTHING, min_seq))
    return [(p.id, p.seq, p.payload, {n: v.tobytes() for n, v in (p.vectors or {}).items()}) for p in page.points]


def test_a_write_is_shown_when_its_seq_is_asked_for(writer: Database, follower: Follower) -> None:
    for turn in range(20):
        seq = put(writer, range(turn, turn + 30)).seq
        assert follower.get(GetRequest("c", [turn + 29], min_seq=seq))[0][0].payload == {"n": 29, "id": str(turn + 29)}
        if turn % 3 == 0:
            seq = writer.write(DeleteRequest("c", filter=F("n").gte(25))).seq
            assert follower.count(CountRequest("c", F("n").gte(25), seq)) == (0, seq)
        if turn % 10 == 5:
            settle(writer, writer.compact("c"))
    assert everything(follower, seq) == everything(writer)
    with pytest.raises(DeadlineExceeded, match=f"min_seq={seq + 1}"):
        follower.query(QueryRequest("c", vectors_of([1])[0], "v", min_seq=seq + 1, timeout_s=0.05))


def test_changes_of_schemas_and_indexes_are_shown(writer: Database, follower: Follower) -> None:
    put(writer, range(600))
    settle(writer, writer.create_field_index(FieldIndexRequest("c", "id", FieldKind.KEYWORD)))
    settle(writer, writer.update_index(VectorIndexRequest("c", "v", Graph())))
    writer.shown()
    assert follower.collection_info("c") == writer.collection_info("c")
    stats = follower.stats("c")["segments"][0]
    assert stats["indexed"] == ["id", "n"]
    assert stats["vector_indexes"].keys() == {"v"}
    assert stats == writer.stats("c")["segments"][0]
    assert follower.count(CountRequest("c", F("id").eq("77")))[0] == 1
    writer.create_collection("other", SCHEMA)
    writer.shown()
    assert [info.name for info in follower.list_collections()] == ["c", "other"]
    writer.delete_collection("other")
    writer.shown()
    with pytest.raises(NotFound, match="other"):
        follower.count(CountRequest("other"))


def test_a_follower_that_comes_late_has_all_of_it(writer: Database, path: Path) -> None:
    put(writer, range(700))
    settle(writer, writer.compact("c"))
    put(writer, range(650, 800))
    writer.write(DeleteRequest("c", [1, 799]))
    with Follower.open(path, SMALL) as late:
        assert everything(late) == everything(writer)
        assert {row["name"] for row in writer.processes()} == {"writer", late.processes()[0]["name"]}
    wait_until(lambda: len(writer.processes()) == 1)


WRITES: dict[str, Callable[[Database], Any]] = {
    "upsert": lambda db: put(db, [1]),
    "delete": lambda db: db.write(DeleteRequest("c", [1])),
    "payload": lambda db: db.write(PayloadRequest("c", PayloadOp.CLEAR, [1])),
    "create": lambda db: db.create_collection("d", SCHEMA),
    "drop": lambda db: db.delete_collection("c"),
    "field index": lambda db: db.create_field_index(FieldIndexRequest("c", "x", FieldKind.KEYWORD)),
    "unindex": lambda db: db.delete_field_index(FieldIndexRequest("c", "n")),
    "index": lambda db: db.update_index(VectorIndexRequest("c", "v", Graph())),
    "compact": lambda db: db.compact("c"),
    "verify": lambda db: db.verify(),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_follower_changes_nothing(writer: Database, follower: Follower, write: str) -> None:
    put(writer, range(3))
    writer.shown()
    with pytest.raises(FailedPrecondition, match="follows a writer") as refused:
        WRITES[write](follower)
    assert refused.value.reason == "READ_ONLY"
    assert everything(follower) == everything(writer)


def test_without_a_writer_that_feeds_it_says_so(path: Path) -> None:
    path.parent.mkdir()
    with Database.open(path, SMALL), pytest.raises(FailedPrecondition, match=r"storage\.feed") as refused:
        Follower.open(path, SMALL)
    assert refused.value.reason == "NO_WRITER"
    with pytest.raises(FailedPrecondition):
        vecstore.connect(path, read_only=True)
    with pytest.raises(vecstore.InvalidArgument):
        vecstore.connect("grpc://localhost:1", read_only=True)


def test_the_sdk_follows(writer: Database, path: Path) -> None:
    put(writer, range(5))
    with vecstore.connect(path, read_only=True) as client:
        assert client.collection("c").count() == 5
        with pytest.raises(FailedPrecondition, match="READ_ONLY"):
            client.collection("c").delete([1])


def test_what_is_merged_away_stays_until_the_slowest_follower_has_moved_on(
    writer: Database, follower: Follower, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(writer, range(N))
    settle(writer, writer.compact("c"))
    writer.shown()
    before = everything(writer)
    held = Held(follower, monkeypatch)
    files = set((path / "cache").iterdir())
    operation = writer.compact("c")  # nothing to do
    settle(writer, operation)
    writer.write(DeleteRequest("c", list(range(N // 2))))
    operation = writer.compact("c")
    assert held.reached.wait(60)
    time.sleep(0.3)
    assert files <= set((path / "cache").iterdir())
    assert writer.operation(operation.id).state is vecstore.OperationState.RUNNING
    assert everything(follower) == before
    (view,) = [view for view in follower.collection("c").view.segments if view.segment.sorted_by_id]
    held.go()
    settle(writer, operation)
    assert not files & set((path / "cache").iterdir())
    assert everything(follower) == everything(writer)
    assert view.segment.take_ids(np.arange(3)).tolist() == [0, 1, 2]  # a reader of the view before


@pytest.mark.parametrize("read", ["query", "get", "scroll", "count"])
def test_columns_that_no_read_has_touched_outlive_their_files(writer: Database, path: Path, read: str) -> None:
    """The follower has only just come: nothing of its segment is verified or read yet."""
    put(writer, range(N))
    settle(writer, writer.compact("c"))
    with Follower.open(path, SMALL) as late:
        view = late.collection("c").view
        late._collections["c"].publish = lambda seq: None  # type: ignore[method-assign]  # readers keep the old view
        writer.write(DeleteRequest("c", list(range(N))))
        settle(writer, writer.compact("c"))
        assert not list((path / "cache").iterdir())
        assert late.collection("c").view is view
        found = {
            "query": lambda: [h.id for h in late.query(QueryRequest("c", vectors_of([4])[0], "v", k=1))],
            "get": lambda: [p.id for p in late.get(GetRequest("c", [4], EVERYTHING))[0]],
            "scroll": lambda: [p.id for p in late.scroll(ScrollRequest("c", F("n").eq(4), 3)).points],
            "count": lambda: [4] * late.count(CountRequest("c", F("id").text("4")))[0],
        }[read]()
        assert found == [4]


def test_a_silent_follower_is_cut_off_and_begins_anew(
    writer: Database, follower: Follower, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(writer, range(N))
    settle(writer, writer.compact("c"))
    writer.shown()
    monkeypatch.setattr(feed, "LAG_MAX_S", 0.3)
    held = Held(follower, monkeypatch)
    writer.write(DeleteRequest("c", list(range(N // 2))))
    settle(writer, writer.compact("c"))  # does not wait for ever
    assert len(writer.processes()) == 1
    assert len(everything(follower)) == N  # still the state that it has
    held.go()
    wait_until(lambda: everything(follower) == everything(writer))
    wait_until(lambda: len(writer.processes()) == 2)


def test_a_follower_that_is_too_far_behind_begins_anew(
    writer: Database, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "QUEUE_BYTES_MAX", 200_000)
    held = Held(follower, monkeypatch)
    for turn in range(30):
        seq = put(writer, range(200 * turn, 200 * turn + 200)).seq
    wait_until(lambda: len(writer.processes()) == 1)
    held.go()
    assert everything(follower, seq) == everything(writer)


def test_while_the_writer_is_away_reads_go_on(path: Path) -> None:
    path.parent.mkdir()
    writer = Database.open(path, FED)
    writer.create_collection("c", SCHEMA)
    put(writer, range(700))
    settle(writer, writer.compact("c"))
    with Follower.open(path, SMALL) as follower:
        segment = next(iter(follower.collection("c").sealed.values()))
        before = everything(follower)
        writer.close()
        wait_until(lambda: not follower.connected.is_set())
        assert everything(follower) == before
        with Database.open(path, FED) as writer:
            collection = follower.collection("c")
            seq = put(writer, range(690, 710)).seq
            assert everything(follower, seq) == everything(writer)
            assert follower.collection("c") is collection  # whoever waits on it is told
            again = next(iter(collection.sealed.values()))
            assert np.shares_memory(segment.column("seqs"), again.column("seqs"))  # mapped and verified once


@pytest.mark.parametrize("damage", ["missing", "torn", "flipped"])
def test_a_damaged_cache_file_is_made_whole_by_the_writer(writer: Database, path: Path, damage: str) -> None:
    put(writer, range(N))
    settle(writer, writer.compact("c"))
    for file in (path / "cache").iterdir():
        content = bytearray(file.read_bytes())
        file.unlink()  # the writer has the good one mapped
        if damage == "missing":
            continue
        if damage == "torn":
            file.write_bytes(content[: len(content) // 2])
        else:
            content[len(content) // 4] ^= 1
            file.write_bytes(content)
    with Follower.open(path, SMALL) as late:
        assert everything(late) == everything(writer)
        segment = next(iter(late.collection("c").sealed.values()))
        assert isinstance(segment, SealedSegment)
        assert not segment.quarantined


def test_an_index_that_a_follower_finds_lost_is_built_again(
    writer: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(writer, range(600))
    settle(writer, writer.compact("c"))
    settle(writer, writer.update_index(VectorIndexRequest("c", "v", Graph())))
    (segment,) = writer.collection("c").sealed.values()
    header = segment.header
    name = next(iter(header.indexes["v"].arrays.values()))
    ref = next(column.ref for column in header.columns if column.name == name)
    blobs: Any = writer._storage.blobs
    real = blobs.repair

    def repair(asked: Any) -> None:
        if asked == ref:
            raise Corruption("the test lost it")
        real(asked)

    monkeypatch.setattr(blobs, "repair", repair)
    blobs._cache.path(ref.name).unlink()
    with Follower.open(path, SMALL) as late:
        query = QueryRequest("c", vectors_of([4])[0], "v", k=1)
        assert [hit.id for hit in late.query(query)] == [4]  # by scanning
        wait_until(lambda: segment.header.generation > header.generation)
        assert segment.index("v") is not None
        writer.shown()
        assert [hit.id for hit in late.query(query)] == [4]
        (followed,) = late.collection("c").sealed.values()
        assert followed.header == segment.header
        assert followed.index("v") is not None
        assert not followed.quarantined


def test_what_a_failed_fsync_may_have_lost_is_not_shown(path: Path) -> None:
    path.parent.mkdir()
    settings = Settings(storage=Storage(disk_reserve_bytes=0, feed=True, maintenance=False))
    storage = open_storage(path, settings.storage)
    faulty = FaultyKV(storage.kv, Fault.FAIL_DURABLE, at=1_000_000)
    with Database(dataclasses.replace(storage, kv=faulty), settings) as writer:
        writer.create_collection("c", SCHEMA)
        put(writer, range(5))
        with Follower.open(path, SMALL) as follower:
            faulty.at = faulty._calls + 1
            with pytest.raises(IoFailed):
                put(writer, range(5, 10))
            assert writer._storage.kv.inner.snapshot() is not None  # type: ignore[attr-defined]
            time.sleep(0.05)
            assert len(everything(follower)) == 5
            with pytest.raises(Unavailable):  # and not to one that comes now either
                Follower.open(path, SMALL)


def test_writes_to_be_seen_are_waited_for_before_an_alias_is_looked_up(
    writer: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that lags knows neither the switch nor the write that went by it."""
    writer.create_collection("d", SCHEMA)
    put(writer, range(5))
    writer.update_aliases([CreateAlias("a", "c")])
    with Follower.open(path, SMALL) as follower:
        assert follower.count(CountRequest("a")) == (5, 1)
        assert follower.list_aliases() == [Alias("a", "c")]
        with pytest.raises(FailedPrecondition, match="READ_ONLY"):
            follower.update_aliases([CreateAlias("a", "d")])
        go, apply = threading.Event(), follower._apply

        def late(*batch: Any) -> None:
            go.wait(60)
            apply(*batch)

        monkeypatch.setattr(follower, "_apply", late)
        writer.update_aliases([CreateAlias("a", "d")])
        written = writer.write(UpsertRequest("a", batch_of([7])))
        assert (written.collection, written.seq) == ("d", 1)
        assert follower.count(CountRequest("a")) == (5, 1)  # what it shows
        threading.Timer(0.2, go.set).start()
        assert follower.count(CountRequest("a", min_seqs={"d": 1})) == (1, 1)
        # Seqs of other collections are no seqs of this one, and what is gone is not waited for.
        assert follower.count(CountRequest("a", min_seqs={"c": 1, "gone": 1 << 40, "a": 1 << 40})) == (1, 1)
        request = QueryRequest("a", vectors_of([7])[0], "v", min_seqs={"d": 2}, timeout_s=0.05)
        with pytest.raises(DeadlineExceeded):
            follower.query(request)
        writer.update_aliases([DeleteAlias("a")])
        writer.shown()
        with pytest.raises(NotFound, match="COLLECTION_NOT_FOUND"):
            follower.count(CountRequest("a"))


def test_aliases_are_there_when_the_state_is_taken_anew(writer: Database, path: Path) -> None:
    with Follower.open(path, SMALL) as follower:
        writer.update_aliases([CreateAlias("a", "c")])
        writer.close()
        with Database.open(path, FED) as again:
            again.update_aliases([CreateAlias("b", "c"), DeleteAlias("a")])
            wait_until(lambda: follower.has_collection("b"))
            assert follower.list_aliases() == [Alias("b", "c")]
