"""A server of several processes: one that writes, and `server.readers` that answer reads on the same ports.

The supervisor starts them, starts again what ends (waiting longer each time), and ends them all when it is told to. It
holds the ports without listening, so that no other server takes them; readers listen on them together (SO_REUSEPORT),
and the system gives each new connection to one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from vecstore.access.exposure import check_exposure
from vecstore.config import Settings
from vecstore.errors import FailedPrecondition, IoFailed, VecstoreError
from vecstore.memory.budget import LEAST, budget, planned
from vecstore.observe.logs import configure_logging
from vecstore.server.child import WRITER, Failed, Role, Started
from vecstore.server.cores import shares
from vecstore.server.running import OnReady
from vecstore.wire.errors import error_of

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
WELL_S = 30.0  # a process that has run for so long starts at once when it ends
KILL_S = 5.0  # beyond drain_s

log = logging.getLogger("vecstore.server")


class Child:
    """One process, started again whenever it ends before `stop`."""

    def __init__(self, role: Role, command: Sequence[str]) -> None:
        self.role = role
        self.rest_port: int | None = None
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # at its first start
        self.ended = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ask it to drain and end; end it when it does not."""
        self._stopping.set()
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        _, late = await asyncio.wait([self.ended], timeout=self.role.settings.server.drain_s + KILL_S)
        if late and process is not None:
            log.warning("%s does not end: killed", self.role.name)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await self.ended

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                failed = await self._live()
            except OSError as error:
                failed = IoFailed(f"starting {self.role.name}: {error.strerror}")
            if self._stopping.is_set():
                return
            if not self.ready.done():
                self.ready.set_exception(failed or FailedPrecondition(f"{self.role.name} ended as it started"))
                return
            if time.monotonic() - began > WELL_S:
                wait_s = FIRST_WAIT_S
            why = failed or f"status {self._process.returncode if self._process else None}"
            log.warning("%s ended (%s): starting it again in %g s", self.role.name, why, wait_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _live(self) -> VecstoreError | None:
        """From start to end of one process; why it could not start."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        if self._stopping.is_set():
            process.terminate()
        process.stdin.write(msgspec.json.encode(self.role) + b"\n")
        with contextlib.suppress(OSError):
            await process.stdin.drain()
        line = await process.stdout.readline()
        failed = None
        if line:
            message = msgspec.json.decode(line, type=Started | Failed)
            if isinstance(message, Failed):
                failed = error_of(message.code, message.message, message.reason, {})
            else:
                log.info("%s is process %d", self.role.name, process.pid)
                self.rest_port = message.rest_port
                if not self.ready.done():
                    self.ready.set_result(None)
        await process.wait()
        process.stdin.close()
        return failed


def serve_processes(
    path: str | Path, settings: Settings, command: Sequence[str], on_ready: OnReady | None = None
) -> None:
    """As `app.serve`, by `settings.server.readers` processes and one that writes. `command` starts a process that calls
    `child.run`."""
    check_exposure(settings.server)
    configure_logging(settings.server)
    with tempfile.TemporaryDirectory(prefix="vecstore-") as folder:  # of this user only
        asyncio.run(_serve(Path(path).absolute(), settings, command, f"{folder}/writer", on_ready))


async def _serve(
    path: Path, settings: Settings, command: Sequence[str], writer_socket: str, on_ready: OnReady | None
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    settings = _shared_out(settings)
    server = settings.server
    held = hold_port(server.host, server.port)
    children: list[Child] = []
    try:
        port = rest_port = held[0].getsockname()[1]
        if server.rest:
            rest = hold_port(server.host, server.rest_port)
            rest_port = rest[0].getsockname()[1]
            held += rest
        writer = Child(Role(WRITER, str(path), writer_socket, _of_writer(settings)), command)
        children.append(writer)
        loop.add_signal_handler(signal.SIGHUP, _pass_on, signal.SIGHUP, children)
        if not await _ready_or_stopped([writer], stopping):
            return
        readers = [
            Child(_reader(number, cores, path, writer_socket, settings, (port, rest_port)), command)
            for number, cores in enumerate(shares(sorted(os.sched_getaffinity(0)), server.readers), 1)
        ]
        children += readers
        if not await _ready_or_stopped(readers, stopping):
            return
        log.info("%d readers answer on %s:%d", len(readers), server.host, port)
        if on_ready is not None:
            on_ready(port, readers[0].rest_port)
        await stopping.wait()
    finally:
        await asyncio.gather(*(child.stop() for child in children[1:]))  # what they pass on, the writer still answers
        await asyncio.gather(*(child.stop() for child in children[:1]))
        for one in held:
            one.close()


async def _ready_or_stopped(children: list[Child], stopping: asyncio.Event) -> bool:
    """Raises what keeps a child from starting."""
    stopped: asyncio.Future[object] = asyncio.ensure_future(stopping.wait())
    ready: asyncio.Future[object] = asyncio.ensure_future(asyncio.gather(*(child.ready for child in children)))
    await asyncio.wait([stopped, ready], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not ready.done():
        ready.cancel()
        return False
    await ready
    return True


def _pass_on(number: int, children: list[Child]) -> None:
    for child in children:
        child.signal(number)


def hold_port(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to the address, which do not listen: each is bound alone, so that it fails where another server
    is, and opened to sharing afterwards. Raises IoFailed."""
    held: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host.strip("[]"), port or None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            held.append(one)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = held[0].getsockname()[1] if len(held) > 1 else port
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections that linger
            one.bind((address[0], chosen, *address[2:]))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        for one in held:
            one.close()
        raise IoFailed(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return held


def _shared_out(settings: Settings) -> Settings:
    """Each process has an equal part of the memory; indexes, which are mapped by all, are there once."""
    storage, total = settings.storage, budget(settings)
    share = max(LEAST, total // (1 + settings.server.readers))
    indexes = planned(settings).storage.index_memory_bytes
    storage = msgspec.structs.replace(storage, memory_max=share, index_memory_bytes=indexes)
    return msgspec.structs.replace(settings, storage=storage)


def _of_writer(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, storage=msgspec.structs.replace(settings.storage, feed=True))


def _reader(
    number: int, cores: tuple[int, ...], path: Path, writer_socket: str, settings: Settings, ports: tuple[int, int]
) -> Role:
    """A reader with its share of the cores, and a metrics port of its own."""
    server, search = settings.server, settings.search
    metrics_port = server.metrics_port + number if server.metrics_port else 0
    own = msgspec.structs.replace(
        settings,
        server=msgspec.structs.replace(server, port=ports[0], rest_port=ports[1], metrics_port=metrics_port),
        search=msgspec.structs.replace(search, threads=search.threads or len(cores)),
    )
    return Role(f"reader-{number}", str(path), writer_socket, own, cores if server.pin_readers else ())
