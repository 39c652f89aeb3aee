"""vecstore.v1.Operations, except Watch, which is a stream."""

from __future__ import annotations

from vecstore.engine.database import Database
from vecstore.pb.v1 import operations_pb2 as pb
from vecstore.wire.schemas import operation_to_pb


class Operations:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, data: bytes) -> bytes:
        return operation_to_pb(self._database.operation(pb.GetOperationRequest.FromString(data).id)).SerializeToString()

    def list(self, data: bytes) -> bytes:
        infos = self._database.list_operations(pb.ListOperationsRequest.FromString(data).collection or None)
        return pb.ListOperationsResponse(operations=[operation_to_pb(info) for info in infos]).SerializeToString()

    def cancel(self, data: bytes) -> bytes:
        operation = self._database.cancel_operation(pb.CancelOperationRequest.FromString(data).id)
        return operation_to_pb(operation).SerializeToString()
