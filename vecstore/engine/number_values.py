"""The numbers, or moments in microseconds, at a payload key: from the key's index where there is one, or payloads.

Numbers are float64: integers past 2^53 are rounded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from vecstore.engine import bitmaps
from vecstore.engine.segment import SegmentView
from vecstore.kernels.base import Bitmap, Int64Array
from vecstore.query.bitmaps import all_rows, bitmap_from_words
from vecstore.query.datetimes import parse_datetime
from vecstore.query.index_numbers import nearest_float
from vecstore.query.match import is_number
from vecstore.query.path import found_at, parse_path, values_of
from vecstore.schema import FieldKind


def number_values(
    view: SegmentView, allowed: Bitmap, key: str, datetime: bool
) -> tuple[Int64Array, NDArray[np.float64]]:
    """(rows, values) of the allowed rows; a row with several values comes as often."""
    index = view.field_index(key)
    fits = index is not None and (index.kind is FieldKind.DATETIME) == datetime
    entries = index.number_entries() if index is not None and fits else None
    if entries is None:
        return _from_payloads(view, bitmap_from_words(allowed), key, datetime)
    rows, values, open_rows = entries
    kept = rows < view.n_rows
    rows, values = rows[kept].astype(np.int64), values[kept].astype(np.float64)
    kept = bitmaps.are_set(allowed, rows)
    left = open_rows & all_rows(view.n_rows)
    if left:
        left &= bitmap_from_words(allowed)
    if not left:
        return rows[kept], values[kept]
    kept &= ~np.isin(rows, np.array(left, np.int64))
    more_rows, more_values = _from_payloads(view, left, key, datetime)
    return np.concatenate([rows[kept], more_rows]), np.concatenate([values[kept], more_values])


def _from_payloads(view: SegmentView, rows: BitMap, key: str, datetime: bool) -> tuple[Int64Array, NDArray[np.float64]]:
    path = parse_path(key)
    found_rows, found = [], []
    for row, payload in view.payloads(rows):
        for value in values_of(found_at(payload, path)) if payload else ():
            number = moment_of(value) if datetime else number_of(value)
            if number is not None:
                found_rows.append(row)
                found.append(number)
    return np.array(found_rows, np.int64), np.array(found, np.float64)


def number_of(value: object) -> float | None:
    return nearest_float(value) if is_number(value) else None


def moment_of(value: object) -> int | None:
    return parse_datetime(value) if isinstance(value, str) else None
