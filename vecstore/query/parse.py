"""Dictionaries to filters and back. The form is Qdrant's:

    {"must": [{"key": "lang", "match": {"value": "en"}}, {"key": "year", "range": {"gte": 2020}}]}

A single condition, or a list of them (all must hold), is accepted for a filter, and built conditions may stand among
dictionaries. docs/FILTERS.md lists every condition.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from vecstore.config import Limits
from vecstore.query.datetimes import format_datetime, parse_datetime, to_microseconds
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
    PointId,
    Range,
    ValuesCount,
)
from vecstore.query.validate import GROUPS, bad_filter, check_filter, check_size, show

__all__ = ["check_filter", "parse_filter", "to_dict"]

BOUNDS = ("gt", "gte", "lt", "lte")
MATCHES: dict[str, tuple[type[Any], str]] = {
    "value": (MatchValue, "value"),
    "any": (MatchAny, "values"),
    "except": (MatchExcept, "values"),
    "text": (MatchText, "text"),
    "phrase": (MatchPhrase, "text"),
    "prefix": (MatchPrefix, "prefix"),
}
KEY_ONLY: dict[str, type[Any]] = {"exists": Exists, "is_null": IsNull, "is_empty": IsEmpty}


def parse_filter(data: object, limits: Limits = Limits(), path: str = "filter") -> Filter:  # noqa: B008
    """Read a filter and check it. Raises InvalidArgument (BAD_FILTER or LIMIT_EXCEEDED) naming the place, such as
    `filter.must[3].range.gte`."""
    check_size(data, limits, path)
    return check_filter(_filter(data, path), limits, path)


def _filter(data: object, path: str) -> Filter:
    if isinstance(data, Filter):
        return data
    if isinstance(data, Mapping):
        if not data or any(group in data for group in GROUPS):
            return _groups(data, path)
        return Filter(must=(_condition(data, path),))
    if isinstance(data, list | tuple):
        return Filter(must=_conditions(data, path))
    if isinstance(data, Condition):
        return Filter(must=(data,))
    hint = "; F has methods for conditions, such as F('year').eq(2020)" if isinstance(data, bool) else ""
    raise bad_filter(path, f"{show(data)} is not a filter{hint}")


def _groups(data: Mapping[Any, object], path: str) -> Filter:
    _only(data, GROUPS, path)
    some: Any = data.get("min_should")
    if some is not None and not isinstance(some, MinShould):
        here = f"{path}.min_should"
        _mapping(some, here, ("conditions", "min_count"))
        some = MinShould(_conditions(some["conditions"], f"{here}.conditions"), some["min_count"])
    return Filter(
        must=_conditions(data.get("must"), f"{path}.must"),
        should=_conditions(data.get("should"), f"{path}.should"),
        must_not=_conditions(data.get("must_not"), f"{path}.must_not"),
        min_should=some,
    )


def _conditions(data: object, path: str) -> tuple[Condition, ...]:
    if data is None:
        return ()
    if isinstance(data, list | tuple):
        return tuple(_condition(item, f"{path}[{i}]") for i, item in enumerate(data))
    return (_condition(data, path),)


def _condition(data: object, path: str) -> Condition:
    if isinstance(data, Condition):
        return data
    if not isinstance(data, Mapping):
        raise bad_filter(path, f"{show(data)} is not a condition")
    if not data or any(group in data for group in GROUPS):
        return _groups(data, path)
    clauses = [name for name in data if name != "key"]
    if len(clauses) != 1:
        raise bad_filter(path, f"a condition has one clause besides its key, this has {show(clauses)}")
    name, clause = clauses[0], data[clauses[0]]
    here = f"{path}.{name}" if isinstance(name, str) else path
    if name in KEYED:
        if "key" not in data:
            raise bad_filter(path, f"{name} needs a key")
        return KEYED[name](data["key"], clause, here)
    if name not in UNKEYED:
        raise bad_filter(path, f"unknown condition {show(name)}; known are {', '.join([*KEYED, *UNKEYED, *GROUPS])}")
    if "key" in data:
        raise bad_filter(path, f"{name} takes no key beside it")
    return UNKEYED[name](clause, here)


def _match(key: Any, clause: Any, path: str) -> Condition:
    _mapping(clause, path)
    _only(clause, MATCHES, path)
    if len(clause) != 1:
        raise bad_filter(path, f"match takes exactly one of {', '.join(MATCHES)}")
    ((name, value),) = clause.items()
    kind, field = MATCHES[name]
    if field == "values":
        value = _tuple(value, f"{path}.{name}")
    built: Condition = kind(**{"key": key, field: value})
    return built


def _range(key: Any, clause: Any, path: str) -> Condition:
    _mapping(clause, path)
    _only(clause, BOUNDS, path)
    bounds = {name: value for name, value in clause.items() if value is not None}
    moments = {
        name: _moment(value, f"{path}.{name}") for name, value in bounds.items() if isinstance(value, str | datetime)
    }
    if moments and len(moments) != len(bounds):
        raise bad_filter(path, "bounds are numbers or datetimes, not both")
    return Range(key=key, **(moments or bounds), datetime=bool(moments))


def _moment(value: str | datetime, path: str) -> int:
    moment = to_microseconds(value) if isinstance(value, datetime) else parse_datetime(value)
    if moment is None:
        raise bad_filter(path, f"{show(value)} is not an RFC 3339 date and time")
    return moment


def _values_count(key: Any, clause: Any, path: str) -> Condition:
    _mapping(clause, path)
    _only(clause, BOUNDS, path)
    return ValuesCount(key=key, **clause)


def _geo_radius(key: Any, clause: Any, path: str) -> Condition:
    _mapping(clause, path, ("center", "radius"))
    lat, lon = _corner(clause["center"], f"{path}.center")
    return GeoRadius(key=key, lat=lat, lon=lon, radius_m=clause["radius"])


def _geo_box(key: Any, clause: Any, path: str) -> Condition:
    _mapping(clause, path, ("top_left", "bottom_right"))
    top, left = _corner(clause["top_left"], f"{path}.top_left")
    bottom, right = _corner(clause["bottom_right"], f"{path}.bottom_right")
    return GeoBoundingBox(key=key, top=top, left=left, bottom=bottom, right=right)


def _corner(data: Any, path: str) -> tuple[Any, Any]:
    _mapping(data, path, ("lat", "lon"))
    return data["lat"], data["lon"]


def _nested(clause: Any, path: str) -> Condition:
    _mapping(clause, path, ("key", "filter"))
    return Nested(key=clause["key"], filter=_filter(clause["filter"], f"{path}.filter"))


def _has_id(clause: Any, path: str) -> Condition:
    ids = []
    for i, item in enumerate(_tuple(clause, path)):
        if isinstance(item, Mapping):
            if item.keys() == {"str"} and isinstance(item["str"], str):
                ids.append(item["str"])
                continue
            _mapping(item, f"{path}[{i}]", ("uuid",))
            try:
                item = uuid.UUID(item["uuid"])
            except (ValueError, AttributeError, TypeError):
                raise bad_filter(f"{path}[{i}].uuid", f"{show(item['uuid'])} is not a UUID") from None
        ids.append(item)
    return HasId(ids=tuple(ids))


def _has_vector(clause: Any, path: str) -> Condition:
    return HasVector(name=clause)


def _key_only(kind: type[Any]) -> Callable[[object, str], Condition]:
    def build(clause: Any, path: str) -> Condition:
        _mapping(clause, path, ("key",))
        built: Condition = kind(key=clause["key"])
        return built

    return build


KEYED: dict[str, Callable[[Any, Any, str], Condition]] = {
    "match": _match,
    "range": _range,
    "values_count": _values_count,
    "geo_radius": _geo_radius,
    "geo_bounding_box": _geo_box,
}
UNKEYED: dict[str, Callable[[Any, str], Condition]] = {
    **{name: _key_only(kind) for name, kind in KEY_ONLY.items()},
    "has_id": _has_id,
    "has_vector": _has_vector,
    "nested": _nested,
    "filter": _filter,
}


def _mapping(data: Any, path: str, names: Sequence[str] = ()) -> None:
    """Check for an object that has exactly `names`, or any names when none are given."""
    if not isinstance(data, Mapping):
        raise bad_filter(path, f"{show(data)} is not an object")
    if names:
        _only(data, names, path)
    for name in names:
        if name not in data:
            raise bad_filter(path, f"{name} is missing")


def _only(data: Any, names: Sequence[str] | Mapping[str, object], path: str) -> None:
    for name in data:
        if name not in names:
            raise bad_filter(path, f"unknown name {show(name)}; known are {', '.join(names)}")


def _tuple(data: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple | set | frozenset):
        raise bad_filter(path, f"{show(data)} is not a list")
    return tuple(data)


def to_dict(filter: Filter) -> dict[str, Any]:
    """The JSON form, which `parse_filter` reads back to an equal filter. The filter has passed `check_filter`."""
    data: dict[str, Any] = {
        group: [_condition_dict(condition) for condition in getattr(filter, group)]
        for group in ("must", "should", "must_not")
        if getattr(filter, group)
    }
    if filter.min_should is not None:
        conditions = [_condition_dict(condition) for condition in filter.min_should.conditions]
        data["min_should"] = {"conditions": conditions, "min_count": filter.min_should.min_count}
    return data


def _id_dict(id: PointId) -> Any:
    """A string that only looks like a UUID says that it is none, for readers to whom it would be one."""
    if isinstance(id, uuid.UUID):
        return {"uuid": str(id)}
    return {"str": id} if isinstance(id, str) and len(id) == 36 and _UUID.match(id) else id


_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")


def _condition_dict(condition: Condition) -> dict[str, Any]:
    if isinstance(condition, Filter):
        return to_dict(condition)
    if isinstance(condition, HasId):
        return {"has_id": [_id_dict(id) for id in condition.ids]}
    if isinstance(condition, HasVector):
        return {"has_vector": condition.name}
    if isinstance(condition, Nested):
        return {"nested": {"key": condition.key, "filter": to_dict(condition.filter)}}
    for name, kind in KEY_ONLY.items():
        if isinstance(condition, kind):
            return {name: {"key": condition.key}}
    for name, (kind, field) in MATCHES.items():
        if isinstance(condition, kind):
            value = getattr(condition, field)
            return {"key": condition.key, "match": {name: list(value) if isinstance(value, tuple) else value}}
    if isinstance(condition, Range | ValuesCount):
        bounds = {name: getattr(condition, name) for name in BOUNDS if getattr(condition, name) is not None}
        if isinstance(condition, Range) and condition.datetime:
            bounds = {name: format_datetime(value) for name, value in bounds.items()}
        return {"key": condition.key, "range" if isinstance(condition, Range) else "values_count": bounds}
    if isinstance(condition, GeoRadius):
        center = {"lat": condition.lat, "lon": condition.lon}
        return {"key": condition.key, "geo_radius": {"center": center, "radius": condition.radius_m}}
    if isinstance(condition, GeoBoundingBox):
        corners = {
            "top_left": {"lat": condition.top, "lon": condition.left},
            "bottom_right": {"lat": condition.bottom, "lon": condition.right},
        }
        return {"key": condition.key, "geo_bounding_box": corners}
    raise TypeError(f"{type(condition).__name__} is not a condition")
