"""vecstore.v1.Snapshots."""

from __future__ import annotations

from vecstore.engine.database import Database
from vecstore.pb.v1 import snapshots_pb2 as pb
from vecstore.wire.schemas import operation_to_pb
from vecstore.wire.snapshots import snapshot_to_pb


class Snapshots:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, data: bytes) -> bytes:
        operation = self._database.create_snapshot(pb.CreateSnapshotRequest.FromString(data).name)
        return operation_to_pb(operation).SerializeToString()

    def list(self, data: bytes) -> bytes:
        pb.ListSnapshotsRequest.FromString(data)
        found = [snapshot_to_pb(info) for info in self._database.list_snapshots()]
        return pb.ListSnapshotsResponse(snapshots=found).SerializeToString()

    def delete(self, data: bytes) -> bytes:
        deleted = self._database.delete_snapshot(pb.DeleteSnapshotRequest.FromString(data).name)
        return pb.DeleteSnapshotResponse(deleted=deleted).SerializeToString()

    def restore(self, data: bytes) -> bytes:
        message = pb.RestoreSnapshotRequest.FromString(data)
        return operation_to_pb(self._database.restore_snapshot(message.name, message.into)).SerializeToString()
