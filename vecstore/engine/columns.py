"""Arrays that grow at the end. A reader that took `view(n)` keeps its rows: growth copies, old rows never change."""

from __future__ import annotations

import numpy as np


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
