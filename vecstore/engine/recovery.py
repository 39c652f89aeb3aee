"""Opening: read the meta family, map the sealed segments, hide dead rows, replay the log's tail, sweep orphans."""

from __future__ import annotations

import logging

import msgspec
import numpy as np
from pyroaring import BitMap

from vecstore.config import Storage as StorageSettings
from vecstore.engine import keys
from vecstore.engine.collection import Collection
from vecstore.engine.header import CollectionRecord, Manifest, decode_meta
from vecstore.engine.records import decode_record, join_parts
from vecstore.engine.resolve import sealed_rows
from vecstore.engine.structure import check_manifest
from vecstore.engine.writes import Resolved
from vecstore.errors import Corruption
from vecstore.index_spec import Flat
from vecstore.schema import with_defaults
from vecstore.storage.arrays import unpack
from vecstore.storage.interfaces import Family
from vecstore.storage.open import Storage

log = logging.getLogger("vecstore.recovery")
DIM_STORED_MAX = 1 << 24  # above what any setting of `dim_max` is good for; rows of it can still be addressed


def recover(storage: Storage, settings: StorageSettings) -> list[Collection]:
    """Every collection as of its last durable write, those that are being dropped included.

    A collection with damage that could change answers comes back with `failed` set, and then nothing is swept.
    Raises Corruption when a collection's own record is damaged."""
    collections = []
    for key, value in storage.kv.scan(Family.META, keys.COLLECTIONS_LOW, keys.COLLECTIONS_HIGH):
        record = decode_meta(value, CollectionRecord)
        if key != keys.collection(record.number):
            raise Corruption(f"the record under {key!r} is that of collection number {record.number}")
        collections.append(recover_one(record, storage, settings))
    known = {keys.manifest(collection.number) for collection in collections}
    for key, _ in storage.kv.scan(Family.META, keys.MANIFESTS_LOW, keys.MANIFESTS_HIGH):
        if key not in known:  # or its segments would be swept as nobody's
            raise Corruption(f"the collection's record beside {key!r} is missing")
    if all(collection.failed is None for collection in collections):
        live = (header for collection in collections for header in collection.manifest.segments)
        storage.blobs.sweep({column.ref.name for header in live for column in header.columns})
    return collections


def recover_one(record: CollectionRecord, storage: Storage, settings: StorageSettings) -> Collection:
    """As `recover`, one collection of it."""
    for name, field in record.schema.vectors.items():
        if not (field.dim == 0 if field.is_sparse else 1 <= field.dim <= DIM_STORED_MAX):
            raise Corruption(f"vector field {name!r:.80} of collection {record.number} has dim={field.dim}")
    # None is of before there was a choice.
    record = msgspec.structs.replace(record, schema=with_defaults(record.schema, Flat()))
    try:
        stored = storage.kv.get(Family.META, keys.manifest(record.number))
        if stored is None:
            raise Corruption("its manifest is missing")
        manifest = decode_meta(stored, Manifest)
        check_manifest(manifest, record)
    except Corruption as error:
        return _failed(Collection(record, Manifest(), storage.blobs), error)
    collection = Collection(record, manifest, storage.blobs)
    if record.dropping:
        return collection
    try:
        collection.receipts.load(storage.kv.scan(Family.META, *keys.receipts(record.number)))
        newest = _bury(collection, storage)
        _replay(collection, storage, settings)
        if newest > collection.view.seq:
            raise Corruption(f"log record {newest}, which deleted rows, is missing")
    except Corruption as error:
        return _failed(collection, error)
    return collection


def _failed(collection: Collection, error: Corruption) -> Collection:
    """Guessing could bring deleted points back or lose others, so the collection is not served at all."""
    message = f"collection {collection.record.name!r} is damaged and not served: {error.message}"
    log.error(message)
    collection.failed = Corruption(message)
    return collection


def _bury(collection: Collection, storage: Storage) -> int:
    """Hide the rows of sealed segments that later writes superseded or deleted; the newest of these writes."""
    dead: dict[int, BitMap] = {}
    newest = 0
    number = collection.number
    low, high = keys.before_collection(number), keys.after_collection(number)
    for key, value in storage.kv.scan(Family.TOMBSTONES, low, high):
        _, segment, seq = keys.parse_tombstone(key)
        newest = max(newest, seq)
        dead.setdefault(segment, BitMap()).update(read_tombstones(key, value))
    uids = {segment.header.id: segment.uid for segment in collection.sealed.values()}
    for segment_id, rows in dead.items():
        uid = uids.get(segment_id)
        if uid is None:
            continue  # of a segment that has been merged away
        if rows and rows.max() >= collection.sealed[uid].header.n_rows:
            raise Corruption(f"tombstones of segment {segment_id} point past its rows")
        collection.kill(uid, np.frombuffer(rows.to_array(), dtype=np.uint32))
    return newest


def read_tombstones(key: bytes, value: bytes) -> BitMap:
    """The rows that the record names. Raises Corruption."""
    header, arrays = unpack(value)
    if header.get("kind") != "tombstones" or header.get("of") != list(keys.parse_tombstone(key)):
        raise Corruption("a tombstone record is of another kind or another segment")
    try:
        return BitMap.deserialize(arrays["roaring"].tobytes())
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise Corruption(f"a tombstone record holds no bitmap: {error}") from None


def _replay(collection: Collection, storage: Storage, settings: StorageSettings) -> None:
    number, seq = collection.number, collection.manifest.sealed_seq
    collection.publish(seq)
    leaps = dict(collection.manifest.leaps)
    pairs = storage.kv.scan(Family.LOG, keys.log(number, seq + 1), keys.after_collection(number))
    for found, data in join_parts(pairs):
        if found not in (seq + 1, leaps.get(seq, seq) + 1):  # a version that knows no leaps may have gone on without
            raise Corruption(f"log record {seq + 1} is missing before record {found}")
        seq = found
        record = decode_record(data, collection.schema)
        touched = [*record.deleted, *record.batch.ids]
        collection.apply(Resolved(record, sealed_rows(touched, collection.view), encoded=data), seq)
        growing = collection.growing
        if growing.n_rows >= settings.seal_rows or growing.nbytes >= settings.seal_bytes:
            collection.publish(seq)
            collection.freeze()
    collection.publish(leaps.get(seq, seq))
