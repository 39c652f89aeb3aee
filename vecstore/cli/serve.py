"""vecstore serve: the server process."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from vecstore.config import load_settings
from vecstore.errors import FailedPrecondition

READY = "serving "  # how the line starts that is printed once calls are answered


def serve(
    path: Annotated[Path, typer.Argument(help="The database's directory; made when absent.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on [server.host, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port [server.port, 7334]; 0: a free one.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML; VECSTORE_* variables win over it.")] = None,
) -> None:
    """Serve a database over gRPC until SIGTERM or SIGINT. The API key comes from VECSTORE_SERVER_API_KEY or the
    settings, never from the command line."""
    if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("grpc_health") is None:
        raise FailedPrecondition("serving needs gRPC: pip install 'vecstore[server]'", reason="EXTRA_MISSING")
    from vecstore.server.app import serve as run

    settings = load_settings(config)
    given = {"host": host, "port": port}
    server = msgspec.structs.replace(settings.server, **{k: v for k, v in given.items() if v is not None})
    settings = msgspec.structs.replace(settings, server=server)
    run(path, settings, lambda bound: typer.echo(f"{READY}{path} on grpc://{server.host}:{bound}"))
