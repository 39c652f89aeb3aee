"""Writes: checked and queued, and waited for as far as their request says."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

from vecstore.embed.requests import Embedding
from vecstore.engine import awaited
from vecstore.engine.committer import Committer
from vecstore.engine.maintenance import Maintenance
from vecstore.engine.named import Named
from vecstore.engine.operations import Operation
from vecstore.engine.prepare import check_key, check_wait, prepare
from vecstore.errors import invalid
from vecstore.types import Indexed, WriteRequest, WriteResult


class Writing(Named):
    embedding: Embedding
    _committer: Committer
    _maintenance: Maintenance

    def submit(self, request: WriteRequest) -> Future[WriteResult]:
        """Validate, encode and queue a write; the future resolves once it is durable and visible to every later read.

        Raises InvalidArgument at once, with nothing written. Blocks while too much is queued."""
        request = self.named(request)
        collection = self.collection(request.collection)
        (request,) = self.embedding.resolved([request])
        write = prepare(request, collection.schema, self.settings.limits)
        durability = request.durability or self.settings.storage.durability
        if durability not in ("fsync", "os"):
            raise invalid("BAD_ARGUMENT", f"durability={durability!r} must be fsync or os", "durability")
        key = check_key(request.idempotency_key, self.settings.limits)
        check_wait(request.wait)
        self._maintenance.wait_for_room(collection)
        return self._committer.submit(collection, write, durability == "fsync", key)

    def write(self, request: WriteRequest) -> WriteResult:
        """Raises what `submit` does, and with `wait` DeadlineExceeded (NOT_INDEXED_YET): the write is there then."""
        written = self.submit(request).result()
        if request.wait is not None:
            awaited.wait(self._index_written(written), written, self._wait_s(request.wait))
        return written

    async def finished(self, request: WriteRequest, pending: Future[WriteResult]) -> WriteResult:
        """What `submit` gave, once all is there that the request waits for, on an event loop. Raises as `write`."""
        # Shielded: a caller that goes away does not cancel a write that others share a commit with.
        written = await asyncio.shield(asyncio.wrap_future(pending))
        if request.wait is not None:
            await awaited.wait_async(self._index_written(written), written, self._wait_s(request.wait))
        return written

    def end_waits(self, why: str) -> None:
        """Those who wait for an index are told why it is in vain: Cancelled (NOT_INDEXED_YET)."""
        self._maintenance.end_waits(why)

    def _index_written(self, written: WriteResult) -> Operation:
        return self._maintenance.index_written(self.collection(written.collection))

    def _wait_s(self, wait: Indexed) -> float:
        return self.settings.limits.deadline_default_s if wait.timeout_s is None else wait.timeout_s
