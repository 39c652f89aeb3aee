"""Requests that change points, and what they answer."""

from __future__ import annotations

from typing import Any

from vecstore.config import Limits
from vecstore.errors import InvalidArgument, VecstoreError, limit_exceeded
from vecstore.pb.v1 import points_pb2 as pb
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
    WriteMode,
    WriteRequest,
    WriteResult,
)
from vecstore.wire.conditions import (
    PayloadMessage,
    answered_from_pb,
    answered_to_pb,
    conditions_from_pb,
    conditions_to_pb,
    durability_from_pb,
    selection_from_pb,
    selection_to_pb,
)
from vecstore.wire.parts import known
from vecstore.wire.points import batch_to_pb, given_batch, given_payload

_MODES = {
    pb.WRITE_MODE_UNSPECIFIED: WriteMode.UPSERT,
    pb.WRITE_MODE_UPSERT: WriteMode.UPSERT,
    pb.WRITE_MODE_INSERT_ONLY: WriteMode.INSERT_ONLY,
    pb.WRITE_MODE_UPDATE_ONLY: WriteMode.UPDATE_ONLY,
}
_MODES_TO_PB = {mode: number for number, mode in _MODES.items()}

PAYLOAD_OPERATIONS = {  # of UpdateOperation
    "set_payload": PayloadOp.SET,
    "overwrite_payload": PayloadOp.OVERWRITE,
    "delete_payload": PayloadOp.DELETE_KEYS,
    "clear_payload": PayloadOp.CLEAR,
}
_PAYLOAD_METHODS = {
    PayloadOp.SET: "SetPayload",
    PayloadOp.OVERWRITE: "OverwritePayload",
    PayloadOp.DELETE_KEYS: "DeletePayload",
    PayloadOp.CLEAR: "ClearPayload",
}
_OPERATION_OF = {op: name for name, op in PAYLOAD_OPERATIONS.items()}


# ---- to the wire


def upsert_to_pb(request: UpsertRequest) -> pb.UpsertRequest:
    """By column, always."""
    message = pb.UpsertRequest(mode=_MODES_TO_PB[request.mode], **conditions_to_pb(request))
    batch_to_pb(message.batch, request.batch)
    return message


def delete_to_pb(request: DeleteRequest) -> pb.DeletePointsRequest:
    return pb.DeletePointsRequest(**selection_to_pb(request))


def payload_to_pb(request: PayloadRequest) -> PayloadMessage:
    """The message of the call that `request.op` names."""
    if request.op in (PayloadOp.SET, PayloadOp.OVERWRITE):
        return pb.SetPayloadRequest(payload_json=request.payload, **selection_to_pb(request))
    if request.op is PayloadOp.DELETE_KEYS:
        return pb.DeletePayloadRequest(keys=request.keys, **selection_to_pb(request))
    return pb.ClearPayloadRequest(**selection_to_pb(request))


def update_vectors_to_pb(request: UpdateVectorsRequest) -> pb.UpdateVectorsRequest:
    """By column, always."""
    message = pb.UpdateVectorsRequest(**conditions_to_pb(request))
    batch_to_pb(message.batch, request.batch)
    return message


def delete_vectors_to_pb(request: DeleteVectorsRequest) -> pb.DeleteVectorsRequest:
    return pb.DeleteVectorsRequest(names=request.names, **selection_to_pb(request))


def update_batch_to_pb(request: UpdateBatchRequest) -> pb.UpdateBatchRequest:
    return pb.UpdateBatchRequest(
        operations=[_operation_to_pb(one) for one in request.operations], **answered_to_pb(request)
    )


def _operation_to_pb(request: SingleWrite) -> pb.UpdateOperation:
    if isinstance(request, UpsertRequest):
        return pb.UpdateOperation(upsert=upsert_to_pb(request))
    if isinstance(request, DeleteRequest):
        return pb.UpdateOperation(delete=delete_to_pb(request))
    if isinstance(request, UpdateVectorsRequest):
        return pb.UpdateOperation(update_vectors=update_vectors_to_pb(request))
    if isinstance(request, DeleteVectorsRequest):
        return pb.UpdateOperation(delete_vectors=delete_vectors_to_pb(request))
    changes: dict[str, Any] = {_OPERATION_OF[request.op]: payload_to_pb(request)}
    return pb.UpdateOperation(**changes)


def write_to_pb(request: WriteRequest) -> tuple[str, Any]:
    """The call of the Points service and its message."""
    if isinstance(request, UpdateBatchRequest):
        return "UpdateBatch", update_batch_to_pb(request)
    if isinstance(request, UpsertRequest):
        return "Upsert", upsert_to_pb(request)
    if isinstance(request, DeleteRequest):
        return "Delete", delete_to_pb(request)
    if isinstance(request, UpdateVectorsRequest):
        return "UpdateVectors", update_vectors_to_pb(request)
    if isinstance(request, DeleteVectorsRequest):
        return "DeleteVectors", delete_vectors_to_pb(request)
    return _PAYLOAD_METHODS[request.op], payload_to_pb(request)


def write_result_to_pb(result: WriteResult) -> pb.WriteResponse:
    operations = [write_result_to_pb(one) for one in result.operations]
    return pb.WriteResponse(
        seq=result.seq,
        changed=result.changed,
        skipped=result.skipped,
        operations=operations,
        collection=result.collection,
    )


# ---- from the wire


def upsert_from_pb(message: pb.UpsertRequest, limits: Limits, schema: Schema | None = None) -> UpsertRequest:
    """`schema`, when known, lets an error name the very point whose vector has the wrong dimension.

    Raises InvalidArgument: LIMIT_EXCEEDED, BAD_ID, BAD_VECTOR, BAD_PAYLOAD, DIMENSION_MISMATCH.
    """
    batch = given_batch(message, limits, schema)
    mode = known(_MODES, message.mode, "mode")
    return UpsertRequest(message.collection, batch, mode, *conditions_from_pb(message, limits))


def delete_from_pb(message: pb.DeletePointsRequest, limits: Limits) -> DeleteRequest:
    ids, chosen = selection_from_pb(message, limits)
    return DeleteRequest(message.collection, ids, chosen, *conditions_from_pb(message, limits))


def payload_request_from_pb(message: PayloadMessage, op: PayloadOp, limits: Limits) -> PayloadRequest:
    ids, chosen = selection_from_pb(message, limits)
    return PayloadRequest(
        message.collection,
        op,
        ids,
        chosen,
        # An empty map is a payload too: it sets nothing, or overwrites with nothing.
        (given_payload(message, "payload", limits) or b"{}") if isinstance(message, pb.SetPayloadRequest) else None,
        tuple(message.keys) if isinstance(message, pb.DeletePayloadRequest) else (),
        *conditions_from_pb(message, limits),
    )


def update_vectors_from_pb(
    message: pb.UpdateVectorsRequest, limits: Limits, schema: Schema | None = None
) -> UpdateVectorsRequest:
    """Raises InvalidArgument as `upsert_from_pb`."""
    batch = given_batch(message, limits, schema)
    return UpdateVectorsRequest(message.collection, batch, *conditions_from_pb(message, limits))


def delete_vectors_from_pb(message: pb.DeleteVectorsRequest, limits: Limits) -> DeleteVectorsRequest:
    ids, chosen = selection_from_pb(message, limits)
    return DeleteVectorsRequest(
        message.collection, tuple(message.names), ids, chosen, *conditions_from_pb(message, limits)
    )


def update_batch_from_pb(
    message: pb.UpdateBatchRequest, limits: Limits, schema: Schema | None = None
) -> UpdateBatchRequest:
    """Raises InvalidArgument as the writes that it is made of, with the place of the one that is wrong."""
    count, bound = len(message.operations), limits.batch_operations_max
    if count > bound:
        raise limit_exceeded("batch_operations_max", count, bound, path="operations count")
    operations = []
    for place, one in enumerate(message.operations):
        try:
            operations.append(_operation_from_pb(one, limits, schema))
        except VecstoreError as error:
            raise error.at(f"operations[{place}]") from None
    return UpdateBatchRequest(message.collection, operations, durability_from_pb(message), *answered_from_pb(message))


def _operation_from_pb(message: pb.UpdateOperation, limits: Limits, schema: Schema | None) -> SingleWrite:
    kind = message.WhichOneof("operation")
    if kind is None:
        raise InvalidArgument("names no operation that is known")
    if kind == "upsert":
        return upsert_from_pb(message.upsert, limits, schema)
    if kind == "delete":
        return delete_from_pb(message.delete, limits)
    if kind == "update_vectors":
        return update_vectors_from_pb(message.update_vectors, limits, schema)
    if kind == "delete_vectors":
        return delete_vectors_from_pb(message.delete_vectors, limits)
    return payload_request_from_pb(getattr(message, kind), PAYLOAD_OPERATIONS[kind], limits)


def write_result_from_pb(message: pb.WriteResponse) -> WriteResult:
    operations = tuple(write_result_from_pb(one) for one in message.operations)
    return WriteResult(message.seq, message.changed, message.skipped, operations, message.collection)
