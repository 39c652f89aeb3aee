"""What the store was durable to when it was closed is compared with what is found at the next open."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vecstore.config import Storage as StorageSettings
from vecstore.errors import Corruption
from vecstore.storage import witness
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import open_storage


def test_a_store_that_fell_behind_is_refused(tmp_path: Path) -> None:
    witness.remember(tmp_path, 7)
    witness.check(tmp_path, 7)
    witness.check(tmp_path, 8)
    with pytest.raises(Corruption, match="position 6, but was durable to 7"):
        witness.check(tmp_path, 6)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b'{"position":9,"checksum":0}', b'{"position":-1,"checksum":-1}']
)
def test_a_damaged_witness_proves_nothing(tmp_path: Path, content: bytes) -> None:
    witness.check(tmp_path, 0)
    (tmp_path / witness.WITNESS_FILE).write_bytes(content)
    witness.check(tmp_path, 0)


def test_closing_remembers_what_opening_checks(tmp_path: Path) -> None:
    storage = open_storage(tmp_path, StorageSettings())
    position = storage.kv.write([Put(Family.META, b"a", b"1")])
    storage.kv.durable(position)
    storage.close()
    open_storage(tmp_path, StorageSettings()).close()
    witness.remember(tmp_path, position + 1)
    with pytest.raises(Corruption, match=f"position {position}, but was durable to {position + 1}"):
        open_storage(tmp_path, StorageSettings())
    witness.remember(tmp_path, position)
    open_storage(tmp_path, StorageSettings()).close()


def test_a_manifest_that_lost_its_end_after_a_crash_is_refused(tmp_path: Path) -> None:
    """What a crash left in logs is in tables after the next open, and the log is gone."""
    storage = open_storage(tmp_path / "first", StorageSettings())
    storage.kv.durable(storage.kv.write([Put(Family.META, b"a", b"1"), Put(Family.TOMBSTONES, b"a", b"1")]))
    shutil.copytree(tmp_path / "first", tmp_path / "killed")
    storage.close()
    storage = open_storage(tmp_path / "killed", StorageSettings())
    storage.kv.durable(storage.kv.write([Put(Family.META, b"a", b"2")]))
    shutil.copytree(tmp_path / "killed", tmp_path / "again")
    storage.close()
    manifest = tmp_path / "again" / "rocksdb" / (tmp_path / "again" / "rocksdb" / "CURRENT").read_text().strip()
    whole = manifest.read_bytes()
    for length in (len(whole) - 1, len(whole) - 60):
        manifest.write_bytes(whole[:length])
        with pytest.raises(Corruption, match=f"has {length} bytes, but had {len(whole)}"):
            open_storage(tmp_path / "again", StorageSettings())
    manifest.write_bytes(whole)
    for content in (b"", b"{}", b'{"name":"x","length":9,"checksum":0}'):
        (tmp_path / "again" / witness.MANIFEST_FILE).write_bytes(content)
        shutil.copytree(tmp_path / "again", tmp_path / "copy")
        open_storage(tmp_path / "copy", StorageSettings()).close()
        shutil.rmtree(tmp_path / "copy")
    (tmp_path / "again" / witness.MANIFEST_FILE).unlink()
    open_storage(tmp_path / "again", StorageSettings()).close()
