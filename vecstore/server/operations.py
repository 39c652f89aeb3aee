"""vecstore.v1.Operations, except Watch, which is a stream. An operation on a collection that the caller may not see is
answered as one that does not exist."""

from __future__ import annotations

from vecstore.access import Principal
from vecstore.engine.database import Database
from vecstore.engine.operations import no_operation
from vecstore.pb.v1 import operations_pb2 as pb
from vecstore.types import OperationInfo
from vecstore.wire.schemas import operation_to_pb


class Operations:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, data: bytes, principal: Principal) -> bytes:
        info = seen_operation(self._database, pb.GetOperationRequest.FromString(data).id, principal)
        return operation_to_pb(info).SerializeToString()

    def list(self, data: bytes, principal: Principal) -> bytes:
        infos = self._database.list_operations(pb.ListOperationsRequest.FromString(data).collection or None)
        seen = [operation_to_pb(info) for info in infos if principal.may_see(info.collection)]
        return pb.ListOperationsResponse(operations=seen).SerializeToString()

    def cancel(self, data: bytes, principal: Principal) -> bytes:
        id = pb.CancelOperationRequest.FromString(data).id
        seen_operation(self._database, id, principal)
        return operation_to_pb(self._database.cancel_operation(id)).SerializeToString()


def seen_operation(database: Database, id: str, principal: Principal) -> OperationInfo:
    """Raises NotFound (OPERATION_NOT_FOUND) for what the caller may not see, too."""
    info = database.operation(id)
    if not principal.may_see(info.collection):
        raise no_operation(id)
    return info
