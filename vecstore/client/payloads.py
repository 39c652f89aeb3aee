"""Payloads to JSON bytes, refusing what JSON would change in silence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np

from vecstore.errors import InvalidArgument

Payload: TypeAlias = Mapping[str, Any]


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def encode_payload(payload: Payload | bytes | None, path: str = "payload") -> bytes | None:
    """Encode a payload as a JSON object; bytes are taken as JSON already and checked by the engine.

    Raises InvalidArgument (BAD_PAYLOAD) for anything but an object, for values without a JSON form, and for NaN and
    infinite floats, which the encoder would otherwise turn into null.
    """
    if payload is None or isinstance(payload, bytes):
        return payload
    if not isinstance(payload, Mapping):
        raise _bad(path, f"must be an object, not {type(payload).__name__}")
    try:
        encoded = _encoder.encode(payload)
        # Only a null in the output can hide a NaN, so the walk over the values is paid by few payloads.
        where = _non_finite(payload, path) if b"null" in encoded else None
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError, msgspec.MsgspecError) as error:
        raise _bad(path, f"cannot be written as JSON: {error}") from None
    if where is not None:
        raise _bad(where, "must be finite, not NaN or infinite")
    return encoded


def encode_payloads(payloads: Sequence[Payload | bytes | None]) -> list[bytes | None]:
    """`encode_payload` for the points of a batch; errors name the point as `points[i].payload`."""
    return [encode_payload(payload, f"points[{row}].payload") for row, payload in enumerate(payloads)]


def _non_finite(value: object, path: str) -> str | None:
    """The path of the first float that is NaN or infinite, or None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    if isinstance(value, Mapping):
        inner = ((item, f"{path}.{key}") for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        inner = ((item, f"{path}[{index}]") for index, item in enumerate(value))
    else:
        return None
    return next((found for item, where in inner if (found := _non_finite(item, where))), None)


def _bad(path: str, what: str) -> InvalidArgument:
    return InvalidArgument(f"{path} {what}", reason="BAD_PAYLOAD", field_violations=[(path, what)])
