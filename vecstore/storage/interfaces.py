"""The two interfaces that carry everything durable. Embedded, both are RocksDB; ":memory:" has dictionaries.

KV holds the log, tombstones and metadata; Blobs holds the immutable columns of sealed segments. Nothing above
`vecstore.storage` may know RocksDB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from vecstore.kernels.base import Int64Array
from vecstore.storage.format import CHUNK_BYTES


class Family(StrEnum):
    META = "meta"
    LOG = "log"
    TOMBSTONES = "tombstones"


@dataclass(frozen=True, slots=True)
class Put:
    family: Family
    key: bytes
    value: bytes | memoryview

    @property
    def content(self) -> bytes:
        """The value, copied where it is a view of something larger."""
        return self.value.tobytes() if isinstance(self.value, memoryview) else self.value


@dataclass(frozen=True, slots=True)
class Delete:
    family: Family
    key: bytes


@dataclass(frozen=True, slots=True)
class DeleteRange:
    """Removes low <= key < high."""

    family: Family
    low: bytes
    high: bytes


Op = Put | Delete | DeleteRange


class KVRead(Protocol):
    def get(self, family: Family, key: bytes) -> bytes | None: ...

    def scan(self, family: Family, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with low <= key < high in order. Raises Corruption; never stops early."""


class KV(KVRead, Protocol):
    epoch: int  # grows at each open

    @property
    def generation(self) -> int:
        """How often the store was reopened inside this object after a full disk; nothing accepted is lost by it."""

    def write(self, batch: Sequence[Op], *, use_reserve: bool = False) -> int:
        """Apply atomically, in order, visible at once, not yet durable; returns a position for `durable`.

        `use_reserve` lets deletions and the end of a compaction use the reserve that other writes must leave free.
        Raises ResourceExhausted(DISK_FULL) when the disk (less the reserve) is full, with nothing applied, and
        IoFailed once an fsync has failed (final until reopened). Positions grow, also from one open to the next.
        The engine's keys in META never start with a zero byte."""

    def durable(self, position: int) -> None:
        """Returns when every write up to `position` survives power loss. Releases the GIL. Raises IoFailed, final."""

    def snapshot(self) -> KVRead:
        """All families as of one moment. FailedPrecondition(CLOSED) once the store was closed or reopened."""

    def checkpoint(self, path: Path) -> None:
        """A whole database directory at `path`, which must not exist."""

    def close(self) -> None: ...


class BlobRef(msgspec.Struct, frozen=True):
    """Names an immutable run of bytes. `checksum` covers the chunk table, which covers the chunks."""

    name: str  # segments of [a-z0-9_.-] joined by "/"
    length: int  # bytes
    checksum: int  # xxh3_64


@dataclass(frozen=True, slots=True)
class StagedBlobs:
    """Blobs written by `stage_blobs` in any process, not yet visible."""

    directory: Path
    refs: tuple[BlobRef, ...]


class CheckedBlob:
    """Bytes in memory, which need no check. `content` is all of the blob, read-only."""

    def __init__(self, content: memoryview) -> None:
        self.content = content

    @property
    def checked(self) -> bool:
        """Whether every chunk has been checked."""
        return True

    def check(self, chunks: Iterable[int]) -> None:
        """Before bytes of these chunks (of CHUNK_BYTES) are used. Raises Corruption when no good copy exists."""

    def check_all(self) -> None:
        self.check(range(-(-len(self.content) // CHUNK_BYTES)))

    def stay(self) -> bool:
        """Whether the content may stay in memory once it was read; asked again, the answer may become True."""
        return True

    def read_rows(self, numbers: Int64Array, out: np.ndarray) -> int:
        """Copy rows like those of `out` (n, width), already checked, without mapping more of `content`; -1 leaves its
        place as it is. Returns how many are not -1. Raises IoFailed."""
        wanted = numbers >= 0
        out[wanted] = np.frombuffer(self.content, out.dtype).reshape(-1, out.shape[1])[numbers[wanted]]
        return int(np.count_nonzero(wanted))

    def expect(self, *, few: bool) -> None:
        """Say what will be read: a few places (no reading ahead), or all of it."""

    def let_go(self) -> None:
        """Give the mapped pages back; they come again from the page cache when they are read."""


class Blobs(Protocol):
    def put_new(self, name: str, chunks: Iterable[bytes | memoryview]) -> BlobRef:
        """Create; durable when it returns. Raises AlreadyExists for a name that is taken."""

    def publish(self, staged: StagedBlobs) -> None:
        """Take over staged blobs (ingest, no copy through the log); durable when it returns. All or none."""

    def map(self, ref: BlobRef) -> memoryview:
        """Read-only bytes of the blob, verified once, from a mapped local cache file that is rebuilt when missing or
        damaged. Raises Corruption when no good copy exists. Stays valid until the process ends or `delete`."""

    def map_checked(self, ref: BlobRef) -> CheckedBlob:
        """As `map`, but each chunk is verified when it is needed: the caller asks before it reads. For large columns
        of which few bytes are read. Every call maps anew."""

    def local_path(self, ref: BlobRef) -> Path | None:
        """The cache file that begins with the blob's bytes, for a worker process to map; None in memory. Call `map`
        first, which verifies it."""

    def read_ranges(self, ref: BlobRef, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Bytes of each (offset, length), checked against the chunk checksums."""

    def list(self, prefix: str) -> Iterator[BlobRef]: ...
    def delete(self, name: str) -> None:
        """Remove a blob and its cache file; the space comes back in the background. Missing names are ignored."""

    def verify(self, ref: BlobRef) -> None:
        """Read every stored chunk (not the cache). Raises Corruption naming the blob and the chunk."""

    def resident_bytes(self) -> int:
        """Bytes of columns that were read by rows and stay in memory (storage.resident_vectors_bytes bounds them)."""

    def sweep(self, keep: set[str]) -> None:
        """Remove every blob, cache file and staging leftover that is not of a name in `keep`; for the start."""
