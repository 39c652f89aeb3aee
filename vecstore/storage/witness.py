"""Files that remember how far the store was durable when it was last closed, and its manifest when it was last opened.

RocksDB takes a manifest that lost its end for one that a crash cut short: logs that the lost part had made obsolete are
gone, and so are their writes, without a word. The position kept here, outside RocksDB, tells. It is a lower bound, so a
missing or damaged file proves nothing and is passed over; positions only grow, so it may be old.

After a crash that does not suffice: opening wrote what it replayed to tables that only the end of the manifest names,
one family after another, and later logs reach further. So the length of the manifest is remembered once it is open.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
from xxhash import xxh3_64_intdigest

from vecstore.errors import Corruption

WITNESS_FILE = "POSITION.json"
MANIFEST_FILE = "MANIFEST.json"


class _Witness(msgspec.Struct, forbid_unknown_fields=True):
    position: int
    checksum: int


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    length: int
    checksum: int


def remember(directory: Path, position: int) -> None:
    """Best effort: without it, less damage is noticed, and nothing is lost."""
    _write(directory, WITNESS_FILE, _Witness(position, _checksum(position)))


def remember_manifest(directory: Path, rocksdb: Path) -> None:
    """Best effort, too. RocksDB syncs its manifest at every entry, and writes another one each time it is opened."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        name = (rocksdb / "CURRENT").read_text().strip()
        length = (rocksdb / name).stat().st_size
        _write(directory, MANIFEST_FILE, _Manifest(name, length, _manifest_checksum(name, length)))


def _write(directory: Path, name: str, content: msgspec.Struct) -> None:
    beside = directory / f"{name}.new"
    with contextlib.suppress(OSError):
        with open(beside, "wb") as file:
            file.write(msgspec.json.encode(content) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(directory / name)


def check(directory: Path, position: int) -> None:
    """Raises Corruption when the store has fallen behind what it was durable to."""
    try:
        witness = msgspec.json.decode((directory / WITNESS_FILE).read_bytes(), type=_Witness)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return
    if witness.checksum == _checksum(witness.position) and witness.position > position:
        raise Corruption(
            f"the database is at position {position}, but was durable to {witness.position} when closed: the end "
            "of its manifest or of a log is gone"
        )


def check_manifest(directory: Path, rocksdb: Path) -> None:
    """Before RocksDB opens. Raises Corruption when the manifest in use is shorter than it was."""
    try:
        witness = msgspec.json.decode((directory / MANIFEST_FILE).read_bytes(), type=_Manifest)
        if witness.checksum != _manifest_checksum(witness.name, witness.length):
            return
        if (rocksdb / "CURRENT").read_text().strip() != witness.name:
            return
        length = (rocksdb / witness.name).stat().st_size
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return
    if length < witness.length:
        raise Corruption(
            f"{witness.name} has {length} bytes, but had {witness.length} when it was opened: its end is gone"
        )


def _manifest_checksum(name: str, length: int) -> int:
    return xxh3_64_intdigest(f"{name} {length}".encode())


def _checksum(position: int) -> int:
    return xxh3_64_intdigest(position.to_bytes(8, "big", signed=False)) if 0 <= position < 1 << 64 else -1
