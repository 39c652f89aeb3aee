"""The numbers at payload keys for some rows of a view, kept as a column for each key and segment.

Rows of a segment never change: an update writes a new row and hides the old one, a merge makes a new segment. So what
was read of a row holds for as long as its segment is there, whatever is written. A sealed segment's column is made at
once where it has an index on the key; else rows are read from their payloads as they are asked for, each once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.engine.key_values import best_at
from vecstore.engine.number_values import has_numbers, indexed_numbers, reader_of
from vecstore.engine.segment import SegmentView
from vecstore.engine.segment_cache import SegmentCache
from vecstore.kernels.base import Int64Array

ROWS_MIN = 1_024  # of a growing segment's column, which doubles as the segment does
MANY = 8  # where more than one row in so many is asked for, an index gives all of them sooner than payloads give these

Column = NDArray[np.float64]


@dataclass(slots=True)
class _Kept:
    """Threads fill it together: a row's number is there before the row is `known`, and whoever fills one twice writes
    the same."""

    numbers: Column
    known: NDArray[np.bool_]
    rows_known: int = 0  # all rows before this one are known

    @property
    def nbytes(self) -> int:
        return self.numbers.nbytes + self.known.nbytes


class NumberColumns:
    """Threads may share one object."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._cache: SegmentCache[_Kept] = SegmentCache(bytes_max, lambda one: max(1, one.nbytes))

    @property
    def cached_bytes(self) -> int:
        return self._cache.size

    def values(self, view: SegmentView, rows: Int64Array, key: str, datetime: bool, largest: bool = False) -> Column:
        """The smallest number of each row, or the largest, or moment in microseconds since 1970 where `datetime`: (n,),
        a new array, NaN where there is none. Raises Corruption for a payload that cannot be read."""
        what = key, datetime, largest
        kept = self._cache.get(view.segment, what)
        if kept is None or len(kept.known) < view.n_rows:
            kept = self._grown(view, what, kept)
        if kept.rows_known < view.n_rows:
            known = kept.known[rows]
            if not known.all():
                self._fill(view, kept, rows[~known], what)
        return kept.numbers.take(rows)

    def _grown(self, view: SegmentView, what: tuple[str, bool, bool], old: _Kept | None) -> _Kept:
        rows = view.n_rows if view.segment.sorted_by_id else max(ROWS_MIN, 1 << (view.n_rows - 1).bit_length())
        # Memory that nothing is written to is not taken, so that a few rows of a large segment cost little.
        kept = _Kept(np.zeros(rows), np.zeros(rows, np.bool_))
        if old is not None:
            known = old.known.copy()  # before the numbers
            kept.numbers[: len(known)] = old.numbers
            kept.known[: len(known)] = known
        self._cache.put(view.segment, what, kept)
        return kept

    def _fill(self, view: SegmentView, kept: _Kept, rows: Int64Array, what: tuple[str, bool, bool]) -> None:
        key, datetime, largest = what
        at_once = view.segment.sorted_by_id and kept.nbytes <= self._bytes_max
        if has_numbers(view, key, datetime) and (at_once or len(rows) * MANY > view.n_rows):
            kept.numbers[: view.n_rows] = indexed_numbers(view, *what)
            kept.known[: view.n_rows] = True
            kept.rows_known = max(kept.rows_known, view.n_rows)
        else:
            kept.numbers[rows] = best_at(view, rows, key, reader_of(datetime), largest)
            kept.known[rows] = True
