"""Filters as Python expressions:

    F("lang").eq("en") & F("year").between(2020, 2026) | ~F("draft").exists()

Each method returns a `Filter`; `&`, `|` and `~` combine them (Python binds `~` first, then `&`, then `|`). Bounds may
be numbers, datetimes, or RFC 3339 text. What a condition matches is defined in docs/FILTERS.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeAlias

from vecstore.query.datetimes import parse_datetime, to_microseconds
from vecstore.query.filter import (
    Condition,
    Exists,
    Filter,
    GeoBoundingBox,
    GeoRadius,
    HasId,
    HasVector,
    IsEmpty,
    IsNull,
    MatchAny,
    MatchExcept,
    MatchPhrase,
    MatchPrefix,
    MatchText,
    MatchValue,
    Nested,
    PointId,
    Range,
    Scalar,
    ValuesCount,
)
from vecstore.query.validate import bad_filter, show

Bound: TypeAlias = int | float | datetime | str


class F:
    """The values at a payload key, such as F("lang") or F("author.name")."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"F({self._key!r})"

    def eq(self, value: Scalar) -> Filter:
        return _filter(MatchValue(self._key, value))

    def ne(self, value: Scalar) -> Filter:
        """No value equals `value`; a missing key matches too."""
        return ~self.eq(value)

    def in_(self, values: Iterable[Scalar]) -> Filter:
        return _filter(MatchAny(self._key, _tuple(values)))

    def not_in(self, values: Iterable[Scalar]) -> Filter:
        """No value is listed; a missing key matches too."""
        return ~self.in_(values)

    def except_(self, values: Iterable[Scalar]) -> Filter:
        """At least one value is not listed, so the key must be there."""
        return _filter(MatchExcept(self._key, _tuple(values)))

    def gt(self, bound: Bound) -> Filter:
        return self._range(gt=bound)

    def gte(self, bound: Bound) -> Filter:
        return self._range(gte=bound)

    def lt(self, bound: Bound) -> Filter:
        return self._range(lt=bound)

    def lte(self, bound: Bound) -> Filter:
        return self._range(lte=bound)

    def between(self, low: Bound, high: Bound) -> Filter:
        """One value v with low <= v <= high."""
        return self._range(gte=low, lte=high)

    def text(self, text: str) -> Filter:
        """A value contains every word of `text`."""
        return _filter(MatchText(self._key, text))

    def phrase(self, text: str) -> Filter:
        """A value contains the words of `text` one after another."""
        return _filter(MatchPhrase(self._key, text))

    def prefix(self, prefix: str) -> Filter:
        return _filter(MatchPrefix(self._key, prefix))

    def exists(self) -> Filter:
        return _filter(Exists(self._key))

    def is_null(self) -> Filter:
        return _filter(IsNull(self._key))

    def is_empty(self) -> Filter:
        return _filter(IsEmpty(self._key))

    def values_count(
        self, *, gt: int | None = None, gte: int | None = None, lt: int | None = None, lte: int | None = None
    ) -> Filter:
        return _filter(ValuesCount(self._key, gt=gt, gte=gte, lt=lt, lte=lte))

    def geo_radius(self, lat: float, lon: float, radius_m: float) -> Filter:
        """Within `radius_m` metres of (lat, lon) in degrees."""
        return _filter(GeoRadius(self._key, lat=lat, lon=lon, radius_m=radius_m))

    def geo_box(self, *, top: float, left: float, bottom: float, right: float) -> Filter:
        """Inside the box, in degrees; `left` > `right` crosses the date line."""
        return _filter(GeoBoundingBox(self._key, top=top, left=left, bottom=bottom, right=right))

    def nested(self, filter: Filter) -> Filter:
        """One object at the key satisfies all of `filter`, whose keys are relative to the object."""
        return _filter(Nested(self._key, filter))

    @staticmethod
    def all(*filters: Filter) -> Filter:
        """Every one of `filters`; none given matches everything."""
        combined = Filter()
        for filter in filters:
            combined &= filter
        return combined

    @staticmethod
    def any(*filters: Filter) -> Filter:
        """At least one of `filters`. Raises InvalidArgument (BAD_FILTER) when none is given."""
        if not filters:
            raise bad_filter("filter", "F.any needs at least one filter")
        combined = filters[0]
        for filter in filters[1:]:
            combined |= filter
        return combined

    def _range(self, **bounds: Bound) -> Filter:
        moments = {name: moment(bound) for name, bound in bounds.items() if isinstance(bound, datetime | str)}
        if moments and len(moments) != len(bounds):
            raise bad_filter(self._key, "bounds are numbers or datetimes, not both")
        plain: dict[str, Any] = {name: bound for name, bound in bounds.items() if name not in moments}
        return _filter(Range(self._key, **plain, **moments, datetime=bool(moments)))


def has_id(*ids: PointId) -> Filter:
    """The point's id is one of `ids`."""
    return _filter(HasId(ids))


def has_vector(name: str) -> Filter:
    """The point has a vector in the field `name`."""
    return _filter(HasVector(name))


def _filter(condition: Condition) -> Filter:
    return Filter(must=(condition,))


def _tuple(values: Iterable[Scalar]) -> tuple[Scalar, ...]:
    if isinstance(values, str):
        raise bad_filter("filter", f"{show(values)} is one string, not a list; write [{show(values)}]")
    return tuple(values)


def moment(bound: datetime | str) -> int:
    """Microseconds since 1970 UTC. Raises InvalidArgument (BAD_FILTER)."""
    found = to_microseconds(bound) if isinstance(bound, datetime) else parse_datetime(bound)
    if found is None:
        raise bad_filter("filter", f"{show(bound)} is not an RFC 3339 date and time")
    return found
