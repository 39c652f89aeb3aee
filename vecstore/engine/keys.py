"""Keys of the meta, log and tombstones families, and names of blobs: the one place that spells them. docs/FORMAT.md."""

from __future__ import annotations

import struct

_LOG = struct.Struct(">IQH")
_TOMBSTONE = struct.Struct(">IQQ")
COLLECTIONS_LOW, COLLECTIONS_HIGH = b"collection/", b"collection0"
MANIFESTS_LOW, MANIFESTS_HIGH = b"manifest/", b"manifest0"
ALIASES_LOW, ALIASES_HIGH = b"alias/", b"alias0"
ENDED_LOW, ENDED_HIGH = b"ended/", b"ended0"
LEAPT = b"leapt"  # decimal; no seq of a collection made from now on is at or below it
NEXT_COLLECTION = b"next-collection"  # decimal; collection numbers are never used again


def collection(number: int) -> bytes:
    return b"collection/%08x" % number


def manifest(number: int) -> bytes:
    return b"manifest/%08x" % number


def alias(name: str) -> bytes:
    return b"alias/" + name.encode()


def ended(name: str) -> bytes:
    return b"ended/" + name.encode()


def receipt(number: int, seq: int) -> bytes:
    return b"receipt/%08x/%016x" % (number, seq)


def receipts(number: int) -> tuple[bytes, bytes]:
    """The range of a collection's receipts."""
    return b"receipt/%08x/" % number, b"receipt/%08x0" % number


def parse_meta(key: bytes) -> int:
    """The collection's number in a key of `collection` or `manifest`."""
    return int(key.rpartition(b"/")[2], 16)


def log(number: int, seq: int, part: int = 0) -> bytes:
    return _LOG.pack(number, seq, part)


def parse_log(key: bytes) -> tuple[int, int, int]:
    number, seq, part = _LOG.unpack(key)
    return number, seq, part


def tombstone(number: int, segment: int, seq: int = 0) -> bytes:
    return _TOMBSTONE.pack(number, segment, seq)


def parse_tombstone(key: bytes) -> tuple[int, int, int]:
    number, segment, seq = _TOMBSTONE.unpack(key)
    return number, segment, seq


def after_collection(number: int) -> bytes:
    """The end of a collection's range in the log and tombstones families."""
    return struct.pack(">I", number + 1)


def before_collection(number: int) -> bytes:
    return struct.pack(">I", number)


def segment_prefix(number: int, segment: int) -> str:
    return f"{number:08x}/{segment:016x}/"


def blob(number: int, segment: int, generation: int, column: int) -> str:
    """Column blobs; generation 0 is the segment's own columns, later ones are payload indexes added since."""
    return f"{segment_prefix(number, segment)}{generation:04x}/{column:04x}"
