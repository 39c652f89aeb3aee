"""Blobs of another process's store, mapped from its cache files. What is missing or damaged the writer makes whole.

A follower maps all that a segment has when the segment appears (`pin`), without reading it: a mapping outlives the
file, so whatever the writer does later, readers of any view find what they need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from vecstore.errors import Corruption, FailedPrecondition, Unavailable
from vecstore.storage import format
from vecstore.storage.cache_files import CacheFiles
from vecstore.storage.checksum import ChunkTable
from vecstore.storage.feed_client import ask_repair
from vecstore.storage.format import CHUNK_BYTES
from vecstore.storage.interfaces import BlobRef, CheckedBlob, StagedBlobs
from vecstore.storage.memory import check_range

T = TypeVar("T")


def read_only() -> FailedPrecondition:
    return FailedPrecondition("this database only follows a writer: write through that one", reason="READ_ONLY")


class Pin:
    """A mapped blob. What reads it refers to it, so that it is mapped once, and verified once, in this process."""

    def __init__(self, ref: BlobRef, content: memoryview, table: ChunkTable) -> None:
        self.ref, self.content, self.table = ref, content, table
        self.verified = False


class FollowerBlobs:
    """See `interfaces.Blobs`; nothing can be written. Threads may share one object."""

    def __init__(self, directory: Path, *, verify_on_open: bool, resident_bytes: int) -> None:
        self._directory = directory
        self._cache = CacheFiles(directory / format.CACHE_DIRECTORY, resident_bytes)
        self._verify = verify_on_open
        self._lock = threading.Lock()
        self._pins: WeakValueDictionary[str, Pin] = WeakValueDictionary()

    def pin(self, ref: BlobRef) -> Pin:
        """Map the blob for as long as what is returned lives. Raises as `map`; nothing is verified yet."""
        with self._lock:
            found = self._pins.get(ref.name)
        if found is None or found.ref != ref:
            made = Pin(ref, *self._whole(ref, lambda: self._cache.open(ref)))
            with self._lock:
                found = self._pins.get(ref.name)
                if found is None or found.ref != ref:
                    found = self._pins[ref.name] = made
        return found

    def map(self, ref: BlobRef) -> memoryview:
        pin = self.pin(ref)
        if self._verify and not pin.verified:
            try:
                pin.table.check_all(ref.name, pin.content)
            except Corruption:
                ask_repair(self._directory, ref)
                pin.content = self._whole(ref, lambda: self._cache.map(ref, verify=True))
            pin.verified = True
        return pin.content

    def map_checked(self, ref: BlobRef) -> CheckedBlob:
        def good_chunk(index: int) -> bytes:
            return self.read_ranges(ref, [(index * CHUNK_BYTES, min(CHUNK_BYTES, ref.length - index * CHUNK_BYTES))])[0]

        return self._whole(ref, lambda: self._cache.map_checked(ref, good_chunk, verify=self._verify))

    def local_path(self, ref: BlobRef) -> Path | None:
        return self._cache.path(ref.name)

    def read_ranges(self, ref: BlobRef, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        for offset, length in ranges:
            check_range(ref, offset, length)
        content = self._whole(ref, lambda: self._cache.map(ref, verify=True))
        return [bytes(content[offset : offset + length]) for offset, length in ranges]

    def verify(self, ref: BlobRef) -> None:
        self._whole(ref, lambda: self._cache.map(ref, verify=True))

    def list(self, prefix: str) -> Iterator[BlobRef]:
        raise read_only()

    def put_new(self, name: str, chunks: Iterable[bytes | memoryview]) -> BlobRef:
        raise read_only()

    def publish(self, staged: StagedBlobs) -> None:
        raise read_only()

    def delete(self, name: str) -> None:
        raise read_only()

    def resident_bytes(self) -> int:
        return self._cache.resident_bytes

    def sweep(self, keep: set[str]) -> None:
        """The writer does."""

    def _whole(self, ref: BlobRef, read: Callable[[], T]) -> T:
        try:
            return read()
        except Corruption:
            ask_repair(self._directory, ref)
        try:
            return read()
        except Corruption as error:  # written anew, and gone again: the writer has dropped the blob meanwhile
            raise Unavailable(f"blob {ref.name} is not there: {error.message}") from None
