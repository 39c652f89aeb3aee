"""Snapshots of an open database: to a path, for who embeds it, or under a name in a folder of the settings."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from vecstore.config import Server
from vecstore.engine.collection import Collection
from vecstore.engine.committer import Change, Committer
from vecstore.engine.operations import Operation, Operations
from vecstore.errors import FailedPrecondition, VecstoreError, invalid
from vecstore.storage.open import Storage
from vecstore.storage.snapshots import (
    SnapshotCollection,
    read_snapshot,
    remove_snapshot,
    restore_snapshot,
    sweep_partial,
    write_snapshot,
)
from vecstore.types import SnapshotInfo
from vecstore.version import __version__

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class Snapshots:
    """Threads may share one object."""

    def __init__(
        self,
        storage: Storage,
        settings: Server,
        committer: Committer,
        operations: Operations,
        collections: Callable[[], list[Collection]],
    ) -> None:
        self._storage = storage
        self._committer = committer
        self._operations = operations
        self._collections = collections
        self._naming = threading.Lock()
        self._given: set[str] = set()
        self._directory = self._restored = None
        if storage.path is not None:
            self._directory = Path(settings.snapshots_dir or storage.path / "snapshots").absolute()
            self._restored = Path(settings.restore_dir or storage.path / "restored").absolute()
            sweep_partial(self._directory)
            sweep_partial(self._restored)

    def take(self, destination: Path) -> Operation:
        """To `destination`, which must not exist. The database goes on meanwhile; writes wait for milliseconds."""
        _check_free(destination)
        return self._run("snapshot", lambda operation: self._take(destination, operation))

    def create(self, name: str) -> Operation:
        """Under a name; an empty one is made of the time, and of a number where that second has one."""
        folder = self._folder()
        return self.take(folder / (_checked(name) if name else self._unused(folder)))

    def list(self) -> list[SnapshotInfo]:
        """By name. One whose list of files is damaged is there with the error."""
        found = []
        for path in sorted(self._folder().glob("*")):
            try:
                if _NAME.fullmatch(path.name):
                    found.append(_info(path))
            except VecstoreError as error:
                found.append(SnapshotInfo(path.name, 0.0, 0, error=str(error)))
        return found

    def delete(self, name: str) -> bool:
        """False when there is none."""
        path = self._folder() / _checked(name)
        if not path.is_dir():
            return False
        remove_snapshot(path)
        return True

    def restore(self, name: str, into: str) -> Operation:
        """To a fresh folder `into` under the folder for restored databases; it is there whole, or not at all."""
        source = self._folder() / _checked(name)
        assert self._restored is not None
        destination = self._restored / _checked(into, "into")
        read_snapshot(source)
        _check_free(destination)

        def run(operation: Operation) -> None:
            restore_snapshot(source, destination, operation.progress)

        return self._run("restore", run)

    def _unused(self, folder: Path) -> str:
        """A name that no snapshot has, nor any that is being written: those are not in the folder yet."""
        now = time.strftime("snapshot-%Y%m%d-%H%M%S", time.gmtime())
        names = (now if number == 1 else f"{now}-{number}" for number in count(1))
        with self._naming:
            name = next(one for one in names if one not in self._given and not (folder / one).exists())
            self._given = {one for one in self._given if one.startswith(now)} | {name}
        return name

    def _folder(self) -> Path:
        if self._directory is None:
            raise FailedPrecondition("a database in memory has no snapshots", reason="IN_MEMORY")
        return self._directory

    def _take(self, destination: Path, operation: Operation) -> None:
        def checkpoint(path: Path) -> tuple[SnapshotCollection, ...]:
            def apply() -> tuple[SnapshotCollection, ...]:
                self._storage.kv.checkpoint(path)
                return tuple(
                    SnapshotCollection(one.record.name, one.view.seq, one.view.points) for one in self._collections()
                )

            found: tuple[SnapshotCollection, ...] = self._committer.exclusive(lambda: Change([], apply))
            return found

        write_snapshot(destination, checkpoint, __version__, time.time(), operation.progress)

    def _run(self, kind: str, work: Callable[[Operation], None]) -> Operation:
        operation = self._operations.start(kind, "")

        def run() -> None:
            try:
                work(operation)
            except BaseException as error:
                operation.finish(error)
            else:
                operation.finish()

        threading.Thread(target=run, name=f"vecstore-{kind}", daemon=True).start()
        return operation


def _info(path: Path) -> SnapshotInfo:
    record = read_snapshot(path)
    seqs = {one.name: one.seq for one in record.collections}
    points = {one.name: one.points for one in record.collections}
    return SnapshotInfo(path.name, record.created_at, record.total_bytes, seqs, points)


def _checked(name: str, what: str = "name") -> str:
    """Names only: a path of a client's never gets near the file system."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        message = f"snapshot {what} {name!r:.80} must match {_NAME.pattern}"
        raise invalid("BAD_NAME", message, what)
    return name


def _check_free(destination: Path) -> None:
    if destination.exists():
        raise FailedPrecondition(f"{destination.name} exists", reason="PATH_EXISTS")
