"""Applies a writer's durable batches to collections of this process, as the writer's own memory was changed.

A batch holds the store's operations (docs/FORMAT.md): log records and tombstones of writes, or a manifest or a
collection's record. What decided them is done; what is left is what recovery does, one batch at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec
import numpy as np
from pyroaring import BitMap

from vecstore.config import Storage as StorageSettings
from vecstore.engine import aliases, keys
from vecstore.engine.collection import Collection
from vecstore.engine.header import CollectionRecord, Manifest, SegmentHeader, decode_meta
from vecstore.engine.records import decode_record, join_parts
from vecstore.engine.recovery import read_tombstones, recover, recover_one
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.sealed_columns import is_dense
from vecstore.engine.writes import Resolved
from vecstore.errors import Corruption, NotFound, Unavailable
from vecstore.index.base import BuiltIndex
from vecstore.storage.follower_blobs import FollowerBlobs
from vecstore.storage.interfaces import Delete, Family, Op, Put
from vecstore.storage.memory import MemoryKV
from vecstore.storage.open import Storage


class Following:
    """The collections of a store that another process writes. One thread changes it."""

    def __init__(self, storage: Storage, settings: StorageSettings) -> None:
        """`storage` has the state to begin with; of its pairs, only the meta family is kept."""
        assert isinstance(storage.kv, MemoryKV)
        assert isinstance(storage.blobs, FollowerBlobs)
        self._storage, self._settings = storage, settings
        self._kv, self._blobs = storage.kv, storage.blobs
        self.collections = {collection.number: collection for collection in recover(storage, settings)}
        self.aliases = self._read_aliases()
        for collection in self.collections.values():
            self._pin_all(collection)
        self._forget_applied()

    def take_over(self, before: Following) -> None:
        """Go on with the objects that readers know: those who hold one, or wait for a write, see what is here now."""
        for number, old in before.collections.items():
            fresh = self.collections.get(number)
            if fresh is None:
                old.failed = _gone(old)
            elif fresh.schema.vectors.keys() == old.schema.vectors.keys():
                old.adopt(fresh)
                self.collections[number] = old

    def named(self) -> dict[str, Collection]:
        """The collections that can be asked for."""
        return {c.record.name: c for c in self.collections.values() if not c.record.dropping}

    def apply(self, ops: Sequence[Op], freezes: int | None) -> bool:
        """Take in one batch; returns whether the collections, or their aliases, are others now. Raises Unavailable when
        it does not follow on what is here, and Corruption."""
        self._kv.write(ops)
        records, manifests, gone = self._meta(ops)
        created = [number for number in records if number not in self.collections]
        for number in created:
            made = self.collections[number] = recover_one(records.pop(number), self._storage, self._settings)
            self._pin_all(made)
            manifests.pop(number, None)
        for number, record in records.items():
            self._change_record(self.collections[number], record)
        if freezes is not None and freezes in self.collections:
            collection = self.collections[freezes]
            collection.freeze()
            collection.publish(collection.view.seq)
        for number, manifest in manifests.items():
            if number in self.collections:
                self._change_manifest(self.collections[number], manifest)
        self._write([op for op in ops if isinstance(op, Put) and op.family is not Family.META], set(created))
        for number in gone:
            self.collections.pop(number, None)
        self._forget_applied()
        renamed = any(_is_alias(op) for op in ops)
        if renamed:
            self.aliases = self._read_aliases()
        return bool(created or records or gone or renamed)

    def _read_aliases(self) -> dict[str, str]:
        return aliases.read_table(self._kv, self.collections.values())

    def _forget_applied(self) -> None:
        self._kv.clear(Family.LOG)
        self._kv.clear(Family.TOMBSTONES)

    def _meta(self, ops: Sequence[Op]) -> tuple[dict[int, CollectionRecord], dict[int, Manifest], list[int]]:
        records: dict[int, CollectionRecord] = {}
        manifests: dict[int, Manifest] = {}
        gone: list[int] = []
        for op in ops:
            if not isinstance(op, Put | Delete) or op.family is not Family.META:
                continue
            if keys.COLLECTIONS_LOW <= op.key < keys.COLLECTIONS_HIGH:
                number = keys.parse_meta(op.key)
                if isinstance(op, Delete):
                    gone.append(number)
                else:
                    records[number] = decode_meta(op.content, CollectionRecord)
            elif keys.MANIFESTS_LOW <= op.key < keys.MANIFESTS_HIGH and isinstance(op, Put):
                manifests[keys.parse_meta(op.key)] = decode_meta(op.content, Manifest)
        return records, manifests, gone

    def _change_record(self, collection: Collection, record: CollectionRecord) -> None:
        if record.dropping:
            collection.failed = _gone(collection)
        elif record.schema.vectors.keys() != collection.schema.vectors.keys():
            raise Unavailable(f"collection {record.name!r} has other vector fields now")  # begun anew
        collection.take_record(record)
        collection.publish(collection.view.seq)

    def _change_manifest(self, collection: Collection, manifest: Manifest) -> None:
        """Segments come, go, or have other indexes; what is sealed leaves the growing ones."""
        before = {segment.header.id: segment for segment in collection.sealed.values()}
        if manifest.segments != collection.manifest.segments or manifest.sealed_seq != collection.manifest.sealed_seq:
            after = {header.id: header for header in manifest.segments}
            for header in manifest.segments:
                there = before.get(header.id)
                if there is None:
                    fresh = collection.open_segment(header)
                    self._pin(fresh, header)
                    self._warm(fresh)
                    collection.add_sealed(fresh, self._dead(collection.number, fresh))
                elif there.header != header:
                    self._pin(there, header)
                    there.extend(header, self._opened(there, header))
            for number in before.keys() - after.keys():
                collection.remove(before[number].uid)
            self._leave_sealed(collection, manifest.sealed_seq)
        collection.manifest = manifest
        collection.publish(collection.view.seq)

    def _opened(self, segment: SealedSegment, header: SegmentHeader) -> dict[str, BuiltIndex]:
        known = segment.header.indexes
        indexes = {name: entry for name, entry in header.indexes.items() if known.get(name) != entry}
        try:
            return segment.open_built(msgspec.structs.replace(header, indexes=indexes))
        except Corruption:  # whoever needs it is told
            return {}

    def _leave_sealed(self, collection: Collection, sealed_seq: int) -> None:
        """Rows of writes up to `sealed_seq` are in sealed segments now."""
        for frozen in list(collection.frozen):
            if frozen.max_seq <= sealed_seq:
                collection.remove(frozen.uid)
        for segment in (*collection.frozen, collection.growing):  # frozen in other places than the writer's
            if segment.n_rows:
                seqs = segment.seqs(np.arange(segment.n_rows))
                collection.kill(segment.uid, np.flatnonzero(seqs <= sealed_seq))

    def _dead(self, number: int, segment: SealedSegment) -> np.ndarray:
        low, high = keys.tombstone(number, segment.header.id), keys.tombstone(number, segment.header.id + 1)
        dead = BitMap()
        for key, value in self._kv.scan(Family.TOMBSTONES, low, high):
            dead |= read_tombstones(key, value)
        return np.frombuffer(dead.to_array(), dtype=np.uint32)

    def _pin_all(self, collection: Collection) -> None:
        for segment in collection.sealed.values():
            self._pin(segment, segment.header)

    def _pin(self, segment: SealedSegment, header: SegmentHeader) -> None:
        """Map all that the segment has, so that it stays readable whatever the writer does with it later."""
        pins: list[object] = []
        for column in header.columns:
            with contextlib.suppress(Corruption):  # whoever needs it is told
                if is_dense(column.name):
                    segment.rows(column.name.removeprefix("vector."))
                else:
                    pins.append(self._blobs.pin(column.ref))
        segment.pins = pins

    def _warm(self, segment: SealedSegment) -> None:
        """Open what queries need before one of them waits for it."""
        try:
            for name in segment.header.indexes:
                segment.index(name)
            _ = segment.ids
        except Corruption:  # whoever needs it is told
            return

    def _write(self, puts: Sequence[Put], done: set[int]) -> None:
        parts: dict[int, list[tuple[bytes, bytes]]] = {}
        dead: dict[tuple[int, int], dict[int, BitMap]] = {}
        for op in puts:
            if op.family is Family.LOG:
                parts.setdefault(keys.parse_log(op.key)[0], []).append((op.key, op.content))
            else:
                number, segment, seq = keys.parse_tombstone(op.key)
                dead.setdefault((number, seq), {})[segment] = read_tombstones(op.key, op.content)
        for number, pairs in parts.items():
            if number not in done:
                self._replay(self.collections[number], pairs, dead)

    def _replay(
        self,
        collection: Collection,
        pairs: Sequence[tuple[bytes, bytes]],
        dead: dict[tuple[int, int], dict[int, BitMap]],
    ) -> None:
        uids = {segment.header.id: uid for uid, segment in collection.sealed.items()}
        seq = collection.view.seq
        for found, data in join_parts(pairs):
            if found != seq + 1:
                raise Unavailable(f"log record {seq + 1} of {collection.record.name!r} did not come before {found}")
            seq = found
            rows = {
                uids[segment]: np.frombuffer(bitmap.to_array(), dtype=np.uint32)
                for segment, bitmap in dead.get((collection.number, seq), {}).items()
            }
            collection.apply(Resolved(decode_record(data, collection.schema), rows, encoded=data), seq)
        collection.publish(seq)


def _is_alias(op: Op) -> bool:
    return isinstance(op, Put | Delete) and op.key.startswith(keys.ALIASES_LOW) and op.family is Family.META


def _gone(collection: Collection) -> NotFound:
    return NotFound(f"no collection named {collection.record.name!r:.80}", reason="COLLECTION_NOT_FOUND")
