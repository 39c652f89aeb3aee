"""A look at the framing of RocksDB's log files (write-ahead logs and manifest) before RocksDB reads them.

RocksDB's reader (10.4.2) spins forever on a record whose type byte says "recycled" in a file that was never recycled,
one flipped bit away from every good record. This store never recycles log files, so such a byte is damage.

A log file is blocks of 32 KiB; a record in a block is crc32c u32, length u16, type u8, data. Records do not cross
blocks, fewer than seven bytes at the end of a block are padding.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from vecstore.errors import Corruption

_BLOCK_BYTES = 32 * 1024
_HEADER = struct.Struct("<IHB")
_RECYCLED = frozenset({5, 6, 7, 8, 11, 131})


def check_log_files(directory: Path) -> None:
    """Check the manifest and every write-ahead log in RocksDB's directory. Raises Corruption, OSError."""
    for pattern in ("MANIFEST-*", "*.log"):
        for path in sorted(directory.glob(pattern)):
            if path.stat().st_size > 0:
                check_framing(path)


def check_framing(path: Path) -> None:
    """Raises Corruption for a record of a recycled type. Everything else is left to RocksDB, which checks checksums."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        at = 0
        while at + _HEADER.size <= len(data):
            left = _BLOCK_BYTES - at % _BLOCK_BYTES
            if left < _HEADER.size:
                at += left
                continue
            _, length, kind = _HEADER.unpack_from(data, at)
            if kind in _RECYCLED:
                raise Corruption(f"{path.name} has a record of type {kind} at byte {at}, which is never written")
            if length > left - _HEADER.size or (length == 0 and kind == 0):
                return  # a damaged length or the zeros of a torn tail
            at += _HEADER.size + length
