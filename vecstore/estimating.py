"""What is asked of an estimate: which schema, and how many points of what kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vecstore.schema import Schema


@dataclass(slots=True)
class EstimateRequest:
    """Of a `schema`, or of a `collection` as it would be with so many points; None there is what it has.

    `entries` are those of a sparse row or text, or the tokens of a multi-vector, on average, by vector field; `terms`
    the distinct indices or words of all of them, and the distinct values of indexed keywords. `payload_bytes` is a
    payload's JSON, `id_bytes` a text or UUID that is an id, 0 where ids are numbers."""

    collection: str | None = None
    schema: Schema | None = None
    points: int | None = None
    entries: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, int] = field(default_factory=dict)
    payload_bytes: float | None = None
    id_bytes: float | None = None
