"""From a target's text to a client."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vecstore.client._async.client import AsyncClient
from vecstore.client._sync.client import Client
from vecstore.client.requests import LONGEST_S
from vecstore.client.tls import Tls, read_tls
from vecstore.client.transport import AsyncTransport, Transport
from vecstore.config import Settings
from vecstore.embed.embedders import EmbedderLike
from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.errors import FailedPrecondition, InvalidArgument, invalid
from vecstore.wire.loading import load_grpc

PORTS = {"grpc": 7334, "grpcs": 7334, "http": 7333, "https": 7333}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)\Z", re.DOTALL)

_ADDRESS = re.compile(r"[\w.-]+:\d{2,5}\Z")  # host:port


class Server(NamedTuple):
    """Where a server is: `address` is host:port."""

    address: str
    has_tls: bool
    over_http: bool


def connect(
    target: str | Path,
    *,
    api_key: str | None = None,
    timeout_s: float | None = None,
    settings: Settings | None = None,
    ca: str | Path | None = None,
    client_cert: str | Path | None = None,
    client_key: str | Path | None = None,
    read_only: bool = False,
    embedders: Mapping[str, EmbedderLike] | None = None,
) -> Client:
    """Open a database.

    `target` is a directory ("./data"; made when absent, one process at a time), ":memory:", "grpc://host:7334" or
    "http://host:7333", "grpcs://" or "https://" (TLS). `timeout_s` bounds each call, retries included (default:
    limits.deadline_default_s). `settings` are the embedded engine's, and for a server the limits by which requests are
    split. With TLS, `ca` is a file of certificates to trust instead of the usual ones, `client_cert` and `client_key`
    are the client's own, all in PEM. With `read_only` a directory that another process of this machine has open with
    `storage.feed` is followed: its writes show within milliseconds, calls that would change something raise
    FailedPrecondition (READ_ONLY). `embedders` are those of an embedded database by name: settings such as {"kind":
    "onnx", "model": "model.onnx"}, or objects with the methods of `vecstore.embed.base.Embedder`; a server has its own.
    Raises InvalidArgument (BAD_TARGET, BAD_ARGUMENT, BAD_CONFIG), FailedPrecondition (DIRECTORY_LOCKED, NO_WRITER) and
    what opening the directory raises.
    """
    settings = settings or Settings()
    timeout = _timeout(timeout_s, settings)
    server = _server_address(target)
    tls = _tls(server, read_tls(ca, client_cert, client_key))
    if server is None:
        return Client(_database(target, settings, read_only, embedders), target=str(target), timeout_s=timeout)
    _refuse_read_only(read_only)
    _no_embedders(embedders)
    return Client(_transport(server, tls, api_key, timeout, settings), target=str(target), timeout_s=timeout)


async def connect_async(
    target: str | Path | Client,
    *,
    api_key: str | None = None,
    timeout_s: float | None = None,
    settings: Settings | None = None,
    ca: str | Path | None = None,
    client_cert: str | Path | None = None,
    client_key: str | Path | None = None,
    read_only: bool = False,
    embedders: Mapping[str, EmbedderLike] | None = None,
) -> AsyncClient:
    """`connect` for asyncio; the client has the same methods, to be awaited. An open `Client` of an embedded database
    is a target too: both then use that one, and closing either closes it."""
    settings = settings or Settings()
    timeout = _timeout(timeout_s, settings)
    if isinstance(target, Client):
        if embedders:
            raise _own_embedders(embedders, f"{target!r} has its own")
        return _beside(target, timeout)
    server = _server_address(target)
    tls = _tls(server, read_tls(ca, client_cert, client_key))
    if server is None:
        from vecstore.client.local import AsyncLocal

        database = await asyncio.to_thread(_database, target, settings, read_only, embedders)
        return AsyncClient(AsyncLocal(database), target=str(target), timeout_s=timeout)
    _refuse_read_only(read_only)
    _no_embedders(embedders)
    return AsyncClient(_async_transport(server, tls, api_key, timeout, settings), target=str(target), timeout_s=timeout)


def connect_transport(
    target: str, *, api_key: str | None, settings: Settings, timeout_s: float | None = None, tls: Tls | None = None
) -> AsyncTransport:
    """What speaks to a server, without a facade. Raises InvalidArgument (BAD_TARGET) for a target that is none."""
    server = _server_address(target)
    if server is None:
        raise InvalidArgument(f"target {target!r} is no server's: give grpc://host:port", reason="BAD_TARGET")
    chosen = _tls(server, tls or Tls())
    return _async_transport(server, chosen, api_key, _timeout(timeout_s, settings), settings)


def _transport(server: Server, tls: Tls | None, api_key: str | None, timeout_s: float, settings: Settings) -> Transport:
    if server.over_http:
        _need_httpx()
        from vecstore.client._sync.rest import RestTransport

        return RestTransport(server.address, tls, api_key=api_key, timeout_s=timeout_s, settings=settings)
    _need_grpc()
    from vecstore.client._sync.grpc import GrpcTransport

    return GrpcTransport(server.address, tls, api_key=api_key, timeout_s=timeout_s, settings=settings)


def _async_transport(
    server: Server, tls: Tls | None, api_key: str | None, timeout_s: float, settings: Settings
) -> AsyncTransport:
    if server.over_http:
        _need_httpx()
        from vecstore.client._async.rest import AsyncRestTransport

        return AsyncRestTransport(server.address, tls, api_key=api_key, timeout_s=timeout_s, settings=settings)
    _need_grpc()
    from vecstore.client._async.grpc import AsyncGrpcTransport

    return AsyncGrpcTransport(server.address, tls, api_key=api_key, timeout_s=timeout_s, settings=settings)


def _beside(client: Client, timeout_s: float) -> AsyncClient:
    from vecstore.client.local import AsyncLocal

    if not isinstance(client._transport, Database):
        message = f"{client!r} is of a server, which is connected to by its address"
        raise InvalidArgument(message, reason="BAD_TARGET")
    return AsyncClient(AsyncLocal(client._transport), target=client.target, timeout_s=timeout_s)


def _database(
    target: str | Path, settings: Settings, read_only: bool, embedders: Mapping[str, EmbedderLike] | None
) -> Database:
    directory = _directory(target)
    if read_only:
        return Follower.open(directory, settings, embedders=embedders)
    return Database.open(directory, settings, embedders=embedders)


def _refuse_read_only(read_only: bool) -> None:
    if read_only:
        message = "read_only follows a directory of this machine; what a server permits depends on the key"
        raise invalid("BAD_ARGUMENT", message, "read_only")


def _directory(target: str | Path) -> Path | None:
    return None if str(target) == ":memory:" else Path(target)


def _server_address(target: str | Path) -> Server | None:
    """None for a local target."""
    match = _SCHEME.match(target) if isinstance(target, str) else None
    if match is None:
        if not str(target):
            raise InvalidArgument(
                "target is empty; give a directory, :memory: or grpc://host:port", reason="BAD_TARGET"
            )
        if isinstance(target, str) and _ADDRESS.match(target) and not Path(target).exists():
            message = f"target {target!r} has no scheme: write grpc://{target} for a server, ./{target} for a directory"
            raise InvalidArgument(message, reason="BAD_TARGET")
        return None
    scheme, address = match[1].lower(), match[2].rstrip("/")
    port = PORTS.get(scheme)
    if port is None:
        known = f"a directory, :memory:, and {', '.join(f'{one}://host:port' for one in PORTS)}"
        raise InvalidArgument(f"target {target!r} has an unknown scheme; known: {known}", reason="BAD_TARGET")
    if not address or "/" in address or "@" in address:
        raise InvalidArgument(f"target {target!r} must be {scheme}://host:port", reason="BAD_TARGET")
    if not re.search(r":\d+\Z", address):
        address = f"{address}:{port}"
    return Server(address, scheme in ("grpcs", "https"), scheme.startswith("http"))


def _tls(server: Server | None, given: Tls) -> Tls | None:
    if server is not None and server.has_tls:
        return given
    if given != Tls():
        raise InvalidArgument(
            "ca, client_cert and client_key are for grpcs:// and https:// targets", reason="BAD_TARGET"
        )
    return None


def _timeout(timeout_s: float | None, settings: Settings) -> float:
    timeout = settings.limits.deadline_default_s if timeout_s is None else timeout_s
    if not timeout > 0:
        raise InvalidArgument(f"timeout_s={timeout} must be above 0", reason="BAD_ARGUMENT")
    return min(timeout, LONGEST_S)


def _no_embedders(embedders: Mapping[str, EmbedderLike] | None) -> None:
    if embedders:
        raise _own_embedders(embedders, "a server embeds by its own settings")


def _own_embedders(embedders: Mapping[str, EmbedderLike], why: str) -> InvalidArgument:
    message = f"embedders={sorted(embedders)}: {why}"
    return invalid("BAD_ARGUMENT", message, "embedders")


def _need_grpc() -> None:
    """gRPC is an extra, so its modules are imported only here."""
    if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("google.rpc") is None:
        message = "servers are reached with gRPC: pip install 'vecstore[grpc]'"
        raise FailedPrecondition(message, reason="EXTRA_MISSING")
    load_grpc()


def _need_httpx() -> None:
    if importlib.util.find_spec("httpx") is None:
        message = "http:// targets are reached with httpx: pip install 'vecstore[rest]'"
        raise FailedPrecondition(message, reason="EXTRA_MISSING")
