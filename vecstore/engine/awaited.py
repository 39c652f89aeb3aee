"""Writers that wait until what they wrote is indexed: one operation for all of a collection who come before it begins.

What they wait for is bounded: the rows that are there when the operation begins, however many are written meanwhile.
"""

from __future__ import annotations

import asyncio
import threading

from vecstore.engine.collection import Collection
from vecstore.engine.indexing import Indexing
from vecstore.engine.operations import Operation, Operations
from vecstore.engine.sealed import SealedSegment
from vecstore.errors import Cancelled, DeadlineExceeded, InvalidArgument, VecstoreError
from vecstore.types import WriteResult

KIND = "index_written"
NOT_INDEXED_YET = "NOT_INDEXED_YET"


class Awaited:
    """Threads may share one object."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._lock = threading.Lock()
        self._queued: dict[int, tuple[Collection, Operation]] = {}  # by the collection's number
        self._begun: Operation | None = None

    def __len__(self) -> int:
        return len(self._queued)

    def join(self, collection: Collection) -> Operation:
        """What ends once all that the collection's view shows now is indexed."""
        with self._lock:
            queued = self._queued.get(collection.number)
            if queued is None:
                queued = collection, self._operations.start(KIND, collection.record.name)
                self._queued[collection.number] = queued
            return queued[1]

    def begin(self) -> tuple[Collection, Operation] | None:
        """The next to do: whoever comes from now on waits for another."""
        with self._lock:
            if not self._queued:
                return None
            collection, self._begun = self._queued.pop(next(iter(self._queued)))
            return collection, self._begun

    def end(self, why: str) -> None:
        """All who wait now are told why they do so in vain."""
        with self._lock:
            operations = [operation for _, operation in self._queued.values()]
            self._queued.clear()
            if self._begun is not None:
                operations.append(self._begun)
        for operation in operations:
            operation.cancel()
            operation.finish(Cancelled(why))


def wait(operation: Operation, written: WriteResult, timeout_s: float) -> None:
    """In the caller's thread. Raises DeadlineExceeded (NOT_INDEXED_YET), and why an index could not be built; whatever
    it is, the write is there, and the error's metadata say so."""
    try:
        operation.ended.result(timeout_s)
    except TimeoutError:
        raise _late(written, timeout_s) from None
    except Exception as error:
        raise _told(error, written) from None


async def wait_async(operation: Operation, written: WriteResult, timeout_s: float) -> None:
    """The same, without a thread."""
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.wrap_future(operation.ended)
    except TimeoutError:
        raise _late(written, timeout_s) from None
    except Exception as error:
        raise _told(error, written) from None


def _late(written: WriteResult, timeout_s: float) -> DeadlineExceeded:
    message = f"the write is durable and visible as seq={written.seq}, but was not indexed within {timeout_s:g} s"
    return DeadlineExceeded(message, reason=NOT_INDEXED_YET, metadata=_metadata(written))


def _told(error: Exception, written: WriteResult) -> VecstoreError:
    """One error of all who waited, as this one's own."""
    why = error.message if isinstance(error, VecstoreError) else f"{type(error).__name__}: {error}"
    message = f"the write is durable and visible as seq={written.seq}, but waiting for its index ended: {why}"
    if isinstance(error, Cancelled):
        return Cancelled(message, reason=NOT_INDEXED_YET, metadata=_metadata(written))
    if isinstance(error, VecstoreError) and not isinstance(
        error, InvalidArgument
    ):  # which says that nothing is written
        return type(error)(message, reason=error.reason, metadata={**error.metadata, **_metadata(written)})
    return VecstoreError(message, reason="OPERATION_FAILED", metadata=_metadata(written))


def _metadata(written: WriteResult) -> dict[str, str]:
    return {"seq": str(written.seq), "collection": written.collection}


def check_served(collection: Collection, segments: list[SealedSegment], indexing: Indexing) -> None:
    """Raises (OPERATION_FAILED) where a segment that is still there is not served by the index that it should have."""
    for segment in segments:
        if segment.uid not in collection.sealed:
            continue
        for name, field in collection.schema.vectors.items():
            wanted, entry = indexing.wanted(segment, name, field).spec, segment.header.indexes.get(name)
            damaged = segment.quarantined.get(f"index.{name}")
            if wanted is None or (entry is not None and entry.spec == wanted and damaged is None):
                continue
            refused = segment.refused.get(name)
            why = damaged or (refused.why if refused is not None else "the segment is damaged")
            raise VecstoreError(f"segment {segment.header.id}, {name!r}: {why}", reason="OPERATION_FAILED")
