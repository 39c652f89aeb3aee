"""Arrays that grow at the end. A reader that took `view(n)` keeps its rows: growth copies, old rows never change."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from vecstore.engine.row_columns import OFFSET_DTYPE, parts, ragged_from
from vecstore.rows import RaggedRows, Rows
from vecstore.schema import VectorField


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


class GrowingRagged:
    """Rows of any length, appended by one thread and read by many."""

    def __init__(self, field: VectorField) -> None:
        self._field = field
        self._offsets = GrowingArray(OFFSET_DTYPE)
        self._parts = {part: GrowingArray(dtype, *tail) for part, (dtype, tail) in parts(field).items()}
        self._offsets.append(np.zeros(1, dtype=OFFSET_DTYPE))

    def append(self, rows: Rows) -> None:
        assert not isinstance(rows, np.ndarray)
        start, arrays = int(self._offsets.view(len(self._offsets))[-1]), rows.arrays()
        for part, grown in self._parts.items():
            grown.append(arrays[part])
        self._offsets.append(rows.offsets[1:] + start)

    def entries(self, length: int) -> int:
        """Of the first so many rows, all together."""
        return int(self._offsets.view(length + 1)[-1])

    def view(self, length: int) -> RaggedRows:
        offsets = self._offsets.view(length + 1)
        end = int(offsets[-1])
        return ragged_from(self._field, {"offsets": offsets} | {p: grown.view(end) for p, grown in self._parts.items()})

    @property
    def nbytes(self) -> int:
        return self._offsets.nbytes + sum(grown.nbytes for grown in self._parts.values())


class GrowingDense(GrowingArray):
    """Dense or binary rows of one width."""

    def append(self, rows: Rows) -> None:
        assert isinstance(rows, np.ndarray)
        super().append(rows)


GrowingRows: TypeAlias = GrowingDense | GrowingRagged


def growing_rows(field: VectorField) -> GrowingRows:
    """For the stored rows of a field."""
    if field.is_ragged:
        return GrowingRagged(field)
    return GrowingDense(field.storage_dtype, field.storage_width)
