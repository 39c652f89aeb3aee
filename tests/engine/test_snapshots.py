"""Snapshots: one moment of the whole database while it is written to, whole or not there, every byte checked."""

from __future__ import annotations

import hashlib
import itertools
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import vecstore
from vecstore import Corruption, Dense, FailedPrecondition, InvalidArgument, NotFound, OperationState
from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.errors import VecstoreError
from vecstore.storage.snapshots import SnapshotRecord, read_snapshot

SMALL = Settings(storage=Storage(seal_rows=200, merge_factor=3, disk_reserve_bytes=0, index_rows_min=100))
HOSTILE = ["../x", "a/b", "/tmp/x", ".hidden", "x" * 65, "a b", "\u00fc", "a\x00", "..", "C:x"]


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".*")) if folder.exists() else []


def test_a_snapshot_under_four_writers_is_one_moment(tmp_path: Path) -> None:
    db = vecstore.connect(tmp_path / "db", settings=SMALL)
    names = ("one", "two")
    for name in names:
        db.create_collection(name, Dense(4, metric="l2"))
    stop, acked = threading.Event(), []

    def write(writer: int) -> None:
        collection = db.collection(names[writer % 2])
        for n in itertools.count():
            if stop.is_set():
                return
            ids = [writer * 1_000_000 + 2 * n, writer * 1_000_000 + 2 * n + 1]
            batch = vecstore.Batch().upsert(ids, np.full((2, 4), n)).set_payload({"n": n}, ids)
            acked.append((names[writer % 2], collection.update_batch(batch).seq, ids))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in writers:
        thread.start()
    for number in range(3):
        while len(acked) < 150 * (number + 1):
            stop.wait(0.01)
        db.snapshot(tmp_path / f"snapshot-{number}")
    stop.set()
    for thread in writers:
        thread.join()
    db.close()
    for number in range(3):
        info = vecstore.restore(tmp_path / f"snapshot-{number}", tmp_path / f"copy-{number}")
        with vecstore.connect(tmp_path / f"copy-{number}", settings=SMALL) as copy:
            for name in names:
                wanted = {i for one, seq, ids in acked if one == name and seq <= info.seqs[name] for i in ids}
                seen = {point.id: point.payload for point in copy.collection(name).scroll()}
                assert set(seen) == wanted
                assert all(payload["n"] == i % 1_000_000 // 2 for i, payload in seen.items())
                assert len(seen) == info.points[name]
            copy.collection("one").upsert([5], np.ones((1, 4)))  # it goes on from there
            assert copy.verify().error is None
    assert left_over(tmp_path) == []


def test_answers_and_recall_are_the_same_before_and_after(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows, queries = rng.standard_normal((1_500, 32)).astype(np.float32), rng.standard_normal((40, 32))
    db = vecstore.connect(tmp_path / "db", settings=SMALL)
    fields = {"v": Dense(32, index="ivf(nlist=16) | saq(bits=2)"), "g": Dense(32, index="graph")}
    docs = db.create_collection("docs", fields, text={"t": vecstore.Text()})
    docs.upsert(range(1_500), {"v": rows, "g": rows, "t": [f"word{n % 7} row{n}" for n in range(1_500)]})
    docs.compact()
    docs.delete(range(0, 1_500, 9))
    docs.upsert([1], {"v": rows[2:3], "g": rows[2:3]})
    before = {name: docs.query_batch(queries, k=10, using=name, recall=0.9) for name in fields}
    exact = docs.query_batch(queries, k=10, using="v", exact=True)
    db.snapshot(tmp_path / "snapshot")
    docs.delete(range(1_500))
    db.close()
    vecstore.restore(tmp_path / "snapshot", tmp_path / "copy")
    with vecstore.connect(tmp_path / "copy", settings=SMALL) as copy:
        docs = copy.collection("docs")
        for name, then in before.items():
            after = docs.query_batch(queries, k=10, using=name, recall=0.9)
            assert [hits.ids.tolist() for hits in after] == [hits.ids.tolist() for hits in then]
            assert [hits.scores.tolist() for hits in after] == [hits.scores.tolist() for hits in then]
            found = sum(len({*a.ids.tolist()} & {*e.ids.tolist()}) for a, e in zip(after, exact, strict=True))
            assert found / 400 > 0.8
        assert docs.query("row1408", using="t").ids.tolist() == [1408]
        assert docs.count() == 1_333
        indexes = docs.stats()["segments"][0]["vector_indexes"]
        assert "saq" in indexes["v"]
        assert "graph" in indexes["g"]


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    with vecstore.connect(tmp_path / "db", settings=SMALL) as db:
        docs = db.create_collection("docs", Dense(8))
        docs.upsert(range(300), np.random.default_rng(0).standard_normal((300, 8)))
        docs.compact()
        docs.upsert([1], np.ones((1, 8)))
        db.snapshot(tmp_path / "snapshot")
    return tmp_path / "snapshot"


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "flip":
        middle = len(content) // 2
        content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.unlink()
    if how == "link":
        path.with_name("elsewhere").write_bytes(content)
        path.symlink_to(path.with_name("elsewhere"))
    elif how != "gone":
        path.write_bytes({"append": content + b"x", "cut": content[:-1]}.get(how, content))


@pytest.mark.parametrize("how", ["flip", "cut", "append", "gone", "link"])
def test_damage_to_any_file_is_found_and_nothing_appears(taken: Path, how: str) -> None:
    names = [file.path for file in read_snapshot(taken).files if file.bytes]
    assert {"FORMAT.json", "rocksdb/CURRENT"} <= set(names)
    assert any(name.endswith(".sst") for name in names)
    for name in names:
        kept = (taken / name).read_bytes()
        damage(taken / name, how)
        with pytest.raises(Corruption, match=name.replace(".", r"\.")):
            vecstore.restore(taken, taken.parent / "copy")
        (taken / name).unlink(missing_ok=True)
        (taken / name).write_bytes(kept)
    assert not (taken.parent / "copy").exists()
    assert left_over(taken.parent) == []
    vecstore.restore(taken, taken.parent / "copy")


def test_a_list_of_files_that_was_changed_is_refused(taken: Path) -> None:
    path = taken / "SNAPSHOT.json"
    good = path.read_bytes()
    record = msgspec.json.decode(good, type=SnapshotRecord)
    for bad in ("../escape", "/etc/passwd", "rocksdb/../../x", "rocksdb/a/b", "rocksdb/.x", "cache/x", "SNAPSHOT.json"):
        files = (*record.files, msgspec.structs.replace(record.files[0], path=bad))
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(record, files=files).sealed()))
        with pytest.raises(Corruption, match="names a file that no snapshot has"):
            vecstore.restore(taken, taken.parent / "copy")
    newer = msgspec.structs.replace(record, format=99).sealed()
    path.write_bytes(msgspec.json.encode(newer))
    with pytest.raises(FailedPrecondition, match="FORMAT_TOO_NEW"):
        vecstore.restore(taken, taken.parent / "copy")
    for content in (b"", b"{}", good[:-3], good.replace(b'"points":300', b'"points":301')):
        path.write_bytes(content)
        with pytest.raises(Corruption):
            vecstore.restore(taken, taken.parent / "copy")
    path.unlink()
    with pytest.raises(NotFound, match="SNAPSHOT_NOT_FOUND"):
        vecstore.restore(taken, taken.parent / "copy")
    assert not (taken.parent / "copy").exists()
    assert hashlib.sha256(good).hexdigest()


def test_what_exists_is_never_written_over(taken: Path) -> None:
    with pytest.raises(FailedPrecondition, match="PATH_EXISTS"):
        vecstore.restore(taken, taken.parent / "db")
    with vecstore.connect(taken.parent / "db") as db, pytest.raises(FailedPrecondition, match="PATH_EXISTS"):
        db.snapshot(taken)
    with pytest.raises(FailedPrecondition, match="IS_SNAPSHOT"):
        vecstore.connect(taken)
    read_snapshot(taken)
    with vecstore.connect(":memory:") as db, pytest.raises(FailedPrecondition, match="IN_MEMORY"):
        db.list_snapshots()
    with vecstore.connect(":memory:") as db, pytest.raises(VecstoreError, match="IN_MEMORY"):
        db.snapshot(taken.parent / "memory")
    assert left_over(taken.parent) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_names_and_never_paths(tmp_path: Path, name: str) -> None:
    with Database.open(tmp_path / "db", SMALL) as db:
        wait(db, db.create_snapshot("good"))
        for call in (
            lambda: db.create_snapshot(name),
            lambda: db.delete_snapshot(name),
            lambda: db.restore_snapshot(name, "x"),
            lambda: db.restore_snapshot("good", name),
        ):
            with pytest.raises(InvalidArgument, match="BAD_NAME"):
                call()
        assert [info.name for info in db.list_snapshots()] == ["good"]
    assert {path.name for path in tmp_path.iterdir()} == {"db"}


def wait(db: Database, operation: Any) -> None:
    ended = db.wait_operation(operation.id, 60)
    assert ended.state is OperationState.DONE, ended


def test_snapshots_under_names_are_kept_listed_restored_and_deleted(tmp_path: Path) -> None:
    with Database.open(tmp_path / "db", SMALL) as db:
        wait(db, db.create_snapshot("a"))
        wait(db, db.create_snapshot())
        named, made = db.list_snapshots()
        assert named.name == "a"
        assert made.name.startswith("snapshot-")
        with pytest.raises(FailedPrecondition, match="PATH_EXISTS"):
            db.create_snapshot("a")
        with pytest.raises(NotFound, match="SNAPSHOT_NOT_FOUND"):
            db.restore_snapshot("b", "x")
        wait(db, db.restore_snapshot("a", "x"))
        with pytest.raises(FailedPrecondition, match="PATH_EXISTS"):
            db.restore_snapshot("a", "x")
        (tmp_path / "db" / "snapshots" / "a" / "SNAPSHOT.json").write_bytes(b"{}")
        assert "CHECKSUM_MISMATCH" in (db.list_snapshots()[0].error or "")
        assert db.delete_snapshot("a")
        assert not db.delete_snapshot("a")
        assert [info.name for info in db.list_snapshots()] == [made.name]
    Database.open(tmp_path / "db" / "restored" / "x", SMALL).close()


def test_snapshots_without_names_of_one_second_get_a_name_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.engine.snapshots.time.strftime", lambda *_: "snapshot-now")
    with Database.open(tmp_path / "db", SMALL) as db:
        for operation in [db.create_snapshot() for _ in range(3)]:
            wait(db, operation)
        assert {info.name for info in db.list_snapshots()} == {"snapshot-now", "snapshot-now-2", "snapshot-now-3"}
        db.delete_snapshot("snapshot-now-2")
        wait(db, db.create_snapshot())
        assert "snapshot-now-4" in {info.name for info in db.list_snapshots()}, "a name is not given again at once"


def test_a_snapshot_that_is_cancelled_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Database.open(tmp_path / "db", SMALL) as db:
        checkpoint = db._storage.kv.checkpoint

        def cancelled(path: Path) -> None:
            checkpoint(path)
            for info in db.list_operations():
                db.cancel_operation(info.id)

        monkeypatch.setattr(db._storage.kv, "checkpoint", cancelled)
        ended = db.wait_operation(db.create_snapshot("a").id, 60)
        assert ended.state is OperationState.CANCELLED
        assert db.list_snapshots() == []
        assert left_over(tmp_path / "db" / "snapshots") == []
