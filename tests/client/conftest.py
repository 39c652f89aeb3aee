"""One client for every way to reach a database. Test bodies are written once, in the blocking style; the async client
is driven from a thread with an event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import vecstore
from vecstore.config import Server, Settings
from vecstore.engine.ended import Ended
from vecstore.storage.memory import MemoryKV

WAYS = ["memory-sync", "memory-async", "dir-sync", "dir-async", "grpc-sync", "grpc-async", "http-sync", "http-async"]


class Blocking:
    """An async object whose methods block: coroutines are awaited and async iterators walked on the loop's thread."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._wrap(value(*args, **kwargs))

        return call

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def _wrap(self, result: Any) -> Any:
        if inspect.iscoroutine(result):
            result = self._run(result)
        if isinstance(result, AsyncIterator):
            return self._walk(result)
        if isinstance(result, vecstore.AsyncCollection | vecstore.AsyncClient | vecstore.AsyncDocuments):
            return Blocking(result, self._loop)
        return result

    def _walk(self, iterator: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> tuple[bool, Any]:
            try:
                return True, await anext(iterator)
            except StopAsyncIteration:
                return False, None

        while True:
            more, value = self._run(following())
            if not more:
                return
            yield value


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def server_settings() -> Settings:
    return Settings(server=Server(port=0, rest_port=0))


class Shared:
    """A server of an empty database, for one test after another: to start one takes longer than most tests."""

    def __init__(self) -> None:
        from vecstore.engine.database import Database
        from vecstore.gateway.serving import start_server

        self.database = Database.open(None, server_settings())
        self.server = start_server(self.database)
        self.ports = {"grpc": self.server.port, "http": self.server.rest_port}

    def empty(self) -> None:
        aliases = self.database.list_aliases()
        if aliases:
            self.database.update_aliases([vecstore.DeleteAlias(one.alias) for one in aliases])
        for one in self.database.list_collections():
            self.database.delete_collection(one.name)
        assert self.database.list_collections() == []
        self.database._ended = Ended(MemoryKV())  # seqs begin at 0 again

    def close(self) -> None:
        self.server.stop(0)
        self.database.close()


@pytest.fixture(scope="session")
def shared() -> Iterator[Shared]:
    shared = Shared()
    yield shared
    shared.close()


@pytest.fixture(params=WAYS)
def db(request: pytest.FixtureRequest, tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    """A client of an empty database."""
    where, _, style = request.param.partition("-")
    shared: Shared | None = None
    if where in ("grpc", "http"):
        shared = request.getfixturevalue("shared")
        target = f"{where}://127.0.0.1:{shared.ports[where]}"
    else:
        target = ":memory:" if where == "memory" else str(tmp_path / "db")
    if style == "sync":
        client: Any = vecstore.connect(target)
    else:
        client = Blocking(asyncio.run_coroutine_threadsafe(vecstore.connect_async(target), loop).result(60), loop)
    try:
        yield client
    finally:
        client.close()
        if shared is not None:
            shared.empty()
