"""Cuts what a power cut has left of writes that were never synced off the newest write-ahead log.

RocksDB takes a log that ends within a record. A disk may also keep the sectors of an unsynced write in any order, so
that zeros stand where some of it would be. RocksDB refuses such a record, as it should a rotten one, or takes zeros for
padding and goes on with what stands behind them, so that a later write shows without an earlier one. So the end of the
log is looked at before RocksDB opens it, and a record is cut, with all that follows, when both hold:

- a sector of it ends in zeros and its checksum is wrong: a flipped bit is left to RocksDB, which refuses it;
- it stands behind every batch that was synced as far as anyone knows. Each batch says up to which one the log had
  been synced when it was written (`format.SYNCED_KEY`), so what is cut was not acknowledged as durable; but of the
  very last batch nobody says so, and zeros in it, without a power cut, are taken for one.
"""

from __future__ import annotations

import logging
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from vecstore.storage import format
from vecstore.storage.rocks_framing import BLOCK_BYTES, HEADER, masked_crc32c

log = logging.getLogger("vecstore.storage")
_SECTOR, _ZEROS = 512, bytes(16)
_KINDS = range(1, 5)  # a whole record, and the first, middle and last part of one
_POSITION, _SYNCED = (key + b"\x08" for key in (format.POSITION_KEY, format.SYNCED_KEY))  # and their values' length


def cut_torn_tail(directory: Path) -> int:
    """How many bytes were cut off the logs in RocksDB's directory. Raises OSError."""
    logs = [path for path in directory.glob("*.log") if path.stem.isdigit() and path.stat().st_size > 0]
    if not logs:
        return 0
    path = max(logs, key=lambda one: int(one.stem))
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            torn = torn_at(data)
        if torn is None:
            return 0
        file.truncate(torn)
        os.fsync(file.fileno())
    log.warning("%s: cut %d bytes that were never synced, from byte %d on", path.name, size - torn, torn)
    return size - torn


def torn_at(data: mmap.mmap) -> int | None:
    """Where the first record begins that was being written when the power went; None when there is none."""
    known = _synced_up_to(data)
    if known is None:
        return None
    for at, end, good in _records(data, known):
        if not good and at > known and _lacks_a_sector(data, at, end):
            return at if data[at:].strip(b"\0") else None  # zeros to the end are no record
    return None


def _synced_up_to(data: mmap.mmap) -> int | None:
    """A place in the last batch that is known to have been synced, -1 when none in this log is; None when that batch
    cannot be found although it should be here."""
    last = data.rfind(_SYNCED)
    if last < 0:
        return -1
    synced = _number(data, last + len(_SYNCED))
    found = data.rfind(_POSITION + synced.to_bytes(8, "big"))
    if found >= 0:
        return found
    first = data.find(_POSITION)
    return -1 if first >= 0 and _number(data, first + len(_POSITION)) == synced + 1 else None


def _number(data: mmap.mmap, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "big")


def _records(data: mmap.mmap, known: int) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each physical record from the block of `known` on, up to the first that is not good. Checksums
    are computed only of those with a sector that ends in zeros, which is where a power cut shows."""
    at = max(known, 0) // BLOCK_BYTES * BLOCK_BYTES
    while at + HEADER.size <= len(data):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < HEADER.size:
            at += left
            continue
        masked, length, kind = HEADER.unpack_from(data, at)
        end = at + HEADER.size + length
        good = kind in _KINDS and end <= min(at + left, len(data))
        if not good:  # its length says nothing
            end = at + HEADER.size
        elif _lacks_a_sector(data, at, end):
            good = masked_crc32c(data[at + HEADER.size - 1 : end]) == masked
        yield at, end, good
        if not good:
            return
        at = end


def _lacks_a_sector(data: mmap.mmap, at: int, end: int) -> bool:
    """Whether one that [at, end) is in ends in zeros, as it does until the write that fills it has reached the disk."""
    for high in range(at // _SECTOR * _SECTOR + _SECTOR, end + _SECTOR, _SECTOR):
        stop = min(high, len(data))
        last = data[max(at, stop - len(_ZEROS)) : stop]
        if last == _ZEROS[: len(last)]:
            return True
    return False
