"""A mapped blob whose chunks are compared with their checksums when they are first needed, not when it is mapped.

For columns of which a query reads a few rows: reading all of one first would take as long as it is large. A chunk
is checked by reading it from the file, not through the mapping, so that a check of 1 MiB for one row leaves the pages
to the page cache and out of this process's resident memory.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from vecstore.errors import Corruption
from vecstore.kernels.base import Int64Array
from vecstore.kernels.file_rows import read_rows
from vecstore.storage.allowance import Allowance
from vecstore.storage.checksum import ChunkTable
from vecstore.storage.format import CHUNK_BYTES
from vecstore.storage.interfaces import CheckedBlob
from vecstore.storage.rocks_errors import from_os


class CheckedFile(CheckedBlob):
    """Threads may share one object."""

    def __init__(
        self,
        name: str,
        path: Path,
        mapped: mmap.mmap,
        content: memoryview,
        table: ChunkTable,
        good_chunk: Callable[[int], bytes],
        allowance: Allowance,
        *,
        verify: bool,
    ) -> None:
        """`good_chunk` returns a chunk from where it is durable, or raises Corruption."""
        super().__init__(content)
        self._name, self._path, self._mapped, self._table = name, path, mapped, table
        self._good_chunk = good_chunk
        self._allowance, self._stays = allowance, False
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # stays readable when the blob is deleted
        weakref.finalize(self, os.close, self._file)
        self._good = bytearray(len(table.checksums))
        self._left = len(table.checksums) if verify else 0
        self._lock = threading.Lock()

    @property
    def checked(self) -> bool:
        return self._left == 0

    def check(self, chunks: Iterable[int]) -> None:
        if not self._left:
            return
        for index in chunks:
            if not self._good[index]:
                self._check(index)

    def _check(self, index: int) -> None:
        try:
            self._table.check_chunk(self._name, index, self._read(index))
        except Corruption:
            self._repair(index)
        with self._lock:
            if not self._good[index]:
                self._good[index] = 1
                self._left -= 1

    def _read(self, index: int) -> bytes:
        try:
            return os.pread(self._file, self._table.chunk_length(index), index * CHUNK_BYTES)
        except OSError as error:
            raise from_os(error, f"reading {self._path.name}") from None

    def _repair(self, index: int) -> None:
        """Write the chunk anew; the mapping is of the same file and shows it."""
        chunk = self._good_chunk(index)
        try:
            os.pwrite(self._file, chunk, index * CHUNK_BYTES)
        except OSError as error:
            raise from_os(error, f"repairing {self._path.name}") from None
        self._table.check_chunk(self._name, index, self._read(index))

    def stay(self) -> bool:
        if not self._stays and self._allowance.take(len(self.content)):
            self._stays = True
            weakref.finalize(self, self._allowance.give_back, len(self.content))
        return self._stays

    def read_rows(self, numbers: Int64Array, out: np.ndarray) -> int:
        n = len(self.content) // max(1, out.itemsize * out.shape[1])
        try:
            return read_rows(self._file, n, numbers, out)
        except OSError as error:
            raise from_os(error, f"reading {self._path.name}") from None

    def expect(self, *, few: bool) -> None:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_RANDOM if few else os.POSIX_FADV_NORMAL)
        self._mapped.madvise(mmap.MADV_RANDOM if few else mmap.MADV_NORMAL)

    def let_go(self) -> None:
        self._mapped.madvise(mmap.MADV_DONTNEED)
