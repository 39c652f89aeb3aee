"""Checks on rank expressions, wherever they came from: size first and without recursion, then every node."""

from __future__ import annotations

from vecstore.config import Limits
from vecstore.errors import InvalidArgument, limit_exceeded
from vecstore.query.formula import (
    ARITY,
    DECAYS,
    Call,
    Decay,
    Expression,
    FieldValue,
    GeoDistance,
    Matches,
    Number,
    Score,
    children,
    is_finite,
)
from vecstore.query.validate import check_filter, check_key, show

DEPTH_CEILING = 128  # evaluation recurses over the tree


def bad_formula(path: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"{path}: {why}", reason="BAD_FORMULA", field_violations=[(path, why)])


def check_formula(root: Expression, prefetches: int, limits: Limits, path: str = "formula") -> list[Matches]:
    """The filters in it. Raises InvalidArgument: LIMIT_EXCEEDED for depth and number of nodes, BAD_FORMULA for a wrong
    operator, number of arguments, type or value, BAD_FILTER; it names the place, such as `formula.args[1].x`."""
    filters = []
    nodes = 0
    depth_max = min(limits.formula_depth_max, DEPTH_CEILING)
    waiting: list[tuple[Expression, str, int]] = [(root, path, 1)]
    while waiting:
        node, at, depth = waiting.pop()
        nodes += 1
        if nodes > limits.formula_terms_max:
            raise limit_exceeded("formula_terms_max", nodes, limits.formula_terms_max, path=f"{path} terms")
        if depth > depth_max:
            raise limit_exceeded("formula_depth_max", depth, depth_max, path=f"{path} depth")
        _check_node(node, prefetches, limits, at)
        if isinstance(node, Matches):
            filters.append(node)
        names = (
            ("x", "target") if isinstance(node, Decay) else [f"args[{place}]" for place in range(len(children(node)))]
        )
        waiting += [(child, f"{at}.{name}", depth + 1) for name, child in zip(names, children(node), strict=True)]
    return filters


def _check_node(node: Expression, prefetches: int, limits: Limits, path: str) -> None:
    match node:
        case Number(value):
            _finite(value, path)
        case Score(prefetch, default):
            if type(prefetch) is not int or not 0 <= prefetch < prefetches:
                raise bad_formula(path, f"score of prefetch {show(prefetch)}, of {prefetches}")
            _finite(default, f"{path}.default")
        case FieldValue(key, default, _):
            check_key(key, f"{path}.key")
            _optional(default, f"{path}.default")
        case GeoDistance(key, lat, lon, default):
            check_key(key, f"{path}.key")
            if not (is_finite(lat) and is_finite(lon) and -90 <= lat <= 90 and -180 <= lon <= 180):
                raise bad_formula(path, f"({show(lat)}, {show(lon)}) is not a place on Earth")
            _optional(default, f"{path}.default")
        case Matches(where):
            check_filter(where, limits, f"{path}.matches")
        case Decay(kind, _, _, scale, midpoint):
            if kind not in DECAYS:
                raise bad_formula(path, f"decay {show(kind)} is not one of {', '.join(DECAYS)}")
            if not is_finite(scale) or not scale > 0:
                raise bad_formula(f"{path}.scale", f"{show(scale)} is not a number above 0")
            if not is_finite(midpoint) or not 0 < midpoint < 1:
                raise bad_formula(f"{path}.midpoint", f"{show(midpoint)} is not between 0 and 1")
        case Call(op, args):
            if op not in ARITY:
                raise bad_formula(path, f"operator {show(op)} is not one of {', '.join(ARITY)}")
            low, high = ARITY[op]
            if not isinstance(args, tuple) or not low <= len(args) <= high:
                raise bad_formula(path, f"{op} takes {low if low == high else f'{low} or more'} arguments")
        case _:
            raise bad_formula(path, f"{show(node)} is not an expression")


def _finite(value: object, path: str) -> None:
    if not is_finite(value):
        raise bad_formula(path, f"{show(value)} is not a finite number")


def _optional(value: object, path: str) -> None:
    if value is not None:
        _finite(value, path)
