"""The write path: one thread decides, logs, syncs and applies writes, many at a time (group commit).

A group of writes is decided in order, each against the state its predecessors leave; goes to the store as one atomic
batch; is made durable by one fsync outside the interpreter lock; and only then is applied to memory and acknowledged.
So nothing is visible before it is durable, and a failed batch leaves no trace in memory.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from pyroaring import BitMap

from vecstore.config import Settings
from vecstore.engine import keys
from vecstore.engine.collection import Collection
from vecstore.engine.conditions import Overlay
from vecstore.engine.filtering import Filtering
from vecstore.engine.probes import Probes
from vecstore.engine.receipts import Receipt, receipt_of
from vecstore.engine.records import log_puts
from vecstore.engine.resolve import resolve
from vecstore.engine.writes import Resolved, Write, fingerprint, only_deletes, reads_state
from vecstore.errors import FailedPrecondition, ResourceExhausted, Unavailable, VecstoreError
from vecstore.memory.budget import budget
from vecstore.query.bitmaps import from_sorted_rows
from vecstore.storage.arrays import pack
from vecstore.storage.interfaces import KV, Family, Op, Put
from vecstore.types import WriteResult

T = TypeVar("T")
GROUP_BYTES_MAX = 32 << 20
QUEUE_BYTES_MAX = 128 << 20
QUEUE_PART = 16  # of the budget of memory, where that is less


@dataclass(slots=True)
class _Pending:
    collection: Collection
    write: Write
    durable: bool
    future: Future[WriteResult]
    key: str | None = None  # of idempotency
    fingerprint: int = 0


@dataclass(slots=True)
class Change:
    """A change that is no user's write (a manifest swap, a new schema): logged as `ops`, then `apply` runs."""

    ops: Sequence[Op]
    apply: Callable[[], Any]
    freezes: int | None = None  # the collection whose growing segment `apply` closes


@dataclass(slots=True)
class _Exclusive:
    decide: Callable[[], Change]
    future: Future[Any]


@dataclass(slots=True)
class _Group:
    """Writes that share one batch."""

    ops: list[Op] = field(default_factory=list)
    members: list[tuple[_Pending, Resolved, int]] = field(default_factory=list)
    overlays: dict[int, Overlay] = field(default_factory=dict)
    seqs: dict[int, int] = field(default_factory=dict)
    receipts: dict[tuple[int, str], Receipt] = field(default_factory=dict)  # by collection and key
    nbytes: int = 0


class Committer:
    def __init__(
        self, kv: KV, settings: Settings, filtering: Filtering, on_commit: Callable[[], None], probes: Probes
    ) -> None:
        self._kv = kv
        self._limits = settings.limits
        self._queue_bytes_max = min(QUEUE_BYTES_MAX, budget(settings) // QUEUE_PART)
        self._filtering = filtering
        self._probes = probes
        self._on_commit = on_commit  # tells maintenance that there may be work
        self.publish: Callable[[Sequence[Op], int | None], None] = lambda ops, freezes: None  # tells followers
        self._position = 0  # of the last batch of writes
        self._queue: deque[_Pending | _Exclusive] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="vecstore-commit", daemon=True)
        self._thread.start()

    def submit(
        self, collection: Collection, write: Write, durable: bool, key: str | None = None
    ) -> Future[WriteResult]:
        """Queue a write; waits while too many bytes are queued. One with a `key` that is known is not done again."""
        self.check_process()
        pending = _Pending(collection, write, durable, Future(), key, 0 if key is None else fingerprint(write))
        pending.future.set_running_or_notify_cancel()  # a queued write cannot be taken back
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._queued_bytes <= self._queue_bytes_max)
            self._enqueue(pending)
            self._queued_bytes += write.nbytes
        return pending.future

    def exclusive(self, decide: Callable[[], Change]) -> Any:
        """Run `decide` between groups, commit what it returns durably, and return what its `apply` returns."""
        self.check_process()
        item = _Exclusive(decide, Future())
        with self._changed:
            self._enqueue(item)
        return item.future.result()

    @property
    def forked(self) -> bool:
        """Whether this process is a fork of the one that opened the database: it has the memory, but no thread."""
        return os.getpid() != self._pid

    def check_process(self) -> None:
        """Raises FailedPrecondition (FORKED): what nobody takes up would be waited for without end."""
        if self.forked:
            message = (
                f"the database was opened by process {self._pid}, of which this one is a fork: it may read, but only"
                f" that process writes. Open it after the fork, or serve it"
            )
            raise FailedPrecondition(message, reason="FORKED")

    def _enqueue(self, item: _Pending | _Exclusive) -> None:
        if self._closed:
            raise Unavailable("the database is closed")
        self._queue.append(item)
        self._changed.notify_all()

    def close(self) -> None:
        """Commit what is queued, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return
                items = list(self._queue)
                self._queue.clear()
                self._queued_bytes = 0
                self._changed.notify_all()
            self._process(items)
            del items  # or the last writes would be kept until the next come
            self._on_commit()

    def _process(self, items: Sequence[_Pending | _Exclusive]) -> None:
        group = _Group()
        for item in items:
            alone = isinstance(item, _Exclusive) or reads_state(item.write)
            if alone or group.nbytes > GROUP_BYTES_MAX or _again(item, group):
                self._commit(group)
                group = _Group()
            if isinstance(item, _Exclusive):
                self._commit_exclusive(item)
                continue
            self._decide(item, group)
            if alone:
                self._commit(group)
                group = _Group()
        self._commit(group)

    def _decide(self, item: _Pending, group: _Group) -> None:
        collection = item.collection
        try:
            if collection.failed is not None:
                raise collection.failed
            if item.key is not None:
                done = collection.receipts.find(item.key, item.fingerprint, self._limits.idempotency_keys_max)
                if done is not None:
                    self._answer_again(item, done)
                    return
            seq = group.seqs.get(collection.number, collection.view.seq) + 1
            overlay = group.overlays.setdefault(collection.number, {})
            resolved = resolve(item.write, seq, collection.view, overlay, self._limits, self._filtering)
        except Exception as error:  # the writer's to handle; a bug in one write must not stop the others
            item.future.set_exception(error)
            return
        group.seqs[collection.number] = seq
        if item.key is not None:
            receipt = receipt_of(item.key, item.fingerprint, resolved, seq)
            group.receipts[collection.number, item.key] = receipt
            group.ops += collection.receipts.ops(receipt)
        group.ops += log_puts(collection.number, seq, resolved.encoded)
        for uid, rows in resolved.dead.items():
            segment = collection.sealed[uid].header.id
            dead = from_sorted_rows(rows)
            group.ops.append(tombstones(collection.number, segment, seq, dead))
        group.members.append((item, resolved, seq))
        group.nbytes += len(resolved.encoded)

    def _commit(self, group: _Group) -> None:
        if not group.members:
            return
        try:
            shrinks = all(only_deletes(item.write) for item, _, _ in group.members)
            self._position = position = self._kv.write(group.ops, use_reserve=shrinks)
            if any(item.durable for item, _, _ in group.members):
                started = time.perf_counter()
                self._kv.durable(position)
                self._probes.on_sync(time.perf_counter() - started)
            self.publish(group.ops, None)
        except Exception as error:
            if isinstance(error, ResourceExhausted) and len(group.members) > 1:
                self._commit_singly(group)  # a full disk: deletes must not be refused for the upserts beside them
                return
            for item, _, _ in group.members:
                item.future.set_exception(error)
            return
        self._probes.on_commit(len(group.members))
        collections = {item.collection.number: item.collection for item, _, _ in group.members}
        try:
            for item, resolved, seq in group.members:
                item.collection.apply(resolved, seq)
                if item.key is not None:
                    receipt = group.receipts[item.collection.number, item.key]
                    item.collection.receipts.add(receipt, self._limits.idempotency_keys_max)
        except Exception as error:  # memory and log disagree: nothing later of these collections may be trusted
            for collection in collections.values():
                collection.failed = _disagreement(error)
        for collection in collections.values():
            if collection.failed is None:
                collection.publish(group.seqs[collection.number])
        for item, resolved, seq in group.members:
            if item.collection.failed is not None:
                item.future.set_exception(item.collection.failed)
            else:
                item.future.set_result(_result(resolved, seq, item.collection.record.name))

    def _answer_again(self, item: _Pending, receipt: Receipt) -> None:
        if item.durable:  # the first one may not have waited for the disk
            self._kv.durable(self._position)
        item.future.set_result(receipt.result(item.collection.record.name))

    def _commit_singly(self, group: _Group) -> None:
        """Decide and commit each write of a refused group by itself, in order."""
        for item, _, _ in group.members:
            alone = _Group()
            self._decide(item, alone)
            self._commit(alone)

    def _commit_exclusive(self, item: _Exclusive) -> None:
        try:
            change = item.decide()
            if change.ops:
                self._kv.durable(self._kv.write(change.ops, use_reserve=True))
            if change.ops or change.freezes is not None:
                self.publish(change.ops, change.freezes)
            item.future.set_result(change.apply())
        except BaseException as error:
            item.future.set_exception(error)


def _again(item: _Pending | _Exclusive, group: _Group) -> bool:
    """Whether the group has a write of the same key, whose answer is to be waited for."""
    return isinstance(item, _Pending) and (item.collection.number, item.key or "") in group.receipts


def _result(resolved: Resolved, seq: int, collection: str) -> WriteResult:
    operations = tuple(WriteResult(seq, changed, skipped) for changed, skipped in resolved.operations)
    return WriteResult(seq, resolved.changed, resolved.skipped, operations, collection)


def tombstones(number: int, segment: int, seq: int, dead: BitMap) -> Put:
    """Rows of a sealed segment that die, as a roaring bitmap under a checksum."""
    header = {"kind": "tombstones", "of": [number, segment, seq]}
    packed = pack(header, {"roaring": np.frombuffer(dead.serialize(), dtype=np.uint8)})
    return Put(Family.TOMBSTONES, keys.tombstone(number, segment, seq), b"".join(packed))


def _disagreement(error: Exception) -> VecstoreError:
    message = f"a durable write could not be applied in memory ({type(error).__name__}: {error}); reopen the database"
    return Unavailable(message, reason="READ_ONLY")
