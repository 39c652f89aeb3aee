"""What points of a collection are like, as its segments' sizes tell, and what is said of them in a request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from vecstore.config import Limits
from vecstore.engine.collection import View
from vecstore.engine.estimate import KEY_BYTES, Typical
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.header import SegmentHeader
from vecstore.engine.sealed import SealedSegment
from vecstore.errors import InvalidArgument, invalid, limit_exceeded
from vecstore.estimating import EstimateRequest
from vecstore.schema import FieldKind, Schema

T = TypeVar("T")

POINTS_MAX = 1 << 40
TERMS_MAX = 1 << 32


def asked_of(request: EstimateRequest, schema: Schema, limits: Limits, known: Typical | None = None) -> Typical:
    """What the request says, or what is known. Raises InvalidArgument (BAD_ARGUMENT, VECTOR_NAME_UNKNOWN,
    LIMIT_EXCEEDED)."""
    for what, given in (("entries", request.entries), ("terms", request.terms)):
        for name, value in given.items():
            _check_field(schema, what, name)
            tokens = what == "entries" and not schema.vectors[name].is_sparse
            most = limits.tokens_max if tokens else TERMS_MAX
            _check_number(f"{what}.{name}", value, most, above=True)
    known = known or Typical({}, {}, 0.0, 0.0, {})
    payload, key = request.payload_bytes, request.id_bytes
    if payload is not None:
        _check_number("payload_bytes", payload, limits.payload_bytes_max)
    if key is not None:
        _check_number("id_bytes", key, limits.string_id_bytes_max)
    return Typical(
        {**known.entries, **{name: float(value) for name, value in request.entries.items()}},
        {**known.terms, **{name: int(value) for name, value in request.terms.items()}},
        known.payload_bytes if payload is None else float(payload),
        known.id_bytes if key is None else float(key),
        known.field_bytes,
    )


def check_points(points: Any) -> int:
    """Raises InvalidArgument (BAD_ARGUMENT, LIMIT_EXCEEDED)."""
    if isinstance(points, bool) or not isinstance(points, int) or points < 0:
        raise invalid("BAD_ARGUMENT", f"points={points!r:.40} must be an integer of at least 0", "points")
    if points > POINTS_MAX:
        raise limit_exceeded("points", points, POINTS_MAX)
    return points


def typical_of(view: View) -> Typical:
    """Of the rows that are there, deleted ones too."""
    totals: dict[str, float] = {}
    rows = 0
    for one in view.segments:
        rows += one.n_rows
        segment = one.segment
        if isinstance(segment, SealedSegment):
            _add(totals, _sealed(segment.header, view.schema))
        elif isinstance(segment, GrowingSegment):
            _add(totals, {"payload": segment.payload_bytes})
            for name, field in view.schema.vectors.items():
                if field.is_ragged:
                    held = segment.vectors(name, one.n_rows)
                    assert not isinstance(held, np.ndarray)
                    _add(totals, {f"entries.{name}": int(held.offsets[-1])})
    rows = max(1, rows)
    sealed = max(1, sum(one.n_rows for one in view.segments if isinstance(one.segment, SealedSegment)))
    return Typical(
        {name: value / rows for name, value in _named(totals, "entries").items()},
        {name: int(value) for name, value in _terms(view).items()},
        totals.get("payload", 0.0) / rows,
        max(0.0, totals.get("ids", 0.0) / sealed - 8 - KEY_BYTES),
        {key: value / sealed for key, value in _named(totals, "field").items()},
    )


def _sealed(header: SegmentHeader, schema: Schema) -> dict[str, float]:
    columns = {column.name: column for column in header.columns}
    found: dict[str, float] = {"payload": columns["payload.bytes"].ref.length}
    found["ids"] = sum(column.ref.length for name, column in columns.items() if name.startswith("ids."))
    for name, field in schema.vectors.items():
        if field.is_ragged:
            part = "values" if field.is_sparse else "tokens"
            found[f"entries.{name}"] = columns[f"vector.{name}.{part}"].shape[0]
    for key, entry in header.fields.items():
        found[f"field.{key}"] = sum(columns[column].ref.length for column in entry.arrays.values())
    return found


def _terms(view: View) -> dict[str, float]:
    """Distinct terms of the segment that has most of them, as far as its rows or an index list them."""
    found: dict[str, float] = {}
    for one in view.segments:
        if not isinstance(one.segment, SealedSegment):
            continue
        header = one.segment.header
        shapes = {column.name: column.shape for column in header.columns}
        for name in _named(shapes, "vector"):
            field, _, part = name.rpartition(".")
            if part == "terms":
                found[field] = max(found.get(field, 0), shapes[f"vector.{name}"][0])
        for name, entry in header.indexes.items():
            if "terms" in entry.arrays:
                windows = shapes[entry.arrays["slopes"]][0] if "slopes" in entry.arrays else 1
                found[name] = max(found.get(name, 0), shapes[entry.arrays["terms"]][0] // max(1, windows))
    return found


def _add(totals: dict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        totals[name] = totals.get(name, 0.0) + value


def _named(totals: Mapping[str, T], prefix: str) -> dict[str, T]:
    return {name.removeprefix(f"{prefix}."): v for name, v in totals.items() if name.startswith(f"{prefix}.")}


def _check_field(schema: Schema, what: str, name: str) -> None:
    if what == "terms" and schema.fields.get(name) in (FieldKind.KEYWORD, FieldKind.TEXT):
        return
    field = schema.vectors.get(name)
    if field is None:
        message = f"{what}: no vector field named {name!r:.80}; there are {', '.join(sorted(schema.vectors))}"
        raise invalid("VECTOR_NAME_UNKNOWN", message, what)
    if not (field.is_ragged if what == "entries" else field.is_sparse):
        message = f"{what}.{name} does not apply to a {field.kind.value} field"
        raise invalid("BAD_ARGUMENT", message, f"{what}.{name}")


def _check_number(path: str, value: Any, most: float, *, above: bool = False) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (above and value == 0):
        raise _bad(path, f"{value!r:.40} must be a number {'above' if above else 'of at least'} 0")
    if value > most:
        raise limit_exceeded(path, value, most, path=path)


def _bad(path: str, problem: str) -> InvalidArgument:
    return invalid("BAD_ARGUMENT", f"{path}={problem}", path)
