"""Rank expressions."""

from __future__ import annotations

from typing import Any

from vecstore.config import Limits
from vecstore.errors import limit_exceeded
from vecstore.pb.v1 import formula_pb2 as pb
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
from vecstore.wire.filters import filter_from_pb, filter_to_pb
from vecstore.wire.parts import set_int

_OPERATORS: dict[str, Any] = {op: pb.Operator.Value(f"OPERATOR_{op.upper()}") for op in ARITY}
_OPERATOR_NAMES = {number: op for op, number in _OPERATORS.items()}
_DECAYS: dict[str, Any] = {kind: pb.DecayKind.Value(f"DECAY_KIND_{kind.upper()}") for kind in DECAYS}
_DECAY_NAMES = {number: kind for kind, number in _DECAYS.items()}
_DEFAULT = Decay("exp", Number(0.0), Number(0.0))


def formula_to_pb(node: Expression, message: pb.Expression, depth: int = 1) -> None:
    """Raises InvalidArgument for what the message cannot hold, and for trees too deep for any server."""
    _check_depth(depth, DEPTH_CEILING)
    match node:
        case Number(value):
            message.number = value
        case Score(prefetch, default):
            message.score.SetInParent()
            set_int(message.score, "prefetch", prefetch)
            message.score.default = default
        case FieldValue(key, default, datetime):
            message.field.key, message.field.datetime = key, datetime
            if default is not None:
                message.field.default = default
        case Matches(where):
            message.matches.CopyFrom(filter_to_pb(where))
        case GeoDistance(key, lat, lon, default):
            place = message.geo_distance
            place.key, place.lat, place.lon = key, lat, lon
            if default is not None:
                place.default = default
        case Decay(kind, x, target, scale, midpoint) if kind in _DECAYS:
            message.decay.kind = _DECAYS[kind]
            formula_to_pb(x, message.decay.x, depth + 1)
            formula_to_pb(target, message.decay.target, depth + 1)
            message.decay.scale, message.decay.midpoint = scale, midpoint
        case Call(op, args) if op in _OPERATORS:
            message.call.operator = _OPERATORS[op]
            for arg in args:
                formula_to_pb(arg, message.call.args.add(), depth + 1)
        case _:
            raise bad_formula("formula", f"{type(node).__name__} is not an expression")


def formula_from_pb(message: pb.Expression, limits: Limits, path: str, depth: int = 1) -> Expression:
    """Raises InvalidArgument (BAD_FORMULA, LIMIT_EXCEEDED, BAD_FILTER)."""
    _check_depth(depth, min(limits.formula_depth_max, DEPTH_CEILING))
    match message.WhichOneof("kind"):
        case "number":
            return Number(message.number)
        case "score":
            return Score(message.score.prefetch, message.score.default)
        case "field":
            field = message.field
            return FieldValue(field.key, field.default if field.HasField("default") else None, field.datetime)
        case "matches":
            return Matches(filter_from_pb(message.matches, limits, f"{path}.matches"))
        case "geo_distance":
            place = message.geo_distance
            return GeoDistance(place.key, place.lat, place.lon, place.default if place.HasField("default") else None)
        case "decay":
            return _decay(message.decay, limits, path, depth)
        case "call":
            op = _OPERATOR_NAMES.get(message.call.operator)
            if op is None:
                raise bad_formula(path, f"operator {message.call.operator} is unknown")
            args = enumerate(message.call.args)
            return Call(op, tuple(formula_from_pb(arg, limits, f"{path}.args[{at}]", depth + 1) for at, arg in args))
    raise bad_formula(path, "is empty: give one of its kinds")


def _decay(message: pb.Decay, limits: Limits, path: str, depth: int) -> Decay:
    kind = _DECAY_NAMES.get(message.kind)
    if kind is None:
        raise bad_formula(path, f"decay {message.kind} is unknown")
    target = _DEFAULT.target
    if message.HasField("target"):
        target = formula_from_pb(message.target, limits, f"{path}.target", depth + 1)
    return Decay(
        kind,
        formula_from_pb(message.x, limits, f"{path}.x", depth + 1),
        target,
        message.scale if message.HasField("scale") else _DEFAULT.scale,
        message.midpoint if message.HasField("midpoint") else _DEFAULT.midpoint,
    )


def _check_depth(depth: int, bound: int) -> None:
    if depth > bound:
        raise limit_exceeded("formula_depth_max", depth, bound, path="formula depth")
