"""Opens storage: a directory with RocksDB in it, or memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vecstore.config import Storage as StorageSettings
from vecstore.storage.disk_space import DiskSpace
from vecstore.storage.interfaces import KV
from vecstore.storage.memory import MemoryKV
from vecstore.storage.reclaim import Reclaimer
from vecstore.storage.rocks_database import RocksDatabase
from vecstore.storage.rocks_kv import RocksKV


@dataclass(frozen=True, slots=True)
class Storage:
    """`path` and `staging_dir` are None in memory."""

    kv: KV
    staging_dir: Path | None
    path: Path | None

    def close(self) -> None:
        self.kv.close()


def open_storage(path: str | Path | None, settings: StorageSettings) -> Storage:
    """Open or create the storage in directory `path`; None is memory. See `RocksDatabase` for what is raised."""
    if path is None:
        return Storage(MemoryKV(), None, None)
    directory = Path(path).absolute()
    database = RocksDatabase(directory, settings.wal_bytes_max)
    space = DiskSpace(directory, settings.disk_reserve_bytes)
    kv = RocksKV(database, space, Reclaimer(database))
    return Storage(kv, None, directory)
