"""Checks on filters, wherever they came from: size first and without recursion, then every condition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard
from uuid import UUID

from vecstore.config import Limits
from vecstore.errors import InvalidArgument, limit_exceeded
from vecstore.query.datetimes import MICROSECONDS_MAX, MICROSECONDS_MIN
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
    MinShould,
    Nested,
    Range,
    ValuesCount,
)
from vecstore.query.path import parse_path

GROUPS = ("must", "should", "must_not", "min_should")
DEPTH_CEILING = 128  # matching and evaluating recurse over the tree; Python's stack takes about 1,000 frames


def bad_filter(path: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"{path}: {why}", reason="BAD_FILTER", field_violations=[(path, why)])


def show(value: object) -> str:
    """A value for a message, cut short; an integer may be too long for Python to print."""
    try:
        text = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    except ValueError:
        text = "a very long integer"
    return text if len(text) <= 80 else text[:77] + "..."


def check_size(data: object, limits: Limits, path: str = "filter") -> None:
    """Bound depth and number of conditions of a dictionary or a tree, without recursion and without building anything.

    The outermost filter has depth 1; each filter inside another, and each nested one, is one deeper. Raises
    InvalidArgument (LIMIT_EXCEEDED).
    """
    depth_max = min(limits.filter_depth_max, DEPTH_CEILING)
    terms = 0
    waiting: list[tuple[object, int]] = [(data, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > depth_max:
            raise limit_exceeded("filter_depth_max", depth, depth_max, path=path)
        for group in _groups_of(node):
            terms += len(group)
            if terms > limits.filter_terms_max:
                raise limit_exceeded("filter_terms_max", terms, limits.filter_terms_max, path=path)
            for item in group:
                waiting.extend((inner, depth + 1) for inner in _filters_in(item))


def _groups_of(node: object) -> Iterator[list[Any] | tuple[Any, ...]]:
    if isinstance(node, list | tuple):
        yield node
        return
    if not _is_group(node):
        yield (node,)
        return
    for name in GROUPS:
        group = _get(node, name)
        if name == "min_should":
            group = _get(group, "conditions")
        if isinstance(group, list | tuple):
            yield group
        elif group is not None:
            yield (group,)


def _filters_in(item: object) -> Iterator[object]:
    if _is_group(item):
        yield item
    elif isinstance(item, Nested):
        yield item.filter
    elif isinstance(item, Mapping):
        for inner in (item.get("filter"), _get(item.get("nested"), "filter")):
            if inner is not None:
                yield inner


def _is_group(node: object) -> bool:
    return isinstance(node, Filter) or (isinstance(node, Mapping) and any(name in node for name in GROUPS))


def _get(node: object, name: str) -> Any:
    if isinstance(node, Mapping):
        return node.get(name)
    return getattr(node, name, None) if isinstance(node, Filter | MinShould) else None


def check_filter(filter: Filter, limits: Limits = Limits(), path: str = "filter") -> Filter:  # noqa: B008
    """Check a tree that was built elsewhere and return it.

    Raises InvalidArgument: LIMIT_EXCEEDED for depth, number of conditions or length of a list; BAD_FILTER for a wrong
    type, a key that is no path, NaN or infinity, a bound that is missing or out of range. The message and the field
    violation name the place, such as `filter.must[3].range.gte`.
    """
    if not isinstance(filter, Filter):
        raise bad_filter(path, f"{show(filter)} is not a filter")
    check_size(filter, limits, path)
    _check_groups(filter, limits, path, inside_nested=False)
    return filter


def _check_groups(filter: Filter, limits: Limits, path: str, *, inside_nested: bool) -> None:
    groups: list[tuple[str, object]] = [
        ("must", filter.must),
        ("should", filter.should),
        ("must_not", filter.must_not),
    ]
    if filter.min_should is not None:
        some = filter.min_should
        if not isinstance(some, MinShould):
            raise bad_filter(f"{path}.min_should", f"{show(some)} is not a min_should")
        if not _is_int(some.min_count) or some.min_count < 1:
            raise bad_filter(f"{path}.min_should.min_count", f"{show(some.min_count)} is not an integer of at least 1")
        groups.append(("min_should.conditions", some.conditions))
    for name, conditions in groups:
        if not isinstance(conditions, tuple | list):
            raise bad_filter(f"{path}.{name}", f"{show(conditions)} is not a list")
        for i, condition in enumerate(conditions):
            _check_condition(condition, limits, f"{path}.{name}[{i}]", inside_nested=inside_nested)


def _check_condition(condition: Any, limits: Limits, path: str, *, inside_nested: bool) -> None:
    if not isinstance(condition, Condition):
        raise bad_filter(path, f"{show(condition)} is not a condition")
    if isinstance(condition, Filter):
        _check_groups(condition, limits, path, inside_nested=inside_nested)
        return
    if isinstance(condition, HasId | HasVector):
        if inside_nested:
            name = "has_id" if isinstance(condition, HasId) else "has_vector"
            raise bad_filter(path, f"{name} is about the point and cannot stand inside nested")
        _check_point(condition, limits, path)
        return
    check_key(condition.key, f"{path}.{KEY_PLACE.get(type(condition), 'key')}")
    if isinstance(condition, Nested):
        if not isinstance(condition.filter, Filter):
            raise bad_filter(f"{path}.nested.filter", f"{show(condition.filter)} is not a filter")
        _check_groups(condition.filter, limits, f"{path}.nested.filter", inside_nested=True)
        return
    check = CHECKS.get(type(condition))
    if check is not None:
        check(condition, limits, path)


def _check_point(condition: HasId | HasVector, limits: Limits, path: str) -> None:
    if isinstance(condition, HasVector):
        if not isinstance(condition.name, str) or not condition.name:
            raise bad_filter(f"{path}.has_vector", f"{show(condition.name)} is not a vector's name")
        return
    _check_list(condition.ids, limits, f"{path}.has_id")
    for i, id in enumerate(condition.ids):
        if isinstance(id, UUID) or (_is_int(id) and 0 <= id < 1 << 64):
            continue
        if isinstance(id, str) and 1 <= len(id.encode("utf-8", "surrogatepass")) <= limits.string_id_bytes_max:
            continue
        why = f"{show(id)} is not a point id (an unsigned 64-bit integer, a UUID, or a string of 1 to "
        raise bad_filter(f"{path}.has_id[{i}]", f"{why}{limits.string_id_bytes_max} bytes)")


def check_key(key: object, path: str) -> None:
    if not isinstance(key, str):
        raise bad_filter(path, f"{show(key)} is not a key")
    try:
        parse_path(key)
    except InvalidArgument as error:
        raise bad_filter(path, error.message) from None


def _check_list(values: object, limits: Limits, path: str) -> None:
    if not isinstance(values, tuple | list):
        raise bad_filter(path, f"{show(values)} is not a list")
    if len(values) > limits.in_list_max:
        raise limit_exceeded("in_list_max", len(values), limits.in_list_max, path=path)


def _check_value(value: object, path: str) -> None:
    if not isinstance(value, str | int | float):
        raise bad_filter(path, f"{show(value)} is not a string, number or boolean")
    if isinstance(value, float) and not math.isfinite(value):
        raise bad_filter(path, f"{show(value)} is not a finite number")


def _check_match_value(condition: MatchValue, limits: Limits, path: str) -> None:
    _check_value(condition.value, f"{path}.match.value")


def _check_match_list(condition: MatchAny | MatchExcept, limits: Limits, path: str) -> None:
    path = f"{path}.match.{'any' if isinstance(condition, MatchAny) else 'except'}"
    _check_list(condition.values, limits, path)
    for i, value in enumerate(condition.values):
        _check_value(value, f"{path}[{i}]")


def _check_match_text(condition: MatchText | MatchPhrase | MatchPrefix, limits: Limits, path: str) -> None:
    name = {MatchText: "text", MatchPhrase: "phrase", MatchPrefix: "prefix"}[type(condition)]
    text = condition.prefix if isinstance(condition, MatchPrefix) else condition.text
    if not isinstance(text, str):
        raise bad_filter(f"{path}.match.{name}", f"{show(text)} is not a string")


def _check_bounds(condition: Range | ValuesCount, limits: Limits, path: str) -> None:
    path = f"{path}.{'range' if isinstance(condition, Range) else 'values_count'}"
    bounds = {name: getattr(condition, name) for name in ("gt", "gte", "lt", "lte")}
    if all(bound is None for bound in bounds.values()):
        raise bad_filter(path, "needs at least one of gt, gte, lt, lte")
    for name, bound in bounds.items():
        if bound is None:
            continue
        here = f"{path}.{name}"
        if isinstance(condition, ValuesCount):
            if not _is_int(bound) or bound < 0:
                raise bad_filter(here, f"{show(bound)} is not a count")
        elif condition.datetime:
            if not _is_int(bound) or not MICROSECONDS_MIN <= bound <= MICROSECONDS_MAX:
                raise bad_filter(here, f"{show(bound)} is not in the years 1 to 9999, in microseconds since 1970")
        else:
            _check_number(bound, here)


def _check_radius(condition: GeoRadius, limits: Limits, path: str) -> None:
    path = f"{path}.geo_radius"
    _check_degrees(condition.lat, 90, f"{path}.center.lat")
    _check_degrees(condition.lon, 180, f"{path}.center.lon")
    _check_number(condition.radius_m, f"{path}.radius")
    if condition.radius_m < 0:
        raise bad_filter(f"{path}.radius", f"{show(condition.radius_m)} metres is negative")


def _check_box(condition: GeoBoundingBox, limits: Limits, path: str) -> None:
    path = f"{path}.geo_bounding_box"
    _check_degrees(condition.top, 90, f"{path}.top_left.lat")
    _check_degrees(condition.left, 180, f"{path}.top_left.lon")
    _check_degrees(condition.bottom, 90, f"{path}.bottom_right.lat")
    _check_degrees(condition.right, 180, f"{path}.bottom_right.lon")
    if condition.top < condition.bottom:
        raise bad_filter(path, f"top {show(condition.top)} is below bottom {show(condition.bottom)}")


def _check_degrees(value: object, bound: int, path: str) -> None:
    _check_number(value, path)
    if not -bound <= value <= bound:  # type: ignore[operator]
        raise bad_filter(path, f"{show(value)} is not within -{bound} and {bound} degrees")


def _check_number(value: object, path: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise bad_filter(path, f"{show(value)} is not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise bad_filter(path, f"{show(value)} is not a finite number")


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


KEY_PLACE: dict[type[Any], str] = {
    Exists: "exists.key",
    IsNull: "is_null.key",
    IsEmpty: "is_empty.key",
    Nested: "nested.key",
}
CHECKS: dict[type[Any], Callable[[Any, Limits, str], None]] = {
    MatchValue: _check_match_value,
    MatchAny: _check_match_list,
    MatchExcept: _check_match_list,
    MatchText: _check_match_text,
    MatchPhrase: _check_match_text,
    MatchPrefix: _check_match_text,
    Range: _check_bounds,
    ValuesCount: _check_bounds,
    GeoRadius: _check_radius,
    GeoBoundingBox: _check_box,
}
