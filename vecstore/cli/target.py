"""Where a command works: the --target option and the client it opens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from vecstore.client._sync.client import Client
from vecstore.client.connect import connect
from vecstore.config import load_settings
from vecstore.errors import NotFound

Target = Annotated[
    str,
    typer.Option("--target", "-t", envvar="VECSTORE_TARGET", help="A directory, grpc://host:port or http://host:port."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def open_client(target: str, *, create: bool = False) -> Client:
    """Connect. A directory is made only by commands that write (`create`). Raises NotFound (TARGET_NOT_FOUND)."""
    if not create and "://" not in target and target != ":memory:" and not Path(target).is_dir():
        raise NotFound(f"directory {target} does not exist", reason="TARGET_NOT_FOUND")
    return connect(target, **connect_options(target))


def connect_options(target: str) -> dict[str, Any]:
    """What the environment says of a connection to `target`, for `connect`."""
    options: dict[str, Any] = {"api_key": os.environ.get("VECSTORE_API_KEY"), "settings": load_settings()}
    if target.startswith("grpcs://"):
        options |= {name.lower(): os.environ.get(f"VECSTORE_{name}") for name in ("CA", "CLIENT_CERT", "CLIENT_KEY")}
    return options


def confirm(question: str, *, yes: bool) -> None:
    """Ask before what cannot be taken back. Ends the command with exit code 1 where the answer is no, or none."""
    if not yes:
        typer.confirm(question, abort=True, err=True)
