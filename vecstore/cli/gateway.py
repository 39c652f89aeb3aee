"""vecstore gateway: REST alone, in front of a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from vecstore.cli.serve import READY, gateway_is_there
from vecstore.config import load_settings
from vecstore.errors import FailedPrecondition


def gateway(
    target: Annotated[
        str, typer.Option(envvar="VECSTORE_TARGET", help="The server to stand in front of, such as grpc://host:7334.")
    ],
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: server.host, 127.0.0.1).")] = None,
    rest_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port for REST (default: server.rest_port, 7333); 0: a free one."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML; VECSTORE_* variables win over it.")] = None,
) -> None:
    """Answer REST calls with what a server says, until SIGTERM or SIGINT. VECSTORE_API_KEY is the gateway's own key to
    that server; who may call the gateway is up to its settings (server.api_key, server.keys_file)."""
    if not gateway_is_there():
        raise FailedPrecondition("the gateway needs: pip install 'vecstore[gateway]'", reason="EXTRA_MISSING")
    from vecstore.gateway.serving import serve_alone

    settings = load_settings(config)
    given = {"host": host, "rest_port": rest_port}
    server = msgspec.structs.replace(settings.server, **{k: v for k, v in given.items() if v is not None})
    settings = msgspec.structs.replace(settings, server=server)
    scheme = "https" if server.tls_cert else "http"

    def ready(bound: int) -> None:
        typer.echo(f"{READY}{target} on {scheme}://{server.host}:{bound}")

    serve_alone(target, settings, os.environ.get("VECSTORE_API_KEY"), ready)
