"""Background work: seal full growing segments, merge small sealed ones, rewrite those with many dead rows, build
missing payload indexes, and remove dropped collections. One thread decides and waits; worker processes do the work.

What there is to do follows from the state alone, so a crash or a cancelled operation loses nothing but time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from vecstore.config import Storage as StorageSettings
from vecstore.engine import bitmaps, changes
from vecstore.engine.builder import Builder, JobSource
from vecstore.engine.changes import Replaced
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.header import SegmentHeader
from vecstore.engine.jobs import Job
from vecstore.engine.operations import Operation, Operations
from vecstore.engine.sealed import SealedSegment
from vecstore.errors import Cancelled, IoFailed, ResourceExhausted, VecstoreError
from vecstore.storage.interfaces import Blobs

log = logging.getLogger("vecstore.maintenance")
RETRY_S = 5.0  # after a failure, such as a full disk
BACKLOG_SEGMENTS = 4  # closed growing segments that may wait for sealing before writers are held back
BACKLOG_WAIT_S = 30.0


class Maintenance:
    def __init__(
        self,
        settings: StorageSettings,
        committer: Committer,
        builder: Builder,
        blobs: Blobs,
        operations: Operations,
        collections: Callable[[], list[Collection]],
    ) -> None:
        self._settings = settings
        self._committer = committer
        self._builder = builder
        self._blobs = blobs
        self._operations = operations
        self._collections = collections
        self._wanted: list[Callable[[], None]] = []  # work that someone asked for
        self._given_up: set[str] = set()  # uids of damaged segments, until reopened
        self._wake = threading.Condition()
        self._signalled = False
        self._closing = False
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="vecstore-maintenance", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        with self._wake:
            self._signalled = True
            self._wake.notify()

    def compact(self, collection: Collection) -> Operation:
        """Seal everything and merge it into as few segments as the size bound allows."""
        operation = self._operations.start("compact", collection.record.name)
        self._want(lambda: self._compact(collection, operation))
        return operation

    def settle(self, collection: Collection) -> Operation:
        """Seal what is closed and build the payload indexes that segments lack."""
        operation = self._operations.start("create_field", collection.record.name)
        self._want(lambda: self._settle(collection, operation))
        return operation

    def drop(self, collection: Collection) -> Operation:
        """Remove the data of a collection whose record says `dropping`."""
        operation = self._operations.start("drop", collection.record.name)
        self._want(lambda: self._drop(collection, operation))
        return operation

    def _want(self, work: Callable[[], None]) -> None:
        with self._wake:
            self._wanted.append(work)
        self.wake()

    def wait_for_room(self, collection: Collection) -> None:
        """Hold writers back while sealing is far behind. Raises ResourceExhausted (OVERLOADED) after a while."""
        bound = BACKLOG_SEGMENTS * self._settings.seal_bytes

        def behind() -> bool:
            return self._settings.maintenance and sum(segment.nbytes for segment in collection.frozen) > bound

        if behind():
            with collection.changed:
                if not collection.changed.wait_for(lambda: self._closing or not behind(), BACKLOG_WAIT_S):
                    message = f"sealing of {collection.record.name!r} is more than {bound} bytes behind; retry later"
                    raise ResourceExhausted(message, reason="OVERLOADED", metadata={"retry_after_s": 1})

    def close(self) -> None:
        """Stop; work in progress is cancelled and found again at the next open."""
        self._closing = True
        self._operations.abandon()
        self.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            with self._wake:
                self._wake.wait_for(lambda: self._signalled or self._closing, timeout=self._retry_in())
                self._signalled = False
            try:
                while not self._closing and self._step():
                    pass
            except Exception:  # one bad collection must not end maintenance for all
                log.exception("maintenance failed; trying again in %s s", RETRY_S)
                self._retry_at = time.monotonic() + RETRY_S

    def _retry_in(self) -> float | None:
        return max(0.0, self._retry_at - time.monotonic()) if self._retry_at else None

    def _step(self) -> bool:
        """Do the most urgent piece of work; False when there is none."""
        with self._wake:
            wanted = self._wanted.pop(0) if self._wanted else None
        if wanted is not None:
            wanted()
            return True
        if not self._settings.maintenance or time.monotonic() < self._retry_at:
            return False
        self._retry_at = 0.0
        return any(self._tend(collection) for collection in self._collections())

    def _tend(self, collection: Collection) -> bool:
        if collection.failed is not None or collection.record.dropping:
            return False
        if self._is_full(collection):
            self._committer.exclusive(lambda: changes.freeze(collection))
        if collection.frozen:
            return self._attempt("seal", collection, lambda operation: self._seal(collection, operation))
        lacking = self._lacking_indexes(collection)
        if lacking is not None:
            return self._attempt("index", collection, lambda operation: self._index(collection, lacking, operation))
        victims = self._merge_candidates(collection)
        if victims:
            return self._attempt("merge", collection, lambda operation: self._merge(collection, victims, operation))
        return False

    def _attempt(self, kind: str, collection: Collection, work: Callable[[Operation], None]) -> bool:
        operation = self._operations.start(kind, collection.record.name)
        try:
            work(operation)
        except VecstoreError as error:
            operation.finish(error)
            if not self._closing:
                log.warning("%s of %s did not finish: %s", kind, collection.record.name, error)
                self._retry_at = time.monotonic() + RETRY_S
            return False
        except Exception as error:
            operation.finish(error)
            raise
        operation.finish()
        return True

    def _compact(self, collection: Collection, operation: Operation) -> None:
        try:
            self._committer.exclusive(lambda: changes.freeze(collection))
            self._seal_and_index(collection, operation)
            while (victims := self._all_mergeable(collection)) is not None:
                self._merge(collection, victims, operation)
        except Exception as error:  # whatever it is, somebody may be waiting for the operation
            operation.finish(error)
            return
        operation.finish()

    def _settle(self, collection: Collection, operation: Operation) -> None:
        try:
            self._seal_and_index(collection, operation)
        except Exception as error:  # whatever it is, somebody may be waiting for the operation
            operation.finish(error)
            return
        operation.finish()

    def _seal_and_index(self, collection: Collection, operation: Operation) -> None:
        while collection.frozen:
            self._seal(collection, operation)
        while (lacking := self._lacking_indexes(collection)) is not None:
            self._index(collection, lacking, operation)

    def _drop(self, collection: Collection, operation: Operation) -> None:
        try:
            headers = collection.manifest.segments
            for done, header in enumerate(headers):
                operation.progress("segments", done, len(headers))
                for column in header.columns:
                    self._blobs.delete(column.ref.name)
            self._committer.exclusive(lambda: changes.forget(collection))
        except VecstoreError as error:
            operation.finish(error)  # the record still says `dropping`: the next open goes on
            return
        operation.finish()

    # --- what is due ---

    def _is_full(self, collection: Collection) -> bool:
        growing, settings = collection.growing, self._settings
        return (
            growing.n_rows >= settings.seal_rows
            or growing.nbytes >= settings.seal_bytes
            or collection.log_bytes >= 2 * settings.seal_bytes  # deletes and rewrites alone
        )

    def _lacking_indexes(self, collection: Collection) -> SealedSegment | None:
        for segment in list(collection.sealed.values()):
            if segment.uid not in self._given_up and missing_fields(segment, collection):
                return segment
        return None

    def _merge_candidates(self, collection: Collection) -> list[SealedSegment]:
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

    def _all_mergeable(self, collection: Collection) -> list[SealedSegment] | None:
        """For a compaction: as many segments as fit one, while that changes anything."""
        segments = sorted(self._mergeable(collection), key=lambda segment: segment.header.nbytes)
        chosen = self._within_bound(segments)
        if len(chosen) > 1:
            return chosen
        for segment in segments:
            if bitmaps.count_bits(collection.alive(segment.uid)) < segment.header.n_rows:
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

    # --- doing it ---

    def _seal(self, collection: Collection, operation: Operation) -> None:
        frozen = collection.frozen[0]
        alive = collection.alive(frozen.uid)
        source = JobSource(alive, arrays=frozen.dump(frozen.n_rows) if frozen.n_rows else None)
        self._replace(collection, [Replaced(frozen, alive)], [source], frozen.max_seq, operation)

    def _merge(self, collection: Collection, victims: Sequence[SealedSegment], operation: Operation) -> None:
        replaced = [Replaced(segment, collection.alive(segment.uid)) for segment in victims]
        sources = [JobSource(old.alive, sealed=segment) for old, segment in zip(replaced, victims, strict=True)]
        max_seq = max(segment.header.max_seq for segment in victims)
        try:
            self._replace(collection, replaced, sources, max_seq, operation)
        except Cancelled:
            raise
        except VecstoreError:
            self._given_up.update(segment.uid for segment in victims if segment.quarantined)
            raise
        for segment in victims:
            self._delete_blobs(segment.header)

    def _replace(
        self,
        collection: Collection,
        replaced: Sequence[Replaced],
        sources: Sequence[JobSource],
        max_seq: int,
        operation: Operation,
    ) -> None:
        schema = collection.schema
        made = None
        if any(bitmaps.count_bits(old.alive) for old in replaced):
            number = self._committer.exclusive(lambda: changes.take_segment_number(collection))
            job = Job(collection.number, number, schema, max_seq)
            header = self._builder.build(job, sources, operation.progress)
            made = collection.open_segment(header)
        try:
            if made is not None:
                operation.progress("open", 0, 1)
                for column in made.header.columns:
                    made.column(column.name)  # verified and mapped before a query waits for it
            operation.progress("swap", 0, 1)
            self._committer.exclusive(lambda: changes.swap(collection, made, replaced))
        except IoFailed:
            raise  # the swap may be on disk although its fsync failed: the next open finds out and sweeps
        except VecstoreError:
            if made is not None:
                self._delete_blobs(made.header)
            raise

    def _index(self, collection: Collection, segment: SealedSegment, operation: Operation) -> None:
        missing = missing_fields(segment, collection)
        have = tuple(key for key in collection.schema.fields if key not in missing)
        job = Job(
            collection.number, segment.header.id, collection.schema, segment.header.max_seq,
            generation=segment.header.generation + 1, fields_only=True, have_fields=have,
        )  # fmt: skip
        everything = bitmaps.all_set(segment.header.n_rows)
        try:
            header = self._builder.build(job, [JobSource(everything, sealed=segment)], operation.progress)
        except Cancelled:
            raise
        except VecstoreError:
            if segment.quarantined:
                self._given_up.add(segment.uid)
            raise
        try:
            added = self._committer.exclusive(lambda: changes.add_field_columns(collection, segment.uid, header))
        except IoFailed:
            raise  # as for a swap
        except VecstoreError:
            self._delete_blobs(header)  # or the next try would find their names taken
            raise
        if not added:
            self._delete_blobs(header)

    def _delete_blobs(self, header: SegmentHeader) -> None:
        """Best effort: what is left is swept at the next open."""
        try:
            for column in header.columns:
                self._blobs.delete(column.ref.name)
        except VecstoreError as error:
            log.warning("blobs of segment %s are left for the sweep: %s", header.id, error)


def missing_fields(segment: SealedSegment, collection: Collection) -> set[str]:
    """Keys that the schema indexes and the segment does not, or not as this kind."""
    have = segment.header.fields
    return {key for key, kind in collection.schema.fields.items() if key not in have or have[key].kind is not kind}
