"""What callers ask of background work: each is one operation, which they may wait for or cancel."""

from __future__ import annotations

from collections.abc import Sequence

from vecstore.engine import changes
from vecstore.engine.awaited import check_served
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.derived import DerivedData
from vecstore.engine.due import Due
from vecstore.engine.indexing import Indexing
from vecstore.engine.operations import Operation
from vecstore.engine.segment_work import SegmentWork
from vecstore.engine.tuning import Tuning
from vecstore.errors import FailedPrecondition, VecstoreError
from vecstore.rows import Rows


class Requested:
    """Called from maintenance's thread."""

    def __init__(
        self,
        committer: Committer,
        work: SegmentWork,
        due: Due,
        derived: DerivedData,
        tuning: Tuning,
        indexing: Indexing,
    ) -> None:
        self._committer, self._work, self._due = committer, work, due
        self._derived, self._tuning, self._indexing = derived, tuning, indexing

    def compact(self, collection: Collection, operation: Operation) -> None:
        check_healthy(collection)
        self._committer.exclusive(lambda: changes.freeze(collection))
        self._seal_all(collection, operation)
        mine, made = set(collection.sealed), set[str]()  # what is written meanwhile is not waited for: it has no end
        while (victims := self._due.all_mergeable(collection, mine, made)) is not None:
            check_healthy(collection)
            result = self._work.merge(collection, victims, operation)
            if result is not None:
                mine.add(result.uid)
                made.add(result.uid)
        self._index_all(collection, operation)

    def settle(self, collection: Collection, operation: Operation) -> None:
        self._seal_all(collection, operation)
        self._index_all(collection, operation)

    def index_written(self, collection: Collection, operation: Operation) -> None:
        check_healthy(collection)
        if collection.growing.n_rows:
            self._committer.exclusive(lambda: changes.freeze(collection))
        self._seal_all(collection, operation)
        segments = list(collection.sealed.values())
        for done, segment in enumerate(segments):
            check_healthy(collection)
            operation.progress("segments", done, len(segments))
            while segment.uid in collection.sealed and self._derived.lacking(segment, collection):
                if segment.uid in self._work.given_up:
                    break
                self._work.index(collection, segment, operation)
        check_served(collection, segments, self._indexing)

    def reindex(self, collection: Collection, names: Sequence[str], operation: Operation) -> None:
        self._index_all(collection, operation)
        for name in names:
            field = collection.schema.vectors[name]
            for segment in list(collection.sealed.values()):
                refused = segment.refused.get(name)
                if refused is not None and refused.spec == self._indexing.wanted(segment, name, field).spec:
                    raise VecstoreError(f"segment {segment.header.id}: {refused.why}", reason="OPERATION_FAILED")

    def tune(self, collection: Collection, name: str, queries: Rows, operation: Operation) -> None:
        tuned = 0
        segments = list(collection.sealed.values())
        for done, segment in enumerate(segments):
            check_healthy(collection)
            operation.progress("segments", done, len(segments))
            tuned += self._tuning.tune(collection, segment, name, queries)
        if not tuned:
            message = f"no segment has an index of lists or codes on {name!r}: only those can be tuned"
            raise FailedPrecondition(message, reason="NOTHING_TO_TUNE")

    def _seal_all(self, collection: Collection, operation: Operation) -> None:
        """What is closed now."""
        frozen = list(collection.frozen)
        while any(segment in collection.frozen for segment in frozen):
            check_healthy(collection)  # one that is being dropped is not sealed: waiting for that would have no end
            self._work.seal(collection, operation)

    def _index_all(self, collection: Collection, operation: Operation) -> None:
        """Of what is sealed now."""
        sealed = set(collection.sealed)
        while (lacking := self._due.lacking_indexes(collection, sealed)) is not None:
            check_healthy(collection)
            self._work.index(collection, lacking, operation)


def check_healthy(collection: Collection) -> None:
    """Raises what every call gets once a collection is dropped or damaged. Work may be queued behind the end of its
    collection, and would write a manifest for what is no more."""
    if collection.failed is not None:
        raise collection.failed
