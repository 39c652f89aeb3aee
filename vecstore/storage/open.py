"""Opens storage: a directory with RocksDB in it, or memory."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vecstore.config import Settings
from vecstore.config import Storage as StorageSettings
from vecstore.errors import Corruption, InvalidArgument
from vecstore.memory.budget import planned
from vecstore.storage.disk_space import DiskSpace
from vecstore.storage.feed import Feeds, Joined
from vecstore.storage.files import fsync_directory
from vecstore.storage.follower_blobs import FollowerBlobs
from vecstore.storage.format import CHECKPOINTS_DIRECTORY, RESTORED_FILE
from vecstore.storage.interfaces import KV, BlobRef, Blobs
from vecstore.storage.memory import MemoryBlobs, MemoryKV
from vecstore.storage.reclaim import Reclaimer
from vecstore.storage.rocks_blobs import RocksBlobs
from vecstore.storage.rocks_database import RocksDatabase
from vecstore.storage.rocks_errors import from_os
from vecstore.storage.rocks_kv import RocksKV


@dataclass(frozen=True, slots=True)
class Storage:
    """One open database directory. `path` and `staging_dir` are None in memory."""

    kv: KV
    blobs: Blobs
    staging_dir: Path | None
    path: Path | None

    def new_staging(self) -> Path | None:
        """A fresh directory name for `stage_blobs`, not created; None in memory."""
        return None if self.staging_dir is None else self.staging_dir / uuid.uuid4().hex

    @property
    def checkpoints_dir(self) -> Path | None:
        """Where builds of indexes say how far they are; it may not be there. None in memory."""
        return None if self.path is None else self.path / CHECKPOINTS_DIRECTORY

    @property
    def restored(self) -> bool:
        """Whether the directory was made of a snapshot, and nobody has said yet that the seqs go on elsewhere."""
        return self.path is not None and (self.path / RESTORED_FILE).exists()

    def forget_restored(self) -> None:
        """Raises IoFailed."""
        assert self.path is not None
        try:
            (self.path / RESTORED_FILE).unlink(missing_ok=True)
            fsync_directory(self.path)
        except OSError as error:
            raise from_os(error, f"removing {RESTORED_FILE}") from None

    def open_feeds(
        self,
        join: Callable[[Callable[[], None]], None],
        on_lost: Callable[[BlobRef, Corruption], None],
        on_note: Callable[[bytes], None],
    ) -> Feeds:
        """Feed processes that follow this directory; `join` runs a function between two batches, on the thread that
        commits. Blobs are then kept until no follower looks for them. `on_lost` is told of a blob that a follower
        found damaged and that has no good copy, `on_note` what followers have to tell. Raises InvalidArgument
        (BAD_CONFIG) in memory, and IoFailed."""
        kv, blobs = self.kv, self.blobs
        if self.path is None or not isinstance(blobs, RocksBlobs):
            raise InvalidArgument("storage.feed needs a directory: memory cannot be followed", reason="BAD_CONFIG")

        def begin() -> Joined:
            kv.durable(kv.write((), use_reserve=True))  # or it could show what a failed fsync may have lost
            return Joined(kv.epoch, kv.snapshot())

        def repair(ref: BlobRef) -> None:
            try:
                blobs.repair(ref)
            except Corruption as error:
                on_lost(ref, error)
                raise

        try:
            feeds = Feeds(self.path, join, begin, repair, on_note)
        except OSError as error:
            raise from_os(error, "listening for followers") from None
        blobs.before_delete = feeds.settle
        return feeds

    def close(self) -> None:
        """Mapped blobs stay valid while something refers to them."""
        self.kv.close()


def open_storage(path: str | Path | None, settings: StorageSettings) -> Storage:
    """Open or create the storage in directory `path`; None is memory.

    Raises FailedPrecondition (DIRECTORY_LOCKED, FORMAT_TOO_NEW), Corruption, ResourceExhausted (DISK_FULL) and
    IoFailed."""
    if path is None:
        return Storage(MemoryKV(), MemoryBlobs(), None, None)
    directory = Path(path).absolute()
    database = RocksDatabase(
        directory, settings.wal_bytes_max or planned(Settings(storage=settings)).storage.wal_bytes_max
    )
    reclaimer: Reclaimer | None = None
    try:
        reclaimer = Reclaimer(database)
        kv = RocksKV(database, DiskSpace(directory, settings.disk_reserve_bytes), reclaimer)
        resident_bytes = settings.resident_vectors_bytes
        blobs = RocksBlobs(database, kv, verify_on_open=settings.verify_on_open, resident_bytes=resident_bytes)
    except BaseException as error:
        if reclaimer is not None:
            reclaimer.close()
        database.close()
        if isinstance(error, OSError):
            raise from_os(error, "opening the database") from None
        raise
    return Storage(kv, blobs, blobs.staging_directory, directory)


def follower_blobs(directory: Path, settings: StorageSettings) -> FollowerBlobs:
    """The blobs of a store that another process writes."""
    return FollowerBlobs(
        directory, verify_on_open=settings.verify_on_open, resident_bytes=settings.resident_vectors_bytes
    )
