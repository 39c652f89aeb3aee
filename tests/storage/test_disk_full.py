"""A full disk is a state: typed error, nothing applied, reads go on, writes resume when there is room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faults.children import run_python
from faults.disks import tmpfs
from faults.preload import build_preload, preload_environment

from vecstore.config import Storage as StorageSettings
from vecstore.errors import ResourceExhausted
from vecstore.storage.disk_space import DiskSpace
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import Storage, open_storage

# Fills the store until it refuses, checks what it reads, makes room, writes on, and checks again after reopening.
FILL = """
import sys
from vecstore.config import Storage
from vecstore.errors import ResourceExhausted
from vecstore.storage.interfaces import Delete, DeleteRange, Family, Put
from vecstore.storage.open import open_storage

def fill_and_resume(directory, settings, limit, unlimit, kept=b"v" * 200_000):
    storage = open_storage(directory, settings)
    kv = storage.kv
    def batch(i):
        return [Put(Family.LOG, i.to_bytes(8, "big"), kept), Put(Family.META, b"last", i.to_bytes(8, "big")),
                DeleteRange(Family.TOMBSTONES, b"a", b"b")]
    kv.durable(kv.write([Put(Family.TOMBSTONES, b"aa", b"stays until the first batch")]))
    unsynced = kv.write(batch(0))
    accepted = 1
    limit()
    refused = 0
    for _ in range(4000):
        try:
            unsynced = kv.write(batch(accepted))
            accepted += 1
        except ResourceExhausted as error:
            assert error.reason == "DISK_FULL", error
            refused += 1
            if refused == 3:
                break
    assert refused == 3, f"never full after {accepted} batches"
    kv.durable(unsynced)
    def check(kv):
        keys = [int.from_bytes(key, "big") for key, value in kv.scan(Family.LOG, b"", b"\\xff" * 9) if value == kept]
        assert keys == list(range(accepted)), (len(keys), keys[-3:], accepted)
        assert int.from_bytes(kv.get(Family.META, b"last"), "big") == accepted - 1
    check(kv)
    unlimit()
    position = kv.write(batch(accepted))
    accepted += 1
    assert position > unsynced
    kv.durable(position)
    check(kv)
    generation = kv.generation
    storage.close()
    storage = open_storage(directory, settings)
    check(storage.kv)
    storage.close()
    print(accepted, generation)
"""


def test_a_write_that_would_use_the_reserve_is_refused_and_applies_nothing(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "db", StorageSettings(disk_reserve_bytes=1 << 60))
    try:
        with pytest.raises(ResourceExhausted) as caught:
            storage.kv.write([Put(Family.META, b"a", b"1")])
        assert caught.value.reason == "DISK_FULL"
        assert "disk_reserve_bytes" in caught.value.message
        assert storage.kv.get(Family.META, b"a") is None
        storage.kv.durable(storage.kv.write([Put(Family.META, b"a", b"1")], use_reserve=True))
        assert storage.kv.get(Family.META, b"a") == b"1"
    finally:
        storage.close()


def test_probe_leaves_no_file_and_meets_impossible_sizes(tmp_path: Path) -> None:
    space = DiskSpace(tmp_path, 0)
    space.probe(1 << 20)
    with pytest.raises(ResourceExhausted):
        space.probe(1 << 58)
    assert list(tmp_path.iterdir()) == []


def test_file_size_limit_refuses_writes_and_lifting_it_resumes_them(tmp_path: Path) -> None:
    source = FILL + (
        "import resource\n"
        "def limit(): resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))\n"
        "def unlimit(): resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "fill_and_resume(sys.argv[1], Storage(), limit, unlimit)\n"
    )
    accepted, generation = map(int, run_python(source, tmp_path / "db").split())
    assert accepted > 10
    assert generation == 1


@pytest.mark.parametrize("guarded", [True, False])
def test_full_file_system_refuses_writes_and_room_resumes_them(tmp_path: Path, guarded: bool) -> None:
    """Guarded, the free space is asked first; unguarded, RocksDB itself meets the full disk."""
    with tmpfs(tmp_path / "small") as mount:
        source = FILL + (
            "import os, subprocess\n"
            f"mount = {str(mount)!r}\n"
            "def limit(): pass\n"
            "def unlimit(): subprocess.run(['mount', '-o', 'remount,size=256m', mount], check=True)\n"
            "from vecstore.storage.disk_space import DiskSpace\n"
            f"if not {guarded}: DiskSpace.check = lambda *bytes, **use: None\n"
            "settings = Storage(disk_reserve_bytes=8 << 20, wal_bytes_max=8 << 20)\n"
            "fill_and_resume(mount + '/db', settings, limit, unlimit)\n"
        )
        accepted, generation = map(int, run_python(source).split())
        assert accepted > 10
        # A flush in the background may meet the full disk behind the guard: then it is reopened there, too.
        assert generation <= 1 if guarded else generation >= 1


def test_a_write_refused_for_a_flush_that_met_a_full_disk_a_while_ago_goes_through(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "db", StorageSettings())
    kv = storage.kv
    kv.durable(kv.write([Put(Family.META, b"a", b"1")]))
    database = kv._database

    def remember_the_flush(batch: object) -> None:
        del database.write
        raise Exception("IO error: No space left on device: While appending to file: 000052.sst")

    database.write = remember_the_flush
    kv.durable(kv.write([Put(Family.META, b"b", b"2")]))
    assert (kv.get(Family.META, b"a"), kv.get(Family.META, b"b")) == (b"1", b"2")
    assert kv.generation == 1
    storage.close()


def test_a_refused_batch_that_reached_the_log_whole_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log holds the batch, RocksDB says it does not: the next write finds it after reopening and takes it back."""
    storage = open_storage(tmp_path / "db", StorageSettings())
    kv = storage.kv
    kv.durable(kv.write([Put(Family.META, b"a", b"old"), Put(Family.LOG, b"gone", b"1")]))
    database = kv._database
    real_write = database.write

    def write_then_refuse(batch: object) -> None:
        real_write(batch)
        raise Exception("IO error: No space left on device: While appending to file: 000004.log")

    undo = kv._undo
    before = undo([Put(Family.META, b"a", b"new"), Put(Family.META, b"b", b"new")])
    kv._undo = lambda batch: before  # what a RocksDB that did not apply the batch would have read

    def full(space: DiskSpace, need_bytes: int) -> None:
        raise ResourceExhausted("planned by the test", reason="DISK_FULL")

    database.write = write_then_refuse
    with monkeypatch.context() as patched:
        patched.setattr(DiskSpace, "probe", full)
        with pytest.raises(ResourceExhausted):
            kv.write([Put(Family.META, b"a", b"new"), Put(Family.META, b"b", b"new")])
    del database.write
    kv._undo = undo
    kv.durable(kv.write([Put(Family.META, b"c", b"3")]))
    assert (kv.get(Family.META, b"a"), kv.get(Family.META, b"b")) == (b"old", None)
    assert (kv.get(Family.LOG, b"gone"), kv.get(Family.META, b"c")) == (b"1", b"3")
    assert kv.generation == 1
    storage.close()


def test_writes_resume_after_no_space_in_the_middle_of_a_record(tmp_path: Path) -> None:
    library = build_preload(tmp_path)
    plan = tmp_path / "plan"
    source = FILL + (
        "from pathlib import Path\n"
        "plan = Path(sys.argv[2])\n"
        "fill_and_resume(sys.argv[1], Storage(), lambda: plan.write_text('write 28 -1 .log'), plan.unlink)\n"
    )
    output = run_python(source, tmp_path / "db", plan, environment=preload_environment(library, plan))
    accepted, generation = map(int, output.split())
    assert accepted == 2
    assert generation >= 1


def test_staging_on_a_full_disk_leaves_nothing(tmp_path: Path, rocks: Storage) -> None:
    source = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from vecstore.errors import ResourceExhausted\n"
        "from vecstore.storage.staging import stage_blobs\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    stage_blobs(Path(sys.argv[1]), [('s/a', [b'x' * 2_000_000])])\n"
        "except ResourceExhausted as error:\n"
        "    print(error.reason)\n"
    )
    assert rocks.staging_dir is not None
    assert run_python(source, rocks.staging_dir / "one").strip() == "DISK_FULL"
    assert os.listdir(rocks.staging_dir) == []
