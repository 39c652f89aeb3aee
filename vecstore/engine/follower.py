"""`Follower`: a database that another process of this machine writes, to be read here.

It maps the writer's segments and keeps what is not sealed yet in memory of its own, from the writer's feed of durable
batches (`storage.feed`). While the writer is away it goes on with what it has; then it takes the state anew. Every call
that would change something raises FailedPrecondition (READ_ONLY).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

from vecstore.config import Settings
from vecstore.embed.embedders import EmbedderLike, Embedders
from vecstore.engine.committer import Committer
from vecstore.engine.database import Database
from vecstore.engine.following import Following
from vecstore.engine.maintenance import Maintenance
from vecstore.errors import FailedPrecondition, Unavailable
from vecstore.memory.budget import planned
from vecstore.storage.feed_client import FeedClient
from vecstore.storage.feed_frames import Batch, Hello, Live
from vecstore.storage.follower_blobs import read_only
from vecstore.storage.interfaces import Op
from vecstore.storage.memory import MemoryKV
from vecstore.storage.open import Storage, follower_blobs
from vecstore.types import OperationInfo

RETRY_FIRST_S = 0.05
RETRY_LONGEST_S = 0.25

log = logging.getLogger("vecstore.follower")


class _NoCommitter(Committer):
    """Refuses whatever needs one."""

    def __init__(self) -> None: ...

    def __getattr__(self, name: str) -> NoReturn:
        raise read_only()

    def close(self) -> None: ...


class _NoMaintenance(Maintenance):
    """Refuses whatever needs one."""

    def __init__(self) -> None: ...

    def __getattr__(self, name: str) -> NoReturn:
        raise read_only()

    def wake(self) -> None: ...

    def end_waits(self, why: str) -> None: ...

    def close(self) -> None: ...


class Follower(Database):
    """Threads may share one object."""

    def __init__(self, directory: Path, settings: Settings, name: str, embedders: Embedders | None = None) -> None:
        settings = planned(settings)
        self._directory, self._name = directory, name
        self._blobs = follower_blobs(directory, settings.storage)
        self._client = FeedClient(directory, name)
        self._following: Following | None = None
        self._stopping = threading.Event()
        self._committer, self._maintenance = _NoCommitter(), _NoMaintenance()
        self.connected = threading.Event()
        self.on_connection: Callable[[bool], None] = lambda there: None  # the writer came or went
        self._begin(Storage(MemoryKV(), self._blobs, None, directory), settings, embedders)
        if self.reader.shadow is not None:  # the writer counts what all processes saw, and tunes
            self.reader.shadow.on_checked = lambda checked: self._client.tell(checked.encoded())
        try:
            self._load()
        except BaseException:
            self._client.release()
            raise
        self._thread = threading.Thread(target=self._follow, name="vecstore-follow", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        path: str | Path | None,
        settings: Settings = Settings(),  # noqa: B008
        name: str = "",
        *,
        embedders: Mapping[str, EmbedderLike] | None = None,
    ) -> Self:
        """Follow the process that has directory `path` open with `storage.feed`; `name` says who does in its `info`.

        Raises FailedPrecondition (NO_WRITER), Unavailable when the writer ends meanwhile, Corruption and IoFailed."""
        if path is None:
            raise FailedPrecondition("a database in memory cannot be followed", reason="NO_WRITER")
        named = Embedders({**settings.embedders, **(embedders or {})})
        return cls(Path(path).absolute(), settings, name or f"follower-{os.getpid()}", named)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._stopping.set()
        self._client.close()
        self._thread.join()
        self.reader.close()
        self._storage.close()
        self.embedding.embedders.close()

    def processes(self) -> list[dict[str, Any]]:
        return [{"name": self._name, "pid": os.getpid(), "connected": self.connected.is_set()}]

    def verify(self, collection: str | None = None) -> OperationInfo:
        raise read_only()

    def _load(self) -> None:
        """Take the whole state. Raises Unavailable when the writer goes meanwhile."""
        hello = self._client.read()
        if not isinstance(hello, Hello):
            raise Unavailable("the writer went before it told its state")
        kv = MemoryKV(hello.epoch)
        while isinstance(message := self._client.read(), Batch):
            kv.write(message.ops())
        if not isinstance(message, Live):
            raise Unavailable("the writer went while it told its state")
        following = Following(Storage(kv, self._blobs, None, self._directory), self.settings.storage)
        if self._following is not None:
            following.take_over(self._following)
        self._following = following
        self._storage = Storage(kv, self._blobs, None, self._directory)
        self._show(following)
        self._client.ack(message.number)
        self.connected.set()
        self.on_connection(True)

    def _follow(self) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                if not self.connected.is_set():
                    self._client = FeedClient(self._directory, self._name)
                    if self._stopping.is_set():
                        self._client.close()  # `close` had the one before
                    self._load()
                    log.info("following the writer again")
                    wait_s = RETRY_FIRST_S
                while isinstance(message := self._client.read(), Batch):
                    self._apply(message.ops(), message.freezes)
                    self._client.ack(message.number)
            except FailedPrecondition as error:
                log.debug("no writer: %s", error)
            except Unavailable as error:
                log.info("the state is taken anew: %s", error)
            except Exception:  # whatever it is, the state as a whole does not depend on it
                log.exception("following failed: the state is taken anew")
            self.connected.clear()
            self.on_connection(False)
            self._client.release()
            if self._stopping.wait(wait_s):
                return
            wait_s = min(2 * wait_s, RETRY_LONGEST_S)

    def _apply(self, ops: list[Op], freezes: int | None) -> None:
        assert self._following is not None
        if self._following.apply(ops, freezes):
            self._show(self._following)

    def _show(self, following: Following) -> None:
        self._collections = following.named()
        self._aliases = following.aliases
