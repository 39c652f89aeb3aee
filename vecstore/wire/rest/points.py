"""Points on their way in and out, and the requests that change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from vecstore.config import Limits
from vecstore.query.filter import Filter, PointId
from vecstore.query.parse import parse_filter, to_dict
from vecstore.rows import StoredVector
from vecstore.schema import Schema
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    PayloadOp,
    PayloadRequest,
    Point,
    PointBatch,
    UpsertRequest,
    WriteMode,
    WriteResult,
)
from vecstore.wire.gather import check_count, gathered
from vecstore.wire.given import OneVector, widen
from vecstore.wire.rest.base import NULL, Body, bad_argument, payload_bytes
from vecstore.wire.rest.columns import VectorColumn, columns_from_json, columns_to_json
from vecstore.wire.rest.conditions import FilterSpec, WriteBody, conditioned, conditions_to_json
from vecstore.wire.rest.ids import Id, StringId, filter_ids, id_from_json, id_to_json, ids_from_json
from vecstore.wire.rest.vectors import Vector, vector_from_json, vector_to_json

Payload = Annotated[
    msgspec.Raw, msgspec.Meta(description="A JSON object.", extra_json_schema={"type": ["object", "null"]})
]


class PointSpec(Body):
    """A point to write."""

    id: Id
    vectors: dict[str, Vector] = {}
    payload: Payload | msgspec.UnsetType = msgspec.UNSET


class Batch(Body):
    """Points by column: the cheapest form of many. `vectors` has a column for each field, `payloads` an object or null
    for each id, or nothing at all."""

    ids: list[Id]
    vectors: dict[str, VectorColumn] = {}
    payloads: list[Payload] | None = None


class UpsertBody(WriteBody):
    """`points` or `batch`. An id given twice: the last one wins."""

    points: list[PointSpec] | None = None
    batch: Batch | None = None
    mode: WriteMode = WriteMode.UPSERT


class Written(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A later read that reports at least this seq has seen the write. `changed` points were written or deleted;
    `skipped` ids were left alone by the mode. `operations`: what each write of a batch did. `collection` is the one
    that the seq is of, by its own name."""

    seq: int
    changed: int
    skipped: int
    operations: list[Written] = []
    collection: str = ""


class DeleteBody(WriteBody):
    """By `ids` or by `filter`."""

    ids: list[Id] | None = None
    filter: FilterSpec = None


class PayloadBody(DeleteBody, kw_only=True):
    """The payload for the points of `ids` or of `filter`."""

    payload: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]


class PayloadKeysBody(DeleteBody, kw_only=True):
    """The top-level keys to remove from the payloads of `ids` or of `filter`."""

    keys: list[str]


class StoredPoint(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A point as it is stored; `payload` and `vectors` where they were asked for."""

    id: Id
    seq: int
    payload: Payload | msgspec.UnsetType = msgspec.UNSET
    vectors: dict[str, Vector] | None = None


# ---- to the engine


def upsert_from_json(collection: str, given: UpsertBody, limits: Limits, schema: Schema | None) -> UpsertRequest:
    """`schema`, when known, lets an error name the very point whose vector has the wrong dimension.

    Raises InvalidArgument: LIMIT_EXCEEDED, BAD_VECTOR, DIMENSION_MISMATCH."""
    batch = given_batch(given, limits, schema)
    return conditioned(UpsertRequest(collection, batch, given.mode, given.durability), given, limits)


def given_batch(given: Any, limits: Limits, schema: Schema | None) -> PointBatch:
    """Of `points` or `batch`, one of the two."""
    if given.batch is not None:
        if given.points is not None:
            raise bad_argument("points", "and batch are both given: give one")
        return _batch_from_json(given.batch, limits, schema)
    if given.points is None:
        raise bad_argument("points", "are missing: give points or batch")
    return points_from_json(given.points, limits, schema)


def points_from_json(points: Sequence[PointSpec], limits: Limits, schema: Schema | None) -> PointBatch:
    """Rows turned into columns; see `upsert_from_json`."""
    check_count(len(points), limits)
    columns: dict[str, dict[int, OneVector]] = {}
    fields = {} if schema is None else schema.vectors
    for place, point in enumerate(points):
        for name, vector in point.vectors.items():
            path = f"points[{place}].vectors.{name}"
            columns.setdefault(name, {})[place] = vector_from_json(vector, path, fields.get(name))
    payloads = [payload_bytes(point.payload) for point in points]
    return gathered(ids_from_json(point.id for point in points), columns, payloads, limits, schema)


def _batch_from_json(given: Batch, limits: Limits, schema: Schema | None) -> PointBatch:
    count = len(given.ids)
    check_count(count, limits)
    vectors = columns_from_json(given.vectors, count, limits, schema)
    payloads = None if given.payloads is None else [payload_bytes(one) for one in given.payloads]
    if payloads is not None and len(payloads) != count:
        raise bad_argument("batch.payloads", f"holds {len(payloads)} payloads for {count} ids", "BAD_PAYLOAD")
    return PointBatch(ids_from_json(given.ids), vectors, payloads)


def delete_from_json(collection: str, given: DeleteBody, limits: Limits) -> DeleteRequest:
    where = filter_from_json(given.filter, limits)
    return conditioned(DeleteRequest(collection, chosen_ids(given), where, given.durability), given, limits)


def payload_from_json(
    collection: str, op: PayloadOp, given: PayloadBody | PayloadKeysBody | DeleteBody, limits: Limits
) -> PayloadRequest:
    request = PayloadRequest(
        collection,
        op,
        chosen_ids(given),
        filter_from_json(given.filter, limits),
        bytes(given.payload) if isinstance(given, PayloadBody) else None,
        tuple(given.keys) if isinstance(given, PayloadKeysBody) else (),
        given.durability,
    )
    return conditioned(request, given, limits)


def chosen_ids(given: DeleteBody) -> list[PointId] | None:
    """An empty list chooses nothing, which the engine refuses by name."""
    return None if given.ids is None else ids_from_json(given.ids)


def filter_from_json(given: Any, limits: Limits, path: str = "filter") -> Filter | None:
    """Raises InvalidArgument: BAD_FILTER, LIMIT_EXCEEDED."""
    return None if given is None else parse_filter(filter_ids(given), limits, path)


# ---- from the engine


def points_to_json(points: Sequence[Point], packed: bool) -> list[StoredPoint]:
    return [stored_to_json(StoredPoint, point, packed) for point in points]


def stored_to_json(kind: type[StoredPoint], point: Point, packed: bool) -> StoredPoint:
    payload = msgspec.UNSET if point.payload_json is None else msgspec.Raw(point.payload_json)
    vectors = vectors_to_json(point.vectors, packed)
    return kind(id=id_to_json(point.id), seq=point.seq, payload=payload, vectors=vectors)


def vectors_to_json(vectors: Mapping[str, StoredVector] | None, packed: bool) -> dict[str, Vector] | None:
    return None if vectors is None else {name: vector_to_json(one, packed) for name, one in vectors.items()}


def written_to_json(result: WriteResult) -> Written:
    operations = [written_to_json(one) for one in result.operations]
    return Written(
        seq=result.seq,
        changed=result.changed,
        skipped=result.skipped,
        operations=operations,
        collection=result.collection,
    )


# ---- of a client


def upsert_to_json(request: UpsertRequest) -> UpsertBody:
    """By column."""
    return UpsertBody(batch=batch_to_json(request.batch), mode=request.mode, **conditions_to_json(request))


def batch_to_json(given: PointBatch) -> Batch:
    payloads = None
    if given.payloads is not None:
        payloads = [_raw(payload, f"payloads[{place}]") for place, payload in enumerate(given.payloads)]
    return Batch(ids=ids_to_json(given.ids), vectors=columns_to_json(given.vectors), payloads=payloads)


_decode = msgspec.json.Decoder().decode


def _raw(payload: bytes | None, path: str) -> msgspec.Raw:
    """Checked, for what is no JSON would change the request around it. Raises InvalidArgument (BAD_PAYLOAD)."""
    if payload is None:
        return msgspec.Raw(NULL)
    try:
        _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_argument(path, f"is not JSON: {str(error)[:200]}", "BAD_PAYLOAD") from None
    return msgspec.Raw(payload)


def delete_to_json(request: DeleteRequest) -> DeleteBody:
    return DeleteBody(**chosen_to_json(request))


def payload_to_json(request: PayloadRequest) -> DeleteBody:
    chosen = chosen_to_json(request)
    if request.op in (PayloadOp.SET, PayloadOp.OVERWRITE):
        return PayloadBody(payload=_raw(request.payload or b"{}", "payload"), **chosen)
    if request.op is PayloadOp.DELETE_KEYS:
        return PayloadKeysBody(keys=list(request.keys), **chosen)
    return DeleteBody(**chosen)


def ids_to_json(ids: Sequence[PointId]) -> list[int | str | StringId]:
    return [id_to_json(one) for one in ids]


def filter_to_json(given: Filter | None) -> dict[str, Any] | None:
    return None if given is None else to_dict(given)


def chosen_to_json(request: DeleteRequest | PayloadRequest | DeleteVectorsRequest) -> dict[str, Any]:
    return {
        "ids": None if request.ids is None else ids_to_json(request.ids),
        "filter": filter_to_json(request.filter),
        **conditions_to_json(request),
    }


def point_from_json(given: StoredPoint) -> Point:
    return Point(id_from_json(given.id), given.seq, payload_bytes(given.payload), stored_vectors(given.vectors))


def stored_vectors(given: Mapping[str, Vector] | None) -> dict[str, StoredVector] | None:
    """Answers hold float32, float16, packed bits or sparse vectors."""
    if given is None:
        return None
    vectors: dict[str, StoredVector] = {}
    for name, one in given.items():
        vector = vector_from_json(one, name)
        assert not isinstance(vector, str)
        vectors[name] = vector if isinstance(vector, tuple) or vector.dtype != "uint16" else widen(vector)
    return vectors


def written_from_json(answer: Written) -> WriteResult:
    operations = tuple(written_from_json(one) for one in answer.operations)
    return WriteResult(answer.seq, answer.changed, answer.skipped, operations, answer.collection)
