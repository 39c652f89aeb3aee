"""What the engine's tests share: a schema, small segments, vectors that follow from ids."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np

from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.schema import FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import OperationInfo, OperationState, PointBatch, UpsertRequest, VectorBatch, WriteResult

DIM = 16
SCHEMA = Schema(
    {"v": VectorField(VectorKind.DENSE, DIM, Metric.COSINE), "b": VectorField(VectorKind.BINARY, DIM, Metric.HAMMING)},
    {"n": FieldKind.INTEGER},
)
SMALL = Settings(storage=Storage(seal_rows=500, in_place_rows=200, merge_factor=4, disk_reserve_bytes=0))
# For tests of answers: no worker process builds a segment, whose start takes longer than the test.
IN_PLACE = Settings(storage=Storage(seal_rows=500, in_place_rows=100_000, merge_factor=4, disk_reserve_bytes=0))


def vectors_of(ids: Any) -> np.ndarray:
    """A vector that follows from the id alone, so that any answer can be checked."""
    return np.stack([np.random.default_rng(zlib.crc32(repr(i).encode())).standard_normal(DIM) for i in ids]).astype(
        np.float32
    )


def batch_of(ids: Any, extra: Any = None) -> PointBatch:
    rows = vectors_of(ids)
    payloads = [msgspec.json.encode({"n": n, "id": str(i), **(extra or {})}) for n, i in enumerate(ids)]
    bits = np.packbits(rows > 0, axis=1)
    return PointBatch(list(ids), {"v": VectorBatch(rows), "b": VectorBatch(bits)}, payloads)


def put(db: Database, ids: Any, extra: Any = None) -> WriteResult:
    return db.write(UpsertRequest("c", batch_of(ids, extra)))


def settle(db: Database, operation: OperationInfo) -> OperationInfo:
    info = db.wait_operation(operation.id, 60)
    assert info.state is OperationState.DONE, info
    return info
