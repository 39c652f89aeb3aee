"""What a power cut leaves of unsynced writes is cut off the log; what was synced and has rotted is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vecstore.config import Storage as StorageSettings
from vecstore.errors import Corruption
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import open_storage
from vecstore.storage.torn_log import cut_torn_tail

SECTOR = 512
BATCHES = 8  # of which SYNCED were synced
SYNCED = 5


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as it stands while batches of 3,000 bytes are on their way."""
    directory = tmp_path_factory.mktemp("torn")
    storage = open_storage(directory / "db", StorageSettings())
    for number in range(BATCHES):
        position = storage.kv.write([Put(Family.LOG, bytes([number]), bytes([1 + number]) * 3_000)])
        if number < SYNCED:
            storage.kv.durable(position)
    shutil.copytree(directory / "db", directory / "cut")
    storage.close()
    return directory / "cut"


@pytest.fixture
def directory(cut_off: Path, tmp_path: Path) -> Path:
    shutil.copytree(cut_off, tmp_path / "db")
    return tmp_path / "db"


def log_of(directory: Path) -> tuple[Path, bytes, list[int]]:
    """The log, its bytes, and where the values of the batches begin."""
    path = max((directory / "rocksdb").glob("*.log"), key=lambda one: one.stat().st_size)
    content = path.read_bytes()
    return path, content, [content.index(bytes([1 + number]) * 100) for number in range(BATCHES)]


def lose_sector(path: Path, content: bytes, at: int) -> None:
    """The one that byte `at` is in was never written."""
    low = at // SECTOR * SECTOR
    path.write_bytes(content[:low] + bytes(SECTOR) + content[low + SECTOR :])


def kept(directory: Path) -> list[int]:
    storage = open_storage(directory, StorageSettings())
    try:
        return [key[0] for key, _ in storage.kv.scan(Family.LOG, b"", b"\xff")]
    finally:
        storage.close()


@pytest.mark.parametrize("offset", range(0, 3_500, 2 * SECTOR))
def test_an_unsynced_batch_with_a_lost_sector_is_cut_and_all_behind_it(directory: Path, offset: int) -> None:
    """Its first bytes included: RocksDB would skip those zeros and show the batch behind."""
    path, content, starts = log_of(directory)
    lose_sector(path, content, starts[6] - SECTOR + offset)
    found = kept(directory)
    assert found == list(range(len(found)))
    assert SYNCED <= len(found) < BATCHES
    assert kept(directory) == found


def test_a_synced_batch_with_a_lost_sector_is_refused(directory: Path) -> None:
    path, content, starts = log_of(directory)
    lose_sector(path, content, starts[3] + 1_000)
    with pytest.raises(Corruption):
        kept(directory)


def test_a_flipped_bit_is_refused_where_nothing_was_synced_too(directory: Path) -> None:
    path, content, starts = log_of(directory)
    at = starts[6] + 1_000
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(Corruption):
        kept(directory)


def test_a_whole_log_is_left_as_it_is(directory: Path) -> None:
    path, content, _ = log_of(directory)
    path.write_bytes(content + bytes(3 * SECTOR))  # room that was taken ahead
    assert cut_torn_tail(directory / "rocksdb") == 0
    assert kept(directory) == list(range(BATCHES))
