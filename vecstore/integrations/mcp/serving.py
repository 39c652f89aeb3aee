"""The MCP server over stdio and over streamable HTTP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec
import uvicorn
from mcp.server import MCPServer
from mcp.types import ToolAnnotations

from vecstore.access import Access
from vecstore.access.exposure import check_exposure, is_loopback
from vecstore.client._async.client import AsyncClient
from vecstore.client.connect import connect_async
from vecstore.config import Settings
from vecstore.errors import Unauthenticated
from vecstore.integrations.mcp.callers import Callers, Keyed, PassedOn, Trusted
from vecstore.integrations.mcp.documents import DocumentTools
from vecstore.integrations.mcp.tools import Tools
from vecstore.version import __version__

PATH = "/mcp"
INSTRUCTIONS = (
    "A vector database. Collections hold points: an id, a payload (a JSON object), and what they are found by: the "
    "words of a text, or vectors. Documents are cut into such points. Start with list_collections."
)
Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def build_server(callers: Callers, *, read_only: bool = False) -> MCPServer[Any]:
    """The server with its tools; with `read_only` without those that write."""
    tools, documents = Tools(callers), DocumentTools(callers)
    server: MCPServer[Any] = MCPServer("vecstore", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    replaces = ToolAnnotations(destructive_hint=True, idempotent_hint=False, open_world_hint=False)
    creates = ToolAnnotations(destructive_hint=False, idempotent_hint=False, open_world_hint=False)
    offered: list[tuple[Callable[..., Any], ToolAnnotations]] = [
        (tools.list_collections, reads), (tools.search, reads), (tools.get, reads),
        (documents.search_documents, reads),
    ]  # fmt: skip
    if not read_only:
        offered += [(tools.add, replaces), (documents.add_document, replaces), (tools.create_collection, creates)]
    for tool, hints in offered:
        server.add_tool(tool, description=" ".join((tool.__doc__ or "").split()), annotations=hints)
    server.resource("vecstore://collections/{collection}", mime_type="application/json")(tools.describe)
    return server


async def run_stdio(target: str, *, read_only: bool = False, **options: Any) -> None:
    """Serve on stdin and stdout until stdin ends. `options` are those of `connect_async`."""
    async with await connect_async(target, **options) as client:
        await build_server(Trusted(client), read_only=read_only).run_stdio_async()


async def run_http(
    target: str,
    host: str = "127.0.0.1",
    port: int = 7335,
    *,
    settings: Settings | None = None,
    read_only: bool = False,
    on_ready: Callable[[int], None] = lambda port: None,
    **options: Any,
) -> None:
    """Serve on http://host:port/mcp until SIGTERM or SIGINT.

    Of a database in this process, callers need keys where `settings.server` has some, as with `vecstore serve`. Keys
    for another server that callers give are passed on to it; on the loopback address those without act with the
    `api_key` of `options`, which are those of `connect_async`. Raises InvalidArgument (BAD_CONFIG) for an address that
    others reach without a key. `on_ready` gets the port."""
    settings = settings or Settings()
    access = Access.from_settings(settings.server)
    remote = "://" in target
    if not remote:
        check_exposure(msgspec.structs.replace(settings.server, host=host))
    async with await connect_async(target, settings=settings, **options) as client:
        callers = _callers(client, access, remote=remote, local=is_loopback(host))
        server = build_server(callers, read_only=read_only)
        app = server.streamable_http_app(streamable_http_path=PATH, host=host, stateless_http=True, json_response=True)
        config = uvicorn.Config(_door(app, callers), host=host, port=port, log_level="warning", lifespan="on")
        listening = config.bind_socket()
        running = _Server(config)
        serving = asyncio.create_task(running.serve([listening]))
        while not running.started and not serving.done():
            await asyncio.sleep(0.01)
        if running.started:
            on_ready(listening.getsockname()[1])
        await serving


class _Server(uvicorn.Server):
    """Ends on a signal; uvicorn's own would then send itself the signal again, before the database is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _callers(client: AsyncClient, access: Access, *, remote: bool, local: bool) -> Callers:
    if not remote:
        return Trusted(client) if access.is_open else Keyed(client, access)
    return PassedOn(client, or_else=Trusted(client) if local else None)


def _door(app: App, callers: Callers) -> App:
    """Refuses requests without a right to be here before they are read."""

    async def door(scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            try:
                callers.admit(scope["headers"])
            except Unauthenticated as error:
                body = msgspec.json.encode({"error": str(error)})
                headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer"),
                           (b"content-length", str(len(body)).encode())]  # fmt: skip
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await app(scope, receive, send)

    return door
