"""Changes of a part of a point: its payload, or some of its vectors. The points are written again, whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from vecstore import validate
from vecstore.config import Limits
from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.filtering import Filtering
from vecstore.engine.records import WriteRecord
from vecstore.engine.row_columns import empty_rows
from vecstore.engine.segment import SegmentView, decode_payload
from vecstore.engine.writes import PayloadChange, Resolved, VectorsDelete, VectorsUpdate
from vecstore.errors import limit_exceeded
from vecstore.query.filter import Filter, PointId
from vecstore.rows import TextRows, concat
from vecstore.schema import Schema
from vecstore.types import PayloadOp, PointBatch, VectorBatch

Found = list[tuple[SegmentView, np.ndarray]]  # rows of each segment


def rewrite(
    write: PayloadChange | VectorsUpdate | VectorsDelete, view: View, limits: Limits, filtering: Filtering
) -> Resolved:
    ids = write.batch.ids if isinstance(write, VectorsUpdate) else write.ids
    if ids is None:
        assert not isinstance(write, VectorsUpdate)
        found = matching(view, write.filter, filtering)
    else:
        found = rows_of(ids, view)
    count = sum(len(rows) for _, rows in found)
    bound = limits.filtered_update_points_max
    if count > bound:
        raise limit_exceeded("filtered_update_points_max", count, bound, path="points matched")
    found = [(segment, rows) for segment, rows in found if len(rows)]
    batch = read_points(found, view.schema)
    if isinstance(write, PayloadChange):
        _change_payloads(batch, write, limits)
    elif isinstance(write, VectorsUpdate):
        _put_vectors(batch, write.batch, view.schema)
    else:
        for name in write.names:
            batch.vectors.pop(name, None)
    skipped = 0 if ids is None else len(ids) - count
    dead = {segment.segment.uid: rows for segment, rows in found if segment.segment.sorted_by_id}
    return Resolved(WriteRecord(batch), dead, count, skipped)


def matching(view: View, where: Filter | None, filtering: Filtering) -> Found:
    filtering.check(where, view.schema)
    return [(segment, filtering.live_rows(segment, where)) for segment in view.segments]


def rows_of(ids: Sequence[PointId], view: View) -> Found:
    found = []
    for segment in view.segments:
        rows = segment.find(ids)
        found.append((segment, rows[rows >= 0]))
    return found


def read_points(found: Sequence[tuple[SegmentView, np.ndarray]], schema: Schema) -> PointBatch:
    """Whole points as stored."""
    batch = PointBatch([], payloads=[])
    assert batch.payloads is not None
    for segment, rows in found:
        batch.ids.extend(segment.segment.take_ids(rows).tolist())
        batch.payloads.extend(segment.segment.payload(row) for row in rows.tolist())
    if not batch.ids:
        return batch
    for name in schema.vectors:
        rows_of = [segment.segment.vectors(name, segment.n_rows)[rows] for segment, rows in found]
        presents = [segment.segment.present(name, segment.n_rows) for segment, _ in found]
        present = np.concatenate([
            np.ones(len(rows), dtype=bool) if words is None else bitmaps.are_set(words, rows)
            for words, (_, rows) in zip(presents, found, strict=True)
        ])  # fmt: skip
        if present.any():
            batch.vectors[name] = VectorBatch(concat(rows_of), None if present.all() else present)
    return batch


def _put_vectors(batch: PointBatch, given: PointBatch, schema: Schema) -> None:
    """The vectors that `given` has, in the place of those that `batch` has of the same points."""
    places = {point_id: place for place, point_id in enumerate(given.ids)}
    source = np.array([places[point_id] for point_id in batch.ids], dtype=np.int64)
    for name, new in given.vectors.items():
        assert not isinstance(new.rows, TextRows)  # a write's texts have been analysed
        has = np.ones(len(source), dtype=bool) if new.present is None else new.present[source]
        old = batch.vectors.get(name)
        old_rows = empty_rows(schema.vectors[name], len(source)) if old is None else old.rows
        assert not isinstance(old_rows, TextRows)
        kept = np.arange(len(source), dtype=np.int64)
        rows = concat([old_rows, new.rows])[np.where(has, len(source) + source, kept)]
        if old is None:
            has_now = has
        else:
            has_now = has | (True if old.present is None else old.present)
        if has_now.any():
            batch.vectors[name] = VectorBatch(rows, None if has_now.all() else has_now)


def _change_payloads(batch: PointBatch, write: PayloadChange, limits: Limits) -> None:
    assert batch.payloads is not None
    if write.op in (PayloadOp.OVERWRITE, PayloadOp.CLEAR):
        batch.payloads = [write.payload] * len(batch.ids)
        return
    changes: dict[str, Any] = decode_payload(write.payload) if write.payload else {}
    changed: list[bytes | None] = []
    for point_id, encoded in zip(batch.ids, batch.payloads, strict=True):
        payload: dict[str, Any] = decode_payload(encoded) if encoded else {}
        payload.update(changes)
        for key in write.keys:
            payload.pop(key, None)
        merged = msgspec.json.encode(payload) if payload else None
        if merged is not None:
            merged = validate.check_payload_json(merged, limits, f"payload of {point_id!r}")
        changed.append(merged)
    batch.payloads = changed
