"""One gRPC server on an event loop, and another door beside it where one is wanted."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from vecstore.access import Access
from vecstore.access.certificates import Certificates
from vecstore.access.exposure import check_exposure
from vecstore.config import Settings
from vecstore.engine.coalesce import Coalescer
from vecstore.engine.database import Database
from vecstore.errors import IoFailed
from vecstore.memory.budget import budget, planned
from vecstore.memory.room import ROOM
from vecstore.observe.calls import Observer
from vecstore.observe.health import Health
from vecstore.observe.listener import Listener
from vecstore.observe.metrics import Metrics
from vecstore.observe.pages import Pages
from vecstore.observe.tracing import Tracing
from vecstore.pb.v1 import collections_pb2, operations_pb2, points_pb2, snapshots_pb2
from vecstore.server.admission import Admission
from vecstore.server.calls import PROTOCOL
from vecstore.server.doors import ALONE, Beside, Door, Inside, Place
from vecstore.server.forward import Writer
from vecstore.server.pools import Pools
from vecstore.server.router import Collector, Router
from vecstore.server.services import calls_of
from vecstore.server.tls import tls_credentials

LINGER_S = 0.25
# Connections are spread over readers as they are made: after so long one is made anew, so that a reader that was
# started again gets its share.
CONNECTION_AGE_MS = 300_000
AMPLE = 4 << 30  # of memory: more than one connection's calls are read ahead of
WRITER_SERVICE = "vecstore.writer"  # of which a reader reports the health
SERVICES = (
    collections_pb2.DESCRIPTOR.services_by_name["Collections"].full_name,
    points_pb2.DESCRIPTOR.services_by_name["Points"].full_name,
    operations_pb2.DESCRIPTOR.services_by_name["Operations"].full_name,
    snapshots_pb2.DESCRIPTOR.services_by_name["Snapshots"].full_name,
)
log = logging.getLogger("vecstore.server")


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
        self._database = database
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
        self._database.end_waits("the server is shutting down")
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


def _options(settings: Settings, place: Place) -> list[tuple[str, Any]]:
    limits = settings.limits
    shared = [("grpc.max_connection_age_ms", CONNECTION_AGE_MS)] if place.writer else []
    # gRPC would take in megabytes of each call ahead of time, those of calls that wait for their turn included.
    windows = [("grpc.http2.bdp_probe", 0)] if budget(settings) < AMPLE else []
    return [
        *shared,
        *windows,
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
