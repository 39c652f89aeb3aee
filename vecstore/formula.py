"""Building blocks of rank expressions, which `Collection.query` takes in place of a vector:

    from vecstore.formula import field, gauss_decay, score

    docs.query(score(0) + 0.2 * gauss_decay(field("year"), target=2026, scale=3), prefetch=[Prefetch(vector=v)])

Python's arithmetic and <, <=, >, >= combine them; `eq` and `ne` compare. docs/QUERIES.md has the rules.
"""

from __future__ import annotations

from datetime import datetime as _datetime

from vecstore.query.builder import moment
from vecstore.query.filter import Filter
from vecstore.query.formula import (
    Call,
    Decay,
    Expression,
    FieldValue,
    GeoDistance,
    Matches,
    Operand,
    Score,
    operand,
)

__all__ = [
    "Expression", "abs_", "datetime", "datetime_field", "eq", "exp", "exp_decay", "field", "gauss_decay",
    "geo_distance", "linear_decay", "log", "log10", "matches", "max_", "min_", "ne", "score", "sqrt", "where",
]  # fmt: skip


def score(prefetch: int = 0, default: float = 0.0) -> Score:
    """The point's score in a prefetch, by its place; `default` where that did not find it."""
    return Score(prefetch, default)


def field(key: str, default: float | None = None) -> FieldValue:
    """The number at a payload key, of several the smallest. Without a default, points without one get no score."""
    return FieldValue(key, default)


def datetime_field(key: str, default: _datetime | str | None = None) -> FieldValue:
    """The moment at a payload key, in seconds since 1970 UTC."""
    return FieldValue(key, None if default is None else moment(default) / 1e6, True)


def datetime(value: _datetime | str) -> Expression:
    """A moment, in seconds since 1970 UTC."""
    return operand(moment(value) / 1e6)


def matches(filter: Filter) -> Matches:
    """1 for points that match, else 0."""
    return Matches(filter)


def geo_distance(key: str, lat: float, lon: float, default: float | None = None) -> GeoDistance:
    """Metres from a place to the one at a payload key, {"lat": .., "lon": ..}."""
    return GeoDistance(key, lat, lon, default)


def exp_decay(x: Operand, target: Operand = 0.0, scale: float = 1.0, midpoint: float = 0.5) -> Decay:
    """midpoint ^ (|x - target| / scale)."""
    return Decay("exp", operand(x), operand(target), scale, midpoint)


def gauss_decay(x: Operand, target: Operand = 0.0, scale: float = 1.0, midpoint: float = 0.5) -> Decay:
    """midpoint ^ (|x - target| / scale)^2."""
    return Decay("gauss", operand(x), operand(target), scale, midpoint)


def linear_decay(x: Operand, target: Operand = 0.0, scale: float = 1.0, midpoint: float = 0.5) -> Decay:
    """1 - (1 - midpoint) * |x - target| / scale, at least 0."""
    return Decay("linear", operand(x), operand(target), scale, midpoint)


def where(condition: Operand, then: Operand, otherwise: Operand) -> Call:
    """`then` where the condition is not 0, else `otherwise`."""
    return Call("where", (operand(condition), operand(then), operand(otherwise)))


def eq(a: Operand, b: Operand) -> Call:
    return Call("eq", (operand(a), operand(b)))


def ne(a: Operand, b: Operand) -> Call:
    return Call("ne", (operand(a), operand(b)))


def min_(*values: Operand) -> Call:
    return Call("min", tuple(map(operand, values)))


def max_(*values: Operand) -> Call:
    return Call("max", tuple(map(operand, values)))


def abs_(x: Operand) -> Call:
    return Call("abs", (operand(x),))


def sqrt(x: Operand) -> Call:
    return Call("sqrt", (operand(x),))


def exp(x: Operand) -> Call:
    return Call("exp", (operand(x),))


def log(x: Operand) -> Call:
    """The natural logarithm."""
    return Call("log", (operand(x),))


def log10(x: Operand) -> Call:
    return Call("log10", (operand(x),))
