"""The seqs of what was restored are beyond those of the database that the snapshot was of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecstore
from vecstore.config import Settings, Storage
from vecstore.engine import leap
from vecstore.engine.changes import freeze, put_manifest
from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.engine.header import Manifest
from vecstore.engine.leap import LEAP
from vecstore.errors import IoFailed
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.storage.open import Storage as Opened
from vecstore.types import CountRequest, PointBatch, ScrollRequest, UpsertRequest, VectorBatch

SCHEMA = Schema({"v": VectorField(VectorKind.DENSE, 2, Metric.L2)})
FED = Settings(storage=Storage(feed=True, maintenance=False, disk_reserve_bytes=0))
ONE = np.ones((1, 2), np.float32)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whose last entry is the microseconds since 1970: a clock that is far behind, unless the test moves it."""
    moments = [0]
    monkeypatch.setattr(leap, "_microseconds", lambda: moments[-1])
    return moments


def put(db: Database, name: str, *ids: int) -> int:
    for one in ids:
        seq = db.write(UpsertRequest(name, PointBatch([one], {"v": VectorBatch(ONE)}))).seq
    return seq


def restored(db: Database, name: str) -> Path:
    assert db.path is not None
    assert db.wait_operation(db.create_snapshot(name).id, 30).error is None
    vecstore.restore(db.path / "snapshots" / name, db.path.parent / name)
    return db.path.parent / name


def state(db: Database, name: str) -> tuple[list[int], int]:
    """The seqs of the points, and the collection's."""
    page = db.scroll(ScrollRequest(name, None, 100))
    return [point.seq for point in page.points], page.seq


def test_a_client_reads_what_was_restored_under_its_hands(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "db", timeout_s=5) as db:
        docs = db.create_collection("c", vecstore.Dense(2))
        later = db.collection("later")
        docs.upsert([1], ONE)
        db.snapshot(tmp_path / "snapshot")
        docs.upsert([2], ONE)
        docs.upsert([3], ONE)
        db.create_collection("later", vecstore.Dense(2)).upsert([1], ONE)
        vecstore.restore(tmp_path / "snapshot", tmp_path / "copy")
        with vecstore.connect(tmp_path / "copy", timeout_s=5) as copy:
            docs._transport = later._transport = copy._transport  # as a server that is started on the copy
            assert docs.count() == 1
            assert docs.query([1, 1], k=3).ids.tolist() == [1]
            other = vecstore.Client(copy._transport, target="", timeout_s=5)
            other.create_collection("later", vecstore.Dense(2))
            assert later.count() == 0


@pytest.mark.parametrize("sealed", [False, True])
def test_seqs_go_on_beyond_whatever_the_first_may_have_given(tmp_path: Path, sealed: bool) -> None:
    with Database.open(tmp_path / "db", FED) as db:
        for name in ("c", "gone", "empty"):
            db.create_collection(name, SCHEMA)
        put(db, "c", 1, 2, 3), put(db, "gone", 1, 2, 3, 4, 5)
        db.delete_collection("gone")
        if sealed:
            db.wait_operation(db.compact("c").id, 30)
        copy = restored(db, "copy")
    to = 5 + LEAP
    for turn in range(3):  # the seqs are as they were when it is opened again
        with Database.open(copy, FED) as db, Follower.open(copy, FED) as follower:
            for one in (db, follower):
                assert state(one, "c") == ([1, 2, 3, *range(to + 1, to + 1 + turn)], to + turn)
                assert state(one, "empty") == ([], to)
            assert db.create_collection(f"new{turn}", SCHEMA).seq == to
            if turn == 0:
                assert db.create_collection("gone", SCHEMA).seq == to
            assert put(db, "c", 10 + turn) == to + turn + 1
            assert follower.count(CountRequest("c", min_seq=to + turn + 1)) == (4 + turn, to + turn + 1)
    with Database.open(copy, FED) as db:
        db.wait_operation(db.compact("c").id, 30)
        again = restored(db, "again")
        assert state(db, "c")[1] == to + 3
    with Database.open(again, FED) as db:
        assert state(db, "c") == ([1, 2, 3, to + 1, to + 2, to + 3], to + 3 + LEAP)
        assert db.verify() is not None


def test_what_is_made_of_the_same_snapshot_again_is_beyond_the_one_before(tmp_path: Path, clock: list[int]) -> None:
    with Database.open(tmp_path / "db", FED) as db:
        db.create_collection("c", SCHEMA)
        put(db, "c", 1)
        assert db.wait_operation(db.create_snapshot("kept").id, 30).error is None
    last = 1
    for turn, moment in enumerate([LEAP, LEAP + 100, LEAP + 1_000]):  # the first time, the clock is behind
        clock.append(moment)
        vecstore.restore(tmp_path / "db" / "snapshots" / "kept", tmp_path / str(turn))
        with Database.open(tmp_path / str(turn), FED) as db:
            assert state(db, "c") == ([1], max(moment, 1 + LEAP))
            assert put(db, "c", 2) > last
            last = put(db, "c", 3, 4)


def test_leap_on_leap_with_and_without_writes_between(tmp_path: Path) -> None:
    with Database.open(tmp_path / "db", FED) as db:
        db.create_collection("c", SCHEMA)
        put(db, "c", 1, 2)
        path = restored(db, "a")
    for name, wrote in (("b", False), ("d", True), ("e", True), ("f", False)):
        with Database.open(path, FED) as db:
            if wrote:
                put(db, "c", 5)
            path = restored(db, name)
    with Database.open(path, FED) as db:
        collection = db.collection("c")
        assert collection.manifest.leaps == (
            (2, 2 + 2 * LEAP),
            (3 + 2 * LEAP, 3 + 3 * LEAP),
            (4 + 3 * LEAP, 4 + 5 * LEAP),
        )
        assert state(db, "c") == ([1, 2, 4 + 3 * LEAP], 4 + 5 * LEAP)
        db._committer.exclusive(lambda: freeze(collection))
        db.wait_operation(db.compact("c").id, 30)
        path = restored(db, "g")
    with Database.open(path, FED) as db:
        assert db.collection("c").manifest.leaps == ((4 + 5 * LEAP, 4 + 6 * LEAP),)
        assert state(db, "c") == ([1, 2, 4 + 3 * LEAP], 4 + 6 * LEAP)


def test_a_crash_on_the_way_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Database.open(tmp_path / "db", FED) as db:
        db.create_collection("c", SCHEMA)
        put(db, "c", 1, 2)
        copy = restored(db, "copy")

    def dies(self: Opened) -> None:
        raise IoFailed("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Opened, "forget_restored", dies)
        with pytest.raises(IoFailed, match="killed"):
            Database.open(copy, FED)
    with Database.open(copy, FED) as db:
        assert state(db, "c") == ([1, 2], 2 + 2 * LEAP)
        assert put(db, "c", 3) == 3 + 2 * LEAP
    assert not (copy / "RESTORED").exists()
    with Database.open(copy, FED) as db:
        assert state(db, "c") == ([1, 2, 3 + 2 * LEAP], 3 + 2 * LEAP)


@pytest.mark.parametrize("leaps", [((5, 5),), ((-1, 5),), ((1, 1 << 63),)])
def test_leaps_that_cannot_be_are_damage(tmp_path: Path, leaps: tuple[tuple[int, int], ...]) -> None:
    with Database.open(tmp_path, FED) as db:
        db.create_collection("c", SCHEMA)
        kv = db._storage.kv
        kv.durable(kv.write([put_manifest(db.collection("c").number, Manifest(leaps=leaps))]))
    with Database.open(tmp_path, FED) as db, pytest.raises(vecstore.Corruption, match="leaps"):
        db.count(CountRequest("c"))
