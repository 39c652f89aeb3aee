"""The gateway's door: a socket on the running event loop, beside whatever else runs there."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from vecstore.access.certificates import Certificates
from vecstore.config import Settings
from vecstore.errors import IoFailed
from vecstore.gateway.protocol import BoundedProtocol
from vecstore.server.doors import ALONE, Place

KEEP_ALIVE_S = 75  # an idle connection is closed after so long
BACKLOG = 2_048

log = logging.getLogger("vecstore.gateway")


def rest_socket(socket: str) -> str:
    """Of a writer whose gRPC is at `socket`."""
    return f"{socket}.rest"


class Listener:
    """Serves an ASGI application; calls are bounded by the application, connections here."""

    def __init__(self, app: Any, settings: Settings, certificates: Certificates | None, place: Place = ALONE) -> None:
        """Of several processes, the writer listens on a Unix socket, without TLS, and readers share the port."""
        self._settings = settings
        self._place = place
        self._certificates = None if place.socket else certificates
        self._config = Config(
            app,
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._config.load()
        self._state = ServerState()
        self._state.default_headers = [(b"server", b"vecstore")]
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Raises IoFailed when the address cannot be listened on."""
        server, limits = self._settings.server, self._settings.limits
        loop = asyncio.get_running_loop()

        def protocol() -> BoundedProtocol:
            if self._certificates is not None:
                self._certificates.renew()
            return BoundedProtocol(self._config, self._state, limits.receive_deadline_s, limits.connections_max)

        host = server.host.strip("[]")
        if self._place.socket:
            self._server = await loop.create_unix_server(protocol, rest_socket(self._place.socket), backlog=BACKLOG)
            return
        try:
            self._server = await loop.create_server(
                protocol,
                host,
                server.rest_port,
                backlog=BACKLOG,
                reuse_port=bool(self._place.writer),
                ssl=None if self._certificates is None else self._certificates.context(),
                ssl_handshake_timeout=None if self._certificates is None else limits.receive_deadline_s,
            )
        except OSError as error:
            raise IoFailed(f"cannot listen on {server.host}:{server.rest_port}: {error}") from None
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("REST on %s:%d", server.host, self.port)

    async def stop(self, drain_s: float) -> None:
        """Accept nothing more, let open answers finish for `drain_s`, then cut the rest."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()  # idle ones close, others after their answer
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=drain_s)
        for task in list(self._state.tasks):
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=1.0)
        for connection in list(self._state.connections):
            connection.transport.abort()
