"""Files of sparse rows: `.npz` (this project's benchmark files and scipy's) and `.csr` (big-ann-benchmarks)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vecstore.io.layout import suffix_of
from vecstore.io.mapping import READ_BYTES, bad_row
from vecstore.io.sparse_csr import CsrArrays
from vecstore.io.sparse_npz import NpzArrays, bad_file
from vecstore.sparse import SparseRows

COLUMNS_MAX = 1 << 32  # indices are uint32
SUFFIXES = {".npz": True, ".csr": False}  # whether the file may hold parts


class Entries(Protocol):
    """Indices and values of a file, read once from front to back."""

    def close(self) -> None: ...

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The next `count` indices and the values beside them."""
        ...


class Arrays(Protocol):
    """A file that was opened: its offsets as they are, and what its header says."""

    columns: int
    nnz: int
    offsets: np.ndarray

    def entries(self) -> Entries: ...


class SparseFile:
    """The rows of a file, in its order and in bounded memory: only the offsets are held.

    A `.npz` file has the arrays `indptr`, `indices` and `data` (or `values`) and a `shape` that ends in the number of
    columns, as scipy's `save_npz` writes them; with a `part` their names start with it, `train_indptr` for `train`. A
    `.csr` file has int64 rows, columns and entries, then indptr (int64), indices (int32) and values (float32), all
    little-endian. Raises InvalidArgument (BAD_FILE) when arrays are missing, of a wrong shape or cut off, or when
    offsets fall."""

    def __init__(self, path: str | Path, part: str | None = None) -> None:
        self.path = Path(path)
        parted = SUFFIXES[suffix_of(self.path, SUFFIXES)]
        if part is not None and not parted:
            raise bad_file(self.path, f"holds one set of rows and no part {part!r}")
        try:
            self._arrays: Arrays = NpzArrays(self.path, part) if parted else CsrArrays(self.path)
        except OSError as error:
            raise bad_file(self.path, f"cannot be read: {error}") from None
        self.columns = self._arrays.columns
        if not 0 <= self.columns <= COLUMNS_MAX:
            raise bad_file(self.path, f"says {self.columns} columns, not 0 to {COLUMNS_MAX}")
        self._offsets = checked_offsets(self.path, self._arrays.offsets, self._arrays.nnz)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def nnz(self) -> int:
        return int(self._offsets[-1])

    def batches(self, size: int = READ_BYTES) -> Iterator[SparseRows]:
        """Runs of rows of about `size` bytes, at least one row each; float32 values. Rows are sorted by index, and
        entries of equal index summed. Raises InvalidArgument (BAD_ROW) naming the first row with an index outside the
        columns or a value that is not finite."""
        with closing(self._arrays.entries()) as entries:
            yield from self._runs(entries, size)

    def read(self) -> SparseRows:
        """All rows at once."""
        return SparseRows.concat(list(self.batches()) or [SparseRows.empty(0, np.dtype(np.float32))])

    def _runs(self, entries: Entries, size: int) -> Iterator[SparseRows]:
        start = 0
        while start < len(self):
            full = int(np.searchsorted(self._offsets, self._offsets[start] + size // 8, side="right")) - 1
            stop = min(max(full, start + 1), start + 1 + size // 8, len(self))  # rows without entries fill it, too
            offsets = self._offsets[start : stop + 1] - self._offsets[start]
            indices, values = entries.take(int(offsets[-1]))
            yield self._checked(start, offsets, indices, values)
            start = stop

    def _checked(self, start: int, offsets: NDArray[np.int64], indices: np.ndarray, values: np.ndarray) -> SparseRows:
        outside = np.flatnonzero((indices < 0) | (indices >= self.columns))
        if len(outside):
            row = start + row_of(offsets, int(outside[0]))
            raise bad_row(self.path, row, f"index {indices[outside[0]]} is outside the {self.columns} columns")
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
            rows = canonical(SparseRows(offsets, indices.astype(np.uint32), values.astype(np.float32)))
        strange = np.flatnonzero(~np.isfinite(rows.values))
        if len(strange):
            entry = int(strange[0])
            what = f"the value at index {rows.indices[entry]} is {rows.values[entry]}"
            raise bad_row(self.path, start + row_of(rows.offsets, entry), what)
        return rows


def checked_offsets(path: object, offsets: np.ndarray, nnz: int) -> NDArray[np.int64]:
    """As int64. Raises InvalidArgument (BAD_FILE) unless they rise from 0 to the number of entries."""
    if not len(offsets) or offsets[0] != 0:
        raise bad_file(path, "has offsets that do not start at 0")
    falls = np.flatnonzero(offsets[1:] < offsets[:-1])
    if len(falls):
        raise bad_file(path, f"has offsets that fall at row {falls[0]}, from {offsets[falls[0]]}")
    if offsets[-1] != nnz:
        raise bad_file(path, f"has offsets up to {offsets[-1]} for {nnz} entries")
    return offsets.astype(np.int64)


def row_of(offsets: NDArray[np.int64], entry: int) -> int:
    return int(np.searchsorted(offsets, entry, side="right")) - 1


def canonical(rows: SparseRows) -> SparseRows:
    """The same rows with strictly ascending indices: sorted where they are not, equal ones summed."""
    fresh = np.ones(rows.nnz, np.bool_)
    fresh[1:] = rows.indices[1:] > rows.indices[:-1]
    fresh[rows.offsets[:-1][rows.offsets[:-1] < rows.nnz]] = True
    if fresh.all():
        return rows
    owner = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    order = np.lexsort((rows.indices, owner))
    owner, indices, values = owner[order], rows.indices[order], rows.values[order]
    fresh[1:] = (indices[1:] != indices[:-1]) | (owner[1:] != owner[:-1])
    firsts = np.flatnonzero(fresh)
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.bincount(owner[firsts], minlength=len(rows)), out=offsets[1:])
    return SparseRows(offsets, indices[firsts], np.add.reduceat(values, firsts))
