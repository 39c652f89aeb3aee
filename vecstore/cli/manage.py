"""vecstore drop, compact and cancel: whole collections, and jobs that work on them."""

from __future__ import annotations

from typing import Annotated

import typer

from vecstore.cli.inspect import Collection, show_operations
from vecstore.cli.target import Target, Yes, confirm, open_client


def drop(collection: Collection, target: Target, yes: Yes = False) -> None:
    """Delete a collection with everything in it."""
    with open_client(target) as db:
        points = db.get_collection(collection).count()
        confirm(f"delete {collection} with its {points:,} points?", yes=yes)
        db.delete_collection(collection)
    typer.echo(f"deleted {collection}")


def compact(
    collection: Collection,
    target: Target,
    wait: Annotated[bool, typer.Option(help="Wait until it is done.")] = True,
) -> None:
    """Seal what is growing and merge all segments, without what was deleted. Queries go on meanwhile."""
    with open_client(target) as db:
        show_operations([db.get_collection(collection).compact(wait=wait)])


def cancel(operation: Annotated[str, typer.Argument(help="Its id, as `operations` lists it.")], target: Target) -> None:
    """Cancel a long job; what it had finished stays."""
    with open_client(target) as db:
        show_operations([db.cancel_operation(operation)])
