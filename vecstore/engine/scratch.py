"""A view that a batch's writes are tried on, one after another, before anything of them is logged.

What they add goes to a segment of its own, which filters and lookups read like any other; what is left at the end, and
what died, is the one write that the batch comes to.
"""

from __future__ import annotations

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.records import WriteRecord
from vecstore.engine.rewrite import read_points
from vecstore.engine.segment import SegmentView
from vecstore.engine.writes import Resolved
from vecstore.query.filter import PointId


class Scratch:
    def __init__(self, base: View) -> None:
        self._base = base
        self._segments = list(base.segments)
        self._added = GrowingSegment("scratch", base.schema.vectors, base.schema.fields, searched=False)
        self._alive = bitmaps.all_set(0)

    @property
    def view(self) -> View:
        """The base with the writes that were applied."""
        return View(self._base.seq, self._base.schema, (*self._segments, self._added_view()))

    def _added_view(self) -> SegmentView:
        return SegmentView(self._added, self._added.n_rows, self._alive, bitmaps.count_bits(self._alive))

    def apply(self, resolved: Resolved) -> None:
        """Take in a write that was decided against `view`."""
        record = resolved.record
        touched = [*record.deleted, *record.batch.ids]
        for place, segment in enumerate(self._segments):
            rows = resolved.dead.get(segment.segment.uid)
            if not segment.segment.sorted_by_id:
                rows = segment.find(touched)
                rows = rows[rows >= 0]
            if rows is not None and len(rows):
                alive = segment.alive.copy()
                bitmaps.clear_rows(alive, rows)
                self._segments[place] = SegmentView(segment.segment, segment.n_rows, alive, bitmaps.count_bits(alive))
        added, before = self._added, self._added.n_rows
        died = added.last_rows(record.deleted)
        died += added.append(record.batch, self._base.seq + 1) if record.batch.ids else []
        self._alive = bitmaps.resized(self._alive, added.n_rows) | bitmaps.range_set(before, added.n_rows)
        bitmaps.clear_rows(self._alive, died)

    def resolved(self) -> Resolved:
        """All writes as one."""
        dead: dict[str, np.ndarray] = {}
        gone: list[PointId] = []
        for before, after in zip(self._base.segments, self._segments, strict=True):
            died = bitmaps.set_bits(before.alive & ~after.alive)
            if not len(died):
                continue
            if before.segment.sorted_by_id:
                dead[before.segment.uid] = died
            else:
                gone.extend(before.segment.take_ids(died).tolist())
        added = self._added_view()
        batch = read_points([(added, bitmaps.set_bits(added.alive))], self._base.schema)
        written = set(batch.ids)
        deleted = [point_id for point_id in gone if point_id not in written]
        return Resolved(WriteRecord(batch, deleted), dead)
