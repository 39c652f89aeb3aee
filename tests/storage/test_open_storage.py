"""Opening: versions, epochs, positions, and directories that are not databases."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from rocksdict import WriteBatch

from vecstore.config import Storage as StorageSettings
from vecstore.errors import Corruption, FailedPrecondition, IoFailed
from vecstore.storage.format import STORE_FORMAT, STORE_FORMAT_KEY
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import open_storage


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_newer_format_is_refused_with_nothing_written(tmp_path: Path, settings: StorageSettings) -> None:
    open_storage(tmp_path, settings).close()
    (tmp_path / "FORMAT.json").write_text(f'{{"format":{STORE_FORMAT + 1}}}')
    (tmp_path / "LOCK").unlink()
    before = contents(tmp_path)
    with pytest.raises(FailedPrecondition) as caught:
        open_storage(tmp_path, settings)
    assert caught.value.reason == "FORMAT_TOO_NEW"
    assert contents(tmp_path) == before


def test_a_newer_format_inside_rocksdb_is_refused_too(tmp_path: Path, settings: StorageSettings) -> None:
    storage = open_storage(tmp_path, settings)
    batch = WriteBatch(raw_mode=True)
    batch.put(STORE_FORMAT_KEY, (STORE_FORMAT + 1).to_bytes(8, "big"), storage.kv._database.handle(Family.META))
    storage.kv._database.write(batch)
    storage.close()
    for _ in range(2):
        with pytest.raises(FailedPrecondition) as caught:
            open_storage(tmp_path, settings)
        assert caught.value.reason == "FORMAT_TOO_NEW"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"format":0}', b'{"format":"1"}', b'{"format":1,"x":2}'])
def test_a_damaged_format_file_is_corruption(tmp_path: Path, settings: StorageSettings, content: bytes) -> None:
    open_storage(tmp_path, settings).close()
    (tmp_path / "FORMAT.json").write_bytes(content)
    with pytest.raises(Corruption):
        open_storage(tmp_path, settings)


def test_epochs_and_positions_grow_from_open_to_open(tmp_path: Path, settings: StorageSettings) -> None:
    epochs, position = [], 0
    for _ in range(3):
        storage = open_storage(tmp_path, settings)
        epochs.append(storage.kv.epoch)
        after = storage.kv.write([Put(Family.META, b"a", b"1")])
        assert after > position
        position = after
        storage.close()
    assert epochs == sorted(set(epochs))


def test_an_unsynced_batch_is_there_after_close(tmp_path: Path, settings: StorageSettings) -> None:
    storage = open_storage(tmp_path, settings)
    storage.kv.write([Put(Family.META, b"a", b"1")])
    storage.close()
    storage = open_storage(tmp_path, settings)
    assert storage.kv.get(Family.META, b"a") == b"1"
    storage.close()


def test_a_path_that_cannot_be_a_directory_is_a_typed_error(tmp_path: Path, settings: StorageSettings) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "db"):
        with pytest.raises(IoFailed):
            open_storage(path, settings)


def test_open_and_close_leaks_no_descriptor(tmp_path: Path, settings: StorageSettings) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    open_storage(tmp_path, settings).close()
    before = descriptors()
    for _ in range(5):
        storage = open_storage(tmp_path, settings)
        storage.kv.write([Put(Family.META, b"a", b"1")])
        storage.close()
        (tmp_path / "FORMAT.json").write_bytes(b"")
        with pytest.raises(Corruption):
            open_storage(tmp_path, settings)
        (tmp_path / "FORMAT.json").write_bytes(b'{"format":1}')
    assert descriptors() == before


@pytest.mark.parametrize("lost", ["CURRENT", "everything"])
def test_a_database_that_lost_its_files_is_corruption_and_not_an_empty_database(
    tmp_path: Path, settings: StorageSettings, lost: str
) -> None:
    storage = open_storage(tmp_path, settings)
    storage.kv.durable(storage.kv.write([Put(Family.META, b"a", b"1")]))
    storage.close()
    if lost == "everything":
        shutil.rmtree(tmp_path / "rocksdb")
    else:
        (tmp_path / "rocksdb" / "CURRENT").unlink()
    with pytest.raises(Corruption):
        open_storage(tmp_path, settings)
