"""KV over RocksDB: unsynced atomic batches, one fsync for many waiters, and states for a full disk and a failed fsync.

Positions. Each batch carries its position under a reserved key, so that after a reopening the store knows exactly
which batches survived.

Full disk. A batch that RocksDB refused for want of space raises ResourceExhausted and is not visible. RocksDB then
refuses everything, so once there is room again a write reopens it: the next one, or the refused one itself where the
disk was full only when a flush in the background met it. The reopening replays the log and writes it to tables, so
every accepted batch has survived and is durable. The refused batch may have reached the log whole: then it is undone,
from values kept when it was refused, before anything else is written. `generation` counts reopenings.

Failed fsync. Final: every later write raises IoFailed, reads go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rocksdict import Rdict, WriteBatch

from vecstore.errors import FailedPrecondition, ResourceExhausted, VecstoreError
from vecstore.storage import format, witness
from vecstore.storage.disk_space import DiskSpace
from vecstore.storage.interfaces import Delete, DeleteRange, Family, Op, Put
from vecstore.storage.reclaim import Reclaimer
from vecstore.storage.rocks_database import RocksDatabase, number, pairs_from, read_number
from vecstore.storage.rocks_errors import from_rocks, is_stall
from vecstore.storage.rocks_options import SEGMENTS, range_options
from vecstore.storage.rocks_snapshot import RocksSnapshot

_STALL_WAIT_S = 0.002
_STALL_LIMIT_S = 20.0
_REOPEN_BYTES = 16 << 20  # what a reopening writes on top of the logs it replays


@dataclass(slots=True)
class _Refused:
    """A batch that met a full disk: it may still be in the log. `undo` restores what it would have overwritten."""

    position: int
    undo: list[Op]


class RocksKV:
    """See `interfaces.KV`. Threads may share one object."""

    def __init__(self, database: RocksDatabase, space: DiskSpace, reclaimer: Reclaimer) -> None:
        self._database = database
        self._space = space
        self._reclaimer = reclaimer
        self._write_lock = threading.Lock()
        self._sync = threading.Condition()
        self._syncing = False
        self._refused: _Refused | None = None
        with database.using():
            self._position = read_number(database.family(Family.META), format.POSITION_KEY)
        witness.check(database.rocksdb_directory.parent, self._position)
        self._synced = self._position  # the constructor of the database synced its epoch behind it
        self.epoch = database.epoch

    @property
    def generation(self) -> int:
        """How often RocksDB was reopened inside this object after a full disk."""
        return self._database.generation

    def get(self, family: Family, key: bytes) -> bytes | None:
        with self._database.using():
            return _get(self._database.family(family), key)

    def scan(self, family: Family, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """A consistent view, as of the call. Raises Corruption; FailedPrecondition once the database is closed."""
        with self._database.using():
            view = RocksSnapshot(self._database, [family])
        return view.scan(family, low, high)

    def snapshot(self) -> RocksSnapshot:
        """All families as of one position. FailedPrecondition once the database was closed or reopened."""
        with self._write_lock, self._database.using():
            return RocksSnapshot(self._database, Family)

    def write(self, batch: Sequence[Op], *, use_reserve: bool = False) -> int:
        size = sum(_op_bytes(op) for op in batch)
        position = self._commit(
            size, use_reserve, lambda position: self._encode(batch, position), lambda: self._undo(batch)
        )
        for op in batch:
            if isinstance(op, DeleteRange):
                self._reclaimer.add(op.family, op.low, op.high)
        return position

    def delete_blob(self, low: bytes, high: bytes) -> None:
        """Remove [low, high) of the segments family. Not undone after a full disk: nothing refers to the blob."""

        def encode(position: int) -> WriteBatch:
            encoded = WriteBatch(raw_mode=True)
            self._put_delete_range(encoded, SEGMENTS, low, high)
            self._put_position(encoded, position)
            return encoded

        self._commit(len(low) + len(high), True, encode, list)
        self._reclaimer.add(SEGMENTS, low, high)

    def durable(self, position: int) -> None:
        with self._sync:
            while True:
                if self._synced >= position:
                    return
                if self._database.failed:
                    raise self._database.failure()
                if not self._syncing:
                    self._syncing = True
                    break
                self._sync.wait()
        target = self._position  # read before the sync starts, so it covers every batch up to here
        synced = 0
        try:
            self._sync_now()
            synced = target
        finally:
            with self._sync:
                self._synced = max(self._synced, synced)
                self._syncing = False
                self._sync.notify_all()

    def checkpoint(self, path: Path) -> None:
        self._database.checkpoint(path)

    def close(self) -> None:
        """Closes the database behind this KV, and with it the blobs."""
        self._reclaimer.close()
        self._database.close()
        witness.remember(self._database.rocksdb_directory.parent, self._synced)

    def _sync_now(self) -> None:
        try:
            if self._refused is None:
                with self._database.using():
                    try:
                        self._database.flush_wal()
                        return
                    except Exception as error:
                        # RocksDB did not try to sync, for a write that ran beside met a full disk.
                        if "previous error" not in str(error):
                            raise
            self._database.sync_logs()
        except FailedPrecondition:
            raise
        except Exception as error:
            raise self._database.fail(f"an fsync failed: {from_rocks(error, 'durable').message}") from None

    def _commit(
        self,
        size: int,
        use_reserve: bool,
        encode: Callable[[int], WriteBatch],
        undo: Callable[[], list[Op]],
    ) -> int:
        with self._write_lock:
            if self._database.failed:
                raise self._database.failure()
            self._space.check(size, use_reserve=use_reserve)
            if self._refused is not None:
                self._recover(self._refused)
            try:
                return self._apply_next(encode, undo)
            except ResourceExhausted:
                if self._refused is None:
                    raise
                # Often RocksDB refuses for what a flush in the background met a while ago: there may be room by now.
                self._recover(self._refused)
                return self._apply_next(encode, undo)

    def _apply_next(self, encode: Callable[[int], WriteBatch], undo: Callable[[], list[Op]]) -> int:
        position = self._position + 1
        with self._database.using():
            self._apply(position, encode, undo)
            self._position = position
        return position

    def _apply(self, position: int, encode: Callable[[int], WriteBatch], undo: Callable[[], list[Op]]) -> None:
        limit = time.monotonic() + _STALL_LIMIT_S
        while True:
            encoded = encode(position)  # anew for each try: RocksDB takes a batch once
            try:
                self._database.write(encoded)
                return
            except Exception as error:
                typed = from_rocks(error, "writing a batch")
                if is_stall(error) and time.monotonic() < limit:
                    time.sleep(_STALL_WAIT_S)  # RocksDB would sleep too, but with the interpreter lock held
                elif is_stall(error):
                    raise typed from None
                elif typed.reason == "DISK_FULL":
                    self._refused = _Refused(position, undo())
                    raise typed from None
                else:
                    raise self._database.fail(f"a write failed: {typed.message}") from None

    def _encode(self, batch: Sequence[Op], position: int) -> WriteBatch:
        handle = self._database.handle  # asked each time: a handle in a frame that an error keeps would keep the lock
        encoded = WriteBatch(raw_mode=True)
        for op in batch:
            if isinstance(op, Put):
                encoded.put(op.key, op.content, handle(op.family))
            elif isinstance(op, Delete):
                encoded.delete(op.key, handle(op.family))
            else:
                self._put_delete_range(encoded, op.family, op.low, op.high)
        self._put_position(encoded, position)
        return encoded

    def _put_delete_range(self, encoded: WriteBatch, family: str, low: bytes, high: bytes) -> None:
        encoded.delete_range(low, high, self._database.handle(family))
        encoded.put(*self._reclaimer.marker(family, low, high), self._database.handle(Family.META))

    def _put_position(self, encoded: WriteBatch, position: int) -> None:
        meta = self._database.handle(Family.META)
        encoded.put(format.POSITION_KEY, number(position), meta)
        encoded.put(format.SYNCED_KEY, number(self._synced), meta)  # for who finds the log after a power cut

    def _undo(self, batch: Sequence[Op]) -> list[Op]:
        """Operations that bring back what `batch` would overwrite. RocksDB reads on after it refuses writes."""
        undo: list[Op] = []
        for op in batch:
            family = self._database.family(op.family)
            if isinstance(op, DeleteRange):
                pairs = pairs_from(family.iter(range_options(op.high)), op.low)
                undo.extend(Put(op.family, key, value) for key, value in pairs)
            else:
                value = _get(family, op.key)
                undo.append(Delete(op.family, op.key) if value is None else Put(op.family, op.key, value))
        return undo

    def _recover(self, refused: _Refused) -> None:
        """Reopen after a full disk and undo the refused batch if it survived. Raises ResourceExhausted (DISK_FULL)
        when there is still no room."""
        logs = sum(path.stat().st_size for path in self._database.rocksdb_directory.glob("*.log"))
        self._space.probe(logs + _REOPEN_BYTES)
        try:
            self._database.reopen()
            with self._database.using():
                survived = read_number(self._database.family(Family.META), format.POSITION_KEY)
                if survived < self._position:
                    raise self._database.fail(
                        f"reopening found position {survived} although {self._position} was accepted"
                    )
                if survived == refused.position:
                    self._database.write(self._encode(refused.undo, self._position))
                    self._database.flush_wal()
        except VecstoreError:
            raise
        except Exception as error:
            typed = from_rocks(error, "reopening after a full disk")
            if typed.reason == "DISK_FULL":
                raise typed from None
            raise self._database.fail(f"a write failed: {typed.message}") from None
        self._refused = None
        with self._sync:
            self._synced = self._position


def _get(family: Rdict, key: bytes) -> bytes | None:
    try:
        value: bytes | None = family.get(key)
    except Exception as error:
        raise from_rocks(error, "reading a record") from None
    return value


def _op_bytes(op: Op) -> int:
    if isinstance(op, Put):
        return len(op.key) + len(op.value)
    return len(op.key) if isinstance(op, Delete) else len(op.low) + len(op.high)
