"""Background work: seal full growing segments, merge small sealed ones, rewrite those with many dead rows, build
missing indexes, measure recall again where rows have died, and remove dropped collections. Two threads decide and wait,
so that writers, who depend on sealing, do not wait for an index to be built; worker processes do the work.

What there is to do follows from the state alone, so a crash or a cancelled operation loses nothing but time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container, Sequence

from vecstore.config import Storage as StorageSettings
from vecstore.engine import bitmaps, changes
from vecstore.engine.awaited import Awaited, check_served
from vecstore.engine.builder import Builder, JobSource
from vecstore.engine.changes import Replaced
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.derived import DerivedData, delete_columns
from vecstore.engine.indexing import Indexing
from vecstore.engine.jobs import Job
from vecstore.engine.operations import Operation, Operations
from vecstore.engine.rechecks import stale
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.stepper import Stepper
from vecstore.engine.tuning import Tuning
from vecstore.errors import Cancelled, FailedPrecondition, IoFailed, ResourceExhausted, VecstoreError
from vecstore.memory import malloc
from vecstore.memory.budget import BACKLOG_SEGMENTS
from vecstore.rows import Rows
from vecstore.schema import Schema
from vecstore.storage.interfaces import Blobs

log = logging.getLogger("vecstore.maintenance")
BACKLOG_WAIT_S = 30.0


class Maintenance:
    def __init__(
        self,
        settings: StorageSettings,
        committer: Committer,
        builder: Builder,
        blobs: Blobs,
        operations: Operations,
        indexing: Indexing,
        collections: Callable[[], list[Collection]],
    ) -> None:
        self._settings = settings
        self._seal_bytes = settings.seal_bytes
        self._committer = committer
        self._builder = builder
        self._blobs = blobs
        self._operations = operations
        self._indexing = indexing
        self._collections = collections
        self._derived = DerivedData(builder, committer, blobs, indexing)
        self._tuning = Tuning(committer, blobs)
        self._awaited = Awaited(operations)
        self._just_awaited = False
        self._wanted: list[Callable[[], None]] = []  # work that someone asked for
        self._given_up: set[str] = set()  # uids of damaged segments, until reopened
        self._sealing = threading.Lock()  # one seal, or the end of a collection, at a time
        self._closing = False
        self._sealer = Stepper("vecstore-seal", self._seal_step)
        self._upkeep = Stepper("vecstore-upkeep", self._upkeep_step)
        self._sealer.start()
        self._upkeep.start()

    def wake(self) -> None:
        self._sealer.wake()
        self._upkeep.wake()

    def compact(self, collection: Collection) -> Operation:
        """Seal everything and merge it into as few segments as the size bound allows."""
        operation = self._operations.start("compact", collection.record.name)
        self._want(lambda: self._finish(operation, lambda: self._compact(collection, operation)))
        return operation

    def settle(self, collection: Collection) -> Operation:
        """Seal what is closed and build the payload indexes that segments lack."""
        operation = self._operations.start("create_field", collection.record.name)
        self._want(lambda: self._finish(operation, lambda: self._settle(collection, operation)))
        return operation

    def reindex(self, collection: Collection, names: Sequence[str], schema: Schema) -> Operation:
        """Give vector fields the indexes that `schema` says, and bring every sealed segment to them."""
        operation = self._operations.start("update_index", collection.record.name)

        def begin() -> None:  # with the change, or maintenance would find the work by itself
            for segment in list(collection.sealed.values()):
                for name in names:
                    segment.refused.pop(name, None)
            self._want(lambda: self._finish(operation, lambda: self._reindex(collection, names, operation)))

        try:
            self._committer.exclusive(lambda: changes.set_vectors(collection, schema, begin))
        except VecstoreError as error:
            operation.finish(error)
            raise
        return operation

    def index_written(self, collection: Collection) -> Operation:
        """Seal and index what the collection's view shows now, together with others who ask for it."""
        if self._closing:
            raise Cancelled("the database was closed")
        operation = self._awaited.join(collection)
        self._upkeep.wake()
        return operation

    def end_waits(self, why: str) -> None:
        """Of `index_written`; what is left to do is found again by itself."""
        self._awaited.end(why)

    def tune(self, collection: Collection, name: str, queries: Rows) -> Operation:
        """Measure on these queries how hard the indexes of a vector field have to look."""
        operation = self._operations.start("tune", collection.record.name)
        self._want(lambda: self._finish(operation, lambda: self._tune(collection, name, queries, operation)))
        return operation

    def drop(self, collection: Collection, *, was_served: bool) -> Operation:
        """Remove the data of a collection whose record says `dropping`. Where it `was_served`, a reader may still have
        a view of it."""
        operation = self._operations.start("drop", collection.record.name)
        self._want(lambda: self._finish(operation, lambda: self._drop(collection, was_served, operation)))
        return operation

    def _want(self, work: Callable[[], None]) -> None:
        self._wanted.append(work)
        self._upkeep.wake()

    def wait_for_room(self, collection: Collection) -> None:
        """Hold writers back while sealing is far behind. Raises ResourceExhausted (OVERLOADED) after a while."""
        bound = (1 + BACKLOG_SEGMENTS) * self._seal_bytes

        def behind() -> bool:
            growing = collection.growing.nbytes
            own = growing + sum(segment.nbytes for segment in collection.frozen)
            if not self._settings.maintenance or own <= self._seal_bytes:
                return False  # others' backlog is theirs to wait for
            return growing + sum(segment.nbytes for one in self._collections() for segment in one.frozen) > bound

        if behind():
            with collection.changed:
                if not collection.changed.wait_for(lambda: self._closing or not behind(), BACKLOG_WAIT_S):
                    message = f"sealing of {collection.record.name!r} is more than {bound} bytes behind; retry later"
                    raise ResourceExhausted(message, reason="OVERLOADED", metadata={"retry_after_s": 1})

    def close(self) -> None:
        """Stop; work in progress is cancelled and found again at the next open."""
        self._closing = True
        self._operations.abandon()
        self._sealer.close()
        self._upkeep.close()

    def _seal_step(self) -> bool:
        if not self._settings.maintenance or self._sealer.held:
            return False
        return any(self._tend_growing(collection) for collection in self._collections())

    def _tend_growing(self, collection: Collection) -> bool:
        if collection.failed is not None or collection.record.dropping:
            return False
        if self._is_full(collection) or self._is_at_rest(collection) or self._is_most_of_many(collection):
            self._committer.exclusive(lambda: changes.freeze(collection))
        if not collection.frozen:
            return False
        return self._attempt(self._sealer, "seal", collection, lambda operation: self._seal(collection, operation))

    def _upkeep_step(self) -> bool:
        if self._wanted:
            self._wanted.pop(0)()
            return True
        if not self._just_awaited and (next_up := self._awaited.begin()) is not None:
            collection, operation = next_up
            self._finish(operation, lambda: self._index_written(collection, operation))
            self._just_awaited = True  # merges have their turn between, however many writers wait
            return True
        self._just_awaited = False
        tended = False
        if self._settings.maintenance and not self._upkeep.held:
            tended = any(self._tend_sealed(collection) for collection in self._collections())
            if not tended and self._is_all_done():
                self._builder.sweep_checkpoints()
        return tended or len(self._awaited) > 0

    def _is_all_done(self) -> bool:
        """Whether no build is left that was interrupted: tried again later, or taken up when it is asked for again."""
        if self._closing or self._upkeep.held or self._wanted or len(self._awaited):
            return False
        segments = [segment for collection in self._collections() for segment in list(collection.sealed.values())]
        return not any(refused.cancelled for segment in segments for refused in list(segment.refused.values()))

    def _tend_sealed(self, collection: Collection) -> bool:
        if collection.failed is not None or collection.record.dropping:
            return False
        victims = self._merge_candidates(collection)
        if victims:
            return self._attempt(
                self._upkeep, "merge", collection, lambda operation: self._merge(collection, victims, operation)
            )
        lacking = self._lacking_indexes(collection)
        if lacking is not None:
            return self._attempt(
                self._upkeep, "index", collection, lambda operation: self._index(collection, lacking, operation)
            )
        old = stale(collection)
        if old is not None:
            return self._attempt(self._upkeep, "recheck", collection, lambda _: self._recheck(collection, *old))
        return False

    def _attempt(
        self, stepper: Stepper, kind: str, collection: Collection, work: Callable[[Operation], object]
    ) -> bool:
        operation = self._operations.start(kind, collection.record.name)
        try:
            work(operation)
        except VecstoreError as error:
            operation.finish(error)
            if not self._closing:
                log.warning("%s of %s did not finish: %s", kind, collection.record.name, error)
                stepper.hold_off()
            return False
        except Exception as error:
            operation.finish(error)
            raise
        operation.finish()
        malloc.trim()
        self.wake()
        return True

    def _finish(self, operation: Operation, work: Callable[[], None]) -> None:
        """Run work that somebody may be waiting for."""
        try:
            work()
        except Exception as error:
            operation.finish(error)
            return
        malloc.trim()
        operation.finish()

    def _compact(self, collection: Collection, operation: Operation) -> None:
        _check_served(collection)
        self._committer.exclusive(lambda: changes.freeze(collection))
        self._seal_all(collection, operation)
        mine, made = set(collection.sealed), set[str]()  # what is written meanwhile is not waited for: it has no end
        while (victims := self._all_mergeable(collection, mine, made)) is not None:
            _check_served(collection)
            result = self._merge(collection, victims, operation)
            if result is not None:
                mine.add(result.uid)
                made.add(result.uid)
        self._index_all(collection, operation)

    def _settle(self, collection: Collection, operation: Operation) -> None:
        self._seal_all(collection, operation)
        self._index_all(collection, operation)

    def _index_written(self, collection: Collection, operation: Operation) -> None:
        _check_served(collection)
        if collection.growing.n_rows:
            self._committer.exclusive(lambda: changes.freeze(collection))
        self._seal_all(collection, operation)
        segments = list(collection.sealed.values())
        for done, segment in enumerate(segments):
            _check_served(collection)
            operation.progress("segments", done, len(segments))
            while segment.uid in collection.sealed and self._derived.lacking(segment, collection):
                if segment.uid in self._given_up:
                    break
                self._index(collection, segment, operation)
        check_served(collection, segments, self._indexing)

    def _reindex(self, collection: Collection, names: Sequence[str], operation: Operation) -> None:
        self._index_all(collection, operation)
        for name in names:
            field = collection.schema.vectors[name]
            for segment in list(collection.sealed.values()):
                refused = segment.refused.get(name)
                if refused is not None and refused.spec == self._indexing.wanted(segment, name, field).spec:
                    raise VecstoreError(f"segment {segment.header.id}: {refused.why}", reason="OPERATION_FAILED")

    def _tune(self, collection: Collection, name: str, queries: Rows, operation: Operation) -> None:
        tuned = 0
        segments = list(collection.sealed.values())
        for done, segment in enumerate(segments):
            _check_served(collection)
            operation.progress("segments", done, len(segments))
            tuned += self._tuning.tune(collection, segment, name, queries)
        if not tuned:
            message = f"no segment has an index of lists or codes on {name!r}: only those can be tuned"
            raise FailedPrecondition(message, reason="NOTHING_TO_TUNE")

    def _recheck(self, collection: Collection, segment: SealedSegment, name: str) -> None:
        """Measure again, among the rows that live, how hard an index has to look."""
        if not self._tuning.tune(collection, segment, name, None):
            raise VecstoreError(f"segment {segment.header.id}: the index on {name!r} cannot be measured again")

    def _seal_all(self, collection: Collection, operation: Operation) -> None:
        """What is closed now."""
        frozen = list(collection.frozen)
        while any(segment in collection.frozen for segment in frozen):
            _check_served(collection)  # one that is being dropped is not sealed: waiting for that would have no end
            self._seal(collection, operation)

    def _index_all(self, collection: Collection, operation: Operation) -> None:
        """Of what is sealed now."""
        sealed = set(collection.sealed)
        while (lacking := self._lacking_indexes(collection, sealed)) is not None:
            _check_served(collection)
            self._index(collection, lacking, operation)

    def _drop(self, collection: Collection, was_served: bool, operation: Operation) -> None:
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

    # --- what is due ---

    def _is_full(self, collection: Collection) -> bool:
        growing, settings = collection.growing, self._settings
        return (
            growing.n_rows >= settings.seal_rows
            or growing.nbytes >= self._seal_bytes
            or collection.log_bytes >= 2 * self._seal_bytes  # deletes and rewrites alone
        )

    def _is_most_of_many(self, collection: Collection) -> bool:
        """Whether the growing segments of all collections together are too large, and this is the largest."""
        sizes = [one.growing.nbytes for one in self._collections()]
        return sum(sizes) > BACKLOG_SEGMENTS * self._seal_bytes and collection.growing.nbytes == max(sizes)

    def _is_at_rest(self, collection: Collection) -> bool:
        """Whether the growing segment is worth an index and has not been written to for a while."""
        rows_min = self._indexing.rows_min(collection.schema)
        if rows_min is None or collection.growing.n_rows < rows_min:
            return False
        left = collection.written_at + self._settings.seal_idle_s - time.monotonic()
        if left > 0:
            self._sealer.wake_in(left)
        return left <= 0

    def _lacking_indexes(self, collection: Collection, among: Container[str] | None = None) -> SealedSegment | None:
        for segment in self._mergeable(collection):
            if (among is None or segment.uid in among) and self._derived.lacking(segment, collection):
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

    def _all_mergeable(
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

    # --- doing it ---

    def _seal(self, collection: Collection, operation: Operation) -> None:
        with self._sealing:
            if not collection.frozen or collection.record.dropping:
                return
            frozen = collection.frozen[0]
            alive = collection.alive(frozen.uid)
            source = JobSource(alive, arrays=frozen.dump(frozen.n_rows) if frozen.n_rows else None)
            self._replace(collection, [Replaced(frozen, alive)], [source], frozen.max_seq, operation)

    def _merge(
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
            self._given_up.update(segment.uid for segment in victims if segment.data_damaged)
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

    def _index(self, collection: Collection, segment: SealedSegment, operation: Operation) -> None:
        try:
            self._derived.build(collection, segment, operation)
        except Cancelled:
            raise
        except VecstoreError:
            if segment.data_damaged:
                self._given_up.add(segment.uid)
            raise


def _check_served(collection: Collection) -> None:
    """Raises what every call gets once a collection is dropped or damaged. Work may be queued behind the end of its
    collection, and would write a manifest for what is no more."""
    if collection.failed is not None:
        raise collection.failed
