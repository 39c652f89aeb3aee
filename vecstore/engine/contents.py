"""What a read returns of each row, by column: id, seq, and the chosen parts of payload and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from vecstore import validate
from vecstore.engine import bitmaps
from vecstore.engine.segment import SegmentView, decode_payload
from vecstore.hits import Payloads, PointColumns, VectorsOf
from vecstore.kernels.base import Int64Array
from vecstore.memory.room import ROOM, Held
from vecstore.rows import StoredVector
from vecstore.schema import Schema, VectorKind
from vecstore.sparse import SparseRows, SparseVector
from vecstore.types import Selection

FEW = 64  # points, whose contents are small whatever they are
ROW_BYTES = 100  # of a point beside its payload and its vectors
WIDEST = 4  # bytes of a component of a vector
ANSWER_COPIES = 3  # as they are read, as a message, as its bytes


def contents(segment: SegmentView, rows: Int64Array, schema: Schema, select: Selection) -> PointColumns:
    """The contents of a segment's rows, in the order of `rows`. Raises ResourceExhausted (OVERLOADED) where there is no
    room for them."""
    stored = segment.segment
    held = _room_for(segment, len(rows), schema, select) if len(rows) >= FEW else None
    return PointColumns(
        stored.take_ids(rows),
        stored.seqs(rows),
        _payloads(segment, rows, select.payload) if select.payload else None,
        _vectors(segment, rows, schema, select.vectors) if select.vectors else None,
        held,
    )


def _room_for(segment: SegmentView, count: int, schema: Schema, select: Selection) -> Held:
    """Of rows of mean length, as they are read and as they are sent."""
    row_bytes = ROW_BYTES
    if select.payload:
        row_bytes += segment.segment.payload_bytes // max(1, segment.n_rows)
    if select.vectors:
        names = schema.vectors if isinstance(select.vectors, bool) else select.vectors
        row_bytes += sum(schema.vectors[name].storage_width * WIDEST for name in names)
    return ROOM.take(ANSWER_COPIES * count * row_bytes, "reading {} points", count)


def gathered(
    views: Sequence[SegmentView], places: Int64Array, rows: Int64Array, schema: Schema, select: Selection
) -> PointColumns:
    """The contents of rows of several segments, `places` in `views`, read segment by segment, in the order given."""
    parts = [(np.flatnonzero(places == place), views[place]) for place in np.unique(places).tolist()]
    read = [(ats, contents(view, rows[ats], schema, select)) for ats, view in parts]
    numbers = all(part.ids.dtype == np.uint64 for _, part in read)
    ids = np.empty(len(rows), dtype=np.uint64 if numbers else object)
    seqs = np.empty(len(rows), dtype=np.uint64)
    payloads: list[Any] | None = [None] * len(rows) if select.payload else None
    vectors: list[Any] | None = [None] * len(rows) if select.vectors else None
    for ats, part in read:
        ids[ats], seqs[ats] = part.ids, part.seqs
        for column, values in ((payloads, part.payloads), (vectors, part.vectors)):
            if column is not None and values is not None:
                for at, value in zip(ats.tolist(), values, strict=True):
                    column[at] = value
    return PointColumns(ids, seqs, payloads, vectors, [part.held for _, part in read])


def _payloads(segment: SegmentView, rows: Int64Array, chosen: bool | Sequence[str]) -> Payloads:
    if chosen is True:
        return segment.segment.take_payloads(rows, b"{}")
    assert not isinstance(chosen, bool)
    stored = segment.segment.take_payloads(rows)
    found: list[bytes | None] = []
    for encoded in stored:
        payload = decode_payload(encoded) if encoded else {}
        found.append(msgspec.json.encode({key: payload[key] for key in chosen if key in payload}))
    return found


def _vectors(segment: SegmentView, rows: Int64Array, schema: Schema, chosen: bool | Sequence[str]) -> VectorsOf:
    names = list(schema.vectors) if isinstance(chosen, bool) else list(chosen)
    found: list[dict[str, StoredVector] | None] = []
    present = {name: segment.segment.present(name, segment.n_rows) for name in names}
    has = {name: None if words is None else bitmaps.are_set(words, rows) for name, words in present.items()}
    sparse = {name: _sparse(segment, rows, name) for name in names if schema.vectors[name].is_sparse}
    for at, row in enumerate(rows.tolist()):
        there = [name for name, flags in has.items() if flags is None or flags[at]]
        found.append({
            name: sparse[name][at] if name in sparse else _vector(segment, row, name, schema) for name in there
        })  # fmt: skip
    return found


def _sparse(segment: SegmentView, rows: Int64Array, name: str) -> list[SparseVector]:
    """Packed rows are unpacked together."""
    taken = segment.segment.vectors(name, segment.n_rows)[rows]
    assert isinstance(taken, SparseRows)
    return [SparseVector(one.indices.copy(), one.values.astype(np.float32)) for one in taken]


def _vector(segment: SegmentView, row: int, name: str, schema: Schema) -> StoredVector:
    stored = segment.segment.vector(name, row)
    spec = schema.vectors[name]
    if isinstance(stored, np.ndarray) and spec.kind is VectorKind.DENSE and stored.dtype == np.uint16:
        return validate.widen(stored, spec)
    return stored
