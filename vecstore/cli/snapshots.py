"""vecstore snapshot, snapshots, restore: the whole database as of one moment, and back."""

from __future__ import annotations

from typing import Annotated

import typer

from vecstore.cli.inspect import show_operations
from vecstore.cli.render import as_bytes, as_time, show_json, show_table
from vecstore.cli.target import Json, Target, open_client
from vecstore.client.restoring import restore as restore_folder
from vecstore.types import SnapshotInfo


def snapshot(
    target: Target,
    dest: Annotated[str, typer.Argument(help="A folder that does not exist yet; for a server, a name.")],
    as_json: Json = False,
) -> None:
    """Keep the whole database as it is at one moment."""
    with open_client(target) as db:
        operation = db.snapshot(dest)
    if as_json:
        show_json(operation)
    else:
        show_operations([operation])


def snapshots(
    target: Target,
    delete: Annotated[str, typer.Option("--delete", help="Delete the snapshot of this name.")] = "",
    as_json: Json = False,
) -> None:
    """The snapshots that are kept under names."""
    with open_client(target) as db:
        if delete:
            db.delete_snapshot(delete)
        listed = db.list_snapshots()
    if as_json:
        show_json(listed)
    else:
        _show(listed)


def restore(
    source: Annotated[str, typer.Argument(help="The snapshot's folder; with --target, its name.")],
    dest: Annotated[str, typer.Argument(help="A folder that does not exist yet; with --target, its name.")],
    target: Annotated[
        str, typer.Option("--target", "-t", help="Restore on this server, from a snapshot that it keeps.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a database of a snapshot; every byte is checked."""
    if not target:
        info = restore_folder(source, dest)
        show_json(info) if as_json else _show([info])
        return
    with open_client(target) as db:
        operation = db.restore_snapshot(source, dest)
    show_json(operation) if as_json else show_operations([operation])


def _show(listed: list[SnapshotInfo]) -> None:
    rows = [
        (one.name, as_time(one.created_at), as_bytes(one.bytes), ", ".join(_collections(one)) or "-", one.error or "")
        for one in listed
    ]
    show_table(("snapshot", "made", "bytes", "collections", "error"), rows)


def _collections(one: SnapshotInfo) -> list[str]:
    return [f"{name}: {points:,} at seq {one.seqs[name]:,}" for name, points in sorted(one.points.items())]
