"""An array that one thread appends to while others read it."""

from __future__ import annotations

from typing import Any

import numpy as np


class Growable:
    """Readers see a prefix: `_length` is raised after the element is written, and a reader takes the length before the
    data, so the data it gets holds at least that many elements even when the writer moves to a larger array."""

    __slots__ = ("_data", "_length")

    def __init__(self, dtype: Any) -> None:
        self._data: np.ndarray = np.zeros(256, dtype=dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, value: object) -> None:
        self.set(self._length, value)

    def set(self, place: int, value: object) -> None:
        """Write `value` at `place`; places skipped on the way hold zero."""
        if place >= len(self._data):
            larger = np.zeros(2 * (place + 1), dtype=self._data.dtype)
            larger[: self._length] = self._data[: self._length]
            self._data = larger
        self._data[place] = value
        if place >= self._length:
            self._length = place + 1

    def view(self) -> np.ndarray:
        length = self._length
        return self._data[:length]
