"""Mapped copies of blobs beside RocksDB. A cache file is the blob's bytes followed by its chunk table, so it proves
itself against the reference without RocksDB. Losing one costs time, never data."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vecstore.errors import Corruption
from vecstore.storage.allowance import Allowance
from vecstore.storage.checked import CheckedFile
from vecstore.storage.checksum import ChunkTable, table_bytes
from vecstore.storage.format import cache_file_name
from vecstore.storage.interfaces import BlobRef
from vecstore.storage.rocks_errors import from_os
from vecstore.storage.staging import write_cache_file

_TEMPORARY = "~"  # no blob's file name contains it


class CacheFiles:
    """The files in one directory, named by `cache_file_name`."""

    def __init__(self, directory: Path, resident_bytes: int) -> None:
        """`resident_bytes` of blobs that are checked as they are read may stay in memory."""
        self._directory = directory
        self._allowance = Allowance(resident_bytes)

    @property
    def resident_bytes(self) -> int:
        """Of columns that stay in memory because they are read by rows."""
        return self._allowance.taken

    def path(self, name: str) -> Path:
        return self._directory / cache_file_name(name)

    def map(self, ref: BlobRef, *, verify: bool) -> memoryview:
        """The read-only bytes of the blob. Raises Corruption when the file is missing or damaged: its length and its
        chunk table are always checked, its chunks when `verify`."""
        mapped, content, table = self._open(ref)
        if verify:
            mapped.madvise(mmap.MADV_SEQUENTIAL)  # reads ahead from a cold disk; queries that follow do not
            table.check_all(ref.name, content)
            mapped.madvise(mmap.MADV_NORMAL)
        return content

    def open(self, ref: BlobRef) -> tuple[memoryview, ChunkTable]:
        """As `map`, without reading the chunks, and the table to check them by."""
        _, content, table = self._open(ref)
        return content, table

    def map_checked(self, ref: BlobRef, good_chunk: Callable[[int], bytes], *, verify: bool) -> CheckedFile:
        """The blob with its chunks to be checked when they are needed. Raises Corruption when the file is missing or
        its length or chunk table is wrong."""
        mapped, content, table = self._open(ref)
        path = self.path(ref.name)
        return CheckedFile(ref.name, path, mapped, content, table, good_chunk, self._allowance, verify=verify)

    def _open(self, ref: BlobRef) -> tuple[mmap.mmap, memoryview, ChunkTable]:
        path = self.path(ref.name)
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size != ref.length + table_bytes(ref.length):
                    raise Corruption(f"cache file {path.name} has {size} bytes")
                mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        except FileNotFoundError:
            raise Corruption(f"cache file {path.name} is missing") from None
        except OSError as error:
            raise from_os(error, f"mapping {path.name}") from None
        view = memoryview(mapped)
        return mapped, view[: ref.length], ChunkTable.decode(view[ref.length :], ref)

    def adopt(self, staged: Path, name: str) -> None:
        """Take over a finished file. A failure is not one: the file is rebuilt when it is mapped."""
        try:
            os.replace(staged, self.path(name))
        except OSError:
            return

    def rebuild(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write the file anew; whole or unchanged. Raises as `write_file`, and what `chunks` raises."""
        path = self.path(name)
        temporary = path.with_name(path.name + _TEMPORARY)
        temporary.unlink(missing_ok=True)
        write_cache_file(temporary, chunks)
        try:
            os.replace(temporary, path)
        except OSError as error:
            raise from_os(error, f"replacing {path.name}") from None

    def remove(self, name: str) -> None:
        """Existing mappings stay valid."""
        self.path(name).unlink(missing_ok=True)

    def sweep(self, keep: Iterable[str]) -> None:
        """Remove every file but those of the blobs in `keep`."""
        kept = {cache_file_name(name) for name in keep}
        for path in self._files():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        return (path for path in list(self._directory.iterdir()) if path.is_file())
