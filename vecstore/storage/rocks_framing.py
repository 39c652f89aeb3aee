"""A look at the framing of RocksDB's log files (write-ahead logs and manifest) before RocksDB reads them.

Two kinds of damage, each one flipped bit away from a good record, pass RocksDB (10.4.2):
- a type byte that says "recycled", in a file that was never recycled, makes its reader spin forever;
- a length that points beyond the end of the file makes the record, and all after it, look like the torn tail of a
  crash, which is cut without a word although it may have been acknowledged.
This store never recycles log files. And a record whose checksum holds with one bit of its length put back, or with the
length that ends at the end of the file, was whole: no crash writes that.

A log file is blocks of 32 KiB; a record in a block is masked crc32c u32 of type and data, length u16, type u8, data.
Records do not cross blocks, fewer than seven bytes at the end of a block are padding.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from vecstore.errors import Corruption

BLOCK_BYTES = 32 * 1024
HEADER = struct.Struct("<IHB")
_RECYCLED = frozenset({5, 6, 7, 8, 11, 131})
_MASK_DELTA = 0xA282EAD8


def check_log_files(directory: Path) -> None:
    """Check the manifest and every write-ahead log in RocksDB's directory. Raises Corruption, OSError."""
    for pattern in ("MANIFEST-*", "*.log"):
        for path in sorted(directory.glob(pattern)):
            if path.stat().st_size > 0:
                check_framing(path)


def check_framing(path: Path) -> None:
    """Raises Corruption for the two kinds of damage above. The rest is left to RocksDB, which checks checksums."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        at = 0
        while at + HEADER.size <= len(data):
            left = BLOCK_BYTES - at % BLOCK_BYTES
            if left < HEADER.size:
                at += left
                continue
            _, length, kind = HEADER.unpack_from(data, at)
            if kind in _RECYCLED:
                raise Corruption(f"{path.name} has a record of type {kind} at byte {at}, which is never written")
            room = min(left, len(data) - at) - HEADER.size
            if length > room:
                if _is_whole_with_another_length(data, at, room):
                    raise Corruption(f"{path.name} has a record of a damaged length at byte {at}")
                return
            if length == 0 and kind == 0:
                return  # zeros that a crash left behind the last record
            at += HEADER.size + length


def _is_whole_with_another_length(data: mmap.mmap, at: int, room: int) -> bool:
    masked, length, _ = HEADER.unpack_from(data, at)
    for candidate in {room, *(length ^ (1 << bit) for bit in range(16))}:
        start = at + HEADER.size
        if candidate <= room and masked_crc32c(data[start - 1 : start + candidate]) == masked:
            return True
    return False


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), rotated and offset as RocksDB stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _table_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = tuple(_table_entry(value) for value in range(256))
