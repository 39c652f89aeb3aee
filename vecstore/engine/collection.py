"""One collection's state: its segments, and the view of them that readers take.

Only the committer's thread changes a collection (recovery does before it runs). Readers take `view`, an immutable value
that is replaced whole, so every read sees exactly one seq and never waits.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.header import CollectionRecord, Manifest, SegmentHeader
from vecstore.engine.receipts import Receipts
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.segment import SegmentView
from vecstore.engine.writes import Resolved
from vecstore.errors import VecstoreError
from vecstore.kernels.base import Bitmap
from vecstore.memory.remembered import Remembered
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.storage.interfaces import Blobs

KINDS_REMEMBERED = 64  # of queries, of a view
_uids = itertools.count(1)  # never given twice in a process: caches go by them


@dataclass(frozen=True, slots=True)
class View:
    """A collection at one seq: sealed segments first, then growing ones, oldest first."""

    seq: int
    schema: Schema
    segments: tuple[SegmentView, ...]
    points: int = 0  # live ones
    # What queries found out that holds as long as the view does (`engine.kinds`).
    kinds: Remembered[Any, Any] = field(
        default_factory=lambda: Remembered(KINDS_REMEMBERED), init=False, repr=False, compare=False
    )
    wholes: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


class Collection:
    def __init__(self, record: CollectionRecord, manifest: Manifest, blobs: Blobs) -> None:
        self.record = record
        self.manifest = manifest
        self.failed: VecstoreError | None = None  # damaged beyond serving: every call raises this
        self.log_bytes = 0  # since the growing segment began
        self.written_at = time.monotonic()
        self.changed = threading.Condition()  # notified when a new view is there
        self.on_damage: Callable[[], None] = lambda: None  # an index needs to be built again
        self._waiting: list[tuple[int, Callable[[], None]]] = []  # what to call once a seq is in view
        self._blobs = blobs
        self.receipts = Receipts(record.number)
        self.sealed: dict[str, SealedSegment] = {}
        self.frozen: list[GrowingSegment] = []
        self.growing = self._new_growing()
        self._views: dict[str, SegmentView] = {}
        for header in manifest.segments:
            self.add_sealed(self.open_segment(header), [])
        self.view = View(manifest.sealed_seq, record.schema, ())
        self.publish(manifest.sealed_seq)

    @property
    def number(self) -> int:
        return self.record.number

    @property
    def schema(self) -> Schema:
        return self.record.schema

    def _uid(self, what: str) -> str:
        return f"{self.record.number}/{what}/{next(_uids)}"

    def _new_growing(self) -> GrowingSegment:
        return GrowingSegment(self._uid("growing"), self.schema.vectors, self.schema.fields)

    def open_segment(self, header: SegmentHeader) -> SealedSegment:
        mine = weakref.ref(self)  # a segment that held its collection would keep a dropped one mapped

        def damaged() -> None:
            if (collection := mine()) is not None:
                collection.on_damage()

        return SealedSegment(header, self.schema.vectors, self._blobs, self._uid("sealed"), damaged)

    # --- changes: committer's thread, or recovery ---

    def apply(self, resolved: Resolved, seq: int) -> None:
        """Take in one durable write. Call `publish` after the last of a group."""
        record = resolved.record
        for uid, rows in resolved.dead.items():
            self.kill(uid, rows)
        touched: Iterable[PointId] = [*record.deleted, *record.batch.ids] if record.deleted else record.batch.ids
        touched = list(touched)
        for segment in self.frozen:
            self.kill(segment.uid, segment.last_rows(touched))
        growing = self.growing
        if record.deleted and growing.n_rows:
            self.kill(growing.uid, growing.last_rows(record.deleted))
        if record.batch.ids:
            before = growing.n_rows
            superseded = growing.append(record.batch, seq)
            self._grow(before, superseded)
        self.log_bytes += len(resolved.encoded)
        self.written_at = time.monotonic()

    def _grow(self, before: int, superseded: Sequence[int]) -> None:
        growing = self.growing
        old = self._views.get(growing.uid)
        alive = bitmaps.all_set(growing.n_rows)
        if old is not None:
            kept = bitmaps.resized(old.alive, growing.n_rows)
            alive &= kept | bitmaps.range_set(before, growing.n_rows)
        if superseded:
            bitmaps.clear_rows(alive, superseded)
        self._views[growing.uid] = SegmentView(growing, growing.n_rows, alive, bitmaps.count_bits(alive))

    def kill(self, uid: str, rows: Sequence[int] | np.ndarray) -> None:
        """Hide rows of a segment; those already hidden are no matter."""
        view = self._views.get(uid)
        if view is None or not len(rows):
            return
        alive = view.alive.copy()
        bitmaps.clear_rows(alive, rows)
        self._views[uid] = SegmentView(view.segment, view.n_rows, alive, bitmaps.count_bits(alive))

    def freeze(self) -> GrowingSegment:
        """Close the growing segment to writes and start another."""
        closed = self.growing
        closed.max_seq = self.view.seq
        self.frozen.append(closed)
        self.growing = self._new_growing()
        self.log_bytes = 0
        return closed

    def add_sealed(self, segment: SealedSegment, dead: Sequence[int] | np.ndarray) -> None:
        n_rows = segment.header.n_rows
        segment.take_fields(self.schema.vectors)  # which may have changed while it was built
        alive = bitmaps.all_set(n_rows)
        if len(dead):
            bitmaps.clear_rows(alive, dead)
        self.sealed[segment.uid] = segment
        self._views[segment.uid] = SegmentView(segment, n_rows, alive, bitmaps.count_bits(alive))

    def remove(self, uid: str) -> None:
        """Take a sealed or frozen segment out of later views."""
        self.sealed.pop(uid, None)
        self.frozen = [segment for segment in self.frozen if segment.uid != uid]
        self._views.pop(uid, None)

    def take_record(self, record: CollectionRecord) -> None:
        """The settings of its fields hold for the segments that are there, too."""
        self.record = record
        for segment in self.sealed.values():
            segment.take_fields(record.schema.vectors)

    def adopt(self, other: Collection) -> None:
        """Become what another object of the same collection is, which nobody else uses; readers and those who wait go
        on with this one."""
        self.record, self.manifest, self.failed = other.record, other.manifest, other.failed
        self.sealed, self.frozen, self.growing, self._views = other.sealed, other.frozen, other.growing, other._views
        self.log_bytes = other.log_bytes
        self.publish(other.view.seq)

    def alive(self, uid: str) -> Bitmap:
        view = self._views.get(uid)
        return view.alive if view is not None else np.empty(0, dtype=np.uint64)

    def publish(self, seq: int) -> None:
        """Show readers the state as of `seq`."""
        order = [*self.sealed, *(segment.uid for segment in self.frozen), self.growing.uid]
        segments = tuple(self._views[uid] for uid in order if uid in self._views)
        with self.changed:
            self.view = View(seq, self.record.schema, segments, sum(view.n_alive for view in segments))
            self.changed.notify_all()
            due = [call for at, call in self._waiting if at <= seq]
            if due:
                self._waiting = [one for one in self._waiting if one[0] > seq]
        for call in due:
            call()

    def when(self, seq: int, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` called once the view has `seq`, from whatever thread brings it there; returns what takes that
        back."""
        entry = (seq, call)
        with self.changed:
            there = self.view.seq >= seq
            if not there:
                self._waiting.append(entry)
        if there:
            call()

        def forget() -> None:
            with self.changed:
                self._waiting = [one for one in self._waiting if one is not entry]

        return forget
