"""Operations: long jobs with progress and cancel. Kept in memory; what a restart interrupts, maintenance takes up again
by looking at the state it finds, so nothing of this needs to be durable."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from concurrent.futures import Future

from vecstore.errors import Cancelled, NotFound, VecstoreError
from vecstore.types import OperationInfo, OperationState

KEPT = 1_000  # finished operations remembered


class Operation:
    """A running job's handle. Threads may share one object."""

    def __init__(self, kind: str, collection: str, changed: threading.Condition) -> None:
        self._info = OperationInfo(
            uuid.uuid4().hex, kind, collection, OperationState.RUNNING, phase="queued", started_at=time.time()
        )
        self.ended: Future[None] = Future()  # raises what it failed with
        self.ended.set_running_or_notify_cancel()  # nobody who waits ends it for others
        self._changed = changed
        self._cancel = False
        self._phase_started = time.monotonic()

    @property
    def id(self) -> str:
        return self._info.id

    def progress(self, phase: str, done: int, total: int) -> None:
        """Report a step. Raises Cancelled when someone asked the operation to stop."""
        if self._cancel:
            raise Cancelled(f"operation {self.id} was cancelled", metadata={"operation": self.id})
        now = time.monotonic()
        with self._changed:
            if phase != self._info.phase:
                self._phase_started = now
            elapsed = now - self._phase_started
            self._info.phase, self._info.done, self._info.total = phase, done, total
            self._info.rate = done / elapsed if elapsed > 0 else 0.0
            self._info.eta_s = (total - done) / self._info.rate if self._info.rate > 0 else None
            self._changed.notify_all()

    def cancel(self) -> None:
        self._cancel = True

    def finish(self, error: BaseException | None = None) -> None:
        with self._changed:
            info = self._info
            if info.finished_at is not None:
                return
            info.finished_at, info.eta_s = time.time(), None
            if error is None:
                info.state, info.phase, info.done = OperationState.DONE, "done", info.total
            elif isinstance(error, Cancelled):
                info.state, info.phase = OperationState.CANCELLED, "cancelled"
            else:
                info.state, info.phase = OperationState.FAILED, "failed"
                info.error = str(error) if isinstance(error, VecstoreError) else f"{type(error).__name__}: {error}"
            self._changed.notify_all()
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def info(self) -> OperationInfo:
        with self._changed:
            source = self._info
            return OperationInfo(**{name: getattr(source, name) for name in source.__slots__})


class Operations:
    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._known: OrderedDict[str, Operation] = OrderedDict()

    def start(self, kind: str, collection: str) -> Operation:
        operation = Operation(kind, collection, self.changed)
        with self.changed:
            self._known[operation.id] = operation
            for old in list(self._known):
                if len(self._known) <= KEPT:
                    break
                if self._known[old].info().finished_at is not None:
                    del self._known[old]
        return operation

    def get(self, operation_id: str) -> Operation:
        with self.changed:
            operation = self._known.get(operation_id)
        if operation is None:
            raise no_operation(operation_id)
        return operation

    def list(self, collection: str | None) -> list[OperationInfo]:
        """Newest first."""
        with self.changed:
            infos = [operation.info() for operation in reversed(self._known.values())]
        return [info for info in infos if collection in (None, info.collection)]

    def wait(self, operation_id: str, timeout_s: float | None) -> OperationInfo:
        """Returns when the operation has finished or the time is up, whichever is first."""
        operation = self.get(operation_id)
        with self.changed:
            self.changed.wait_for(lambda: operation.info().finished_at is not None, timeout_s)
        return operation.info()

    def abandon(self) -> None:
        """At shutdown: whatever still runs is cancelled, and waiters wake."""
        with self.changed:
            running = [operation for operation in self._known.values() if operation.info().finished_at is None]
        for operation in running:
            operation.cancel()
            operation.finish(Cancelled("the database was closed"))


def no_operation(operation_id: str) -> NotFound:
    return NotFound(f"no operation {operation_id!r:.80}", reason="OPERATION_NOT_FOUND")
