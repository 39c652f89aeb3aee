"""Is there room? Asked before a write, so that a full disk is a state of the database and not a crash of RocksDB."""

from __future__ import annotations

import os
from pathlib import Path

from vecstore.storage.rocks_errors import disk_full, from_os


class DiskSpace:
    """Guards the file system that holds `directory`, leaving `reserve_bytes` free."""

    def __init__(self, directory: Path, reserve_bytes: int) -> None:
        self._directory = directory
        self._reserve_bytes = reserve_bytes

    def check(self, need_bytes: int, *, use_reserve: bool) -> None:
        """Raises ResourceExhausted (DISK_FULL) when `need_bytes` would not leave the reserve free. Takes about 2 us."""
        status = os.statvfs(self._directory)
        free = status.f_bavail * status.f_frsize
        reserve = 0 if use_reserve else self._reserve_bytes
        if free < need_bytes + reserve:
            raise disk_full(f"{need_bytes} bytes to write, {free} free, disk_reserve_bytes={reserve}")

    def probe(self, need_bytes: int) -> None:
        """Allocate and free a file, which also meets quotas and RLIMIT_FSIZE. Raises ResourceExhausted (DISK_FULL)."""
        path = self._directory / "space.probe"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, need_bytes)
            finally:
                os.close(descriptor)
                os.unlink(path)
        except OSError as error:
            raise from_os(error, f"probing for {need_bytes} bytes") from None
