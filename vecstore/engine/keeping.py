"""Snapshots, and what is known of long jobs."""

from __future__ import annotations

from pathlib import Path

from vecstore.engine.named import Named
from vecstore.engine.operations import Operations
from vecstore.engine.snapshots import Snapshots
from vecstore.types import (
    OperationInfo,
    SnapshotInfo,
)


class Keeping(Named):
    _snapshots: Snapshots
    _operations: Operations

    def snapshot(self, dest: str | Path) -> OperationInfo:
        """Write the whole database, as of one moment, to the folder `dest`, which must not exist; in the background,
        while reads and writes go on. `vecstore.restore` makes a database of it. Raises FailedPrecondition (PATH_EXISTS,
        IN_MEMORY)."""
        return self._snapshots.take(Path(dest).absolute()).info()

    def create_snapshot(self, name: str = "") -> OperationInfo:
        """The same under a name, in the folder of the setting `server.snapshots_dir`. Raises BAD_NAME."""
        return self._snapshots.create(name).info()

    def list_snapshots(self) -> list[SnapshotInfo]:
        """Those that have names."""
        return self._snapshots.list()

    def delete_snapshot(self, name: str) -> bool:
        """False when there is none."""
        return self._snapshots.delete(name)

    def restore_snapshot(self, name: str, into: str) -> OperationInfo:
        """Make a database of a snapshot, in the fresh folder `into` below the setting `server.restore_dir`, every byte
        checked. Raises NotFound (SNAPSHOT_NOT_FOUND), FailedPrecondition (PATH_EXISTS), Corruption, BAD_NAME."""
        return self._snapshots.restore(name, into).info()

    def operation(self, id: str) -> OperationInfo:
        """Raises NotFound (OPERATION_NOT_FOUND)."""
        return self._operations.get(id).info()

    def list_operations(self, collection: str | None = None) -> list[OperationInfo]:
        """Newest first; the last 1,000 are remembered."""
        return self._operations.list(None if collection is None else self._aliases.get(collection, collection))

    def cancel_operation(self, id: str) -> OperationInfo:
        """Ask an operation to stop; it does at its next step."""
        operation = self._operations.get(id)
        operation.cancel()
        return operation.info()

    def wait_operation(self, id: str, timeout_s: float | None = None) -> OperationInfo:
        return self._operations.wait(id, timeout_s)
