"""vecstore serve: the server process."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from vecstore.config import load_settings
from vecstore.errors import FailedPrecondition
from vecstore.kernels.select import available_backends

CHILD = (sys.executable, "-m", "vecstore.cli.child")
REST_READY = "REST on "
READY = "serving "  # how the line starts that is printed once calls are answered


def serve(
    path: Annotated[Path, typer.Argument(help="The database's directory; made when absent.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: server.host, 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port for gRPC (default: server.port, 7334); 0: a free one.")
    ] = None,
    rest_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port for REST (default: server.rest_port, 7333); 0, or --port 0: a free one."
        ),
    ] = None,
    readers: Annotated[
        int | None,
        typer.Option(
            min=0, max=256, help="Processes that answer reads beside the one that writes (default: server.readers, 0)."
        ),
    ] = None,
    rest: Annotated[bool | None, typer.Option(help="Serve REST, too (default: server.rest, true).")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML; VECSTORE_* variables win over it.")] = None,
) -> None:
    """Serve a database over gRPC and REST until SIGTERM or SIGINT. The API key comes from VECSTORE_SERVER_API_KEY or
    the settings, never from the command line."""
    if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("grpc_health") is None:
        raise FailedPrecondition("serving needs gRPC: pip install 'vecstore[server]'", reason="EXTRA_MISSING")
    settings = load_settings(config)
    free = 0 if port == 0 and rest_port is None else rest_port
    given = {"host": host, "port": port, "rest_port": free, "rest": rest, "readers": readers}
    server = msgspec.structs.replace(settings.server, **{k: v for k, v in given.items() if v is not None})
    settings = msgspec.structs.replace(settings, server=server)

    def ready(bound: int, rest_bound: int | None) -> None:
        typer.echo(f"{READY}{path} on grpc://{server.host}:{bound}")
        if rest_bound is not None:
            scheme = "https" if server.tls_cert else "http"
            typer.echo(f"{REST_READY}{scheme}://{server.host}:{rest_bound}, described at /docs")

    if server.rest and not gateway_is_there():
        typer.echo("without REST, which needs: pip install 'vecstore[gateway]'", err=True)
    backend = available_backends()[0]
    if backend != "native":
        typer.echo(f"without the native extension: kernels run on {backend}, slower (see README, Install)", err=True)
    if server.readers:
        from vecstore.server.supervisor import serve_processes

        serve_processes(path, settings, CHILD, ready)
        return
    if server.rest and gateway_is_there():
        from vecstore.gateway.serving import serve as run_both

        run_both(path, settings, ready)
        return
    from vecstore.server.running import serve as run

    run(path, settings, ready)


def gateway_is_there() -> bool:
    """Whether the extra `gateway` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("uvicorn", "httptools", "zstandard"))
