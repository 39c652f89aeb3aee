"""What a search leaves out because its caller wants an answer sooner: segments that wait for an index (`indexed_only`),
and those that were not searched in time (`allow_partial`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from vecstore.config import Storage
from vecstore.engine.segment import SegmentView
from vecstore.errors import DeadlineExceeded
from vecstore.index.auto import tiers
from vecstore.index.base import SearchParams
from vecstore.index_spec import Auto, Flat
from vecstore.kernels.stop import EXPIRED, Stop, current_stop
from vecstore.quality import Quality
from vecstore.schema import VectorField

RESERVE = 0.1  # of the time that is left when a segment is begun: for what comes after the search
RESERVE_MIN_S, RESERVE_MAX_S = 0.002, 0.1


@dataclass(slots=True)
class LeftOut:
    params: SearchParams
    settings: Storage
    segments: int = 0
    points: int = 0
    timed_out: bool = False

    def waits(self, segment: SegmentView, name: str, field: VectorField) -> bool:
        """Whether the segment is left out because an index is due and not there."""
        if not self.params.indexed_only or not _waits(segment, name, field, self.settings):
            return False
        self._count(segment)
        return True

    @contextmanager
    def in_time(self, segment: SegmentView) -> Iterator[None]:
        """Around a search of the segment that looks first whether to stop: leaves it out when time runs out. A caller
        that has gone is told so."""
        stop = current_stop()
        if not self.params.allow_partial or stop is None:
            yield
            return
        left = stop.deadline - time.monotonic()
        try:
            with Stop(max(0.0, left - min(max(RESERVE * left, RESERVE_MIN_S), RESERVE_MAX_S))):
                yield
        except DeadlineExceeded:
            if stop.flag[0] == EXPIRED:  # by the inner one's alarm, whose flag is shared
                stop.flag[0] = 0
            self._count(segment)
            self.timed_out = True

    def told(self, quality: Quality) -> Quality:
        """The quality of what was searched, with what was left out."""
        if not self.segments:
            return quality
        if quality.strategy == "none":
            quality = replace(quality, est_recall=None, basis="")
        return replace(
            quality, complete=False, skipped_segments=self.segments, skipped_points=self.points,
            timed_out=self.timed_out,
        )  # fmt: skip

    def _count(self, segment: SegmentView) -> None:
        self.segments += 1
        self.points += segment.n_alive


def _waits(segment: SegmentView, name: str, field: VectorField, settings: Storage) -> bool:
    """What the settings have scanned does not wait, nor do growing segments whose lists grow with them."""
    if field.index in (None, Flat()) or (isinstance(field.index, Auto) and not tiers(field)):
        return False
    if not segment.segment.sorted_by_id:
        return not field.is_sparse
    rows_min = settings.auto_index_rows_min if isinstance(field.index, Auto) else settings.index_rows_min
    return segment.weight(name) >= rows_min and segment.segment.index(name) is None
