"""Candidates of prefetches ranked by an expression over their scores and payloads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import asin, cos, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.filtering import Filtering
from vecstore.engine.key_values import best_at
from vecstore.engine.number_columns import NumberColumns
from vecstore.engine.row_keys import by_segment, rows_of
from vecstore.engine.segment import SegmentView
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.query.formula import Expression, FieldValue, GeoDistance, Leaf, Matches, Score
from vecstore.query.formula_eval import evaluate
from vecstore.query.match import EARTH_RADIUS_M, point_of

MICROSECONDS = 1e6  # of a second, in which indexes and payloads give moments

Column = NDArray[np.float64]


@dataclass(slots=True)
class Candidates:
    """Rows of a view by `keys`, and their scores in each prefetch, (n, prefetches), NaN where one did not find them."""

    view: View
    filtering: Filtering
    numbers: NumberColumns
    keys: Int64Array
    legs: Float32Array
    parts: list[tuple[int, slice | Int64Array, Int64Array]] = field(init=False)  # segment, which keys, their rows

    def __post_init__(self) -> None:
        self.parts = [(place, at, rows_of(self.keys[at])) for place, at in by_segment(self.keys)]

    def score(self, expression: Expression) -> Column:
        """(n,)"""
        return evaluate(expression, self._column, len(self.keys))

    def _column(self, leaf: Leaf) -> Column:
        if isinstance(leaf, Score):
            return _filled(self.legs[:, leaf.prefetch].astype(np.float64), leaf.default)
        if isinstance(leaf, FieldValue):
            numbers = self._read(lambda segment, rows: self.numbers.values(segment, rows, leaf.key, leaf.datetime))
            if leaf.datetime:
                numbers /= MICROSECONDS
            return _filled(numbers, leaf.default)
        if isinstance(leaf, Matches):
            allowed = self.filtering.allowed
            return self._read(lambda segment, rows: bitmaps.are_set(allowed(segment, leaf.filter), rows))
        read = partial(metres, leaf)
        return _filled(self._read(lambda segment, rows: best_at(segment, rows, leaf.key, read)), leaf.default)

    def _read(self, read: Callable[[SegmentView, Int64Array], np.ndarray]) -> Column:
        """What `read` gives for the rows of each segment, as a new array."""
        if len(self.parts) == 1:  # as it is in a collection that is compacted: two copies less
            (place, _, rows) = self.parts[0]
            return read(self.view.segments[place], rows).astype(np.float64, copy=False)
        values = np.empty(len(self.keys))
        for place, at, rows in self.parts:
            values[at] = read(self.view.segments[place], rows)
        return values


def metres(origin: GeoDistance, value: object) -> float | None:
    """By the haversine formula; None when the value is not a place."""
    place = point_of(value)
    if place is None:
        return None
    lat0, lon0, lat, lon = radians(origin.lat), radians(origin.lon), radians(place[0]), radians(place[1])
    haversine = sin((lat - lat0) / 2) ** 2 + cos(lat0) * cos(lat) * sin((lon - lon0) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(haversine)))


def _filled(values: Column, default: float | None) -> Column:
    """In place."""
    if default is not None:
        np.copyto(values, default, where=np.isnan(values))
    return values
