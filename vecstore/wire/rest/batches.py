"""Vectors of points that exist, and several writes as one."""

from __future__ import annotations

from typing import Any

from vecstore.config import Limits
from vecstore.errors import VecstoreError, limit_exceeded
from vecstore.schema import Schema
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    PayloadOp,
    PayloadRequest,
    SingleWrite,
    UpdateBatchRequest,
    UpdateVectorsRequest,
    UpsertRequest,
)
from vecstore.wire.rest import points as p
from vecstore.wire.rest.base import Body, Durable, Waited, bad_argument
from vecstore.wire.rest.conditions import WriteBody, conditioned, conditions_to_json, wait_of


class UpdateVectorsBody(WriteBody):
    """`points`, without payloads, or `batch`: the vectors to replace of points that exist."""

    points: list[p.PointSpec] | None = None
    batch: p.Batch | None = None


class DeleteVectorsBody(p.DeleteBody, kw_only=True):
    """The vector fields to take from the points of `ids` or of `filter`."""

    names: list[str]


class UpdateOperation(Body):
    """One write of a batch: exactly one of these. None has a durability of its own."""

    upsert: p.UpsertBody | None = None
    delete: p.DeleteBody | None = None
    set_payload: p.PayloadBody | None = None
    overwrite_payload: p.PayloadBody | None = None
    delete_payload: p.PayloadKeysBody | None = None
    clear_payload: p.DeleteBody | None = None
    update_vectors: UpdateVectorsBody | None = None
    delete_vectors: DeleteVectorsBody | None = None


class UpdateBatchBody(Body):
    """Several writes as one: all of them or none, under one seq. Each sees what those before it leave."""

    operations: list[UpdateOperation]
    durability: Durable | None = None
    idempotency_key: str | None = None
    wait: Waited = "visible"


PAYLOAD_OPS = {
    "set_payload": PayloadOp.SET,
    "overwrite_payload": PayloadOp.OVERWRITE,
    "delete_payload": PayloadOp.DELETE_KEYS,
    "clear_payload": PayloadOp.CLEAR,
}
_NAMES = {op: name for name, op in PAYLOAD_OPS.items()}


def update_vectors_from_json(
    collection: str, given: UpdateVectorsBody, limits: Limits, schema: Schema | None
) -> UpdateVectorsRequest:
    request = UpdateVectorsRequest(collection, p.given_batch(given, limits, schema), given.durability)
    return conditioned(request, given, limits)


def delete_vectors_from_json(collection: str, given: DeleteVectorsBody, limits: Limits) -> DeleteVectorsRequest:
    where = p.filter_from_json(given.filter, limits)
    request = DeleteVectorsRequest(collection, tuple(given.names), p.chosen_ids(given), where, given.durability)
    return conditioned(request, given, limits)


def update_batch_from_json(
    collection: str, given: UpdateBatchBody, limits: Limits, schema: Schema | None
) -> UpdateBatchRequest:
    """Raises InvalidArgument as the writes that it is made of, with the place of the one that is wrong."""
    count, bound = len(given.operations), limits.batch_operations_max
    if count > bound:
        raise limit_exceeded("batch_operations_max", count, bound, path="operations count")
    operations = []
    for place, one in enumerate(given.operations):
        try:
            operations.append(_operation(collection, one, limits, schema))
        except VecstoreError as error:
            raise error.at(f"operations[{place}]") from None
    return UpdateBatchRequest(collection, operations, given.durability, given.idempotency_key, wait_of(given.wait))


def _operation(collection: str, given: UpdateOperation, limits: Limits, schema: Schema | None) -> SingleWrite:
    named = {name: value for name in given.__struct_fields__ if (value := getattr(given, name)) is not None}
    if len(named) != 1:
        raise bad_argument("operation", f"names {len(named)} writes, not one of {', '.join(given.__struct_fields__)}")
    ((name, body),) = named.items()
    if name == "upsert":
        return p.upsert_from_json(collection, body, limits, schema)
    if name == "delete":
        return p.delete_from_json(collection, body, limits)
    if name == "update_vectors":
        return update_vectors_from_json(collection, body, limits, schema)
    if name == "delete_vectors":
        return delete_vectors_from_json(collection, body, limits)
    return p.payload_from_json(collection, PAYLOAD_OPS[name], body, limits)


# ---- of a client


def update_batch_to_json(request: UpdateBatchRequest) -> UpdateBatchBody:
    operations = [UpdateOperation(**dict([_operation_to_json(one)])) for one in request.operations]
    return UpdateBatchBody(operations=operations, **conditions_to_json(request))


def update_vectors_to_json(request: UpdateVectorsRequest) -> UpdateVectorsBody:
    return UpdateVectorsBody(batch=p.batch_to_json(request.batch), **conditions_to_json(request))


def delete_vectors_to_json(request: DeleteVectorsRequest) -> DeleteVectorsBody:
    return DeleteVectorsBody(names=list(request.names), **p.chosen_to_json(request))


def _operation_to_json(request: SingleWrite) -> tuple[str, Any]:
    match request:
        case UpsertRequest():
            return "upsert", p.upsert_to_json(request)
        case DeleteRequest():
            return "delete", p.delete_to_json(request)
        case PayloadRequest():
            return _NAMES[request.op], p.payload_to_json(request)
        case UpdateVectorsRequest():
            return "update_vectors", update_vectors_to_json(request)
        case DeleteVectorsRequest():
            return "delete_vectors", delete_vectors_to_json(request)
