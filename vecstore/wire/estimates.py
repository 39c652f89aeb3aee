"""Requests for estimates."""

from __future__ import annotations

from typing import Any

from vecstore.errors import InvalidArgument, invalid
from vecstore.estimating import EstimateRequest
from vecstore.pb.v1 import collections_pb2 as pb
from vecstore.wire.schemas import schema_from_pb, schema_to_pb


def estimate_to_pb(request: EstimateRequest) -> pb.EstimateRequest:
    """Raises InvalidArgument (BAD_ARGUMENT) for numbers that the wire cannot hold."""
    message = pb.EstimateRequest(collection=request.collection or "")
    if request.schema is not None:
        message.schema.CopyFrom(schema_to_pb(request.schema))
    for name in ("points", "payload_bytes", "id_bytes"):
        value = getattr(request, name)
        if value is not None:
            _set(message, name, value, name)
    for what in ("entries", "terms"):
        for name, value in getattr(request, what).items():
            _put(getattr(message, what), name, value, f"{what}.{name}")
    return message


def _set(message: Any, name: str, value: Any, path: str) -> None:
    try:
        setattr(message, name, value)
    except (TypeError, ValueError):
        raise _bad(path, value) from None


def _put(values: Any, name: str, value: Any, path: str) -> None:
    try:
        values[name] = value
    except (TypeError, ValueError):
        raise _bad(path, value) from None


def _bad(path: str, value: Any) -> InvalidArgument:
    message = f"{path}={value!r:.40} must be a number that fits"
    return invalid("BAD_ARGUMENT", message, path)


def estimate_from_pb(message: pb.EstimateRequest) -> EstimateRequest:
    """Raises InvalidArgument (BAD_SCHEMA, BAD_INDEX_SPEC)."""
    return EstimateRequest(
        message.collection or None,
        schema_from_pb(message.schema) if message.HasField("schema") else None,
        message.points if message.HasField("points") else None,
        dict(message.entries),
        dict(message.terms),
        message.payload_bytes if message.HasField("payload_bytes") else None,
        message.id_bytes if message.HasField("id_bytes") else None,
    )
