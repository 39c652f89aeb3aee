"""Numbers to rows: int64 for integer and datetime indexes (microseconds), float64 for float indexes.

Sealed form: `values` ascending with `rows` beside them. Only numbers that the type holds exactly are stored, so every
comparison here gives what Python's exact comparison of the original number gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, inf, nextafter
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from vecstore.errors import Corruption
from vecstore.query import bitmaps
from vecstore.query.filter import Range
from vecstore.query.growable import Growable
from vecstore.query.index_arrays import check_rows, take

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1


def exact_int64(value: int | float) -> int | None:
    """The same number as an int64, or None when it is not one."""
    if isinstance(value, float):
        if not value.is_integer():  # NaN and infinity neither
            return None
        value = int(value)
    return value if INT64_MIN <= value <= INT64_MAX else None


def exact_float64(value: int | float) -> float | None:
    """The same number as a float64, or None when it is not one. NaN equals nothing and is none either."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number == value else None


def integer_bounds(bounds: Range) -> tuple[int, int]:
    """The inclusive int64 bounds that hold the same integers; low > high when there are none."""
    low, high = INT64_MIN, INT64_MAX
    if bounds.gte is not None:
        low = max(low, ceil(bounds.gte))
    if bounds.gt is not None:
        low = max(low, floor(bounds.gt) + 1)
    if bounds.lte is not None:
        high = min(high, floor(bounds.lte))
    if bounds.lt is not None:
        high = min(high, ceil(bounds.lt) - 1)
    return (low, high) if low <= high else (0, -1)


def float_bounds(bounds: Range) -> tuple[float, float]:
    """The inclusive float64 bounds that hold the same floats; low > high when there are none.

    An integer bound may lie between two floats; rounding moves it to a neighbour, which may then not be within.
    """
    low, high = -inf, inf
    for bound, open_end in ((bounds.gte, False), (bounds.gt, True)):
        if bound is not None:
            number = nearest_float(bound)
            if number < bound or (open_end and number == bound):
                number = nextafter(number, inf)
            low = max(low, number)
    for bound, open_end in ((bounds.lte, False), (bounds.lt, True)):
        if bound is not None:
            number = nearest_float(bound)
            if number > bound or (open_end and number == bound):
                number = nextafter(number, -inf)
            high = min(high, number)
    return low, high


def nearest_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


class Numbers(Protocol):
    def between(self, low: int | float, high: int | float) -> BitMap:
        """Rows with a number n, low <= n <= high."""

    def rows_of(self, numbers: Sequence[int | float]) -> BitMap:
        """Rows with at least one of `numbers`."""

    def rows_of_others(self, numbers: Sequence[int | float]) -> BitMap:
        """Rows with at least one number that is not among `numbers`."""

    def entries(self) -> tuple[NDArray[np.uint32], np.ndarray]:
        """Rows and their numbers, in any order."""


class SealedNumbers:
    def __init__(self, values: np.ndarray, rows: NDArray[np.uint32], n_rows: int) -> None:
        self._values = values
        self._rows = rows
        self._n_rows = n_rows

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], dtype: Any, n_rows: int) -> Self:
        """Raises Corruption when lengths differ, values do not ascend, or a row is not below `n_rows`."""
        values, rows = take(arrays, "values", dtype), take(arrays, "rows", np.uint32)
        if len(values) != len(rows):
            raise Corruption(f"payload index has {len(values)} values and {len(rows)} rows")
        check_rows("rows", rows, n_rows)
        if not bool((values[1:] >= values[:-1]).all()) or (len(values) and bool(np.isnan(values[-1]))):
            raise Corruption("payload index array values does not ascend")
        return cls(values, rows, n_rows)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"values": self._values, "rows": self._rows}

    def entries(self) -> tuple[NDArray[np.uint32], np.ndarray]:
        return self._rows, self._values

    def between(self, low: int | float, high: int | float) -> BitMap:
        if low > high:
            return BitMap()
        start = np.searchsorted(self._values, self._values.dtype.type(low), side="left")
        end = np.searchsorted(self._values, self._values.dtype.type(high), side="right")
        return bitmaps.from_rows(self._rows[start:end], self._n_rows)

    def rows_of(self, numbers: Sequence[int | float]) -> BitMap:
        starts, ends = self._spans(numbers)
        return self._gather(starts, ends)

    def rows_of_others(self, numbers: Sequence[int | float]) -> BitMap:
        starts, ends = self._spans(numbers)
        return self._gather([0, *ends], [*starts, len(self._values)])

    def _spans(self, numbers: Sequence[int | float]) -> tuple[list[int], list[int]]:
        wanted = np.unique(np.array(numbers, dtype=self._values.dtype))
        starts = np.searchsorted(self._values, wanted, side="left")
        return starts.tolist(), np.searchsorted(self._values, wanted, side="right").tolist()

    def _gather(self, starts: list[int], ends: list[int]) -> BitMap:
        lists = [self._rows[start:end] for start, end in zip(starts, ends, strict=True) if start < end]
        return bitmaps.from_rows(np.concatenate(lists), self._n_rows) if lists else BitMap()


class GrowingNumbers:
    """(row, number) pairs in the order they came; a look-up compares all numbers at once."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._rows = Growable(np.uint32)
        self._values = Growable(dtype)

    def add(self, row: int, number: int | float) -> None:
        self._rows.append(row)
        self._values.append(number)

    def between(self, low: int | float, high: int | float) -> BitMap:
        rows, values = self.entries()
        if low > high:
            return BitMap()
        return bitmaps.from_sorted_rows(rows[(values >= self._dtype.type(low)) & (values <= self._dtype.type(high))])

    def rows_of(self, numbers: Sequence[int | float]) -> BitMap:
        rows, values = self.entries()
        return bitmaps.from_sorted_rows(rows[np.isin(values, np.array(numbers, dtype=self._dtype))])

    def rows_of_others(self, numbers: Sequence[int | float]) -> BitMap:
        rows, values = self.entries()
        return bitmaps.from_sorted_rows(rows[np.isin(values, np.array(numbers, dtype=self._dtype), invert=True)])

    def entries(self) -> tuple[NDArray[np.uint32], np.ndarray]:
        values = self._values.view()  # written after the row
        return self._rows.view()[: len(values)], values

    def seal(self, n_rows: int) -> SealedNumbers:
        rows, values = self.entries()
        values, rows = values[rows < n_rows], rows[rows < n_rows]
        order = np.argsort(values, kind="stable")
        return SealedNumbers(values[order], rows[order], n_rows)
