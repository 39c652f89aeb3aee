"""The server's process: `serve` runs it until a signal, `start_server` runs it in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from vecstore.access import Access
from vecstore.access.certificates import Certificates
from vecstore.access.exposure import check_exposure
from vecstore.budget import budget, planned
from vecstore.config import Settings
from vecstore.engine.coalesce import Coalescer
from vecstore.engine.database import Database
from vecstore.errors import IoFailed
from vecstore.malloc import return_freed
from vecstore.observe.calls import Observer
from vecstore.observe.health import Health
from vecstore.observe.listener import Listener
from vecstore.observe.logs import configure_logging
from vecstore.observe.metrics import Metrics
from vecstore.observe.pages import Pages
from vecstore.observe.tracing import Tracing, tracing_from_environment
from vecstore.pb.v1 import collections_pb2, operations_pb2, points_pb2, snapshots_pb2
from vecstore.room import ROOM
from vecstore.server.admission import Admission
from vecstore.server.calls import PROTOCOL, Call, Calls
from vecstore.server.collections import Collections
from vecstore.server.forward import PACKAGE, Writer
from vecstore.server.names import Names
from vecstore.server.operations import Operations
from vecstore.server.points import Points
from vecstore.server.router import Collector, Router
from vecstore.server.snapshots import Snapshots
from vecstore.server.streams import Streams
from vecstore.server.tls import tls_credentials

READ_THREADS = 8  # of the pool for calls that read or manage; the kernels have their own
WRITE_THREADS = 4  # convert and check writes, and wait while too much is queued; apart, so that reads go on meanwhile
QUERY_THREADS = 2  # each runs one coalesced batch, which itself uses every core

LINGER_S = 0.25
# Connections are spread over readers as they are made: after so long one is made anew, so that a reader that was
# started again gets its share.
CONNECTION_AGE_MS = 300_000
WRITER_SERVICE = "vecstore.writer"  # of which a reader reports the health

SERVICES = (
    collections_pb2.DESCRIPTOR.services_by_name["Collections"].full_name,
    points_pb2.DESCRIPTOR.services_by_name["Points"].full_name,
    operations_pb2.DESCRIPTOR.services_by_name["Operations"].full_name,
    snapshots_pb2.DESCRIPTOR.services_by_name["Snapshots"].full_name,
)

log = logging.getLogger("vecstore.server")


class Door(Protocol):
    """Another way in, on the same event loop, such as REST's."""

    port: int

    async def start(self) -> None: ...
    async def stop(self, drain_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Inside:
    """What the doors of one server share."""

    database: Database
    settings: Settings
    access: Access
    admission: Admission
    coalescer: Coalescer
    pools: Pools
    certificates: Certificates | None
    metrics: Metrics
    pages: Pages
    tracing: Tracing | None
    place: Place


Beside = Callable[[Inside], Door]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, if not on the settings' host and port alone: the writer of several processes on a Unix
    `socket`, a reader on a port that it shares, passing on what is the writer's to that one's socket."""

    socket: str = ""
    writer: str = ""


ALONE = Place()


class GrpcServer:
    """One gRPC server on the running event loop, and another door beside it where one is wanted."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        access: Access,
        tracing: Tracing | None = None,
        beside: Beside | None = None,
        place: Place = ALONE,
    ) -> None:
        """Raises InvalidArgument (BAD_CONFIG) for a host that others can reach without a key, and for certificates that
        do not serve."""
        check_exposure(settings.server)
        settings = planned(settings)
        ROOM.budget = budget(settings)
        self._settings = settings
        self._place = place
        self._certificates = Certificates.from_settings(settings.server)
        self._writer = Writer(f"unix:{place.writer}", settings.limits) if place.writer else None
        self._pools = Pools()
        self._admission = Admission(settings.limits)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._coalescer = Coalescer(database, self._pools.queries)
        self.metrics = Metrics(database, settings.server.metrics_collections_max)
        self.metrics.watch(self._admission.numbers())
        self.pages = Pages(self.metrics, Health(database, self._admission.draining.is_set), access)
        observer = Observer(PROTOCOL, self.metrics, tracing, settings.server.slow_query_s)
        calls = calls_of(database, self._coalescer, self._admission, self._pools, access, observer, self._writer)
        self._door: Door | None = None
        if beside is not None:
            shared = (self._admission, self._coalescer, self._pools, self._certificates, self.metrics, self.pages)
            self._door = beside(Inside(database, settings, access, *shared, tracing, place))
        self._server = grpc.aio.server(options=_options(settings, place))
        self._server.add_generic_rpc_handlers((Router(calls, self._foreign_handlers(), access, observer),))
        self._listener: Listener | None = None
        self.port = 0

    async def start(self) -> None:
        """Raises IoFailed when the address cannot be listened on."""
        server = self._settings.server
        host = f"[{server.host}]" if ":" in server.host and not server.host.startswith("[") else server.host
        try:
            if self._place.socket:
                self._server.add_insecure_port(f"unix:{self._place.socket}")
            elif self._certificates is None:
                self.port = self._server.add_insecure_port(f"{host}:{server.port}")
            else:
                self.port = self._server.add_secure_port(f"{host}:{server.port}", tls_credentials(self._certificates))
        except RuntimeError as error:
            raise IoFailed(f"cannot listen on {host}:{server.port}: {error}") from None
        if server.metrics_port:
            tls = self._certificates
            listener = Listener(self.pages, tls)
            await listener.start(server.host, server.metrics_port)
            self._listener = listener
        if self._door is not None:
            await self._door.start()
        await self._server.start()
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        if self._writer is not None:
            await self.tell_writer(there=True)
        where = self._place.socket or f"{host}:{self.port}{'' if self._certificates is None else ' with TLS'}"
        log.info("listening on %s", where)

    async def tell_writer(self, *, there: bool) -> None:
        """Report whether the process that writes is there, as the health of WRITER_SERVICE."""
        status = health_pb2.HealthCheckResponse
        await self._health.set(WRITER_SERVICE, status.SERVING if there else status.NOT_SERVING)

    @property
    def door_port(self) -> int | None:
        """Of the door beside it."""
        return None if self._door is None else self._door.port

    async def stop(self, drain_s: float | None = None) -> None:
        """Report NOT_SERVING, refuse new calls, let open ones finish for `drain_s`, then end the rest."""
        await self._health.enter_graceful_shutdown()
        bound = self._settings.server.drain_s if drain_s is None else drain_s
        if not await self._admission.drain(bound):
            log.warning("calls were cut off after drain_s=%g", bound)
        # Refusals go on for a moment: gRPC itself would tell callers CANCELLED, which says nothing about trying again.
        await asyncio.sleep(min(LINGER_S, bound))
        await self._server.stop(None)
        if self._writer is not None:
            await self._writer.close()
        if self._listener is not None:
            await self._listener.stop()
        if self._door is not None:
            await self._door.stop(0.0)
        # In threads: work that has begun is waited for, which must not block the loop it reports to.
        await asyncio.to_thread(self._pools.shutdown)

    def _foreign_handlers(self) -> dict[str, Any]:
        collector: Any = Collector()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, collector)
        if self._settings.server.reflection:
            names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
            servicer = reflection.aio.ReflectionServicer(names)  # type: ignore[attr-defined]
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, collector)
        found: dict[str, Any] = collector.handlers
        return found


class Pools:
    """The threads that calls run in."""

    def __init__(self) -> None:
        self.reads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="vecstore-read")
        self.writes = ThreadPoolExecutor(WRITE_THREADS, thread_name_prefix="vecstore-write")
        self.queries = ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="vecstore-query")

    def shutdown(self) -> None:
        """Waits for work that has begun; what is still queued is dropped."""
        for pool in (self.reads, self.writes, self.queries):
            pool.shutdown(cancel_futures=True)


def calls_of(
    database: Database,
    coalescer: Coalescer,
    admission: Admission,
    pools: Pools,
    access: Access,
    observer: Observer,
    writer: Writer | None = None,
) -> dict[str, Call]:
    """Every call of the three services by its full name."""
    limits = database.settings.limits
    shown = database.shown if database.settings.storage.feed else None
    names = Names(database, pools.reads, follows=writer is not None)
    calls = Calls(limits, admission, pools.reads, observer, names, shown, writer)
    points = Points(database, coalescer, pools.reads, pools.writes)
    streams = Streams(database, points, admission, limits, pools.reads, access, observer, names)
    collections, operations, snapshots = Collections(database, access), Operations(database), Snapshots(database)
    found = [
        calls.stream("Points/QueryStream", streams.query),
        calls.stream("Points/UpsertStream", streams.upsert),
        calls.stream("Operations/Watch", streams.watch),
    ]
    for name, on_loop in {
        "Points/Upsert": points.upsert,
        "Points/Delete": points.delete,
        "Points/SetPayload": points.set_payload,
        "Points/OverwritePayload": points.overwrite_payload,
        "Points/DeletePayload": points.delete_payload,
        "Points/ClearPayload": points.clear_payload,
        "Points/UpdateVectors": points.update_vectors,
        "Points/DeleteVectors": points.delete_vectors,
        "Points/UpdateBatch": points.update_batch,
        "Points/Query": points.query,
        "Points/QueryBatch": points.query_batch,
        "Points/QueryGroups": points.query_groups,
        "Points/Explain": points.explain,
        "Points/WhyNot": points.why_not,
        "Points/DistanceMatrix": points.distance_matrix,
        "Points/Get": points.get,
        "Points/Scroll": points.scroll,
        "Points/Count": points.count,
        "Points/Facet": points.facet,
    }.items():
        found.append(calls.unary(name, on_loop))
    for name, in_thread in {
        "Collections/Create": collections.create,
        "Collections/Get": collections.get,
        "Collections/Delete": collections.delete,
        "Collections/Exists": collections.exists,
        "Collections/Update": collections.update,
        "Collections/CreateFieldIndex": collections.create_field_index,
        "Collections/UpdateIndex": collections.update_index,
        "Collections/Tune": collections.tune,
        "Collections/DeleteFieldIndex": collections.delete_field_index,
        "Collections/Stats": collections.stats,
        "Collections/Estimate": collections.estimate,
        "Collections/Compact": collections.compact,
        "Collections/Verify": collections.verify,
        "Snapshots/Create": snapshots.create,
        "Snapshots/List": snapshots.list,
        "Snapshots/Delete": snapshots.delete,
        "Snapshots/Restore": snapshots.restore,
    }.items():
        found.append(calls.blocking(name, in_thread))
    for name, filtering in {
        "Collections/List": collections.list,
        "Collections/Info": collections.info,
        "Collections/UpdateAliases": collections.update_aliases,
        "Collections/ListAliases": collections.list_aliases,
        "Operations/Get": operations.get,
        "Operations/List": operations.list,
        "Operations/Cancel": operations.cancel,
    }.items():
        found.append(calls.filtering(name, filtering))
    return {f"/{PACKAGE}.{call.name}": call for call in found}


def _options(settings: Settings, place: Place) -> list[tuple[str, Any]]:
    limits = settings.limits
    shared = [("grpc.max_connection_age_ms", CONNECTION_AGE_MS)] if place.writer else []
    return [
        *shared,
        ("grpc.max_receive_message_length", limits.message_bytes_max),  # checked again after decompression
        ("grpc.max_send_message_length", limits.message_bytes_max),
        ("grpc.max_allowed_incoming_connections", limits.connections_max),
        # Room for all calls and streams on one connection and some more, so that it is the server who refuses: beyond
        # this bound a client queues calls by itself, and says nothing.
        ("grpc.max_concurrent_streams", 2 * (limits.rpcs_in_flight_max + limits.rpcs_queued_max) + 100),
        ("grpc.so_reuseport", int(bool(place.writer))),  # a second server on the port must fail, not share it
        ("grpc.server_handshake_timeout_ms", int(limits.receive_deadline_s * 1000)),  # until the client's SETTINGS
        ("grpc.keepalive_time_ms", 60_000),  # a peer that is gone is noticed
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 5),  # then the connection is closed
    ]


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
