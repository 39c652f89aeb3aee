"""KV and Blobs of ":memory:": dictionaries, gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vecstore.errors import AlreadyExists, Corruption, FailedPrecondition, InvalidArgument
from vecstore.storage.checksum import ChunkTable
from vecstore.storage.format import check_blob_name
from vecstore.storage.interfaces import BlobRef, CheckedBlob, Delete, Family, Op, Put, StagedBlobs
from vecstore.storage.rocks_errors import closed
from vecstore.storage.staging import discard_staged, read_staged

_Families = dict[Family, dict[bytes, bytes]]


class MemorySnapshot:
    """All families as of one moment."""

    def __init__(self, families: _Families) -> None:
        self._families = families

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self._families[family].get(key)

    def scan(self, family: Family, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        records = self._families[family]
        for key in sorted(key for key in records if low <= key < high):
            yield key, records[key]


class MemoryKV:
    """See `interfaces.KV`. Every write is as durable as it gets at once."""

    generation = 0

    def __init__(self, epoch: int = 1) -> None:
        self.epoch = epoch
        self._families: _Families = {family: {} for family in Family}
        self._lock = threading.Lock()
        self._position = 0
        self._closed = False

    def get(self, family: Family, key: bytes) -> bytes | None:
        self._check_open()
        return self._families[family].get(key)

    def scan(self, family: Family, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self.snapshot().scan(family, low, high)

    def snapshot(self) -> MemorySnapshot:
        self._check_open()
        with self._lock:
            return MemorySnapshot({family: dict(records) for family, records in self._families.items()})

    def write(self, batch: Sequence[Op], *, use_reserve: bool = False) -> int:
        self._check_open()
        with self._lock:
            for op in batch:
                records = self._families[op.family]
                if isinstance(op, Put):
                    records[op.key] = bytes(op.value)
                elif isinstance(op, Delete):
                    records.pop(op.key, None)
                else:
                    for key in [key for key in records if op.low <= key < op.high]:
                        del records[key]
            self._position += 1
            return self._position

    def durable(self, position: int) -> None:
        self._check_open()

    def clear(self, family: Family) -> None:
        self._families[family] = {}

    def checkpoint(self, path: Path) -> None:
        raise FailedPrecondition(f"an in-memory database has no files to link into {path}", reason="IN_MEMORY")

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise closed()


class MemoryBlobs:
    """See `interfaces.Blobs`."""

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[BlobRef, memoryview]] = {}
        self._lock = threading.Lock()

    def put_new(self, name: str, chunks: Iterable[bytes | memoryview]) -> BlobRef:
        check_blob_name(name)
        content = memoryview(b"".join(chunks))
        ref = BlobRef(name, len(content), ChunkTable.of(content).checksum)
        self._insert([(ref, content)])
        return ref

    def publish(self, staged: StagedBlobs) -> None:
        """Reads the staged files into memory and removes them."""
        self._insert([(ref, memoryview(read_staged(staged, ref))) for ref in staged.refs])
        discard_staged(staged.directory)

    def map(self, ref: BlobRef) -> memoryview:
        return self._content(ref)

    def map_checked(self, ref: BlobRef) -> CheckedBlob:
        return CheckedBlob(self._content(ref))

    def local_path(self, ref: BlobRef) -> Path | None:
        return None

    def read_ranges(self, ref: BlobRef, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        content = self._content(ref)
        for offset, length in ranges:
            check_range(ref, offset, length)
        return [bytes(content[offset : offset + length]) for offset, length in ranges]

    def list(self, prefix: str) -> Iterator[BlobRef]:
        with self._lock:
            refs = [ref for name, (ref, _) in sorted(self._blobs.items()) if name.startswith(prefix)]
        return iter(refs)

    def delete(self, name: str) -> None:
        check_blob_name(name)
        with self._lock:
            self._blobs.pop(name, None)

    def verify(self, ref: BlobRef) -> None:
        ChunkTable.of(self._content(ref)).check_ref(ref)

    def resident_bytes(self) -> int:
        return 0  # all of it is in memory anyway

    def sweep(self, keep: set[str]) -> None:
        for ref in list(self.list("")):
            if ref.name not in keep:
                self.delete(ref.name)

    def _insert(self, blobs: Sequence[tuple[BlobRef, memoryview]]) -> None:
        with self._lock:
            for ref, _ in blobs:
                if ref.name in self._blobs:
                    raise name_taken(ref.name)
            for ref, content in blobs:
                self._blobs[ref.name] = ref, content.toreadonly()

    def _content(self, ref: BlobRef) -> memoryview:
        found = self._blobs.get(ref.name)
        if found is None or found[0] != ref:
            raise missing_blob(ref)
        return found[1]


def name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"blob {name} exists", reason="BLOB_EXISTS")


def missing_blob(ref: BlobRef) -> Corruption:
    return Corruption(f"blob {ref.name} of {ref.length} bytes is missing or is another one")


def check_range(ref: BlobRef, offset: int, length: int) -> None:
    """Raises InvalidArgument unless [offset, offset + length) lies within the blob."""
    if offset < 0 or length < 0 or offset + length > ref.length:
        raise InvalidArgument(f"range offset={offset} length={length} leaves blob {ref.name} of {ref.length} bytes")
