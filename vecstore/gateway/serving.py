"""The gateway where it runs: beside gRPC in a server's process, or alone in front of a server."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import uvloop

from vecstore.access import Access
from vecstore.access.certificates import Certificates
from vecstore.access.exposure import check_exposure
from vecstore.client.connect import connect_transport
from vecstore.client.local import AsyncLocal
from vecstore.config import Settings
from vecstore.engine.database import Database
from vecstore.engine.reached import seen
from vecstore.gateway.app import Gateway
from vecstore.gateway.call import Services
from vecstore.gateway.forward import Writer
from vecstore.gateway.listener import Listener, rest_socket
from vecstore.gateway.openapi import document
from vecstore.gateway.routes import ROUTES
from vecstore.memory.budget import budget, planned
from vecstore.memory.cycles import settle
from vecstore.memory.room import ROOM
from vecstore.observe.calls import Observer
from vecstore.observe.logs import configure_logging
from vecstore.observe.metrics import Meters
from vecstore.observe.tracing import tracing_from_environment
from vecstore.server import running
from vecstore.server.admission import Admission
from vecstore.server.doors import ALONE, Inside, Place
from vecstore.server.running import OnReady, ServerHandle

LINGER_S = 0.25
PROTOCOL = "rest"

log = logging.getLogger("vecstore.gateway")


def listener_of(services: Services, certificates: Certificates | None, place: Place = ALONE) -> Listener:
    services.openapi = msgspec.json.encode(document(ROUTES, services.limits))
    return Listener(Gateway(services, ROUTES), services.settings, certificates, place)


def beside(inside: Inside) -> Listener:
    """The REST door of a server, or of one of its processes: the same database, coalescer, threads, keys and room as
    gRPC's."""
    place = inside.place
    transport = AsyncLocal(inside.database, inside.coalescer, inside.pools.reads, inside.pools.writes)
    observer = Observer(PROTOCOL, inside.metrics, inside.tracing, inside.settings.server.slow_query_s)
    shown = inside.database.shown if inside.database.settings.storage.feed else None
    services = Services(
        transport,
        inside.settings,
        inside.access,
        inside.admission,
        inside.pools.reads,
        observer,
        inside.pages,
        shown,
        writes_shown=bool(place.socket),
        writer=Writer(rest_socket(place.writer)) if place.writer else None,
        seen=functools.partial(seen, inside.database) if place.writer else None,
    )
    return listener_of(services, inside.certificates, place)


def serve(path: str | Path | None, settings: Settings, on_ready: OnReady | None = None) -> None:
    """As `vecstore.server.running.serve`, on both ports; `on_ready` is called with gRPC's and REST's."""
    running.serve(path, settings, on_ready, beside)


def start_server(database: Database, settings: Settings | None = None) -> ServerHandle:
    """As `vecstore.server.running.start_server`, on both ports: the handle's `port` and `rest_port`."""
    return running.start_server(database, settings, beside=beside)


def serve_alone(
    target: str, settings: Settings, api_key: str | None, on_ready: Callable[[int], None] | None = None
) -> None:
    """Answer REST calls with what the server at `target` (grpc://host:port) says, until SIGTERM or SIGINT. `api_key` is
    for that server; who may call the gateway is up to `settings`.

    Raises InvalidArgument (BAD_CONFIG, BAD_TARGET) and IoFailed."""
    check_exposure(settings.server)
    configure_logging(settings.server)
    uvloop.run(_serve_alone(target, settings, api_key, on_ready))


async def _serve_alone(
    target: str, settings: Settings, api_key: str | None, on_ready: Callable[[int], None] | None
) -> None:
    transport = connect_transport(target, api_key=api_key, settings=settings)
    settings = planned(settings)
    ROOM.budget = budget(settings)
    admission = Admission(settings.limits)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    with ThreadPoolExecutor(thread_name_prefix="vecstore-gateway") as executor:
        observer = Observer(PROTOCOL, Meters(), tracing_from_environment(), settings.server.slow_query_s)
        services = Services(transport, settings, Access.from_settings(settings.server), admission, executor, observer)
        listener = listener_of(services, Certificates.from_settings(settings.server))
        await listener.start()
        settle()
        try:
            if on_ready is not None:
                on_ready(listener.port)
            await stopping.wait()
            log.info("draining")
            await admission.drain(settings.server.drain_s)
            await asyncio.sleep(min(LINGER_S, settings.server.drain_s))
        finally:
            await listener.stop(0.0)
            await transport.close()
