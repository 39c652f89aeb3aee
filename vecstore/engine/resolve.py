"""Decides what a write comes to: which ids it takes, which rows die. Reads a view, changes nothing."""

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
from vecstore.engine.records import WriteRecord, encode_record
from vecstore.engine.segment import SegmentView, decode_payload
from vecstore.engine.writes import Delete, PayloadChange, Resolved, Upsert, Write, select
from vecstore.errors import limit_exceeded
from vecstore.query.filter import Filter, PointId
from vecstore.rows import concat
from vecstore.types import PayloadOp, PointBatch, VectorBatch, WriteMode

Overlay = dict[PointId, bool]  # ids that earlier writes of the same group leave existing (True) or deleted (False)


def resolve(write: Write, view: View, overlay: Overlay, limits: Limits, filtering: Filtering) -> Resolved:
    if isinstance(write, Upsert):
        return _resolve_upsert(write, view, overlay)
    if isinstance(write, Delete):
        return _resolve_delete(write, view, overlay, filtering)
    return _resolve_payload(write, view, limits, filtering)


def _resolve_upsert(write: Upsert, view: View, overlay: Overlay) -> Resolved:
    batch, encoded = write.batch, write.encoded
    if encoded is None:
        exists = existing(batch.ids, view, overlay)
        wanted = exists if write.mode is WriteMode.UPDATE_ONLY else ~exists
        batch = select(batch, np.flatnonzero(wanted).tolist())
        encoded = encode_record(WriteRecord(batch))
    overlay.update(dict.fromkeys(batch.ids, True))
    skipped = len(write.batch.ids) - len(batch.ids)
    return Resolved(WriteRecord(batch), encoded, sealed_rows(batch.ids, view), len(batch.ids), skipped)


def _resolve_delete(write: Delete, view: View, overlay: Overlay, filtering: Filtering) -> Resolved:
    dead: dict[str, np.ndarray] = {}
    deleted: list[PointId] = []
    if write.ids is not None:
        exists = existing(write.ids, view, overlay)
        deleted = [point_id for point_id, there in zip(write.ids, exists.tolist(), strict=True) if there]
        dead = sealed_rows(deleted, view)
        changed = len(deleted)
    else:
        changed = 0
        for segment, rows in _matching(view, write.filter, filtering):
            changed += len(rows)
            if segment.segment.sorted_by_id:
                dead[segment.segment.uid] = rows  # the tombstones say it all, the record need not name the ids
            else:
                deleted.extend(segment.segment.take_ids(rows).tolist())
    overlay.update(dict.fromkeys(deleted, False))
    record = WriteRecord(PointBatch([]), deleted)
    return Resolved(record, encode_record(record), dead, changed)


def _resolve_payload(write: PayloadChange, view: View, limits: Limits, filtering: Filtering) -> Resolved:
    found: list[tuple[SegmentView, np.ndarray]] = []
    if write.ids is not None:
        for segment in view.segments:
            rows = segment.find(write.ids)
            found.append((segment, rows[rows >= 0]))
    else:
        found = _matching(view, write.filter, filtering)
    count = sum(len(rows) for _, rows in found)
    bound = limits.filtered_update_points_max
    if count > bound:
        raise limit_exceeded("filtered_update_points_max", count, bound, path="points matched")
    found = [(segment, rows) for segment, rows in found if len(rows)]
    batch = _with_payloads(_read_points(found, view), write, limits)
    record = WriteRecord(batch)
    skipped = len(write.ids) - count if write.ids is not None else 0
    dead = {segment.segment.uid: rows for segment, rows in found if segment.segment.sorted_by_id}
    return Resolved(record, encode_record(record), dead, count, skipped)


def _matching(view: View, where: Filter | None, filtering: Filtering) -> list[tuple[SegmentView, np.ndarray]]:
    filtering.check_indexed(where, view.schema)
    return [(segment, filtering.live_rows(segment, where)) for segment in view.segments]


def _read_points(found: Sequence[tuple[SegmentView, np.ndarray]], view: View) -> PointBatch:
    """Whole points as stored."""
    batch = PointBatch([], payloads=[])
    assert batch.payloads is not None
    for segment, rows in found:
        batch.ids.extend(segment.segment.take_ids(rows).tolist())
        batch.payloads.extend(segment.segment.payload(row) for row in rows.tolist())
    if not batch.ids:
        return batch
    for name in view.schema.vectors:
        rows_of = [segment.segment.vectors(name, segment.n_rows)[rows] for segment, rows in found]
        presents = [segment.segment.present(name, segment.n_rows) for segment, _ in found]
        present = np.concatenate([
            np.ones(len(rows), dtype=bool) if words is None else bitmaps.are_set(words, rows)
            for words, (_, rows) in zip(presents, found, strict=True)
        ])  # fmt: skip
        if present.any():
            batch.vectors[name] = VectorBatch(concat(rows_of), None if present.all() else present)
    return batch


def _with_payloads(batch: PointBatch, write: PayloadChange, limits: Limits) -> PointBatch:
    assert batch.payloads is not None
    if write.op in (PayloadOp.OVERWRITE, PayloadOp.CLEAR):
        batch.payloads = [write.payload] * len(batch.ids)
        return batch
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
    return batch


def existing(ids: Sequence[PointId], view: View, overlay: Overlay) -> np.ndarray:
    """For each id, whether a live point has it once the group's earlier writes are in (bool)."""
    exists = np.zeros(len(ids), dtype=bool)
    for segment in view.segments:
        exists |= segment.find(ids) >= 0
    if overlay:
        for place, point_id in enumerate(ids):
            exists[place] = overlay.get(point_id, bool(exists[place]))
    return exists


def sealed_rows(ids: Sequence[PointId], view: View) -> dict[str, np.ndarray]:
    """The live rows of sealed segments that have one of the ids, by the segment's uid."""
    dead = {}
    for segment in view.segments:
        if segment.segment.sorted_by_id:
            rows = segment.find(ids)
            rows = rows[rows >= 0]
            if len(rows):
                dead[segment.segment.uid] = rows
    return dead
