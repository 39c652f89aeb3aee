"""Points that are written, by row or by column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vecstore.config import Limits
from vecstore.errors import limit_exceeded
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.types import (
    PointBatch,
    VectorBatch,
)
from vecstore.wire.columns import column_from_pb as vectors_from_pb
from vecstore.wire.columns import column_to_pb as vectors_to_pb
from vecstore.wire.columns import is_ragged
from vecstore.wire.gather import check_count, check_spread, fit, gathered
from vecstore.wire.given import OneVector
from vecstore.wire.ids import column_from_pb, column_to_pb, id_from_pb
from vecstore.wire.parts import both_given
from vecstore.wire.values import bad_payload, payload_from_pb
from vecstore.wire.vectors import vector_from_pb


def batch_to_pb(message: pb.PointBatch, batch: PointBatch) -> None:
    message.ids.CopyFrom(column_to_pb(batch.ids))
    for name, vectors in batch.vectors.items():
        message.vectors[name].CopyFrom(vectors_to_pb(vectors, f"vectors.{name}"))
    if batch.payloads is not None:
        message.payload_json.extend([payload or b"" for payload in batch.payloads])


def given_batch(
    message: pb.UpsertRequest | pb.UpdateVectorsRequest, limits: Limits, schema: Schema | None
) -> PointBatch:
    if not message.HasField("batch"):
        return points_from_pb(message.points, limits, schema)
    if message.points:
        raise both_given("points", "batch")
    return batch_from_pb(message.batch, limits, schema)


def batch_from_pb(message: pb.PointBatch, limits: Limits, schema: Schema | None = None) -> PointBatch:
    """Vectors are views of the message's bytes, so this costs no work for each value."""
    count = len(message.ids.nums) + len(message.ids.uuids) // 16 + len(message.ids.strs)
    check_count(count, limits)
    ids = column_from_pb(message.ids, "batch.ids")
    spread = 0
    vectors: dict[str, VectorBatch] = {}
    for name, column in message.vectors.items():
        path = f"batch.vectors.{name}"
        if is_ragged(column):
            vectors[name] = vectors_from_pb(column, count, path)
            continue
        if column.dim > limits.dim_max:
            raise limit_exceeded("dim_max", column.dim, limits.dim_max, path=f"{path}.dim")
        if column.present:
            spread += count * column.dim * 4
            check_spread(spread, limits)
        vectors[name] = fit(vectors_from_pb(column, count, path), name, schema)
    payloads: list[bytes | None] | None = None
    if message.payload_json:
        if len(message.payload_json) != count:
            raise bad_payload("batch.payload_json", f"holds {len(message.payload_json)} payloads for {count} ids")
        payloads = [payload or None for payload in message.payload_json]
    return PointBatch(ids, vectors, payloads)


def points_from_pb(points: Iterable[pb.Point], limits: Limits, schema: Schema | None = None) -> PointBatch:
    """Rows turned into columns; see `upsert_from_pb`."""
    points = list(points)
    check_count(len(points), limits)
    ids: list[PointId] = []
    payloads: list[bytes | None] = []
    columns: dict[str, dict[int, OneVector]] = {}
    for place, point in enumerate(points):
        ids.append(id_from_pb(point.id, f"points[{place}].id"))
        payloads.append(given_payload(point, f"points[{place}].payload", limits))
        for name, vector in point.vectors.items():
            columns.setdefault(name, {})[place] = vector_from_pb(vector, f"points[{place}].vectors.{name}")
    return gathered(ids, columns, payloads, limits, schema)


def given_payload(message: Any, path: str, limits: Limits) -> bytes | None:
    if message.HasField("payload_json"):
        if message.payload:
            raise both_given(path, f"{path}_json")
        payload: bytes = message.payload_json
        return payload
    return payload_from_pb(message.payload, path, limits.payload_depth_max) if message.payload else None
