"""Rank expressions: a tree of plain frozen values, combined with Python's operators.

Numbers are float64 and follow IEEE 754: 1 / 0 is infinite, 0 / 0 and the logarithm of a negative number are NaN, and a
comparison with NaN is false. A point for which the whole is NaN or infinite has no score. Truth is 1 and 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from vecstore.query.filter import Filter

Operand: TypeAlias = "Expression | int | float"

ARITY = {  # operator -> arguments: at least, at most
    "add": (1, 256), "mul": (1, 256), "min": (1, 256), "max": (1, 256), "sub": (2, 2), "div": (2, 2), "pow": (2, 2),
    "neg": (1, 1), "abs": (1, 1), "sqrt": (1, 1), "exp": (1, 1), "log": (1, 1), "log10": (1, 1),
    "lt": (2, 2), "lte": (2, 2), "gt": (2, 2), "gte": (2, 2), "eq": (2, 2), "ne": (2, 2), "where": (3, 3),
}  # fmt: skip
DECAYS = ("exp", "gauss", "linear")


class Expression:
    """What the operators of every node build."""

    __slots__ = ()

    def __add__(self, other: Operand) -> Call:
        return _call("add", self, other)

    def __radd__(self, other: Operand) -> Call:
        return _call("add", other, self)

    def __sub__(self, other: Operand) -> Call:
        return _call("sub", self, other)

    def __rsub__(self, other: Operand) -> Call:
        return _call("sub", other, self)

    def __mul__(self, other: Operand) -> Call:
        return _call("mul", self, other)

    def __rmul__(self, other: Operand) -> Call:
        return _call("mul", other, self)

    def __truediv__(self, other: Operand) -> Call:
        return _call("div", self, other)

    def __rtruediv__(self, other: Operand) -> Call:
        return _call("div", other, self)

    def __pow__(self, other: Operand) -> Call:
        return _call("pow", self, other)

    def __rpow__(self, other: Operand) -> Call:
        return _call("pow", other, self)

    def __neg__(self) -> Call:
        return Call("neg", (self,))

    def __abs__(self) -> Call:
        return Call("abs", (self,))

    def __lt__(self, other: Operand) -> Call:
        return _call("lt", self, other)

    def __le__(self, other: Operand) -> Call:
        return _call("lte", self, other)

    def __gt__(self, other: Operand) -> Call:
        return _call("gt", self, other)

    def __ge__(self, other: Operand) -> Call:
        return _call("gte", self, other)


@dataclass(frozen=True, slots=True)
class Number(Expression):
    value: float


@dataclass(frozen=True, slots=True)
class Score(Expression):
    """The point's score in a prefetch, by its place; `default` where that did not find the point."""

    prefetch: int = 0
    default: float = 0.0


@dataclass(frozen=True, slots=True)
class FieldValue(Expression):
    """The number at a payload key, or with `datetime` a moment in seconds since 1970 UTC; of several the smallest.
    `default` where there is none; without a default the value is NaN."""

    key: str
    default: float | None = None
    datetime: bool = False


@dataclass(frozen=True, slots=True)
class Matches(Expression):
    """1 for points that match, else 0."""

    filter: Filter


@dataclass(frozen=True, slots=True)
class GeoDistance(Expression):
    """Metres (haversine, sphere of 6,371,008.8 m) from a place to the one at a payload key, {"lat": .., "lon": ..}; of
    several the smallest. `default` as of `FieldValue`."""

    key: str
    lat: float
    lon: float
    default: float | None = None


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """An operator of `ARITY` with its arguments."""

    op: str
    args: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Decay(Expression):
    """1 at `target`, `midpoint` at a distance d = |x - target| of `scale`, with m = midpoint and s = scale:
    exp: m ^ (d / s); gauss: m ^ (d / s)^2; linear: max(0, 1 - (1 - m) * d / s)."""

    kind: str
    x: Expression
    target: Expression
    scale: float = 1.0
    midpoint: float = 0.5


Leaf: TypeAlias = Score | FieldValue | Matches | GeoDistance


def operand(value: Operand) -> Expression:
    return value if isinstance(value, Expression) else Number(value)


def _call(op: str, *args: Operand) -> Call:
    return Call(op, tuple(map(operand, args)))


def children(node: Expression) -> tuple[Expression, ...]:
    if isinstance(node, Call):
        return node.args
    return (node.x, node.target) if isinstance(node, Decay) else ()


def terms_of(node: Expression) -> tuple[Expression, ...]:
    """What it is the sum or product of at the top."""
    return node.args if isinstance(node, Call) and node.op in ("add", "sub", "mul") else (node,)


def text_of(node: Expression) -> str:
    """For people to read."""
    match node:
        case Number(value):
            return f"{value:g}"
        case Score(prefetch, _):
            return f"score({prefetch})"
        case FieldValue(key, _, _):
            return f"field({key})"
        case Matches(_):
            return "matches(...)"
        case GeoDistance(key, _, _, _):
            return f"geo_distance({key})"
        case Decay(kind, x, _, _, _):
            return f"{kind}_decay({text_of(x)})"
        case Call(op, args):
            signs = {"add": " + ", "mul": " * ", "sub": " - ", "div": " / "}
            return (
                f"({signs[op].join(map(text_of, args))})" if op in signs else f"{op}({', '.join(map(text_of, args))})"
            )
    return type(node).__name__


def is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
