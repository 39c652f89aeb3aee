"""Background work: seal full growing segments, merge small sealed ones, rewrite those with many dead rows, build
missing indexes, measure recall again where rows have died, and remove dropped collections. Two threads decide and wait,
so that writers, who depend on sealing, do not wait for an index to be built; worker processes do the work.

What there is to do follows from the state alone, so a crash or a cancelled operation loses nothing but time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from vecstore.config import Storage as StorageSettings
from vecstore.engine import changes
from vecstore.engine.awaited import Awaited
from vecstore.engine.builder import Builder
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.derived import DerivedData
from vecstore.engine.due import Due
from vecstore.engine.indexing import Indexing
from vecstore.engine.operations import Operation, Operations
from vecstore.engine.rechecks import stale
from vecstore.engine.requested import Requested
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.segment_work import SegmentWork
from vecstore.engine.stepper import Stepper
from vecstore.engine.tuning import Tuning
from vecstore.errors import Cancelled, ResourceExhausted, VecstoreError
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
        self._committer = committer
        self._builder = builder
        self._operations = operations
        self._collections = collections
        self._derived = derived = DerivedData(builder, committer, blobs, indexing)
        self._tuning = Tuning(committer, blobs)
        self._work = work = SegmentWork(committer, builder, blobs, derived)
        self._due = due = Due(settings, indexing, derived, work.given_up, collections)
        self._requested = Requested(committer, work, due, derived, self._tuning, indexing)
        self._awaited = Awaited(operations)
        self._just_awaited = False
        self._wanted: list[Callable[[], None]] = []  # work that someone asked for
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
        self._want(lambda: self._finish(operation, lambda: self._requested.compact(collection, operation)))
        return operation

    def settle(self, collection: Collection) -> Operation:
        """Seal what is closed and build the payload indexes that segments lack."""
        operation = self._operations.start("create_field", collection.record.name)
        self._want(lambda: self._finish(operation, lambda: self._requested.settle(collection, operation)))
        return operation

    def reindex(self, collection: Collection, names: Sequence[str], schema: Schema) -> Operation:
        """Give vector fields the indexes that `schema` says, and bring every sealed segment to them."""
        operation = self._operations.start("update_index", collection.record.name)

        def begin() -> None:  # with the change, or maintenance would find the work by itself
            for segment in list(collection.sealed.values()):
                for name in names:
                    segment.refused.pop(name, None)
            self._want(lambda: self._finish(operation, lambda: self._requested.reindex(collection, names, operation)))

        try:
            self._committer.exclusive(lambda: changes.set_vectors(collection, schema, begin))
        except VecstoreError as error:
            operation.finish(error)
            raise
        return operation

    def index_written(self, collection: Collection) -> Operation:
        """Seal and index what the collection's view shows now, together with others who ask for it."""
        self._committer.check_process()
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
        self._want(lambda: self._finish(operation, lambda: self._requested.tune(collection, name, queries, operation)))
        return operation

    def drop(self, collection: Collection, *, was_served: bool) -> Operation:
        """Remove the data of a collection whose record says `dropping`. Where it `was_served`, a reader may still have
        a view of it."""
        operation = self._operations.start("drop", collection.record.name)
        self._want(lambda: self._finish(operation, lambda: self._work.drop(collection, was_served, operation)))
        return operation

    def _want(self, work: Callable[[], None]) -> None:
        self._committer.check_process()
        self._wanted.append(work)
        self._upkeep.wake()

    def wait_for_room(self, collection: Collection) -> None:
        """Hold writers back while sealing is far behind. Raises ResourceExhausted (OVERLOADED) after a while."""
        bound = (1 + BACKLOG_SEGMENTS) * self._settings.seal_bytes

        def behind() -> bool:
            growing = collection.growing.nbytes
            own = growing + sum(segment.nbytes for segment in collection.frozen)
            if not self._settings.maintenance or own <= self._settings.seal_bytes:
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
        if self._due.is_full(collection) or self._is_at_rest(collection) or self._due.is_most_of_many(collection):
            self._committer.exclusive(lambda: changes.freeze(collection))
        if not collection.frozen:
            return False
        return self._attempt(self._sealer, "seal", collection, lambda operation: self._work.seal(collection, operation))

    def _is_at_rest(self, collection: Collection) -> bool:
        left = self._due.rests_in(collection)
        if left:
            self._sealer.wake_in(left)
        return left == 0

    def _upkeep_step(self) -> bool:
        if self._wanted:
            self._wanted.pop(0)()
            return True
        if not self._just_awaited and (next_up := self._awaited.begin()) is not None:
            collection, operation = next_up
            self._finish(operation, lambda: self._requested.index_written(collection, operation))
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
        victims = self._due.merge_candidates(collection)
        if victims:
            return self._attempt(
                self._upkeep, "merge", collection, lambda operation: self._work.merge(collection, victims, operation)
            )
        lacking = self._due.lacking_indexes(collection)
        if lacking is not None:
            return self._attempt(
                self._upkeep, "index", collection, lambda operation: self._work.index(collection, lacking, operation)
            )
        old = stale(collection)
        if old is not None:
            return self._attempt(self._upkeep, "recheck", collection, lambda _: self._recheck(collection, *old))
        return False

    def _recheck(self, collection: Collection, segment: SealedSegment, name: str) -> None:
        """Measure again, among the rows that live, how hard an index has to look."""
        if not self._tuning.tune(collection, segment, name, None):
            raise VecstoreError(f"segment {segment.header.id}: the index on {name!r} cannot be measured again")

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
