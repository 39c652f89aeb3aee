"""Requests that change points, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vecstore.config import Limits
from vecstore.errors import InvalidArgument, VecstoreError, limit_exceeded
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.query.filter import PointId
from vecstore.schema import Schema
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    Durability,
    IfMatch,
    Indexed,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    SingleWrite,
    UpdateBatchRequest,
    UpdateVectorsRequest,
    UpsertRequest,
    VectorBatch,
    WriteMode,
    WriteRequest,
    WriteResult,
)
from vecstore.wire.columns import column_from_pb as vectors_from_pb
from vecstore.wire.columns import column_to_pb as vectors_to_pb
from vecstore.wire.columns import is_ragged
from vecstore.wire.filters import filter_from_pb, filter_to_pb
from vecstore.wire.gather import check_count, check_spread, fit, gathered
from vecstore.wire.given import OneVector
from vecstore.wire.ids import column_from_pb, column_to_pb, id_from_pb, ids_from_pb
from vecstore.wire.values import bad_payload, payload_from_pb
from vecstore.wire.vectors import vector_from_pb

_MODES = {
    pb.WRITE_MODE_UNSPECIFIED: WriteMode.UPSERT,
    pb.WRITE_MODE_UPSERT: WriteMode.UPSERT,
    pb.WRITE_MODE_INSERT_ONLY: WriteMode.INSERT_ONLY,
    pb.WRITE_MODE_UPDATE_ONLY: WriteMode.UPDATE_ONLY,
}
_MODES_TO_PB = {mode: number for number, mode in _MODES.items()}
_DURABILITIES: dict[int, Durability | None] = {
    pb.DURABILITY_UNSPECIFIED: None,
    pb.DURABILITY_FSYNC: "fsync",
    pb.DURABILITY_OS: "os",
}
_WAITS = {pb.WRITE_WAIT_UNSPECIFIED: None, pb.WRITE_WAIT_VISIBLE: None, pb.WRITE_WAIT_INDEXED: Indexed()}
_DURABILITIES_TO_PB: dict[Durability | None, Any] = {durability: number for number, durability in _DURABILITIES.items()}

PayloadMessage = pb.SetPayloadRequest | pb.DeletePayloadRequest | pb.ClearPayloadRequest
Selecting = pb.GetPointsRequest | pb.DeletePointsRequest | pb.DeleteVectorsRequest | PayloadMessage
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
    message = pb.UpsertRequest(mode=_MODES_TO_PB[request.mode], **_common(request))
    _put_batch(message.batch, request.batch)
    return message


def _put_batch(message: pb.PointBatch, batch: PointBatch) -> None:
    message.ids.CopyFrom(column_to_pb(batch.ids))
    for name, vectors in batch.vectors.items():
        message.vectors[name].CopyFrom(vectors_to_pb(vectors, f"vectors.{name}"))
    if batch.payloads is not None:
        message.payload_json.extend([payload or b"" for payload in batch.payloads])


def delete_to_pb(request: DeleteRequest) -> pb.DeletePointsRequest:
    return pb.DeletePointsRequest(**_selected(request))


def payload_to_pb(request: PayloadRequest) -> PayloadMessage:
    """The message of the call that `request.op` names."""
    if request.op in (PayloadOp.SET, PayloadOp.OVERWRITE):
        return pb.SetPayloadRequest(payload_json=request.payload, **_selected(request))
    if request.op is PayloadOp.DELETE_KEYS:
        return pb.DeletePayloadRequest(keys=request.keys, **_selected(request))
    return pb.ClearPayloadRequest(**_selected(request))


def update_vectors_to_pb(request: UpdateVectorsRequest) -> pb.UpdateVectorsRequest:
    """By column, always."""
    message = pb.UpdateVectorsRequest(**_common(request))
    _put_batch(message.batch, request.batch)
    return message


def delete_vectors_to_pb(request: DeleteVectorsRequest) -> pb.DeleteVectorsRequest:
    return pb.DeleteVectorsRequest(names=request.names, **_selected(request))


def update_batch_to_pb(request: UpdateBatchRequest) -> pb.UpdateBatchRequest:
    return pb.UpdateBatchRequest(
        collection=request.collection,
        operations=[_operation_to_pb(one) for one in request.operations],
        durability=_DURABILITIES_TO_PB[request.durability],
        idempotency_key=request.idempotency_key or "",
        wait=_wait_to_pb(request),
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


def _selected(request: DeleteRequest | PayloadRequest | DeleteVectorsRequest) -> dict[str, Any]:
    fields = _common(request)
    if request.ids is not None:
        fields["id_column"] = column_to_pb(request.ids)
    if request.filter is not None:
        fields["filter"] = filter_to_pb(request.filter)
    return fields


def _common(request: SingleWrite) -> dict[str, Any]:
    """What all writes but batches have."""
    fields: dict[str, Any] = {
        "collection": request.collection,
        "durability": _DURABILITIES_TO_PB[request.durability],
        "idempotency_key": request.idempotency_key or "",
        "wait": _wait_to_pb(request),
    }
    condition = request.if_match
    if condition is not None:
        where = None if condition.filter is None else filter_to_pb(condition.filter)
        fields["if_match"] = pb.IfMatch(filter=where, seqs=condition.seqs or (), fail=condition.fail)
    return fields


def _wait_to_pb(request: WriteRequest) -> Any:
    return pb.WRITE_WAIT_UNSPECIFIED if request.wait is None else pb.WRITE_WAIT_INDEXED


# ---- from the wire


def upsert_from_pb(message: pb.UpsertRequest, limits: Limits, schema: Schema | None = None) -> UpsertRequest:
    """`schema`, when known, lets an error name the very point whose vector has the wrong dimension.

    Raises InvalidArgument: LIMIT_EXCEEDED, BAD_ID, BAD_VECTOR, BAD_PAYLOAD, DIMENSION_MISMATCH.
    """
    batch = _given_batch(message, limits, schema)
    mode = _known(_MODES, message.mode, "mode")
    return UpsertRequest(message.collection, batch, mode, *_common_from_pb(message, limits))


def _given_batch(
    message: pb.UpsertRequest | pb.UpdateVectorsRequest, limits: Limits, schema: Schema | None
) -> PointBatch:
    if not message.HasField("batch"):
        return points_from_pb(message.points, limits, schema)
    if message.points:
        raise _both("points", "batch")
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
        payloads.append(_payload_from_pb(point, f"points[{place}].payload", limits))
        for name, vector in point.vectors.items():
            columns.setdefault(name, {})[place] = vector_from_pb(vector, f"points[{place}].vectors.{name}")
    return gathered(ids, columns, payloads, limits, schema)


def delete_from_pb(message: pb.DeletePointsRequest, limits: Limits) -> DeleteRequest:
    ids = selected_ids(message)
    chosen = filter_from_pb(message.filter, limits) if message.HasField("filter") else None
    return DeleteRequest(message.collection, ids, chosen, *_common_from_pb(message, limits))


def payload_request_from_pb(message: PayloadMessage, op: PayloadOp, limits: Limits) -> PayloadRequest:
    return PayloadRequest(
        message.collection,
        op,
        selected_ids(message),
        filter_from_pb(message.filter, limits) if message.HasField("filter") else None,
        # An empty map is a payload too: it sets nothing, or overwrites with nothing.
        (_payload_from_pb(message, "payload", limits) or b"{}") if isinstance(message, pb.SetPayloadRequest) else None,
        tuple(message.keys) if isinstance(message, pb.DeletePayloadRequest) else (),
        *_common_from_pb(message, limits),
    )


def update_vectors_from_pb(
    message: pb.UpdateVectorsRequest, limits: Limits, schema: Schema | None = None
) -> UpdateVectorsRequest:
    """Raises InvalidArgument as `upsert_from_pb`."""
    batch = _given_batch(message, limits, schema)
    return UpdateVectorsRequest(message.collection, batch, *_common_from_pb(message, limits))


def delete_vectors_from_pb(message: pb.DeleteVectorsRequest, limits: Limits) -> DeleteVectorsRequest:
    return DeleteVectorsRequest(
        message.collection,
        tuple(message.names),
        selected_ids(message),
        filter_from_pb(message.filter, limits) if message.HasField("filter") else None,
        *_common_from_pb(message, limits),
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
    durability = _known(_DURABILITIES, message.durability, "durability")
    wait = _known(_WAITS, message.wait, "wait")
    return UpdateBatchRequest(message.collection, operations, durability, message.idempotency_key or None, wait)


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


def _common_from_pb(
    message: Any, limits: Limits
) -> tuple[Durability | None, IfMatch | None, str | None, Indexed | None]:
    """Durability, condition, idempotency key and wait."""
    durability = _known(_DURABILITIES, message.durability, "durability")
    condition = None
    if message.HasField("if_match"):
        given = message.if_match
        where = filter_from_pb(given.filter, limits, "if_match.filter") if given.HasField("filter") else None
        condition = IfMatch(where, tuple(given.seqs) or None, given.fail)
    return durability, condition, message.idempotency_key or None, _known(_WAITS, message.wait, "wait")


def write_result_from_pb(message: pb.WriteResponse) -> WriteResult:
    operations = tuple(write_result_from_pb(one) for one in message.operations)
    return WriteResult(message.seq, message.changed, message.skipped, operations, message.collection)


def selected_ids(message: Selecting) -> list[PointId] | None:
    """The ids of a request that selects by ids or by filter; None when it gives none. Raises InvalidArgument."""
    if message.HasField("id_column"):
        if message.ids:
            raise _both("ids", "id_column")
        return column_from_pb(message.id_column, "id_column")
    return ids_from_pb(message.ids) if message.ids else None


def _payload_from_pb(message: Any, path: str, limits: Limits) -> bytes | None:
    if message.HasField("payload_json"):
        if message.payload:
            raise _both(path, f"{path}_json")
        payload: bytes = message.payload_json
        return payload
    return payload_from_pb(message.payload, path, limits.payload_depth_max) if message.payload else None


def _known(members: dict[Any, Any], number: int, path: str) -> Any:
    try:
        return members[number]
    except KeyError:
        message = f"{path} is {number}, which is unknown"
        raise InvalidArgument(message, field_violations=[(path, message)]) from None


def _both(one: str, other: str) -> InvalidArgument:
    message = f"{one} and {other} are both given: give one"
    return InvalidArgument(message, field_violations=[(one, message)])
