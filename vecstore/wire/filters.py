"""The filter tree. Depth, terms and list lengths are counted on the way down, so no message makes us recurse further
than the limits allow. A filter's own level is depth 1; each nested filter adds one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from vecstore.config import Limits
from vecstore.errors import InvalidArgument, invalid, limit_exceeded
from vecstore.pb.v1 import filter_pb2 as pb
from vecstore.query import filter as f
from vecstore.wire.ids import id_to_pb, ids_from_pb
from vecstore.wire.values import I64_MAX, I64_MIN

BOUNDS = ("gt", "gte", "lt", "lte")
MICROSECONDS = 1_000_000


def bad_filter(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid("BAD_FILTER", message, path)


# ---- to the wire


def filter_to_pb(value: f.Filter) -> pb.Filter:
    """Raises InvalidArgument (BAD_FILTER) for values that the wire has no place for."""
    message = pb.Filter(
        must=[_condition_to_pb(c) for c in value.must],
        should=[_condition_to_pb(c) for c in value.should],
        must_not=[_condition_to_pb(c) for c in value.must_not],
    )
    if value.min_should is not None:
        message.min_should.extend(_condition_to_pb(c) for c in value.min_should.conditions)
        message.min_count = value.min_should.min_count
    return message


def _condition_to_pb(value: f.Condition) -> pb.Condition:
    match value:
        case f.MatchValue(key, scalar):
            return pb.Condition(key=key, match_value=_scalar_to_pb(scalar))
        case f.MatchAny(key, values):
            return pb.Condition(key=key, match_any=pb.Scalars(values=[_scalar_to_pb(v) for v in values]))
        case f.MatchExcept(key, values):
            return pb.Condition(key=key, match_except=pb.Scalars(values=[_scalar_to_pb(v) for v in values]))
        case f.MatchText(key, text):
            return pb.Condition(key=key, match_text=text)
        case f.MatchPhrase(key, text):
            return pb.Condition(key=key, match_phrase=text)
        case f.MatchPrefix(key, prefix):
            return pb.Condition(key=key, match_prefix=prefix)
        case f.Range(datetime=True):
            return pb.Condition(key=value.key, datetime_range=_datetime_range_to_pb(value))
        case f.Range():
            numbers = {name: _number_to_pb(getattr(value, name)) for name in BOUNDS if getattr(value, name) is not None}
            return pb.Condition(key=value.key, range=pb.Range(**numbers))
        case f.Exists(key):
            return pb.Condition(key=key, exists=pb.Exists())
        case f.IsNull(key):
            return pb.Condition(key=key, is_null=pb.IsNull())
        case f.IsEmpty(key):
            return pb.Condition(key=key, is_empty=pb.IsEmpty())
        case f.ValuesCount():
            counts = {name: getattr(value, name) for name in BOUNDS if getattr(value, name) is not None}
            for name, count in counts.items():
                _check_int(count, f"values_count.{name}")
            return pb.Condition(key=value.key, values_count=pb.ValuesCount(**counts))
        case f.GeoRadius(key, lat, lon, radius_m):
            return pb.Condition(key=key, geo_radius=pb.GeoRadius(lat=lat, lon=lon, radius_m=radius_m))
        case f.GeoBoundingBox(key, top, left, bottom, right):
            box = pb.GeoBoundingBox(top=top, left=left, bottom=bottom, right=right)
            return pb.Condition(key=key, geo_bounding_box=box)
        case f.HasId(ids):
            return pb.Condition(has_id=pb.HasId(ids=[id_to_pb(i, f"has_id[{n}]") for n, i in enumerate(ids)]))
        case f.HasVector(name):
            return pb.Condition(has_vector=name)
        case f.Nested(key, inner):
            return pb.Condition(key=key, nested=filter_to_pb(inner))
        case f.Filter():
            return pb.Condition(filter=filter_to_pb(value))
    raise bad_filter("filter", f"holds a {type(value).__name__}, which is no condition")


def _scalar_to_pb(value: f.Scalar) -> pb.Scalar:
    if isinstance(value, str):
        return pb.Scalar(string_value=value)
    if isinstance(value, bool):
        return pb.Scalar(bool_value=value)
    if isinstance(value, int):
        _check_int(value, "match")
        return pb.Scalar(integer_value=value)
    return pb.Scalar(double_value=value)


def _number_to_pb(value: int | float) -> pb.Number:
    if isinstance(value, int):
        _check_int(value, "range")
        return pb.Number(integer=value)
    return pb.Number(real=value)


def _datetime_range_to_pb(value: f.Range) -> pb.DatetimeRange:
    message = pb.DatetimeRange()
    for name in BOUNDS:
        bound = getattr(value, name)
        if bound is None:
            continue
        if isinstance(bound, float):  # values are whole microseconds: gte and lt round up, gt and lte down
            _check_finite(bound, f"range.{name}")
            bound = math.ceil(bound) if name in ("gte", "lt") else math.floor(bound)
        seconds, micros = divmod(bound, MICROSECONDS)
        _check_int(seconds, f"range.{name}")
        stamp = getattr(message, name)
        stamp.SetInParent()
        stamp.seconds, stamp.nanos = seconds, micros * 1000
    return message


def _check_int(value: int, path: str) -> None:
    if not I64_MIN <= value <= I64_MAX:
        raise bad_filter(path, f"is {value}, outside int64")


# ---- from the wire


def filter_from_pb(message: pb.Filter, limits: Limits, path: str = "filter") -> f.Filter:
    """Raises InvalidArgument: LIMIT_EXCEEDED past filter_depth_max, filter_terms_max or in_list_max, BAD_FILTER for
    conditions without a kind or a key."""
    return _Reader(limits).read(message, path, 1)


def given_filter(message: Any, limits: Limits, path: str = "filter") -> f.Filter | None:
    """The filter of a request, None where it has none. Raises as `filter_from_pb`."""
    return filter_from_pb(message.filter, limits, path) if message.HasField("filter") else None


class _Reader:
    """Reads one filter, counting its terms."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.terms = 0

    def read(self, message: pb.Filter, path: str, depth: int) -> f.Filter:
        if depth > self.limits.filter_depth_max:
            raise limit_exceeded("filter_depth_max", depth, self.limits.filter_depth_max, path="filter depth")
        min_should = None
        if message.HasField("min_count"):
            conditions = self._conditions(message.min_should, f"{path}.min_should", depth)
            min_should = f.MinShould(conditions, message.min_count)
        elif message.min_should:
            raise bad_filter(f"{path}.min_should", "is given without min_count")
        return f.Filter(
            must=self._conditions(message.must, f"{path}.must", depth),
            should=self._conditions(message.should, f"{path}.should", depth),
            must_not=self._conditions(message.must_not, f"{path}.must_not", depth),
            min_should=min_should,
        )

    def _conditions(self, messages: Sequence[pb.Condition], path: str, depth: int) -> tuple[f.Condition, ...]:
        self.terms += len(messages)
        if self.terms > self.limits.filter_terms_max:
            raise limit_exceeded("filter_terms_max", self.terms, self.limits.filter_terms_max, path="filter terms")
        return tuple(self._condition(m, f"{path}[{place}]", depth) for place, m in enumerate(messages))

    def _condition(self, message: pb.Condition, path: str, depth: int) -> f.Condition:
        kind = message.WhichOneof("condition")
        if kind == "filter":
            return self.read(message.filter, f"{path}.filter", depth + 1)
        if kind == "has_id":
            self._check_list(len(message.has_id.ids), f"{path}.has_id")
            return f.HasId(tuple(ids_from_pb(message.has_id.ids, f"{path}.has_id.ids")))
        if kind == "has_vector":
            return f.HasVector(message.has_vector)
        if kind is None:
            raise bad_filter(path, "has no condition")
        if not message.key:
            raise bad_filter(f"{path}.key", "is empty")
        if kind == "nested":
            return f.Nested(message.key, self.read(message.nested, f"{path}.nested", depth + 1))
        if kind in ("match_any", "match_except"):
            scalars = getattr(message, kind).values
            self._check_list(len(scalars), f"{path}.{kind}")
            values = tuple(_scalar_from_pb(s, f"{path}.{kind}.values[{place}]") for place, s in enumerate(scalars))
            return f.MatchAny(message.key, values) if kind == "match_any" else f.MatchExcept(message.key, values)
        return _LEAVES[kind](message, f"{path}.{kind}")

    def _check_list(self, length: int, path: str) -> None:
        if length > self.limits.in_list_max:
            raise limit_exceeded("in_list_max", length, self.limits.in_list_max, path=f"{path} length")


def _scalar_from_pb(message: pb.Scalar, path: str) -> f.Scalar:
    kind = message.WhichOneof("scalar")
    if kind is None:
        raise bad_filter(path, "is empty: give one of its kinds")
    value: f.Scalar = getattr(message, kind)
    if isinstance(value, float):
        _check_finite(value, path)
    return value


def _range_from_pb(condition: pb.Condition, path: str) -> f.Range:
    bounds: dict[str, Any] = {}
    for name in BOUNDS:
        if condition.range.HasField(name):
            number = getattr(condition.range, name)
            kind = number.WhichOneof("number")
            if kind is None:
                raise bad_filter(f"{path}.{name}", "is empty: give integer or real")
            bounds[name] = getattr(number, kind)
            _check_finite(bounds[name], f"{path}.{name}")
    return f.Range(condition.key, **bounds)


def _datetime_range_from_pb(condition: pb.Condition, path: str) -> f.Range:
    bounds: dict[str, int] = {}
    for name in BOUNDS:
        if condition.datetime_range.HasField(name):
            stamp = getattr(condition.datetime_range, name)
            if not 0 <= stamp.nanos < 1_000_000_000:
                raise bad_filter(f"{path}.{name}.nanos", f"is {stamp.nanos}, outside 0..999999999")
            micros, rest = divmod(stamp.nanos, 1000)
            up = 1 if rest and name in ("gte", "lt") else 0
            bounds[name] = stamp.seconds * MICROSECONDS + micros + up
    return f.Range(condition.key, datetime=True, **bounds)


def _values_count_from_pb(condition: pb.Condition, path: str) -> f.ValuesCount:
    count = condition.values_count
    return f.ValuesCount(condition.key, **{name: getattr(count, name) for name in BOUNDS if count.HasField(name)})


def _geo_radius_from_pb(condition: pb.Condition, path: str) -> f.GeoRadius:
    circle = condition.geo_radius
    for name in ("lat", "lon", "radius_m"):
        _check_finite(getattr(circle, name), f"{path}.{name}")
    return f.GeoRadius(condition.key, circle.lat, circle.lon, circle.radius_m)


def _geo_bounding_box_from_pb(condition: pb.Condition, path: str) -> f.GeoBoundingBox:
    box = condition.geo_bounding_box
    for name in ("top", "left", "bottom", "right"):
        _check_finite(getattr(box, name), f"{path}.{name}")
    return f.GeoBoundingBox(condition.key, box.top, box.left, box.bottom, box.right)


def _check_finite(value: int | float, path: str) -> None:
    if not math.isfinite(value):
        raise bad_filter(path, f"is {value}, which is not finite")


_LEAVES: dict[str, Callable[[pb.Condition, str], f.Condition]] = {
    "match_value": lambda c, path: f.MatchValue(c.key, _scalar_from_pb(c.match_value, path)),
    "match_text": lambda c, path: f.MatchText(c.key, c.match_text),
    "match_phrase": lambda c, path: f.MatchPhrase(c.key, c.match_phrase),
    "match_prefix": lambda c, path: f.MatchPrefix(c.key, c.match_prefix),
    "range": _range_from_pb,
    "datetime_range": _datetime_range_from_pb,
    "exists": lambda c, path: f.Exists(c.key),
    "is_null": lambda c, path: f.IsNull(c.key),
    "is_empty": lambda c, path: f.IsEmpty(c.key),
    "values_count": _values_count_from_pb,
    "geo_radius": _geo_radius_from_pb,
    "geo_bounding_box": _geo_bounding_box_from_pb,
}
