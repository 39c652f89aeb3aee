"""A file that remembers how far the store was durable when it was last closed.

RocksDB takes a manifest that lost its end for one that a crash cut short: logs that the lost part had made obsolete are
gone, and so are their writes, without a word. The position kept here, outside RocksDB, tells. It is a lower bound, so a
missing or damaged file proves nothing and is passed over; positions only grow, so it may be old.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
from xxhash import xxh3_64_intdigest

from vecstore.errors import Corruption

WITNESS_FILE = "POSITION.json"


class _Witness(msgspec.Struct, forbid_unknown_fields=True):
    position: int
    checksum: int


def remember(directory: Path, position: int) -> None:
    """Best effort: without it, less damage is noticed, and nothing is lost."""
    content = msgspec.json.encode(_Witness(position, _checksum(position)))
    beside = directory / f"{WITNESS_FILE}.new"
    with contextlib.suppress(OSError):
        with open(beside, "wb") as file:
            file.write(content + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(directory / WITNESS_FILE)


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


def _checksum(position: int) -> int:
    return xxh3_64_intdigest(position.to_bytes(8, "big", signed=False)) if 0 <= position < 1 << 64 else -1
