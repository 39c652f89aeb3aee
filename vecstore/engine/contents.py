"""What a read returns of each row: id, seq, and the chosen parts of payload and vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from vecstore import validate
from vecstore.engine import bitmaps
from vecstore.engine.segment import SegmentView, decode_payload
from vecstore.query.filter import PointId
from vecstore.schema import Schema, VectorKind
from vecstore.types import Selection

Content: TypeAlias = tuple[PointId, int, bytes | None, dict[str, np.ndarray] | None]  # as the fields of `Point`


def contents(segment: SegmentView, rows: Sequence[int], schema: Schema, select: Selection) -> list[Content]:
    """The contents of a segment's rows, in the order of `rows`."""
    stored = segment.segment
    ids = stored.take_ids(rows)
    seqs: list[int] = stored.seqs(np.asarray(rows, dtype=np.int64)).tolist()
    payload = _payload_reader(segment, select)
    vectors = _vectors_reader(segment, schema, select)
    return [(ids[at], seqs[at], payload(row), vectors(row)) for at, row in enumerate(rows)]


def _payload_reader(segment: SegmentView, select: Selection) -> Callable[[int], bytes | None]:
    stored, chosen = segment.segment.payload, select.payload
    if chosen is True:
        return lambda row: stored(row) or b"{}"
    if not chosen:
        return lambda row: None

    def some(row: int) -> bytes:
        encoded = stored(row)
        payload = decode_payload(encoded) if encoded else {}
        return msgspec.json.encode({key: payload[key] for key in chosen if key in payload})

    return some


def _vectors_reader(
    segment: SegmentView, schema: Schema, select: Selection
) -> Callable[[int], dict[str, np.ndarray] | None]:
    if not select.vectors:
        return lambda row: None
    names = list(schema.vectors) if select.vectors is True else list(select.vectors)
    present = {name: segment.segment.present(name, segment.n_rows) for name in names}

    def has(row: int, name: str) -> bool:
        words = present[name]
        return words is None or bool(bitmaps.are_set(words, np.array([row]))[0])

    return lambda row: {name: _vector(segment, row, name, schema) for name in names if has(row, name)}


def _vector(segment: SegmentView, row: int, name: str, schema: Schema) -> np.ndarray:
    stored = segment.segment.vector(name, row)
    spec = schema.vectors[name]
    if spec.kind is VectorKind.DENSE and stored.dtype == np.uint16:
        return validate.widen(stored, spec)
    return stored
