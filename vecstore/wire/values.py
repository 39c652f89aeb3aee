"""Payloads and other JSON values as Value messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from vecstore.errors import InvalidArgument, invalid, limit_exceeded
from vecstore.pb.v1 import common_pb2 as pb

JSON = pb.PAYLOAD_ENCODING_JSON
I64_MIN, I64_MAX = -(1 << 63), (1 << 63) - 1

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def bad_payload(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid("BAD_PAYLOAD", message, path)


def set_value(message: pb.Value, value: Any) -> None:
    """Write a JSON value into a message that exists. Integers outside int64 become doubles (see common.proto)."""
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int):
        if I64_MIN <= value <= I64_MAX:
            message.integer_value = value
        else:
            message.double_value = _as_double(value)
    elif isinstance(value, float):
        message.double_value = value
    elif value is None:
        message.null_value = pb.NULL_VALUE_NULL
    elif isinstance(value, Mapping):
        message.map_value.SetInParent()
        set_fields(message.map_value.fields, value)
    elif isinstance(value, list | tuple):
        message.list_value.SetInParent()
        for item in value:
            set_value(message.list_value.values.add(), item)
    else:
        raise bad_payload("value", f"of type {type(value).__name__} is not JSON")


def set_fields(fields: Any, mapping: Mapping[str, Any]) -> None:
    """Write a mapping into a `map<string, Value>` field."""
    for key, value in mapping.items():
        set_value(fields[key], value)


def set_payload(fields: Any, payload_json: bytes) -> None:
    """Write an encoded payload into a `map<string, Value>` field."""
    set_fields(fields, _decode(payload_json))


def value_from_pb(message: pb.Value, path: str, depth_max: int) -> Any:
    """`depth_max` counts the levels of maps and lists that may still open.

    Raises InvalidArgument: LIMIT_EXCEEDED when nested deeper, BAD_PAYLOAD for NaN, infinity or a value without a kind.
    """
    kind = message.WhichOneof("kind")
    if kind == "string_value":
        return message.string_value
    if kind == "integer_value":
        return message.integer_value
    if kind == "double_value":
        if not math.isfinite(message.double_value):
            raise bad_payload(path, f"is {message.double_value}, which JSON cannot hold")
        return message.double_value
    if kind == "bool_value":
        return message.bool_value
    if kind == "null_value":
        return None
    if kind == "map_value":
        return fields_from_pb(message.map_value.fields, path, depth_max)
    if kind == "list_value":
        if depth_max <= 0:
            raise _too_deep(path)
        items = message.list_value.values
        return [value_from_pb(item, f"{path}[{place}]", depth_max - 1) for place, item in enumerate(items)]
    raise bad_payload(path, "is empty: give one of its kinds")


def fields_from_pb(fields: Any, path: str = "payload", depth_max: int = 32) -> dict[str, Any]:
    """Read a `map<string, Value>` field; raises as `value_from_pb` does."""
    if depth_max <= 0:
        raise _too_deep(path)
    return {key: value_from_pb(value, f"{path}.{key}", depth_max - 1) for key, value in fields.items()}


def payload_from_pb(fields: Any, path: str, depth_max: int) -> bytes:
    """Read a `map<string, Value>` field as encoded JSON."""
    try:
        return _encode(fields_from_pb(fields, path, depth_max))
    except InvalidArgument as error:
        if error.reason != "LIMIT_EXCEEDED":
            raise
        raise limit_exceeded("payload_depth_max", depth_max + 1, depth_max, path=f"{path} depth") from None


def _as_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _too_deep(path: str) -> InvalidArgument:
    return InvalidArgument(f"{path} is nested too deep", reason="LIMIT_EXCEEDED", field_violations=[(path, "too deep")])
