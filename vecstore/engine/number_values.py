"""The numbers, or moments in microseconds, that payloads hold, and those of an index on a key.

Numbers are float64: integers past 2^53 are rounded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vecstore.engine.key_values import best_at
from vecstore.engine.segment import SegmentView
from vecstore.query.bitmaps import all_rows
from vecstore.query.datetimes import parse_datetime
from vecstore.query.index_numbers import nearest_float
from vecstore.query.payload_index import NUMBER_TYPES
from vecstore.schema import FieldKind


def number_of(value: object) -> float | None:
    if type(value) is float:
        return value
    return nearest_float(value) if type(value) is int else None


def moment_of(value: object) -> int | None:
    return parse_datetime(value) if isinstance(value, str) else None


def reader_of(datetime: bool) -> Callable[[object], float | None]:
    return moment_of if datetime else number_of


def has_numbers(view: SegmentView, key: str, datetime: bool) -> bool:
    """Whether an index gives them."""
    index = view.field_index(key)
    return index is not None and index.kind in NUMBER_TYPES and (index.kind is FieldKind.DATETIME) == datetime


def indexed_numbers(view: SegmentView, key: str, datetime: bool, largest: bool) -> NDArray[np.float64]:
    """(n_rows,) the smallest number of every row, or the largest, by an index that has them; NaN where it has none."""
    index = view.field_index(key)
    entries = None if index is None else index.number_entries()
    assert entries is not None
    rows, values, open_rows = entries
    kept = rows < view.n_rows
    rows, values = rows[kept], values[kept]
    numbers = np.full(view.n_rows, -np.inf if largest else np.inf)
    (np.maximum if largest else np.minimum).at(numbers, rows, values)
    missing = np.ones(view.n_rows, np.bool_)
    missing[rows] = False
    numbers[missing] = np.nan
    left = np.array(open_rows & all_rows(view.n_rows), np.int64)  # which have numbers that the index cannot hold
    numbers[left] = best_at(view, left, key, reader_of(datetime), largest)
    return numbers
