"""The arrays of a sparse matrix in a `.csr` file of big-ann-benchmarks, mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vecstore.io.sparse_npz import bad_file

HEADER = 3 * 8  # rows, columns and entries as int64


class CsrArrays:
    """A `.csr` file, mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        size = path.stat().st_size
        header = np.fromfile(path, "<i8", 3)
        if len(header) < 3:
            raise bad_file(path, f"has {size} bytes, too few for a header")
        rows, self.columns, self.nnz = (int(number) for number in header)
        if min(rows, self.columns, self.nnz) < 0:
            raise bad_file(path, f"says {rows} rows, {self.columns} columns and {self.nnz} entries")
        self._indices_at = HEADER + 8 * (rows + 1)
        wanted = self._indices_at + 8 * self.nnz
        if size != wanted:
            raise bad_file(path, f"has {size} bytes; {rows} rows and {self.nnz} entries take {wanted}")
        self.offsets = np.fromfile(path, "<i8", rows + 1, offset=HEADER)

    def entries(self) -> CsrEntries:
        return CsrEntries(self.path, self._indices_at, self.nnz)


class CsrEntries:
    def __init__(self, path: Path, at: int, nnz: int) -> None:
        if nnz:
            self._indices: np.ndarray = np.memmap(path, "<i4", "r", at, (nnz,))
            self._values: np.ndarray = np.memmap(path, "<f4", "r", at + 4 * nnz, (nnz,))
        else:  # nothing cannot be mapped
            self._indices, self._values = np.empty(0, np.int32), np.empty(0, np.float32)
        self._next = 0

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        run = slice(self._next, self._next + count)
        self._next += count
        return self._indices[run], self._values[run]

    def close(self) -> None:
        """The maps end with their last slice."""
