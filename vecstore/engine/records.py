"""Log records: one write, columnar, as named arrays (`storage.arrays`), split into parts for the log family.

A record holds the points that a write leaves behind, whole (a payload change is the point written again), and the ids
it deletes. Replaying records in seq order on top of the sealed segments gives the state back. docs/FORMAT.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vecstore.engine import keys
from vecstore.engine.ids import pack_ids, unpack_ids
from vecstore.engine.row_columns import check_stored, row_arrays, rows_from
from vecstore.errors import Corruption
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.storage.arrays import pack, unpack
from vecstore.storage.checksum import xxh3_64
from vecstore.storage.interfaces import Family, Put
from vecstore.types import PointBatch, VectorBatch

PART_BYTES = 256 * 1024
HEAD_BYTES = 40  # of a record: length and both checksums


@dataclass(slots=True)
class WriteRecord:
    """What one write changes: `batch` is appended after the points of `deleted` (and older ones of `batch`) die."""

    batch: PointBatch
    deleted: Sequence[PointId] = field(default_factory=list)


def encode_record(record: WriteRecord) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    if record.batch.ids:
        arrays.update(pack_ids(record.batch.ids))
    for name, vectors in record.batch.vectors.items():
        arrays.update(row_arrays(name, vectors.rows))
        if vectors.present is not None:
            arrays[f"present.{name}"] = vectors.present.astype(np.uint8)
    if record.batch.payloads is not None:
        arrays.update(pack_payloads(record.batch.payloads))
    if record.deleted:
        arrays.update({f"deleted.{name}": array for name, array in pack_ids(record.deleted).items()})
    header = {"kind": "write", "points": len(record.batch.ids), "deleted": len(record.deleted)}
    return b"".join(pack(header, arrays))


def decode_record(data: bytes, schema: Schema) -> WriteRecord:
    """Raises Corruption when the record is damaged or does not fit the schema."""
    header, arrays = unpack(data)
    try:
        return _decode(header, arrays, schema)
    except (KeyError, IndexError, TypeError, ValueError) as error:  # arrays that are absent or of another shape
        raise Corruption(f"a log record is malformed: {type(error).__name__}: {error}") from None


def _decode(header: dict[str, Any], arrays: dict[str, np.ndarray], schema: Schema) -> WriteRecord:
    count = header.get("points")
    ids = unpack_ids(arrays) if count else []
    deleted_arrays = {name[8:]: array for name, array in arrays.items() if name.startswith("deleted.")}
    deleted = unpack_ids(deleted_arrays) if deleted_arrays else []
    if header.get("kind") != "write" or len(ids) != count or len(deleted) != header.get("deleted"):
        raise Corruption("a log record's header disagrees with its arrays")
    batch = PointBatch(ids=ids)
    names = {array.split(".")[1] for array in arrays if array.startswith("vector.")}
    for name in sorted(names):
        spec = schema.vectors.get(name)
        if spec is None:
            raise Corruption(f"a log record has vectors {name!r}, which the schema does not know")
        rows = rows_from(name, spec, arrays)
        try:
            check_stored(rows, len(ids), spec)
        except Corruption as error:
            raise Corruption(f"a log record's vectors {name!r} do not fit the schema: {error.message}") from None
        present = arrays.get(f"present.{name}")
        if present is not None and present.shape != (len(ids),):
            raise Corruption(f"a log record's presence of {name!r} does not fit its points")
        batch.vectors[name] = VectorBatch(rows, None if present is None else present.astype(bool))
    if "payload.offsets" in arrays:
        batch.payloads = unpack_payloads(arrays, len(ids))
    return WriteRecord(batch, deleted)


def record_vectors(data: bytes, vectors: Mapping[str, VectorBatch], schema: Schema) -> dict[str, VectorBatch]:
    """The same vectors of a write as views of its record, so that those that the record was made of can go."""
    _, arrays = unpack(data)
    return {
        name: VectorBatch(rows_from(name, schema.vectors[name], arrays), batch.present)
        for name, batch in vectors.items()
    }


def pack_payloads(payloads: Sequence[bytes | None]) -> dict[str, np.ndarray]:
    """Payloads as one run of bytes and n + 1 offsets; no payload is an empty slice."""
    offsets = np.zeros(len(payloads) + 1, dtype=np.uint64)
    np.cumsum([len(payload) if payload else 0 for payload in payloads], out=offsets[1:])
    joined = b"".join(payload for payload in payloads if payload)
    return {"payload.bytes": np.frombuffer(joined, dtype=np.uint8), "payload.offsets": offsets}


def unpack_payloads(arrays: dict[str, np.ndarray], count: int) -> list[bytes | None]:
    data, offsets = arrays["payload.bytes"].tobytes(), arrays["payload.offsets"]
    if len(offsets) != count + 1 or int(offsets[-1]) != len(data) or (offsets[1:] < offsets[:-1]).any():
        raise Corruption("a log record's payload offsets do not fit its payloads")
    bounds = offsets.tolist()
    return [data[low:high] or None for low, high in itertools.pairwise(bounds)]


def log_puts(collection: int, seq: int, record: bytes) -> list[Put]:
    """The record under (collection, seq, part). Part 0 starts with a mark that ties the record to its key, so that no
    record is ever replayed in another one's place. The others are views of `record`: they take no memory."""
    mark, content = _mark(keys.log(collection, seq), record), memoryview(record)
    first = PART_BYTES - len(mark)
    parts: list[bytes | memoryview] = [mark + record[:first]]
    parts += (content[at : at + PART_BYTES] for at in range(first, len(record), PART_BYTES))
    return [Put(Family.LOG, keys.log(collection, seq, number), part) for number, part in enumerate(parts)]


def _mark(key: bytes, record: bytes) -> bytes:
    """xxh3_64, little-endian, of the key and of the record's head, whose own checksums cover the rest."""
    return xxh3_64(key + record[:HEAD_BYTES]).to_bytes(8, "little")


def _unmark(collection: int, seq: int, marked: bytes) -> bytes:
    mark, record = marked[:8], marked[8:]
    if mark != _mark(keys.log(collection, seq), record):
        raise Corruption(f"what is stored as log record {seq} is another one")
    return record


def join_parts(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[int, bytes]]:
    """(seq, record) from one collection's pairs in key order. Raises Corruption when a part is missing or strange."""
    collection, seq, parts = 0, -1, list[bytes]()
    for key, value in pairs:
        collection, key_seq, part = keys.parse_log(key)
        if key_seq != seq:
            if parts:
                yield seq, _unmark(collection, seq, b"".join(parts))
            seq, parts = key_seq, []
        if part != len(parts):
            raise Corruption(f"part {len(parts)} of log record {key_seq} is missing")
        parts.append(value)
    if parts:
        yield seq, _unmark(collection, seq, b"".join(parts))
