"""vecstore keys create, list, revoke: the file of API keys that a server reads (server.keys_file)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from vecstore.access.file import change_keys, read_keys
from vecstore.access.keys import KeyRecord, bad, new_key
from vecstore.cli.render import as_time, show_json, show_note, show_table
from vecstore.cli.target import Json
from vecstore.config import load_settings
from vecstore.errors import AlreadyExists, NotFound

UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

File = Annotated[Path | None, typer.Option("--file", "-f", help="The file of keys (default: server.keys_file).")]
Config = Annotated[Path | None, typer.Option(help="Settings in TOML that name the file.")]

app = typer.Typer(help="API keys: who may call a server, and what they may do.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; it stands in logs and in the list.")],
    role: Annotated[str, typer.Option(help="read, write or admin.")] = "read",
    collections: Annotated[
        str, typer.Option(help="Names, and prefixes that end in *, separated by commas; without it, all.")
    ] = "",
    expires: Annotated[str, typer.Option(help="In 30m, 12h, 90d, 4w, or at a date such as 2027-01-31.")] = "",
    file: File = None,
    config: Config = None,
) -> None:
    """Make a key and print it, once: the file keeps a hash."""
    path = _path(file, config)
    patterns = tuple(part.strip() for part in collections.split(",")) if collections else None
    key, record = new_key(name, role, patterns, _time(expires) if expires else None)

    def add(keys: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
        if any(one.name == name for one in keys):
            raise AlreadyExists(f"a key named {name!r} is in {path}", reason="KEY_EXISTS")
        return (*keys, record)

    change_keys(path, add)
    typer.echo(key)
    show_note("This is the only time that the key is shown.")


@app.command("list")
def list_keys(file: File = None, config: Config = None, as_json: Json = False) -> None:
    """Names, roles and collections of the keys in the file."""
    keys = read_keys(_path(file, config))
    if as_json:
        hidden = ("salt", "digest")
        shown = [{n: getattr(key, n) for n in key.__struct_fields__ if n not in hidden} for key in keys]
        show_json(shown)
        return
    rows = [
        (
            key.name,
            key.id,
            key.role,
            ", ".join(key.collections or ("all",)),
            as_time(key.created_at),
            "never" if key.expires_at is None else as_time(key.expires_at) + (" (past)" if key.is_expired() else ""),
        )
        for key in keys
    ]
    show_table(("key", "id", "role", "collections", "created", "expires"), rows)


@app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="The key's name, or its id.")], file: File = None, config: Config = None
) -> None:
    """Take a key out of the file; servers notice within about a second."""
    path = _path(file, config)

    def remove(keys: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
        left = tuple(one for one in keys if key not in (one.name, one.id))
        if len(left) == len(keys):
            raise NotFound(f"no key {key!r:.80} in {path}", reason="KEY_NOT_FOUND")
        return left

    change_keys(path, remove)
    show_note(f"revoked {key}")


def _path(file: Path | None, config: Path | None) -> Path:
    if file is not None:
        return file
    named = load_settings(config).server.keys_file
    if not named:
        raise bad("name the file of keys with --file, or with server.keys_file (VECSTORE_SERVER_KEYS_FILE)")
    return Path(named)


def _time(text: str) -> float:
    """Seconds since 1970 of a span from now, or of a date, UTC unless it says otherwise. Raises InvalidArgument."""
    if match := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        return time.time() + int(match[1]) * UNITS[match[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad(f"expires={text!r:.40} is no span such as 90d and no date such as 2027-01-31") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
