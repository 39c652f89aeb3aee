"""Work on whole segments: what seals, merges, indexes and removes them, one piece at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from vecstore.engine import bitmaps, changes
from vecstore.engine.builder import Builder, JobSource
from vecstore.engine.changes import Replaced
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.derived import DerivedData, delete_columns
from vecstore.engine.jobs import Job
from vecstore.engine.operations import Operation
from vecstore.engine.sealed import SealedSegment
from vecstore.errors import Cancelled, IoFailed, VecstoreError
from vecstore.storage.interfaces import Blobs


class SegmentWork:
    def __init__(self, committer: Committer, builder: Builder, blobs: Blobs, derived: DerivedData) -> None:
        self.given_up: set[str] = set()  # uids of damaged segments, until reopened
        self._committer, self._builder, self._blobs, self._derived = committer, builder, blobs, derived
        self._sealing = threading.Lock()  # one seal, or the end of a collection, at a time

    def seal(self, collection: Collection, operation: Operation) -> None:
        with self._sealing:
            if not collection.frozen or collection.record.dropping:
                return
            frozen = collection.frozen[0]
            alive = collection.alive(frozen.uid)
            source = JobSource(alive, arrays=frozen.dump(frozen.n_rows) if frozen.n_rows else None)
            self._replace(collection, [Replaced(frozen, alive)], [source], frozen.max_seq, operation)

    def merge(
        self, collection: Collection, victims: Sequence[SealedSegment], operation: Operation
    ) -> SealedSegment | None:
        """The segment that takes their place, None when no row is left."""
        replaced = [Replaced(segment, collection.alive(segment.uid)) for segment in victims]
        sources = [JobSource(old.alive, sealed=segment) for old, segment in zip(replaced, victims, strict=True)]
        max_seq = max(segment.header.max_seq for segment in victims)
        try:
            made = self._replace(collection, replaced, sources, max_seq, operation)
        except Cancelled:
            raise
        except VecstoreError:
            self.given_up.update(segment.uid for segment in victims if segment.data_damaged)
            raise
        for segment in victims:
            segment.hold()  # a build read it, unless no row was left
            delete_columns(self._blobs, segment.header.columns)
        return made

    def _replace(
        self,
        collection: Collection,
        replaced: Sequence[Replaced],
        sources: Sequence[JobSource],
        max_seq: int,
        operation: Operation,
    ) -> SealedSegment | None:
        schema = collection.schema
        made = None
        if any(bitmaps.count_bits(old.alive) for old in replaced):
            number = self._committer.exclusive(lambda: changes.take_segment_number(collection))
            job = Job(collection.number, number, schema, max_seq)
            header = self._builder.build(job, sources, operation.progress)
            made = collection.open_segment(header)
        try:
            if made is not None:
                self._derived.index_merged(collection, made, replaced, operation)
                operation.progress("open", 0, 1)
                for column in made.header.columns:
                    made.column(column.name)  # verified and mapped before a query waits for it
            operation.progress("swap", 0, 1)
            self._committer.exclusive(lambda: changes.swap(collection, made, replaced))
        except IoFailed:
            raise  # the swap may be on disk although its fsync failed: the next open finds out and sweeps
        except VecstoreError:
            if made is not None:
                delete_columns(self._blobs, made.header.columns)
            raise
        return made

    def index(self, collection: Collection, segment: SealedSegment, operation: Operation) -> None:
        try:
            self._derived.build(collection, segment, operation)
        except Cancelled:
            raise
        except VecstoreError:
            if segment.data_damaged:
                self.given_up.add(segment.uid)
            raise

    def drop(self, collection: Collection, was_served: bool, operation: Operation) -> None:
        """When it fails, the record still says `dropping`: the next open goes on."""
        with self._sealing:
            segments = list(collection.sealed.values())
            for done, segment in enumerate(segments):
                operation.progress("segments", done, len(segments))
                if was_served:
                    segment.hold()
                for column in segment.header.columns:
                    self._blobs.delete(column.ref.name)
            self._committer.exclusive(lambda: changes.forget(collection))
