"""Changes of a collection that are no user's write: freezing, swapping segments in and out, a new schema.

Each runs on the committer's thread between groups of writes, as one durable batch followed by one change in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from vecstore.engine import bitmaps, keys
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Change, tombstones
from vecstore.engine.growing import GrowingSegment
from vecstore.engine.header import CollectionRecord, Manifest, SegmentHeader, encode_meta
from vecstore.engine.sealed import SealedSegment
from vecstore.index.base import BuiltIndex
from vecstore.index_spec import Index
from vecstore.kernels.base import Bitmap
from vecstore.query.bitmaps import from_sorted_rows
from vecstore.schema import Schema
from vecstore.storage.interfaces import Delete, DeleteRange, Family, Op, Put


@dataclass(frozen=True, slots=True)
class Replaced:
    """A segment that a build read: `alive` is what it took, later deletes are carried over."""

    segment: GrowingSegment | SealedSegment
    alive: Bitmap


def freeze(collection: Collection) -> Change:
    """Close the growing segment, so that it can be sealed; returns it. Changes nothing durable."""

    def apply() -> GrowingSegment:
        closed = collection.freeze()
        collection.publish(collection.view.seq)
        return closed

    return Change([], apply, collection.number)


def swap(collection: Collection, made: SealedSegment | None, replaced: Sequence[Replaced]) -> Change:
    """Put `made` (None when no row was left) in the place of the segments it was built from.

    Sealing a growing segment also moves `sealed_seq` up and removes its writes from the log."""
    number, manifest, seq = collection.number, collection.manifest, collection.view.seq
    dead = late_deletes(collection, made, replaced)
    gone = {old.segment.uid for old in replaced}
    headers = [segment.header for uid, segment in collection.sealed.items() if uid not in gone]
    if made is not None:
        headers.append(made.header)
    sealed_seq = manifest.sealed_seq
    ops: list[Op] = []
    for old in replaced:
        if isinstance(old.segment, GrowingSegment):
            sealed_seq = max(sealed_seq, old.segment.max_seq)
            ops.append(DeleteRange(Family.LOG, keys.log(number, 0), keys.log(number, sealed_seq + 1)))
        else:
            low = keys.tombstone(number, old.segment.header.id)
            high = keys.tombstone(number, old.segment.header.id + 1)
            ops.append(DeleteRange(Family.TOMBSTONES, low, high))
    if made is not None and len(dead):
        ops.append(tombstones(number, made.header.id, seq, from_sorted_rows(dead.astype(np.uint32))))
    changed = msgspec.structs.replace(manifest, sealed_seq=sealed_seq, segments=tuple(headers))
    ops.append(put_manifest(number, changed))

    def apply() -> None:
        collection.manifest = changed
        for old in replaced:
            collection.remove(old.segment.uid)
        if made is not None:
            collection.add_sealed(made, dead)
        collection.publish(collection.view.seq)

    return Change(ops, apply)


def late_deletes(collection: Collection, made: SealedSegment | None, replaced: Sequence[Replaced]) -> np.ndarray:
    """Rows of `made` whose originals died after the build took them, ascending."""
    if made is None:
        return np.empty(0, dtype=np.int64)
    found = []
    for old in replaced:
        now = bitmaps.resized(collection.alive(old.segment.uid), len(old.alive) * 64)
        died = bitmaps.set_bits(old.alive & ~now)
        if len(died):
            rows = made.find(old.segment.take_ids(died).tolist(), made.header.n_rows)
            found.append(rows[rows >= 0])
    return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def take_segment_number(collection: Collection) -> Change:
    """Reserve a segment number; it is never given twice, so a leftover of a crash can never be mistaken."""
    manifest = collection.manifest
    changed = msgspec.structs.replace(manifest, next_segment=manifest.next_segment + 1)

    def apply() -> int:
        collection.manifest = changed
        return manifest.next_segment

    return Change([put_manifest(collection.number, changed)], apply)


def add_derived_columns(
    collection: Collection, uid: str, made: SegmentHeader, opened: Mapping[str, BuiltIndex]
) -> Change:
    """Give a sealed segment the payload or vector indexes that a job built; those of the same fields go. No-op when it
    has been merged away. `opened` are its vector indexes, opened."""
    segment = collection.sealed.get(uid)
    if segment is None:
        return Change([], lambda: False)
    return _change_header(collection, segment, segment.header.extended(made), opened)


def drop_indexes(collection: Collection, uid: str, names: Sequence[str]) -> Change:
    """Take vector indexes away that the schema no longer asks for. No-op when the segment has been merged away."""
    segment = collection.sealed.get(uid)
    if segment is None:
        return Change([], lambda: False)
    return _change_header(collection, segment, segment.header.without_indexes(names), {})


def _change_header(
    collection: Collection, segment: SealedSegment, header: SegmentHeader, opened: Mapping[str, BuiltIndex]
) -> Change:
    headers = tuple(header if other.id == header.id else other for other in collection.manifest.segments)
    manifest = msgspec.structs.replace(collection.manifest, segments=headers)

    def apply() -> bool:
        collection.manifest = manifest
        segment.extend(header, opened)
        return True

    return Change([put_manifest(collection.number, manifest)], apply)


def respecify(collection: Collection, uid: str, specs: Mapping[str, Index], opened: Mapping[str, BuiltIndex]) -> Change:
    """Search vector indexes by other specs, which differ in what only queries use; `opened` are these indexes. No-op
    when the segment has been merged away."""
    segment = collection.sealed.get(uid)
    if segment is None:
        return Change([], lambda: False)
    return _change_header(collection, segment, segment.header.respecified(specs), opened)


def set_vectors(collection: Collection, schema: Schema, begin: Callable[[], None] = lambda: None) -> Change:
    """Change settings of the vector fields or the metadata; `begin` has the segments follow in the background."""
    record = _changed(collection, schema)

    def apply() -> None:
        begin()
        collection.take_record(record)
        collection.publish(collection.view.seq)

    return Change([put_collection(record)], apply)


def set_schema(collection: Collection, schema: Schema) -> Change:
    """Change the payload indexes. The growing segment is closed, so that each segment has one set of indexes."""
    record = _changed(collection, schema)

    def apply() -> None:
        collection.take_record(record)
        collection.freeze()
        collection.publish(collection.view.seq)

    return Change([put_collection(record)], apply, collection.number)


def _changed(collection: Collection, schema: Schema) -> CollectionRecord:
    return msgspec.structs.replace(collection.record, schema=schema, version=collection.record.version + 1)


def forget(collection: Collection) -> Change:
    """Remove what is left of a dropped collection outside the blobs."""
    number = collection.number
    low, high = keys.before_collection(number), keys.after_collection(number)
    ops: list[Op] = [
        DeleteRange(Family.LOG, low, high),
        DeleteRange(Family.TOMBSTONES, low, high),
        DeleteRange(Family.META, *keys.receipts(number)),
        Delete(Family.META, keys.manifest(number)),
        Delete(Family.META, keys.collection(number)),
    ]
    return Change(ops, lambda: None)


def put_manifest(number: int, manifest: Manifest) -> Put:
    return Put(Family.META, keys.manifest(number), encode_meta(manifest))


def put_collection(record: CollectionRecord) -> Put:
    return Put(Family.META, keys.collection(record.number), encode_meta(record))
