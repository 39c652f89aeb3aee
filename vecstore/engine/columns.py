"""Arrays that grow at the end. A reader that took `view(n)` keeps its rows: growth copies, old rows never change."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from vecstore.schema import VectorField
from vecstore.sparse import Rows, SparseRows


class GrowingArray:
    """Appended by one thread, read by many. Rows are contiguous, so kernels scan them like a sealed column."""

    def __init__(self, dtype: np.dtype[np.generic], width: int | None = None) -> None:
        self._shape: tuple[int, ...] = () if width is None else (width,)
        self._data = np.empty((0, *self._shape), dtype=dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, rows: np.ndarray) -> None:
        end = self._length + len(rows)
        if end > len(self._data):
            grown = np.empty((max(end, 2 * len(self._data), 64), *self._shape), dtype=self._data.dtype)
            grown[: self._length] = self._data[: self._length]
            self._data = grown
        self._data[self._length : end] = rows
        self._length = end

    def view(self, length: int) -> np.ndarray:
        return self._data[:length]

    @property
    def nbytes(self) -> int:
        return self._length * int(self._data.itemsize) * (self._shape[0] if self._shape else 1)


class GrowingSparse:
    """Sparse rows, appended by one thread and read by many."""

    def __init__(self, values: np.dtype[np.generic]) -> None:
        self._offsets = GrowingArray(np.dtype(np.int64))
        self._indices = GrowingArray(np.dtype(np.uint32))
        self._values = GrowingArray(values)
        self._offsets.append(np.zeros(1, dtype=np.int64))

    def append(self, rows: Rows) -> None:
        assert isinstance(rows, SparseRows)
        start = len(self._indices)
        self._indices.append(rows.indices)
        self._values.append(rows.values)
        self._offsets.append(rows.offsets[1:] + start)

    def view(self, length: int) -> SparseRows:
        offsets = self._offsets.view(length + 1)
        end = int(offsets[-1])
        return SparseRows(offsets, self._indices.view(end), self._values.view(end))

    @property
    def nbytes(self) -> int:
        return self._offsets.nbytes + self._indices.nbytes + self._values.nbytes


class GrowingDense(GrowingArray):
    """Dense or binary rows of one width."""

    def append(self, rows: Rows) -> None:
        assert isinstance(rows, np.ndarray)
        super().append(rows)


GrowingRows: TypeAlias = GrowingDense | GrowingSparse


def growing_rows(field: VectorField) -> GrowingRows:
    """For the stored rows of a field."""
    if field.is_sparse:
        return GrowingSparse(field.storage_dtype)
    return GrowingDense(field.storage_dtype, field.storage_width)
