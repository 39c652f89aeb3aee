"""What a filter means, for one payload. docs/FILTERS.md says the same in words.

`compile_filter` turns a tree into nested closures, so that a scan pays for looking at the tree once. Recursion follows
the tree, whose depth `check_filter` has bounded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from math import asin, cos, radians, sin, sqrt
from typing import Any, TypeAlias, TypeGuard

from vecstore.query.datetimes import parse_datetime
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
from vecstore.query.path import found_at, parse_path, values_of
from vecstore.text.tokenize import contains_phrase, tokens

Payload: TypeAlias = Mapping[str, Any]
PointTest: TypeAlias = Callable[[HasId | HasVector], bool]
Test: TypeAlias = Callable[[Payload, PointTest], bool]
ValueTest: TypeAlias = Callable[[Any], bool]

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG


def matches(filter: Filter, payload: Payload | None, id: PointId, vector_names: Collection[str]) -> bool:
    """Whether a point with this payload, id and vectors satisfies `filter`. No payload is an empty one."""

    def point_test(condition: HasId | HasVector) -> bool:
        return id in condition.ids if isinstance(condition, HasId) else condition.name in vector_names

    return compile_filter(filter)(payload or {}, point_test)


def compile_filter(filter: Filter) -> Test:
    """A test of (payload, point test); the point test answers has_id and has_vector for the point at hand."""
    must = [compile_condition(condition) for condition in filter.must]
    should = [compile_condition(condition) for condition in filter.should]
    must_not = [compile_condition(condition) for condition in filter.must_not]
    some = filter.min_should
    min_should = [compile_condition(condition) for condition in some.conditions] if some else []
    min_count = some.min_count if some else 0

    def test(payload: Payload, point: PointTest) -> bool:
        for condition in must:
            if not condition(payload, point):
                return False
        for condition in must_not:
            if condition(payload, point):
                return False
        if should and not any(condition(payload, point) for condition in should):
            return False
        return sum(condition(payload, point) for condition in min_should) >= min_count

    return test


def compile_condition(condition: Condition) -> Test:
    if isinstance(condition, Filter):
        return compile_filter(condition)
    if isinstance(condition, HasId | HasVector):
        return lambda payload, point: point(condition)
    path = parse_path(condition.key)
    if isinstance(condition, Exists):
        return lambda payload, point: bool(found_at(payload, path))
    if isinstance(condition, IsNull):
        return lambda payload, point: None in values_of(found_at(payload, path))
    if isinstance(condition, IsEmpty):
        return lambda payload, point: count_values(payload, path) == 0
    if isinstance(condition, ValuesCount):
        within = bounds_test(condition)
        return lambda payload, point: within(count_values(payload, path))
    if isinstance(condition, Nested):
        inner = compile_filter(condition.filter)

        def test_nested(payload: Payload, point: PointTest) -> bool:
            values = values_of(found_at(payload, path))
            return any(isinstance(value, dict) and inner(value, point) for value in values)

        return test_nested
    value_test = compile_value_test(condition)

    def test_values(payload: Payload, point: PointTest) -> bool:
        return any(map(value_test, values_of(found_at(payload, path))))

    return test_values


def count_values(payload: Payload, path: tuple[str, ...]) -> int:
    return sum(value is not None for value in values_of(found_at(payload, path)))


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


ValueCondition: TypeAlias = (
    MatchValue | MatchAny | MatchExcept | MatchText | MatchPhrase | MatchPrefix | Range | GeoRadius | GeoBoundingBox
)


def compile_value_test(condition: ValueCondition) -> ValueTest:
    """The test that one value at the key has to pass."""
    if isinstance(condition, MatchValue):
        return one_of((condition.value,))
    if isinstance(condition, MatchAny):
        return one_of(condition.values)
    if isinstance(condition, MatchExcept):
        listed = one_of(condition.values)
        return lambda value: isinstance(value, str | int | float) and not listed(value)
    if isinstance(condition, MatchText):
        wanted = set(tokens(condition.text))
        return lambda value: isinstance(value, str) and bool(wanted) and wanted.issubset(tokens(value))
    if isinstance(condition, MatchPhrase):
        phrase = tokens(condition.text)
        return lambda value: isinstance(value, str) and contains_phrase(tokens(value), phrase)
    if isinstance(condition, MatchPrefix):
        prefix = condition.prefix
        return lambda value: isinstance(value, str) and value.startswith(prefix)
    if isinstance(condition, Range):
        within = bounds_test(condition)
        if condition.datetime:
            return lambda value: (
                isinstance(value, str) and (moment := parse_datetime(value)) is not None and within(moment)
            )
        return lambda value: is_number(value) and within(value)
    if isinstance(condition, GeoRadius):
        return in_radius(condition)
    return in_box(condition)


def one_of(values: Collection[Scalar]) -> ValueTest:
    """Equality with a listed value: 1 equals 1.0, True equals neither, and no number equals a string."""
    strings = {value for value in values if isinstance(value, str)}
    bools = {value for value in values if isinstance(value, bool)}
    numbers = {value for value in values if is_number(value)}

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return value in strings
        if isinstance(value, bool):
            return value in bools
        return isinstance(value, int | float) and value in numbers

    return test


def bounds_test(bounds: Range | ValuesCount) -> ValueTest:
    compare = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
    checks = [(compare[name], getattr(bounds, name)) for name in compare if getattr(bounds, name) is not None]

    def test(value: Any) -> bool:
        return all(passes(value, bound) for passes, bound in checks)

    return test


def point_of(value: Any) -> tuple[float, float] | None:
    """(latitude, longitude) in degrees of {"lat": .., "lon": ..}, or None when it is not a place on Earth."""
    if not isinstance(value, dict):
        return None
    lat, lon = value.get("lat"), value.get("lon")
    if not is_number(lat) or not is_number(lon) or not -90 <= lat <= 90 or not -180 <= lon <= 180:
        return None
    return float(lat), float(lon)


def in_radius(condition: GeoRadius) -> ValueTest:
    lat0, lon0 = radians(condition.lat), radians(condition.lon)

    def test(value: Any) -> bool:
        place = point_of(value)
        if place is None:
            return False
        lat, lon = radians(place[0]), radians(place[1])
        haversine = sin((lat - lat0) / 2) ** 2 + cos(lat0) * cos(lat) * sin((lon - lon0) / 2) ** 2
        return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(haversine))) <= condition.radius_m

    return test


def in_box(box: GeoBoundingBox) -> ValueTest:
    def test(value: Any) -> bool:
        place = point_of(value)
        if place is None or not box.bottom <= place[0] <= box.top:
            return False
        if box.left <= box.right:
            return box.left <= place[1] <= box.right
        return place[1] >= box.left or place[1] <= box.right

    return test
