"""One owner of a RocksDB directory: it alone opens, reopens and closes it, and holds every handle and snapshot.

A live column-family handle or snapshot keeps RocksDB's lock after close, so everything that lives inside RocksDB is
reached through this object, inside `using()`, and is let go before the directory is closed.
"""

from __future__ import annotations

import os
import shutil
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec
from rocksdict import Checkpoint, ColumnFamily, Rdict, RdictIter, WriteBatch

from vecstore.errors import Corruption, FailedPrecondition, IoFailed
from vecstore.storage import format, witness
from vecstore.storage.files import fsync_directory, fsync_file, lock_file, make_directory, replace_file
from vecstore.storage.interfaces import Family
from vecstore.storage.rocks_errors import closed, from_os, from_rocks, locked
from vecstore.storage.rocks_framing import check_log_files
from vecstore.storage.rocks_options import SEGMENTS, database_options, family_options, write_options
from vecstore.storage.shared_lock import SharedLock
from vecstore.storage.torn_log import cut_torn_tail


class Releasable(Protocol):
    def release(self) -> None: ...


class FormatRecord(msgspec.Struct, forbid_unknown_fields=True):
    """FORMAT.json: readable before RocksDB, which writes to its directory as soon as it is opened."""

    format: int


class RocksDatabase:
    """An open RocksDB with the families meta, log, tombstones and segments.

    generation: grows when the directory is reopened inside this object (after a full disk).
    epoch: grows at each open of this object, durable before the constructor returns.
    """

    def __init__(self, directory: Path, wal_bytes_max: int) -> None:
        """Open or create the database in `directory`.

        Raises FailedPrecondition (DIRECTORY_LOCKED, FORMAT_TOO_NEW), Corruption, ResourceExhausted (DISK_FULL) and
        IoFailed. A newer format is refused before anything is written."""
        self.directory = directory
        self.generation = 0
        self._wal_bytes_max = wal_bytes_max
        self._gate = SharedLock()
        self._rdict: Rdict | None = None
        self._families: dict[str, Rdict] = {}
        self._handles: dict[str, ColumnFamily] = {}
        self._tracked: weakref.WeakSet[Releasable] = weakref.WeakSet()
        self._tracked_lock = threading.Lock()
        self._failed: str | None = None
        self._closed = False
        refuse_newer_format(directory)
        if (directory / format.SNAPSHOT_FILE).exists():  # opening it would change files whose hashes it holds
            message = f"{directory} is a snapshot: restore it to another folder, and open that"
            raise FailedPrecondition(message, reason="IS_SNAPSHOT")
        try:
            if not (directory / format.FORMAT_FILE).exists():
                make_directory(directory)
        except OSError as error:
            raise from_os(error, f"creating {directory}") from None
        self._lock = lock_file(directory / format.LOCK_FILE)
        try:
            refuse_newer_format(directory)  # again: another process may have upgraded it before we had the lock
            created = (directory / format.FORMAT_FILE).exists()
            if created and not (self.rocksdb_directory / "CURRENT").exists():
                raise Corruption(f"{format.ROCKSDB_DIRECTORY}/CURRENT is missing from a database that was created")
            self._open()
            if not created:
                replace_file(directory / format.FORMAT_FILE, format_file_content())
            self.epoch = self._begin_epoch()
        except BaseException:
            self.close()
            raise

    @property
    def rocksdb_directory(self) -> Path:
        return self.directory / format.ROCKSDB_DIRECTORY

    @contextmanager
    def using(self) -> Iterator[None]:
        """Keeps RocksDB open while inside; not reentrant. Raises FailedPrecondition (CLOSED)."""
        with self._gate.shared():
            if self._closed:
                raise closed()
            if self._rdict is None:
                raise from_rocks(Exception("No space left on device"), "the database is waiting to be reopened")
            yield

    def family(self, name: str) -> Rdict:
        return self._families[name]

    def handle(self, name: str) -> ColumnFamily:
        return self._handles[name]

    def write(self, batch: WriteBatch) -> None:
        """Unsynced; raises what rocksdict raises."""
        assert self._rdict is not None
        self._rdict.write(batch, write_options())

    def flush_wal(self) -> None:
        assert self._rdict is not None
        self._rdict.flush_wal(True)

    def track(self, owner: Releasable) -> None:
        """`owner` holds iterators; it is released before RocksDB is closed."""
        with self._tracked_lock:
            self._tracked.add(owner)

    def checkpoint(self, destination: Path) -> None:
        """A database directory at `destination` (which must not exist), hard-linked where possible; whole or absent."""
        partial = destination.with_name(destination.name + ".partial")
        if destination.exists() or partial.exists():
            raise FailedPrecondition(f"checkpoint path {destination} exists", reason="PATH_EXISTS")
        try:
            partial.mkdir(parents=True)
            with self.using():
                assert self._rdict is not None
                Checkpoint(self._rdict).create_checkpoint(str(partial / format.ROCKSDB_DIRECTORY))
            replace_file(partial / format.FORMAT_FILE, format_file_content())
            os.rename(partial, destination)
            fsync_directory(destination.parent)
        except OSError as error:
            remove_tree(partial)
            raise from_os(error, "writing a checkpoint") from None
        except Exception as error:
            remove_tree(partial)
            raise from_rocks(error, "writing a checkpoint") from None

    def fail(self, reason: str) -> IoFailed:
        """Turn read-only for good, after a failed write or fsync: what RocksDB believes and what is on disk may
        differ. Returns the error to raise."""
        self._failed = self._failed or reason
        return self.failure()

    def failure(self) -> IoFailed:
        return IoFailed(f"read-only until reopened, because {self._failed}", reason="IO_FAILED")

    @property
    def failed(self) -> bool:
        return self._failed is not None

    def sync_logs(self) -> None:
        """fsync the write-ahead logs without RocksDB, whose writer refuses everything after a full disk."""
        for path in self.rocksdb_directory.glob("*.log"):
            try:
                fsync_file(path)
            except FileNotFoundError:
                continue  # flushed and removed since it was listed

    def reopen(self) -> None:
        """Close RocksDB and open it again, under the same directory lock. Raises as the constructor; on failure
        `reopen` may be called again, and reads raise ResourceExhausted until it succeeds."""
        with self._gate.exclusive():
            self._release()
            self._open()
            self.generation += 1

    def close(self) -> None:
        with self._gate.exclusive():
            if self._closed:
                return
            self._closed = True
            self._release()
            os.close(self._lock)

    def _open(self) -> None:
        try:
            cut_torn_tail(self.rocksdb_directory)
            check_log_files(self.rocksdb_directory)
        except OSError as error:
            raise from_os(error, "reading the logs") from None
        witness.check_manifest(self.directory, self.rocksdb_directory)
        try:
            rdict = Rdict(
                str(self.rocksdb_directory), database_options(self._wal_bytes_max), family_options(self._wal_bytes_max)
            )
        except Exception as error:
            typed = from_rocks(error, "opening the database")
            raise locked(str(self.directory)) if typed.reason == "DIRECTORY_LOCKED" else typed from None
        self._rdict = rdict
        witness.remember_manifest(self.directory, self.rocksdb_directory)
        for name in (*Family, SEGMENTS):
            self._families[name] = rdict.get_column_family(name)
            self._handles[name] = rdict.get_column_family_handle(name)

    def _release(self) -> None:
        with self._tracked_lock:
            tracked = list(self._tracked)
            self._tracked.clear()
        for owner in tracked:
            owner.release()
        self._handles.clear()
        opened = [*self._families.values(), *([] if self._rdict is None else [self._rdict])]
        self._families.clear()
        self._rdict = None
        for rdict in opened:
            with suppress(Exception):  # a RocksDB that failed also fails to close; its lock goes with the object
                rdict.close()

    def _begin_epoch(self) -> int:
        meta = self._families[Family.META]
        stored_format = read_number(meta, format.STORE_FORMAT_KEY)
        if stored_format > format.STORE_FORMAT:
            raise too_new(stored_format)
        epoch = read_number(meta, format.EPOCH_KEY) + 1
        batch = WriteBatch(raw_mode=True)
        batch.put(format.STORE_FORMAT_KEY, number(format.STORE_FORMAT), self._handles[Family.META])
        batch.put(format.EPOCH_KEY, number(epoch), self._handles[Family.META])
        try:
            self.write(batch)
            self.flush_wal()
        except Exception as error:
            raise from_rocks(error, "writing the epoch") from None
        return epoch


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def read_number(meta: Rdict, key: bytes) -> int:
    """The number under `key`, 0 when absent. Raises Corruption."""
    try:
        value: bytes | None = meta.get(key)
    except Exception as error:
        raise from_rocks(error, f"reading {key!r}") from None
    if value is not None and len(value) != 8:
        raise Corruption(f"meta record {key!r} has {len(value)} bytes, not 8")
    return int.from_bytes(value or b"", "big")


def pairs_from(iterator: RdictIter, low: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Pairs from `low` on. An iterator over a damaged block just ends, so its status is asked after the loop."""
    try:
        iterator.seek(low)
        while iterator.valid():
            yield iterator.key(), iterator.value()
            iterator.next()
        iterator.status()
    except Exception as error:
        raise from_rocks(error, "scanning") from None
    finally:
        del iterator  # or an error that somebody keeps would keep the database's lock


def format_file_content() -> bytes:
    return msgspec.json.encode(FormatRecord(format.STORE_FORMAT)) + b"\n"


def refuse_newer_format(directory: Path) -> None:
    """Raises FailedPrecondition (FORMAT_TOO_NEW) or Corruption after reading FORMAT.json; absent is accepted."""
    try:
        content = (directory / format.FORMAT_FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise from_os(error, f"reading {format.FORMAT_FILE}") from None
    try:
        stored = msgspec.json.decode(content, type=FormatRecord).format
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corruption(f"{format.FORMAT_FILE} is damaged: {error}") from None
    if stored > format.STORE_FORMAT:
        raise too_new(stored)
    if stored < 1:
        raise Corruption(f"{format.FORMAT_FILE} names format {stored}, the first one is 1")


def too_new(stored: int) -> FailedPrecondition:
    return FailedPrecondition(
        f"the database has format {stored}, this version reads up to {format.STORE_FORMAT}",
        reason="FORMAT_TOO_NEW",
        metadata={"found": stored, "supported": format.STORE_FORMAT},
    )


def remove_tree(path: Path) -> None:
    """Remove a directory that storage made; what cannot be removed is left for the sweep at the next open."""
    shutil.rmtree(path, ignore_errors=True)
