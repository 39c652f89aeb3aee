"""Decides what a write comes to: which ids it takes, which rows die. Reads a view, changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vecstore.config import Limits
from vecstore.engine.collection import View
from vecstore.engine.conditions import Overlay, narrowed
from vecstore.engine.filtering import Filtering
from vecstore.engine.records import WriteRecord, encode_record
from vecstore.engine.rewrite import matching, rewrite
from vecstore.engine.scratch import Scratch
from vecstore.engine.writes import Batch, Delete, Resolved, Single, Upsert, Write, select
from vecstore.errors import VecstoreError, limit_exceeded
from vecstore.query.filter import PointId
from vecstore.types import PointBatch, WriteMode


def resolve(write: Write, seq: int, view: View, overlay: Overlay, limits: Limits, filtering: Filtering) -> Resolved:
    """The write with its log record. `overlay` has what earlier writes of its group leave, and then what it leaves."""
    if isinstance(write, Batch):
        resolved = _resolve_batch(write, view, limits, filtering)
    else:
        resolved = _decide(write, view, overlay, limits, filtering)
    if not resolved.encoded:
        resolved.encoded = encode_record(resolved.record)
    overlay.update(dict.fromkeys(resolved.record.deleted, 0))
    overlay.update(dict.fromkeys(resolved.record.batch.ids, seq))
    return resolved


def _decide(write: Single, view: View, overlay: Overlay, limits: Limits, filtering: Filtering) -> Resolved:
    write, mismatches = narrowed(write, view, overlay)
    resolved = _apply_to(write, view, overlay, limits, filtering)
    resolved.skipped += mismatches
    return resolved


def _apply_to(write: Single, view: View, overlay: Overlay, limits: Limits, filtering: Filtering) -> Resolved:
    if isinstance(write, Upsert):
        return _resolve_upsert(write, view, overlay)
    if isinstance(write, Delete):
        return _resolve_delete(write, view, overlay, filtering)
    return rewrite(write, view, limits, filtering)


def _resolve_batch(write: Batch, view: View, limits: Limits, filtering: Filtering) -> Resolved:
    scratch = Scratch(view)
    counts, rewritten = [], 0
    for place, one in enumerate(write.operations):
        try:
            step = _decide(one, scratch.view, {}, limits, filtering)
            if not isinstance(one, Upsert | Delete):
                rewritten += step.changed
            if rewritten > limits.filtered_update_points_max:
                bound = limits.filtered_update_points_max
                raise limit_exceeded("filtered_update_points_max", rewritten, bound, path="points changed so far")
        except VecstoreError as error:
            raise error.at(f"operations[{place}]") from None
        scratch.apply(step)
        counts.append((step.changed, step.skipped))
    resolved = scratch.resolved()
    resolved.operations = counts
    resolved.changed, resolved.skipped = (sum(column) for column in zip(*counts, strict=True))
    return resolved


def _resolve_upsert(write: Upsert, view: View, overlay: Overlay) -> Resolved:
    batch, encoded = write.batch, write.encoded or b""
    if write.mode is not WriteMode.UPSERT:
        exists = existing(batch.ids, view, overlay)
        wanted = exists if write.mode is WriteMode.UPDATE_ONLY else ~exists
        batch, encoded = select(batch, np.flatnonzero(wanted).tolist()), b""
    skipped = len(write.batch.ids) - len(batch.ids)
    return Resolved(WriteRecord(batch), sealed_rows(batch.ids, view), len(batch.ids), skipped, encoded)


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
        for segment, rows in matching(view, write.filter, filtering):
            changed += len(rows)
            if segment.segment.sorted_by_id:
                dead[segment.segment.uid] = rows  # the tombstones say it all, the record need not name the ids
            else:
                deleted.extend(segment.segment.take_ids(rows).tolist())
    return Resolved(WriteRecord(PointBatch([]), deleted), dead, changed)


def existing(ids: Sequence[PointId], view: View, overlay: Overlay) -> np.ndarray:
    """For each id, whether a live point has it once the group's earlier writes are in (bool)."""
    exists = np.zeros(len(ids), dtype=bool)
    for segment in view.segments:
        exists |= segment.find(ids) >= 0
    if overlay:
        for place, point_id in enumerate(ids):
            exists[place] = bool(overlay.get(point_id, exists[place]))
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
