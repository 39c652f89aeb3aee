"""Rank expressions to dictionaries, which `parse_formula` reads back to equal expressions."""

from __future__ import annotations

from typing import Any

from vecstore.query.formula import Call, Decay, Expression, FieldValue, GeoDistance, Matches, Number, Score
from vecstore.query.formula_check import DEPTH_CEILING, bad_formula
from vecstore.query.parse import to_dict


def format_formula(node: Expression, depth: int = 1) -> Any:
    """Raises InvalidArgument (BAD_FORMULA) for what is no expression, and for trees too deep for any server."""
    if depth > DEPTH_CEILING:
        raise bad_formula("formula", f"is deeper than {DEPTH_CEILING} levels")
    match node:
        case Number(value):
            return value
        case Score(prefetch, default):
            return {"score": prefetch, "default": default}
        case FieldValue(key, default, datetime):
            return _given({"field": key, "default": default, "datetime": datetime})
        case Matches(where):
            return {"matches": to_dict(where)}
        case GeoDistance(key, lat, lon, default):
            return {"geo_distance": _given({"key": key, "lat": lat, "lon": lon, "default": default})}
        case Decay(kind, x, target, scale, midpoint):
            parts = {"x": format_formula(x, depth + 1), "target": format_formula(target, depth + 1)}
            return {f"{kind}_decay": {**parts, "scale": scale, "midpoint": midpoint}}
        case Call(op, args):
            return {op: [format_formula(arg, depth + 1) for arg in args]}
    raise bad_formula("formula", f"{type(node).__name__} is not an expression")


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
