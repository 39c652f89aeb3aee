"""Dictionaries to rank expressions:

    {"add": [{"score": 0}, {"mul": [0.2, {"gauss_decay": {"x": {"field": "year"}, "target": 2026, "scale": 3}}]}]}

Or the same as text (`formula_text`). A number stands for itself, an operator takes its arguments as a list. The leaves:
{"score": prefetch, "default": ..}, {"field": key, "default": .., "datetime": ..}, {"matches": filter},
{"geo_distance": {"key", "lat", "lon", "default"}}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vecstore.config import Limits
from vecstore.errors import limit_exceeded
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
)
from vecstore.query.formula_check import DEPTH_CEILING, bad_formula
from vecstore.query.formula_text import formula_from_text
from vecstore.query.parse import parse_filter
from vecstore.query.validate import show


def parse_formula(data: Any, limits: Limits, path: str = "formula", depth: int = 1) -> Expression:
    """What it holds is checked with the query. Raises InvalidArgument (BAD_FORMULA, BAD_FILTER, LIMIT_EXCEEDED)."""
    bound = min(limits.formula_depth_max, DEPTH_CEILING)
    if depth > bound:
        raise limit_exceeded("formula_depth_max", depth, bound, path="formula depth")
    if isinstance(data, Expression):
        return data
    if isinstance(data, int | float) and not isinstance(data, bool):
        return Number(data)
    if isinstance(data, str):
        if depth > 1:
            raise bad_formula(path, "text is a whole expression, not a part of one")
        return formula_from_text(data, limits, path)
    if not isinstance(data, Mapping):
        raise bad_formula(path, f"{show(data)} is not an expression")
    names = {*ARITY, "score", "field", "matches", "geo_distance", *(f"{kind}_decay" for kind in DECAYS)}
    kinds = [name for name in data if name in names]
    if len(kinds) != 1:
        raise bad_formula(path, f"one of {', '.join(sorted(names))} is needed")
    (kind,) = kinds
    value = data[kind]
    if kind in ARITY:
        _only(data, {kind}, path)
        if not isinstance(value, list | tuple):
            raise bad_formula(f"{path}.{kind}", "takes a list of arguments")
        parsed = [parse_formula(arg, limits, f"{path}.{kind}[{at}]", depth + 1) for at, arg in enumerate(value)]
        return Call(kind, tuple(parsed))
    if kind == "score":
        _only(data, {kind, "default"}, path)
        return Score(value, data.get("default", 0.0))
    if kind == "field":
        _only(data, {kind, "default", "datetime"}, path)
        return FieldValue(value, data.get("default"), bool(data.get("datetime", False)))
    _only(data, {kind}, path)
    if kind == "matches":
        return Matches(parse_filter(value, limits, f"{path}.matches"))
    if not isinstance(value, Mapping):
        raise bad_formula(f"{path}.{kind}", "takes a dictionary")
    if kind == "geo_distance":
        _only(value, {"key", "lat", "lon", "default"}, f"{path}.{kind}", {"key", "lat", "lon"})
        return GeoDistance(value["key"], value["lat"], value["lon"], value.get("default"))
    return _decay(kind, value, limits, f"{path}.{kind}", depth)


def _decay(kind: str, value: Mapping[str, Any], limits: Limits, path: str, depth: int) -> Decay:
    _only(value, {"x", "target", "scale", "midpoint"}, path, {"x"})
    x = parse_formula(value["x"], limits, f"{path}.x", depth + 1)
    target = parse_formula(value.get("target", 0.0), limits, f"{path}.target", depth + 1)
    return Decay(kind.removesuffix("_decay"), x, target, value.get("scale", 1.0), value.get("midpoint", 0.5))


def _only(data: Mapping[str, Any], known: set[str], path: str, needed: set[str] | None = None) -> None:
    for name in data.keys() - known:
        raise bad_formula(path, f"{show(name)} is not known here")
    for name in sorted((needed or set()) - data.keys()):
        raise bad_formula(path, f"{name} is missing")
