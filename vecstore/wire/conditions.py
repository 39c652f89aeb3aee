"""What writes have in common: which points they are for, on which condition, and when they are answered."""

from __future__ import annotations

from typing import Any

from vecstore.config import Limits
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.query.filter import Filter, PointId
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    Durability,
    IfMatch,
    Indexed,
    PayloadRequest,
    SingleWrite,
    WriteRequest,
)
from vecstore.wire.filters import filter_to_pb, given_filter
from vecstore.wire.ids import column_from_pb, column_to_pb, ids_from_pb
from vecstore.wire.parts import both_given, known

_DURABILITIES: dict[int, Durability | None] = {
    pb.DURABILITY_UNSPECIFIED: None,
    pb.DURABILITY_FSYNC: "fsync",
    pb.DURABILITY_OS: "os",
}
_WAITS = {pb.WRITE_WAIT_UNSPECIFIED: None, pb.WRITE_WAIT_VISIBLE: None, pb.WRITE_WAIT_INDEXED: Indexed()}
_DURABILITIES_TO_PB: dict[Durability | None, Any] = {durability: number for number, durability in _DURABILITIES.items()}

PayloadMessage = pb.SetPayloadRequest | pb.DeletePayloadRequest | pb.ClearPayloadRequest
Selecting = pb.GetPointsRequest | pb.DeletePointsRequest | pb.DeleteVectorsRequest | PayloadMessage


def answered_to_pb(request: WriteRequest) -> dict[str, Any]:
    """The fields that every write has: of which collection, how durable, once or again, and when it is answered."""
    return {
        "collection": request.collection,
        "durability": _DURABILITIES_TO_PB[request.durability],
        "idempotency_key": request.idempotency_key or "",
        "wait": pb.WRITE_WAIT_UNSPECIFIED if request.wait is None else pb.WRITE_WAIT_INDEXED,
    }


def conditions_to_pb(request: SingleWrite) -> dict[str, Any]:
    """The fields that all writes but batches have."""
    fields = answered_to_pb(request)
    condition = request.if_match
    if condition is not None:
        where = None if condition.filter is None else filter_to_pb(condition.filter)
        fields["if_match"] = pb.IfMatch(filter=where, seqs=condition.seqs or (), fail=condition.fail)
    return fields


def selection_to_pb(request: DeleteRequest | PayloadRequest | DeleteVectorsRequest) -> dict[str, Any]:
    """The fields of `conditions_to_pb`, and which points."""
    fields = conditions_to_pb(request)
    if request.ids is not None:
        fields["id_column"] = column_to_pb(request.ids)
    if request.filter is not None:
        fields["filter"] = filter_to_pb(request.filter)
    return fields


def durability_from_pb(message: Any) -> Durability | None:
    return known(_DURABILITIES, message.durability, "durability")


def answered_from_pb(message: Any) -> tuple[str | None, Indexed | None]:
    """Idempotency key and wait."""
    return message.idempotency_key or None, known(_WAITS, message.wait, "wait")


def conditions_from_pb(
    message: Any, limits: Limits
) -> tuple[Durability | None, IfMatch | None, str | None, Indexed | None]:
    """Durability, condition, idempotency key and wait."""
    condition = None
    if message.HasField("if_match"):
        given = message.if_match
        condition = IfMatch(given_filter(given, limits, "if_match.filter"), tuple(given.seqs) or None, given.fail)
    return durability_from_pb(message), condition, *answered_from_pb(message)


def selection_from_pb(message: Selecting, limits: Limits) -> tuple[list[PointId] | None, Filter | None]:
    """Ids and filter."""
    return selected_ids(message), given_filter(message, limits)


def selected_ids(message: Selecting) -> list[PointId] | None:
    """The ids of a request that selects by ids or by filter; None when it gives none. Raises InvalidArgument."""
    if message.HasField("id_column"):
        if message.ids:
            raise both_given("ids", "id_column")
        return column_from_pb(message.id_column, "id_column")
    return ids_from_pb(message.ids) if message.ids else None
