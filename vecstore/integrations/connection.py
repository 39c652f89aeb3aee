"""One database for blocking and awaiting callers at once, as frameworks have both on one object."""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

from vecstore.client._async.client import AsyncClient
from vecstore.client._async.collection import AsyncCollection
from vecstore.client._sync.client import Client
from vecstore.client._sync.collection import Collection
from vecstore.client.connect import connect, connect_async
from vecstore.errors import FailedPrecondition

T = TypeVar("T")

_shared: dict[Path, tuple[Client, int]] = {}  # directories that this process has opened, and by how many connections
_lock = threading.Lock()


class Connection:
    """A database, given as `vecstore.connect` takes it, or as an open `Client` of an embedded one, which stays its
    owner's to close. A directory that several connections of this process name is opened once, and closed with the
    last of them, so that each component of a pipeline may name it."""

    def __init__(self, target: str | Path | Client, **options: Any) -> None:
        """`options` are those of `vecstore.connect`; of a shared directory, those of the first hold."""
        self._target = target
        self._options = options
        self._directory = _directory(target)
        self._closed = False
        if isinstance(target, Client):
            self._client = target
        elif self._directory is None:
            self._client = connect(target, **self._options)
        else:
            with _lock:
                client, users = _shared.get(self._directory) or (connect(target, **self._options), 0)
                _shared[self._directory] = (client, users + 1)
            self._client = client

    @property
    def client(self) -> Client:
        """The blocking client."""
        return self._client

    def check(self) -> None:
        """Raises FailedPrecondition (CLOSED) after `close`."""
        if self._closed:
            raise FailedPrecondition("the store is closed", reason="CLOSED")

    def blocking(self) -> AsyncClient:
        """A client whose methods are awaited and are done at once, for `finished`."""
        return cast(AsyncClient, _Awaited(self._client))

    async def awaiting(self) -> AsyncClient:
        """A new client of the same database, for the event loop that runs."""
        if self.is_remote:
            return await connect_async(self._target, **self._options)
        return await connect_async(self._client, timeout_s=self._options.get("timeout_s"))

    @property
    def is_remote(self) -> bool:
        return "://" in str(self._target)

    def close(self) -> None:
        """Close the database or the connection, unless others of this process use it."""
        if self._closed:
            return
        self._closed = True
        if isinstance(self._target, Client):
            return
        if self._directory is not None:
            with _lock:
                client, users = _shared.pop(self._directory)
                if users > 1:
                    _shared[self._directory] = (client, users - 1)
                    return
        self._client.close()


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that awaits nothing but clients of `Connection.blocking`."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    work.close()
    raise RuntimeError("a coroutine for blocking callers waited for an event loop")


class _Awaited:
    """A blocking client or collection under the signatures of its async twin."""

    def __init__(self, inner: Client | Collection) -> None:
        self._inner = inner
        self._twin = AsyncClient if isinstance(inner, Client) else AsyncCollection

    def __getattr__(self, name: str) -> Any:
        like, method = inspect.getattr_static(self._twin, name), getattr(self._inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return _awaited(method(*args, **kwargs))

        async def walk(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            for one in method(*args, **kwargs):
                yield one

        if inspect.iscoroutinefunction(like):
            return call
        if inspect.isasyncgenfunction(like):
            return walk
        return (lambda *args, **kwargs: _awaited(method(*args, **kwargs))) if callable(method) else method

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._inner, name, value)


def _awaited(value: Any) -> Any:
    return _Awaited(value) if isinstance(value, Client | Collection) else value


def _directory(target: str | Path | Client) -> Path | None:
    remote = isinstance(target, Client) or "://" in str(target) or str(target) in ("", ":memory:")
    return None if remote else Path(str(target)).resolve()
