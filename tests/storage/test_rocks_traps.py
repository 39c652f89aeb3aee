"""The known traps of RocksDB and its binding, by number: what the store does where they would bite.

Trap 9, a failed fsync, has a file of its own: test_failed_fsync.py."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from faults.children import run_python

from vecstore.config import Storage as StorageSettings
from vecstore.errors import AlreadyExists, Corruption, FailedPrecondition
from vecstore.storage.interfaces import DeleteRange, Family, Put
from vecstore.storage.open import Storage, open_storage
from vecstore.storage.staging import stage_blobs


def flush(storage: Storage) -> None:
    """Move what is in memory into SST files."""
    database = storage.kv._database
    for family in Family:
        database.family(family).flush(True)


def flip(path: Path, position: int) -> None:
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x10]))


def largest(directory: Path, pattern: str) -> Path:
    return max(directory.glob(pattern), key=lambda path: path.stat().st_size)


def test_1_a_scan_over_a_damaged_block_raises_instead_of_ending_early(
    tmp_path: Path, settings: StorageSettings
) -> None:
    storage = open_storage(tmp_path / "db", settings)
    storage.kv.write([Put(Family.LOG, i.to_bytes(4, "big"), os.urandom(1000)) for i in range(5000)])
    flush(storage)
    storage.close()
    sst = largest(tmp_path / "db" / "rocksdb", "*.sst")
    flip(sst, sst.stat().st_size // 2)
    storage = open_storage(tmp_path / "db", settings)
    with pytest.raises(Corruption):
        list(storage.kv.scan(Family.LOG, b"", b"\xff"))
    with pytest.raises(Corruption):
        [storage.kv.get(Family.LOG, i.to_bytes(4, "big")) for i in range(5000)]
    with pytest.raises(Corruption):
        list(storage.kv.snapshot().scan(Family.LOG, b"", b"\xff"))
    storage.close()


WRITE_AND_DIE = """
import os, sys
from vecstore.config import Storage
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import open_storage
kv = open_storage(sys.argv[1], Storage()).kv
for i in range(2000):
    kv.write([Put(Family.LOG, i.to_bytes(4, "big"), bytes([i % 251]) * 1000)])
kv.durable(kv.write([]))
print("synced", flush=True)
os._exit(0)
"""


def test_2_damage_in_the_middle_of_the_log_is_refused_and_a_torn_tail_is_not(
    tmp_path: Path, settings: StorageSettings
) -> None:
    run_python(WRITE_AND_DIE, tmp_path / "db")
    wal = largest(tmp_path / "db" / "rocksdb", "*.log")
    whole = wal.read_bytes()
    flip(wal, len(whole) // 2)
    with pytest.raises(Corruption):
        open_storage(tmp_path / "db", settings)
    with pytest.raises(Corruption):  # still, although it was opened before
        open_storage(tmp_path / "db", settings)
    wal.write_bytes(whole[:-700])
    storage = open_storage(tmp_path / "db", settings)
    assert len(list(storage.kv.scan(Family.LOG, b"", b"\xff"))) in (1999, 2000)
    storage.close()


def test_3_snapshots_scans_and_kept_errors_do_not_keep_the_directory_locked(
    tmp_path: Path, settings: StorageSettings
) -> None:
    storage = open_storage(tmp_path / "db", settings)
    storage.kv.write([Put(Family.LOG, bytes([i]), bytes(1 << 20)) for i in range(20)])
    snapshot = storage.kv.snapshot()
    scan = storage.kv.scan(Family.LOG, b"", b"\xff")
    next(scan)
    blob = storage.blobs.map(storage.blobs.put_new("a", [b"blob"]))
    with pytest.raises(Exception, match="bytes") as kept:
        storage.kv.write([Put(Family.LOG, b"a", "not bytes")])
    storage.close()
    again = open_storage(tmp_path / "db", settings)
    assert again.kv.get(Family.LOG, b"\x00") == bytes(1 << 20)
    with pytest.raises(FailedPrecondition):
        list(scan)
    with pytest.raises(FailedPrecondition):
        snapshot.get(Family.LOG, b"\x00")
    assert bytes(blob) == b"blob"
    assert kept.value is not None
    again.close()


def test_4_a_second_opener_gets_a_typed_error_that_names_the_directory(
    tmp_path: Path, settings: StorageSettings, rocks: Storage
) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        open_storage(tmp_path / "db", settings)
    assert caught.value.reason == "DIRECTORY_LOCKED"
    assert str(tmp_path / "db") in caught.value.message
    other_process = (
        "import sys\n"
        "from vecstore.config import Storage\n"
        "from vecstore.errors import FailedPrecondition\n"
        "from vecstore.storage.open import open_storage\n"
        "try:\n    open_storage(sys.argv[1], Storage())\n"
        "except FailedPrecondition as error:\n    print(error.reason)\n"
    )
    assert run_python(other_process, tmp_path / "db").strip() == "DIRECTORY_LOCKED"
    rocks.kv.durable(rocks.kv.write([Put(Family.META, b"a", b"1")]))


def test_4_rocksdb_opened_behind_our_back_is_the_same_typed_error(tmp_path: Path, settings: StorageSettings) -> None:
    open_storage(tmp_path / "db", settings).close()
    other_process = (
        "import sys\n"
        "from rocksdict import Options, Rdict\n"
        "families = {name: Options(raw_mode=True) for name in ['meta', 'log', 'tombstones', 'segments']}\n"
        "held = Rdict(sys.argv[1] + '/rocksdb', Options(raw_mode=True), families)\n"
        "from vecstore.config import Storage\n"
        "from vecstore.errors import FailedPrecondition\n"
        "from vecstore.storage.open import open_storage\n"
        "try:\n    open_storage(sys.argv[1], Storage())\n"
        "except FailedPrecondition as error:\n    print(error.reason)\n"
    )
    assert run_python(other_process, tmp_path / "db").strip() == "DIRECTORY_LOCKED"


def test_5_a_batch_goes_through_the_log_and_can_be_written_again(tmp_path: Path, settings: StorageSettings) -> None:
    """RocksDB's batches can be written once; ours are plain values. And no write option turns the log off."""
    run_python(
        "import os, sys\n"
        "from vecstore.config import Storage\n"
        "from vecstore.storage.interfaces import Family, Put\n"
        "from vecstore.storage.open import open_storage\n"
        "kv = open_storage(sys.argv[1], Storage()).kv\n"
        "batch = [Put(Family.META, b'a', b'1')]\n"
        "assert kv.write(batch) < kv.write(batch)\n"
        "os._exit(0)\n",  # not even synced: the bytes are in the operating system's hands
        tmp_path / "db",
    )
    storage = open_storage(tmp_path / "db", settings)
    assert storage.kv.get(Family.META, b"a") == b"1"
    storage.close()


def test_6_what_the_binding_lacks_is_replaced_a_checkpoint_is_a_whole_database(
    tmp_path: Path, settings: StorageSettings, rocks: Storage
) -> None:
    """There is no backup engine: a checkpoint is a directory that opens, and a scan is one moment although the
    binding's snapshots scan the latest state (tested in the conformance suite)."""
    ref = rocks.blobs.put_new("s/a", [b"blob"])
    rocks.kv.write([Put(Family.META, b"a", b"1")])
    rocks.kv.checkpoint(tmp_path / "copy")
    rocks.kv.write([Put(Family.META, b"a", b"2")])
    rocks.blobs.delete("s/a")
    with pytest.raises(FailedPrecondition):
        rocks.kv.checkpoint(tmp_path / "copy")
    copy = open_storage(tmp_path / "copy", settings)
    assert copy.kv.get(Family.META, b"a") == b"1"
    assert bytes(copy.blobs.map(ref)) == b"blob"
    copy.close()
    assert not list(tmp_path.glob("*.partial"))


def used(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_7_space_comes_back_after_a_segment_is_deleted(tmp_path: Path, rocks: Storage) -> None:
    kept = rocks.blobs.put_new("s1/a", [os.urandom(1 << 20)])
    assert rocks.staging_dir is not None
    for segment in ("s0", "s2"):
        names = [f"{segment}/{column}" for column in "abcd"]
        rocks.blobs.publish(stage_blobs(rocks.staging_dir / segment, [(name, [os.urandom(4 << 20)]) for name in names]))
    before = used(tmp_path)
    for ref in [*rocks.blobs.list("s0/"), *rocks.blobs.list("s2/")]:
        rocks.blobs.delete(ref.name)
    assert rocks.kv._reclaimer.wait(60)
    assert before - used(tmp_path) > 60 << 20
    rocks.blobs.verify(kept)


def test_7_space_of_a_trimmed_log_comes_back(tmp_path: Path, rocks: Storage) -> None:
    for i in range(200):
        rocks.kv.write([Put(Family.LOG, i.to_bytes(4, "big"), os.urandom(1 << 18))])
    flush(rocks)  # else how much is in SST files by now depends on how busy the machine is
    before = used(tmp_path)
    rocks.kv.durable(rocks.kv.write([DeleteRange(Family.LOG, b"", (199).to_bytes(4, "big"))]))
    assert rocks.kv._reclaimer.wait(60)
    assert [key for key, _ in rocks.kv.scan(Family.LOG, b"", b"\xff")] == [(199).to_bytes(4, "big")]
    assert before - used(tmp_path) > 25 << 20


def test_7_space_comes_back_after_a_crash_between_deletion_and_compaction(
    tmp_path: Path, settings: StorageSettings
) -> None:
    run_python(
        "import os, sys\n"
        "from vecstore.config import Storage\n"
        "from vecstore.storage.open import open_storage\n"
        "storage = open_storage(sys.argv[1], Storage())\n"
        "storage.blobs.put_new('s/a', [os.urandom(8 << 20)])\n"
        "storage.blobs.delete('s/a')\n"
        "storage.kv.durable(storage.kv.write([]))\n"
        "os._exit(0)\n",
        tmp_path / "db",
    )
    assert used(tmp_path) > 8 << 20
    storage = open_storage(tmp_path / "db", settings)
    assert storage.kv._reclaimer.wait(60)
    assert used(tmp_path) < 4 << 20
    storage.close()


def test_8_a_segment_ingested_without_a_manifest_is_swept_and_its_name_is_taken_until_then(
    tmp_path: Path, settings: StorageSettings
) -> None:
    run_python(
        "import os, sys\n"
        "from vecstore.config import Storage\n"
        "from vecstore.storage.open import open_storage\n"
        "storage = open_storage(sys.argv[1], Storage())\n"
        "storage.blobs.put_new('s/orphan', [b'x'])\n"
        "os._exit(0)\n",  # ingest is durable by itself
        tmp_path / "db",
    )
    storage = open_storage(tmp_path / "db", settings)
    assert storage.staging_dir is not None
    (storage.staging_dir / "left-over").mkdir()
    (tmp_path / "db" / "cache" / "s+unknown").write_bytes(b"x")
    with pytest.raises(AlreadyExists):
        storage.blobs.put_new("s/orphan", [b"y"])
    storage.blobs.sweep(set())
    assert list(storage.blobs.list("")) == []
    assert os.listdir(storage.staging_dir) == []
    assert os.listdir(tmp_path / "db" / "cache") == []
    storage.blobs.put_new("s/orphan", [b"y"])
    storage.close()


def test_8_of_two_concurrent_creates_of_one_name_one_fails(rocks: Storage) -> None:
    outcomes: list[str] = []

    def create(content: bytes) -> None:
        try:
            rocks.blobs.put_new("s/a", [content])
            outcomes.append("created")
        except AlreadyExists:
            outcomes.append("refused")

    threads = [threading.Thread(target=create, args=(bytes([i]),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created"] + ["refused"] * 5


def test_10_the_log_that_a_reopening_replays_stays_near_its_cap(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "db", StorageSettings(wal_bytes_max=4 << 20))
    deadline = time.monotonic() + 60
    for i in range(160):
        storage.kv.write([Put(Family.LOG, i.to_bytes(4, "big"), os.urandom(1 << 18))])
        while log_bytes(tmp_path) > 16 << 20 and time.monotonic() < deadline:
            time.sleep(0.01)  # flushing follows in the background
    assert log_bytes(tmp_path) <= 16 << 20
    storage.close()


def log_bytes(directory: Path) -> int:
    total = 0
    for path in (directory / "db" / "rocksdb").glob("*.log"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def test_a_stalled_write_waits_outside_the_interpreter_lock(rocks: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """RocksDB would sleep while holding it: it is told not to, and the store sleeps and tries again."""
    database = rocks.kv._database
    real_write = database.write
    stalls = iter([Exception("Result incomplete: Write stall")] * 3)

    def write(batch: object) -> None:
        stall = next(stalls, None)
        if stall is not None:
            raise stall
        real_write(batch)

    monkeypatch.setattr(database, "write", write)
    rocks.kv.write([Put(Family.META, b"a", b"1")])
    assert rocks.kv.get(Family.META, b"a") == b"1"
