"""Keys of the segments family: name, 0, kind, and for a chunk its number. The chunk table of a blob comes first."""

from __future__ import annotations

import struct

_TABLE = b"\x00\x00"
_CHUNK = struct.Struct(">2sI")


def table_key(name: str) -> bytes:
    return name.encode() + _TABLE


def chunk_key(name: str, index: int) -> bytes:
    return name.encode() + _CHUNK.pack(b"\x00\x01", index)


def blob_range(name: str) -> tuple[bytes, bytes]:
    """[low, high) over every record of the blob and of no other: names contain neither 0 nor 1."""
    return name.encode() + b"\x00", name.encode() + b"\x01"


def prefix_range(prefix: str) -> tuple[bytes, bytes]:
    """[low, high) over every blob whose name starts with `prefix`: names are ASCII."""
    return prefix.encode(), prefix.encode() + b"\xff"


def name_of(key: bytes) -> str:
    return key.partition(b"\x00")[0].decode("ascii")
