"""The columns of a sparse or text field's rows in a sealed segment, gathered from those of other segments.

Packed (vecstore/packed_sparse.py) where that takes less, which is for all but a few rows of which most terms are in one
alone. Rows are read a part at a time, once for the terms, once for the gaps between them, which stay in memory until
they are written (about 1.3 bytes an entry), and once for the values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Int64Array
from vecstore.offsets import offsets_of, taken_of
from vecstore.packed_sparse import TERMS_MAX, PackedRows, StoredRows, coded, narrowest
from vecstore.schema import VectorField
from vecstore.sparse import SparseRows

PART_ENTRIES = 1 << 19
_BITMAP_MAX = 1 << 22  # larger indices are sorted to tell which there are
Array = tuple[str, np.dtype[np.generic], tuple[int, ...], Iterator[np.ndarray]]  # name, dtype, shape, parts in order


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows of several sources: row i is row `row[i]` of source `origin[i]`."""

    sources: Sequence[StoredRows]
    origin: NDArray[np.int32]
    row: Int64Array
    progress: Callable[[int], None]  # called with the rows done so far

    def offsets(self) -> Int64Array:
        lengths = np.zeros(len(self.row), np.int64)
        for number, source in enumerate(self.sources):
            here = self.origin == number
            lengths[here] = np.diff(source.offsets)[self.row[here]]
        return offsets_of(lengths)

    def parts(self, offsets: Int64Array) -> Iterator[SparseRows]:
        for start, end in self._bounds(offsets):
            heres = [np.flatnonzero(self.origin[start:end] == number) for number in range(len(self.sources))]
            taken = [
                source.take(self.row[start:end][here])
                for source, here in zip(self.sources, heres, strict=True)
                if len(here)
            ]
            yield taken[0] if len(taken) == 1 else SparseRows.concat(taken).take(np.argsort(np.concatenate(heres)))

    def values(self, offsets: Int64Array, dtype: np.dtype[np.generic]) -> Iterator[np.ndarray]:
        for start, end in self._bounds(offsets):
            out = np.empty(int(offsets[end] - offsets[start]), dtype)
            own = SparseRows(offsets[start : end + 1] - offsets[start], np.empty(0, np.uint32), np.empty(0, np.float32))
            for number, source in enumerate(self.sources):
                here = np.flatnonzero(self.origin[start:end] == number)
                entries = taken_of(source.offsets, self.row[start:end][here])[1]
                values = source.values_of(entries) if isinstance(source, PackedRows) else source.values[entries]
                out[taken_of(own.offsets, here)[1]] = values
            yield out

    def _bounds(self, offsets: Int64Array) -> Iterator[tuple[int, int]]:
        start, n = 0, len(self.row)
        while start < n:
            self.progress(start)
            full = int(np.searchsorted(offsets, offsets[start] + PART_ENTRIES, side="right")) - 1
            end = min(max(full, start + 1), n)
            yield start, end
            start = end


def sparse_columns(rows: Gathered, field: VectorField) -> Iterator[Array]:
    offsets = rows.offsets()
    yield whole("offsets", offsets)
    nnz = int(offsets[-1])
    terms, kind = _terms(rows.parts(offsets))
    narrow = np.dtype(kind)
    arrays: dict[str, np.ndarray] = {}
    if len(terms) <= min(TERMS_MAX, nnz):
        arrays = {"terms": terms, **coded(rows.parts(offsets), terms, "delta8")}
    size = sum(array.nbytes for array in arrays.values()) + nnz * narrow.itemsize
    if arrays and size < nnz * (4 + field.storage_dtype.itemsize):
        for name in list(arrays):
            yield whole(name, arrays.pop(name))
    else:
        narrow = field.storage_dtype
        yield "indices", np.dtype(np.uint32), (nnz,), (part.indices for part in rows.parts(offsets))
    yield "values", narrow, (nnz,), rows.values(offsets, narrow)


def whole(name: str, array: np.ndarray) -> Array:
    return name, array.dtype, array.shape, iter([array])


def _terms(parts: Iterator[SparseRows]) -> tuple[NDArray[np.uint32], type[np.generic]]:
    """The distinct indices, ascending, and the narrowest type that holds all values."""
    met = np.zeros(_BITMAP_MAX, bool)
    large = np.empty(0, np.uint32)
    kind: type[np.generic] = np.uint8
    for part in parts:
        small = part.indices < _BITMAP_MAX
        if small.all():
            met[part.indices] = True
        else:
            met[part.indices[small]] = True
            large = np.union1d(large, part.indices[~small])
        kind = narrowest(part.values, kind)
    return np.concatenate((np.flatnonzero(met).astype(np.uint32), large)), kind
