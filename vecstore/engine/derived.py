"""Derived data of sealed segments: payload and vector indexes that the schema asks for and a segment lacks.

Called from maintenance's thread only. Whatever goes wrong, a segment without its index is served by scanning, and what
is left behind is swept at the next open.
"""

from __future__ import annotations

import logging
from collections.abc import Collection as Container
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from vecstore.engine import bitmaps, changes
from vecstore.engine.builder import NOTHING_WARM, Builder, JobSource, WarmSegment
from vecstore.engine.changes import Replaced
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Committer
from vecstore.engine.header import Column, SegmentHeader
from vecstore.engine.id_match import rows_in
from vecstore.engine.indexing import Indexing
from vecstore.engine.jobs import Job
from vecstore.engine.operations import Operation
from vecstore.engine.sealed import Refused, SealedSegment
from vecstore.errors import Cancelled, Corruption, IoFailed, ResourceExhausted, Unavailable, VecstoreError
from vecstore.index_queried import built_alike
from vecstore.index_spec import Index
from vecstore.kernels.base import Bitmap
from vecstore.schema import Schema
from vecstore.storage.interfaces import Blobs

log = logging.getLogger("vecstore.maintenance")
PASSING = (Cancelled, Corruption, IoFailed, ResourceExhausted, Unavailable)  # say nothing about the spec


class DerivedData:
    def __init__(self, builder: Builder, committer: Committer, blobs: Blobs, indexing: Indexing) -> None:
        self._builder = builder
        self._committer = committer
        self._blobs = blobs
        self._indexing = indexing

    def lacking(self, segment: SealedSegment, collection: Collection) -> bool:
        return bool(
            missing_fields(segment, collection)
            or missing_vectors(segment, collection.schema, self._indexing)
            or unwanted_vectors(segment, collection.schema, self._indexing)
        )

    def build(self, collection: Collection, segment: SealedSegment, operation: Operation) -> None:
        """Everything that the segment lacks, and away with what it should not have. Raises what a build raises."""
        if missing_fields(segment, collection):
            self._index_fields(collection, segment, operation)
        if unwanted := unwanted_vectors(segment, collection.schema, self._indexing):
            before = segment.header
            if self._committer.exclusive(lambda: changes.drop_indexes(collection, segment.uid, unwanted)):
                self._delete(_gone(before, segment.header))
        missing = missing_vectors(segment, collection.schema, self._indexing)
        kept = {name: spec for name, spec in missing.items() if _only_queried_by(segment, name, spec)}
        if kept:
            self._respecify(collection, segment, kept)
        for name, spec in missing.items():
            if name not in kept:
                self._index_vector(collection, segment, name, spec, operation)

    def index_merged(
        self, collection: Collection, made: SealedSegment, replaced: Sequence[Replaced], operation: Operation
    ) -> None:
        """Index a segment that is not in use yet, if one of those that it replaces is indexed, so that a merge does not
        put queries back to scanning. Raises when the merge had better stop."""
        sealed = {old.segment: old.alive for old in replaced if isinstance(old.segment, SealedSegment)}
        for name, spec in missing_vectors(made, collection.schema, self._indexing, list(sealed)).items():
            if not any(segment.index(name) is not None for segment in sealed):
                continue  # they were scanned so far
            largest = _largest_with(sealed, name, spec)
            try:
                warm = NOTHING_WARM if largest is None else {name: _moved(*largest, made)}
                header = self._built(collection, made, name, spec, operation, warm)
            except (Cancelled, IoFailed):
                raise
            except VecstoreError as error:
                log.warning("segment %s is merged without its index on %r: %s", made.header.id, name, error)
                continue
            made.extend(made.header.extended(header), made.open_built(header))

    def _index_fields(self, collection: Collection, segment: SealedSegment, operation: Operation) -> None:
        missing = missing_fields(segment, collection)
        have = tuple(key for key in collection.schema.fields if key not in missing)
        job = Job(
            collection.number, segment.header.id, collection.schema, segment.header.max_seq,
            generation=segment.header.generation + 1, fields_only=True, have_fields=have,
        )  # fmt: skip
        header = self._builder.build(job, [self._source(segment)], operation.progress)
        self._add(collection, segment, header)

    def _respecify(self, collection: Collection, segment: SealedSegment, specs: Mapping[str, Index]) -> None:
        """Search indexes as they are by other specs. One that cannot be opened is set aside, and then built."""
        header = segment.header.respecified(specs)
        indexes = {name: header.indexes[name] for name in specs}
        try:
            opened = segment.open_built(msgspec.structs.replace(header, indexes=indexes))
        except Corruption as error:
            for name in specs:
                segment.quarantined[f"index.{name}"] = error.message
            return
        self._committer.exclusive(lambda: changes.respecify(collection, segment.uid, specs, opened))

    def _index_vector(
        self, collection: Collection, segment: SealedSegment, name: str, spec: Index, operation: Operation
    ) -> None:
        try:
            header = self._built(collection, segment, name, spec, operation)
        except Cancelled:
            segment.refused[name] = Refused(spec, "cancelled", cancelled=True)  # or it would begin again at once
            raise
        except VecstoreError as error:
            if not isinstance(error, PASSING):
                segment.refused[name] = Refused(spec, str(error))
                if name in missing_vectors(segment, collection.schema, self._indexing):
                    log.warning("segment %s gets another index on %r: %s", segment.header.id, name, error)
                    return  # what comes next is built when it is asked again what is lacking
            raise
        self._add(collection, segment, header)

    def _built(
        self,
        collection: Collection,
        segment: SealedSegment,
        name: str,
        spec: Index,
        operation: Operation,
        warm: Mapping[str, WarmSegment] = NOTHING_WARM,
    ) -> SegmentHeader:
        job = Job(
            collection.number, segment.header.id, collection.schema, segment.header.max_seq,
            generation=segment.header.generation + 1, indexes={name: spec},
        )  # fmt: skip
        try:
            return self._builder.build(job, [self._source(segment)], operation.progress, warm)
        except VecstoreError:
            raise
        except Exception as error:  # a mistake in an index is no reason to try it for ever
            log.exception("building an index failed")
            raise VecstoreError(f"building the index failed: {type(error).__name__}: {error}") from error

    def _source(self, segment: SealedSegment) -> JobSource:
        return JobSource(bitmaps.all_set(segment.header.n_rows), sealed=segment)

    def _add(self, collection: Collection, segment: SealedSegment, header: SegmentHeader) -> None:
        before = segment.header
        try:
            opened = segment.open_built(header)  # verified and mapped before a query waits for it
            added = self._committer.exclusive(
                lambda: changes.add_derived_columns(collection, segment.uid, header, opened)
            )
        except IoFailed:
            raise  # the change may be on disk although its fsync failed: the next open finds out and sweeps
        except VecstoreError:
            self._delete(header.columns)  # or the next try would find their names taken
            raise
        self._delete(_gone(before, segment.header) if added else header.columns)

    def _delete(self, columns: Sequence[Column]) -> None:
        delete_columns(self._blobs, columns)


def missing_fields(segment: SealedSegment, collection: Collection) -> set[str]:
    """Keys that the schema indexes and the segment does not, or not as this kind."""
    have = segment.header.fields
    return {key for key, kind in collection.schema.fields.items() if key not in have or have[key].kind is not kind}


def missing_vectors(
    segment: SealedSegment, schema: Schema, indexing: Indexing, replaced: Sequence[SealedSegment] = ()
) -> dict[str, Index]:
    """Specs of vector fields that the segment is not indexed by, or whose index is damaged, and which may be built."""
    missing = {}
    for name, field in schema.vectors.items():
        spec = indexing.wanted(segment, name, field, replaced).spec
        entry, refused = segment.header.indexes.get(name), segment.refused.get(name)
        if spec is None or (refused is not None and refused.spec == spec):
            continue
        if entry is None or entry.spec != spec or f"index.{name}" in segment.quarantined:
            missing[name] = spec
    return missing


def _only_queried_by(segment: SealedSegment, name: str, spec: Index) -> bool:
    """Whether the segment's index is built as the spec asks, and differs in what only queries use."""
    entry = segment.header.indexes.get(name)
    return entry is not None and f"index.{name}" not in segment.quarantined and built_alike(entry.spec, spec)


def unwanted_vectors(segment: SealedSegment, schema: Schema, indexing: Indexing) -> list[str]:
    """Vector fields that the segment indexes and should not."""
    indexed = segment.header.indexes
    return [name for name in indexed if indexing.wanted(segment, name, schema.vectors[name]).spec is None]


def delete_columns(blobs: Blobs, columns: Container[Column]) -> None:
    """Best effort: what is left is swept at the next open."""
    try:
        for column in columns:
            blobs.delete(column.ref.name)
    except VecstoreError as error:
        log.warning("blobs are left for the sweep: %s", error)


def _gone(before: SegmentHeader, after: SegmentHeader) -> list[Column]:
    kept = {column.ref.name for column in after.columns}
    return [column for column in before.columns if column.ref.name not in kept]


def _largest_with(
    sealed: Mapping[SealedSegment, Bitmap], name: str, spec: Index
) -> tuple[SealedSegment, Bitmap] | None:
    """The segment with the most rows left whose index on the field is of this spec and opens, and these rows."""
    for segment, alive in sorted(sealed.items(), key=lambda one: bitmaps.count_bits(one[1]), reverse=True):
        entry = segment.header.indexes.get(name)
        if entry is not None and entry.spec == spec and segment.index(name) is not None:
            return segment, alive
    return None


def _moved(segment: SealedSegment, alive: Bitmap, made: SealedSegment) -> WarmSegment:
    """A segment and where its rows are in the one that takes its place. A dead row's id may be there with another
    vector."""
    new_rows = rows_in(segment.ids, made.ids)
    new_rows[~bitmaps.are_set(alive, np.arange(len(new_rows)))] = -1
    return WarmSegment(segment, new_rows)
