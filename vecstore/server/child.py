"""One process of a server that has several, started by `supervisor`.

Its first line of input is a `Role`. Its first line of output is `Started` or `Failed`. It ends on SIGTERM, after
draining, and when its input ends, because then the process that started it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
import threading

import msgspec
import uvloop

from vecstore.access import Access
from vecstore.config import Settings
from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.errors import FailedPrecondition, Unavailable, VecstoreError
from vecstore.memory.cycles import settle
from vecstore.memory.malloc import return_freed
from vecstore.observe.logs import configure_logging
from vecstore.observe.tracing import Tracing, tracing_from_environment
from vecstore.server.app import GrpcServer
from vecstore.server.cores import keep_to
from vecstore.server.doors import Beside, Place

WRITER = "writer"
RETRY_S = 0.05


class Role(msgspec.Struct, frozen=True):
    """Which process to be. `name` is "writer" or a reader's own, `cores` what it keeps to, if to any."""

    name: str
    path: str
    socket: str  # of the writer
    settings: Settings
    cores: tuple[int, ...] = ()


class Started(msgspec.Struct, frozen=True, tag=True):
    """Calls are answered."""

    rest_port: int | None = None


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It could not start, and would not if it was started again."""

    code: str
    reason: str
    message: str


def read_role() -> Role:
    return msgspec.json.decode(_first_line(), type=Role)


def run(role: Role, beside: Beside | None) -> None:
    """`beside` is the REST door."""
    configure_logging(role.settings.server)
    return_freed()
    _raise_files()
    if role.cores:
        keep_to(role.cores)
    tracing = tracing_from_environment()
    try:
        uvloop.run(_run(role, tracing, beside))
    finally:
        if tracing is not None:
            tracing.close()


async def _run(role: Role, tracing: Tracing | None, beside: Beside | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # of the terminal: the supervisor says when
    threading.Thread(target=_watch_parent, name="vecstore-parent", daemon=True).start()
    try:
        access = Access.from_settings(role.settings.server)
        database = await _open(role, stopping)
    except VecstoreError as error:
        _say(Failed(error.grpc_code, error.reason, error.message))
        raise SystemExit(1) from None
    if database is None:
        return
    loop.add_signal_handler(signal.SIGHUP, access.reload)
    try:
        place = Place(socket=role.socket) if role.name == WRITER else Place(writer=role.socket)
        server = GrpcServer(database, role.settings, access, tracing, beside, place)
        try:
            await server.start()
        except VecstoreError as error:
            _say(Failed(error.grpc_code, error.reason, error.message))
            raise SystemExit(1) from None
        if isinstance(database, Follower):
            _watch_writer(database, server, loop)
        settle()
        _say(Started(server.door_port))
        await stopping.wait()
        logging.getLogger("vecstore.server").info("%s is draining", role.name)
        await server.stop()
    finally:
        await asyncio.to_thread(database.close)


async def _open(role: Role, stopping: asyncio.Event) -> Database | None:
    """None when it was told to stop meanwhile."""
    if role.name == WRITER:
        return await asyncio.to_thread(Database.open, role.path, role.settings)
    while not stopping.is_set():
        with contextlib.suppress(Unavailable, FailedPrecondition):  # the writer is not there yet, or not any more
            return await asyncio.to_thread(Follower.open, role.path, role.settings, role.name)
        await asyncio.sleep(RETRY_S)
    return None


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(sys.stdin.fileno(), 1 << 16)
        if not more:
            raise SystemExit(1)
        line += more
    return line


def _watch_writer(follower: Follower, server: GrpcServer, loop: asyncio.AbstractEventLoop) -> None:
    def tell(there: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            asyncio.run_coroutine_threadsafe(server.tell_writer(there=there), loop)

    follower.on_connection = tell


def _say(message: Started | Failed) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def _watch_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):  # not by the stream, whose lock would outlive this thread
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _raise_files() -> None:
    """A mapped column is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
