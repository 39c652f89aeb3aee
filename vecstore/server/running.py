"""A server that runs: `serve` until a signal, `start_server` in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import uvloop

from vecstore.access import Access
from vecstore.access.exposure import check_exposure
from vecstore.config import Settings
from vecstore.engine.database import Database
from vecstore.memory.cycles import settle
from vecstore.memory.malloc import return_freed
from vecstore.observe.logs import configure_logging
from vecstore.observe.tracing import Tracing, tracing_from_environment
from vecstore.server.app import GrpcServer
from vecstore.server.doors import Beside

log = logging.getLogger("vecstore.server")

OnReady = Callable[[int, int | None], None]


def serve(
    path: str | Path | None, settings: Settings, on_ready: OnReady | None = None, beside: Beside | None = None
) -> None:
    """Open the database at `path` (None: in memory) and serve it until SIGTERM or SIGINT; then drain and close it.

    `on_ready` is called once calls are answered, with the port and that of the door `beside`. Raises what
    `Database.open` raises, InvalidArgument (BAD_CONFIG) and IoFailed.
    """
    check_exposure(settings.server)  # before anything is opened
    configure_logging(settings.server)
    return_freed()
    access = Access.from_settings(settings.server)
    tracing = tracing_from_environment()
    try:
        uvloop.run(_serve(path, settings, access, tracing, on_ready, beside))
    finally:
        if tracing is not None:
            tracing.close()


async def _serve(
    path: str | Path | None,
    settings: Settings,
    access: Access,
    tracing: Tracing | None,
    on_ready: OnReady | None,
    beside: Beside | None,
) -> None:
    database = await asyncio.to_thread(Database.open, path, settings)
    try:
        server = GrpcServer(database, settings, access, tracing, beside)
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, access.reload)
        await server.start()
        settle()
        if on_ready is not None:
            on_ready(server.port, server.door_port)
        await stopping.wait()
        log.info("draining")
        await server.stop()
    finally:
        await asyncio.to_thread(database.close)


class ServerHandle:
    """A server in a thread of this process."""

    def __init__(self, thread: threading.Thread, loop: asyncio.AbstractEventLoop, server: GrpcServer) -> None:
        self._thread, self._loop, self._server = thread, loop, server
        self.port = server.port
        self.rest_port = server.door_port

    def stop(self, drain_s: float | None = None) -> None:
        """Drain and stop; the database stays open. May be called twice."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._server.stop(drain_s), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def __enter__(self) -> ServerHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_server(
    database: Database,
    settings: Settings | None = None,
    tracing: Tracing | None = None,
    beside: Beside | None = None,
) -> ServerHandle:
    """Serve an open database from a thread with its own event loop; `settings` are the database's when left out, and
    without `tracing` the environment decides.

    Raises InvalidArgument (BAD_CONFIG) and IoFailed.
    """
    chosen = database.settings if settings is None else settings
    access = Access.from_settings(chosen.server)
    traces = tracing or tracing_from_environment()
    loop = uvloop.new_event_loop()
    started: Future[GrpcServer] = Future()

    async def start() -> None:
        try:
            server = GrpcServer(database, chosen, access, traces, beside)
            await server.start()
        except BaseException as error:
            started.set_exception(error)
            loop.stop()
        else:
            started.set_result(server)

    def run() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(start())
        loop.run_forever()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run, name="vecstore-server", daemon=True)
    thread.start()
    return ServerHandle(thread, loop, started.result())
