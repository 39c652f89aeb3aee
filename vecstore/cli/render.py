"""What the commands print: tables for people, JSON for programs, errors on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vecstore.errors import VecstoreError

stderr = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def show_error(error: VecstoreError) -> None:
    stderr.print(f"error: {error.reason}: {one_line(error.message)}")


def show_note(text: str) -> None:
    stderr.print(text)


def one_line(text: str) -> str:
    return " ".join(text.split())


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table as wide as the terminal; numbers to the right, long text cut."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_header=any(columns), show_edge=False)
    listed = [list(row) for row in rows]
    for place, name in enumerate(columns):
        numbers = bool(listed) and all(isinstance(row[place], int | float) for row in listed)
        table.add_column(name, justify="right" if numbers else "left", overflow="ellipsis", no_wrap=True)
    for row in listed:
        table.add_row(*[Text(as_text(value)) for value in row])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def as_text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {as_text(item)}" for key, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(as_text(item) for item in value) or "-"
    return str(value)


def as_payload(payload: Mapping[str, Any] | None) -> str:
    """Values as they are: a year has no comma."""
    pairs = (payload or {}).items()
    return ", ".join(f"{key}: {one if isinstance(one, str) else _as_json(one)}" for key, one in pairs) or "-"


def _as_json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def show_tree(values: Mapping[str, Any], title: str | None = None) -> None:
    """A nested dictionary as two columns, keys joined by dots, and lists of dictionaries as tables of their own."""
    flat: list[tuple[str, object]] = []
    tables: list[tuple[str, list[Mapping[str, Any]]]] = []
    _flatten("", values, flat, tables)
    show_table(("", ""), [(key, _measured(key, value)) for key, value in flat], title)
    for key, rows in tables:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        show_table(columns, [[_measured(name, row.get(name)) for name in columns] for row in rows], key)


def _flatten(
    prefix: str,
    values: Mapping[str, Any],
    flat: list[tuple[str, object]],
    tables: list[tuple[str, list[Mapping[str, Any]]]],
) -> None:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            _flatten(f"{key}.", value, flat, tables)
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            tables.append((key, value))
        else:
            flat.append((key, value))


def _measured(key: str, value: object) -> object:
    """Sizes in bytes in a unit that reads well, the rest as it is."""
    if "bytes" not in key or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {name: _measured(key, size) for name, size in value.items()}
    return as_bytes(value) if isinstance(value, int) else value


def as_bytes(size: int) -> str:
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size} B"


def as_time(seconds: float | None) -> str:
    return "-" if not seconds else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def show_json(value: object) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2)
    sys.stdout.write(encoded.decode() + "\n")


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(type(value).__name__)
