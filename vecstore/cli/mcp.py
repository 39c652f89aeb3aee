"""vecstore mcp: the database as tools of a language model."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Annotated

import typer

from vecstore.cli.serve import READY
from vecstore.cli.target import Target, connect_options
from vecstore.errors import FailedPrecondition, InvalidArgument


def mcp(
    target: Target,
    http: Annotated[
        str | None, typer.Option(help="Serve HTTP on HOST:PORT, such as :7335, instead of stdin and stdout.")
    ] = None,
    read_only: Annotated[bool, typer.Option(help="Without the tools that write.")] = False,
) -> None:
    """Serve a database to language models by the Model Context Protocol. VECSTORE_API_KEY is sent to a server that asks
    for a key; over HTTP, callers give theirs, and a directory is protected by the keys of `vecstore serve`."""
    if importlib.util.find_spec("mcp") is None:
        raise FailedPrecondition("the MCP server is an extra: pip install 'vecstore[mcp]'", reason="EXTRA_MISSING")
    from vecstore.integrations.mcp import run_http, run_stdio

    options = connect_options(target)
    if http is None:
        asyncio.run(run_stdio(target, read_only=read_only, **options))
        return
    host, port = _address(http)
    ready = lambda bound: typer.echo(f"{READY}{target} on http://{host}:{bound}/mcp")  # noqa: E731
    asyncio.run(run_http(target, host, port, read_only=read_only, on_ready=ready, **options))


def _address(given: str) -> tuple[str, int]:
    host, _, port = given.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise InvalidArgument(f"--http {given!r} must be HOST:PORT or :PORT, such as :7335", reason="BAD_ARGUMENT")
    return host or "127.0.0.1", int(port)
