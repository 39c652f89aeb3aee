"""The numbers at payload keys for some rows of a view. Where a sealed segment has an index on the key, a whole column
is made once and kept, so that later queries read what they need at once; else the rows' payloads are read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vecstore.engine import bitmaps
from vecstore.engine.number_values import moment_of, number_of, number_values
from vecstore.engine.segment import STOP_ROWS, SegmentView, decode_payload
from vecstore.engine.segment_cache import SegmentCache
from vecstore.kernels.base import Int64Array
from vecstore.kernels.stop import check_stop
from vecstore.query.path import found_at, parse_path, values_of
from vecstore.schema import FieldKind

CACHE_BYTES = 64 << 20
MICROSECONDS = 1e6  # of a second, in which indexes and payloads give moments

Column = NDArray[np.float64]


class NumberColumns:
    """Threads may share one object."""

    def __init__(self) -> None:
        self._cache: SegmentCache[Column] = SegmentCache(CACHE_BYTES, lambda one: one.nbytes)

    def values(self, view: SegmentView, rows: Int64Array, key: str, datetime: bool) -> Column:
        """The smallest number of each row (or moment, in seconds since 1970), a new array; NaN where there is none."""
        column = self._column(view, key, datetime)
        if column is not None:
            return column[rows]
        return smallest(view, rows, key, moment_of) / MICROSECONDS if datetime else smallest(view, rows, key, number_of)

    def _column(self, view: SegmentView, key: str, datetime: bool) -> Column | None:
        index = view.field_index(key)
        if index is None or not view.segment.sorted_by_id or index.number_entries() is None:
            return None
        if (index.kind is FieldKind.DATETIME) != datetime:
            return None
        column = self._cache.get(view.segment, (key, datetime))
        if column is None:
            rows, values = number_values(view, bitmaps.all_set(view.n_rows), key, datetime)
            column = np.full(view.n_rows, np.inf)
            np.minimum.at(column, rows, values)
            missing = np.ones(view.n_rows, bool)
            missing[rows] = False
            column[missing] = np.nan
            if datetime:
                column /= MICROSECONDS
            self._cache.put(view.segment, (key, datetime), column)
        return column


def smallest(view: SegmentView, rows: Int64Array, key: str, read: Callable[[object], float | None]) -> Column:
    """The smallest of what `read` makes of each row's values; NaN where it makes nothing of them."""
    path, found = parse_path(key), np.full(len(rows), np.nan)
    for place, encoded in enumerate(view.segment.take_payloads(rows)):
        if place % STOP_ROWS == 0:
            check_stop()
        if encoded:
            numbers = [read(value) for value in values_of(found_at(decode_payload(encoded), path))]
            found[place] = min((one for one in numbers if one is not None), default=np.nan)
    return found
