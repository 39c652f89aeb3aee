"""xxh3_64 over 1 MiB chunks, and the table of those checksums.

Chunk table, little-endian: magic 8, version u32, chunk_bytes u32, length u64 (of the blob), count u64, then count
checksums u64. `BlobRef.checksum` is the xxh3_64 of the whole table, so a reference pins every byte of its blob.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import xxhash

from vecstore.errors import Corruption, FailedPrecondition
from vecstore.storage.format import CHUNK_BYTES, CHUNK_TABLE_MAGIC, CHUNK_TABLE_VERSION
from vecstore.storage.interfaces import BlobRef

_HEADER = struct.Struct("<8sIIQQ")


def xxh3_64(data: bytes | memoryview) -> int:
    return xxhash.xxh3_64_intdigest(data)


def chunk_count(length: int) -> int:
    return -(-length // CHUNK_BYTES)


def table_bytes(length: int) -> int:
    """Size of the chunk table of a blob of `length` bytes."""
    return _HEADER.size + 8 * chunk_count(length)


def table_length(encoded: bytes, name: str) -> int:
    """The blob's length according to its encoded table, which is otherwise not checked. Raises Corruption."""
    if len(encoded) < _HEADER.size:
        raise Corruption(f"chunk table of blob {name} has {len(encoded)} bytes")
    length: int = _HEADER.unpack_from(encoded)[3]
    return length


def rechunk(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes in pieces of CHUNK_BYTES, the last one shorter; no copy where a piece already fits."""
    buffer = bytearray()
    for piece in pieces:
        view = memoryview(piece).cast("B")
        if buffer:
            taken = min(CHUNK_BYTES - len(buffer), len(view))
            buffer += view[:taken]
            view = view[taken:]
            if len(buffer) == CHUNK_BYTES:
                yield bytes(buffer)
                buffer.clear()
        while len(view) >= CHUNK_BYTES:
            yield view[:CHUNK_BYTES]
            view = view[CHUNK_BYTES:]
        buffer += view
    if buffer:
        yield bytes(buffer)


@dataclass(frozen=True, slots=True)
class ChunkTable:
    """Invariant: len(checksums) == chunk_count(length)."""

    length: int
    checksums: tuple[int, ...]

    @classmethod
    def of(cls, content: memoryview) -> ChunkTable:
        chunks = range(0, len(content), CHUNK_BYTES)
        return cls(len(content), tuple(xxh3_64(content[at : at + CHUNK_BYTES]) for at in chunks))

    @classmethod
    def decode(cls, data: bytes | memoryview, ref: BlobRef) -> ChunkTable:
        """Raises Corruption unless `data` is exactly the table that `ref` pins; FailedPrecondition when newer."""
        if len(data) < _HEADER.size:
            raise Corruption(f"chunk table of blob {ref.name} has {len(data)} bytes")
        magic, version, chunk_bytes, length, count = _HEADER.unpack_from(data)
        if magic == CHUNK_TABLE_MAGIC and version > CHUNK_TABLE_VERSION:
            raise FailedPrecondition(
                f"chunk table of blob {ref.name} has version {version}, this version reads up to {CHUNK_TABLE_VERSION}",
                reason="FORMAT_TOO_NEW",
            )
        if xxh3_64(data) != ref.checksum:
            raise Corruption(f"chunk table of blob {ref.name} does not match its checksum")
        expected = (CHUNK_TABLE_MAGIC, CHUNK_TABLE_VERSION, CHUNK_BYTES, ref.length, chunk_count(ref.length))
        if (magic, version, chunk_bytes, length, count) != expected or len(data) != table_bytes(length):
            raise Corruption(f"chunk table of blob {ref.name} contradicts itself or its reference")
        return cls(length, struct.unpack_from(f"<{count}Q", data, _HEADER.size))

    def encode(self) -> bytes:
        count = len(self.checksums)
        header = _HEADER.pack(CHUNK_TABLE_MAGIC, CHUNK_TABLE_VERSION, CHUNK_BYTES, self.length, count)
        return header + struct.pack(f"<{count}Q", *self.checksums)

    @property
    def checksum(self) -> int:
        return xxh3_64(self.encode())

    def check_ref(self, ref: BlobRef) -> None:
        """Raises Corruption when the table is not the one that `ref` pins."""
        if self.length != ref.length or self.checksum != ref.checksum:
            raise Corruption(f"blob {ref.name} does not match its checksum")

    def chunk_length(self, index: int) -> int:
        return min(CHUNK_BYTES, self.length - index * CHUNK_BYTES)

    def check_chunk(self, name: str, index: int, data: bytes | memoryview) -> None:
        """Raises Corruption naming the blob and the chunk."""
        if len(data) != self.chunk_length(index) or xxh3_64(data) != self.checksums[index]:
            raise Corruption(f"blob {name} chunk {index} does not match its checksum")

    def check_all(self, name: str, content: memoryview) -> None:
        """Raises Corruption naming the first damaged chunk. `content` has `length` bytes."""
        for index in range(len(self.checksums)):
            at = index * CHUNK_BYTES
            self.check_chunk(name, index, content[at : at + CHUNK_BYTES])
