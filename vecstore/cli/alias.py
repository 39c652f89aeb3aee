"""vecstore alias list, set, delete, rename, swap: other names of collections, and switching them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from vecstore.aliases import Alias, AliasAction, CreateAlias, DeleteAlias, RenameAlias, SwapAliases
from vecstore.cli.render import show_json, show_table
from vecstore.cli.target import Json, Target, open_client

Name = Annotated[str, typer.Argument(help="The alias.")]

app = typer.Typer(
    help="Aliases: names that stand for a collection wherever one is named, and can be switched at once.",
    no_args_is_help=True,
)


@app.command("list")
def list_aliases(
    target: Target,
    collection: Annotated[str | None, typer.Argument(help="Only those of this collection.")] = None,
    as_json: Json = False,
) -> None:
    """The aliases, with what each stands for."""
    with open_client(target) as db:
        _show(db.list_aliases(collection), as_json)


@app.command("set")
def set_alias(
    target: Target,
    alias: Name,
    collection: Annotated[str, typer.Argument(help="The collection that it stands for from now on.")],
    as_json: Json = False,
) -> None:
    """Make an alias, or switch one that there is: readers see the old collection or the new one, never none."""
    _update(target, [CreateAlias(alias, collection)], as_json)


@app.command("delete")
def delete(target: Target, alias: Name, as_json: Json = False) -> None:
    """Delete an alias; its collection stays."""
    _update(target, [DeleteAlias(alias)], as_json)


@app.command("rename")
def rename(
    target: Target,
    alias: Name,
    new_alias: Annotated[str, typer.Argument(help="What it is called from now on.")],
    as_json: Json = False,
) -> None:
    """Call an alias by another name, which must be free."""
    _update(target, [RenameAlias(alias, new_alias)], as_json)


@app.command("swap")
def swap(
    target: Target,
    alias: Name,
    other: Annotated[str, typer.Argument(help="The other alias.")],
    as_json: Json = False,
) -> None:
    """Let each of two aliases stand for what the other one does, such as live and staging."""
    _update(target, [SwapAliases(alias, other)], as_json)


def _update(target: str, actions: Sequence[AliasAction], as_json: bool) -> None:
    with open_client(target) as db:
        _show(db.update_aliases(actions), as_json)


def _show(aliases: Sequence[Alias], as_json: bool) -> None:
    if as_json:
        show_json(aliases)
    else:
        show_table(("alias", "collection"), [(one.alias, one.collection) for one in aliases])
