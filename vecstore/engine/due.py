"""What background work is due, as follows from the state of the collections alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence

from vecstore.config import Storage as StorageSettings
from vecstore.engine import bitmaps
from vecstore.engine.collection import Collection
from vecstore.engine.derived import DerivedData
from vecstore.engine.indexing import Indexing
from vecstore.engine.sealed import SealedSegment
from vecstore.memory.budget import BACKLOG_SEGMENTS


class Due:
    def __init__(
        self,
        settings: StorageSettings,
        indexing: Indexing,
        derived: DerivedData,
        given_up: Container[str],
        collections: Callable[[], list[Collection]],
    ) -> None:
        """`given_up` are the uids of segments that nothing can be made of."""
        self._settings, self._indexing, self._derived = settings, indexing, derived
        self._given_up, self._collections = given_up, collections

    def is_full(self, collection: Collection) -> bool:
        growing, settings = collection.growing, self._settings
        return (
            growing.n_rows >= settings.seal_rows
            or growing.nbytes >= self._settings.seal_bytes
            or collection.log_bytes >= 2 * self._settings.seal_bytes  # deletes and rewrites alone
        )

    def is_most_of_many(self, collection: Collection) -> bool:
        """Whether the growing segments of all collections together are too large, and this is the largest."""
        sizes = [one.growing.nbytes for one in self._collections()]
        return sum(sizes) > BACKLOG_SEGMENTS * self._settings.seal_bytes and collection.growing.nbytes == max(sizes)

    def rests_in(self, collection: Collection) -> float | None:
        """How many seconds until the growing segment has not been written to for a while, 0 if it has not; None where
        it is not worth an index."""
        if not self._indexing.has_enough(collection.schema, collection.growing):
            return None
        return max(0.0, collection.written_at + self._settings.seal_idle_s - time.monotonic())

    def lacking_indexes(self, collection: Collection, among: Container[str] | None = None) -> SealedSegment | None:
        for segment in self._mergeable(collection):
            if (among is None or segment.uid in among) and self._derived.lacking(segment, collection):
                return segment
        return None

    def merge_candidates(self, collection: Collection) -> list[SealedSegment]:
        """Segments of one size class when there are `merge_factor` of them, or one with too many dead rows."""
        classes: dict[int, list[SealedSegment]] = {}
        for segment in self._mergeable(collection):
            alive = bitmaps.count_bits(collection.alive(segment.uid))
            if alive < (1 - self._settings.compact_deleted_ratio) * segment.header.n_rows:
                return [segment]
            if segment.header.nbytes < self._settings.segment_bytes_max // 2:
                size_class = max(segment.header.n_rows, 1).bit_length() // 2
                classes.setdefault(size_class, []).append(segment)
        for members in classes.values():
            if len(members) >= self._settings.merge_factor:
                chosen = self._within_bound(members)
                if len(chosen) > 1:
                    return chosen
        return []

    def all_mergeable(
        self, collection: Collection, among: Container[str], made: Container[str]
    ) -> list[SealedSegment] | None:
        """For a compaction: as many segments as fit one, then those with dead rows, but for what it `made` itself."""
        segments = [segment for segment in self._mergeable(collection) if segment.uid in among]
        segments.sort(key=lambda segment: segment.header.nbytes)
        chosen = self._within_bound(segments)
        if len(chosen) > 1:
            return chosen
        for segment in segments:
            n_alive = bitmaps.count_bits(collection.alive(segment.uid))
            if segment.uid not in made and n_alive < segment.header.n_rows:
                return [segment]
        return None

    def _mergeable(self, collection: Collection) -> list[SealedSegment]:
        return [segment for segment in list(collection.sealed.values()) if segment.uid not in self._given_up]

    def _within_bound(self, segments: Sequence[SealedSegment]) -> list[SealedSegment]:
        chosen: list[SealedSegment] = []
        nbytes = 0
        for segment in segments:
            nbytes += segment.header.nbytes
            if chosen and nbytes > self._settings.segment_bytes_max:
                break
            chosen.append(segment)
        return chosen
