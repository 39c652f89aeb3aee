"""All commands under one name, with one way to fail."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vecstore.cli import (
    alias,
    create,
    documents,
    estimate,
    gateway,
    inspect,
    keys,
    manage,
    mcp,
    points,
    query,
    serve,
    snapshots,
    transfer,
    update,
)
from vecstore.cli.advise import advise_command
from vecstore.cli.render import show_error
from vecstore.errors import VecstoreError
from vecstore.version import __version__


class Commands(TyperGroup):
    """Errors of ours become one line and exit code 1; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VecstoreError as error:
            show_error(error)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="vecstore",
    cls=Commands,
    help="A vector database, embedded in a directory or behind gRPC and REST. Commands that take --target also read "
    "VECSTORE_TARGET; VECSTORE_API_KEY is sent to servers that ask for a key. VECSTORE_CA, VECSTORE_CLIENT_CERT and "
    "VECSTORE_CLIENT_KEY name PEM files for grpcs:// targets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vecstore {__version__}")
        raise typer.Exit


@app.callback()
def every(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    return  # what else there is to do, the command does


app.command("serve")(serve.serve)
app.command("gateway")(gateway.gateway)
app.command("mcp")(mcp.mcp)
app.command("create")(create.create)
app.command("index")(create.update_index)
app.command("update")(update.update)
app.command("estimate")(estimate.estimate)
app.command("tune")(create.tune)
app.command("import")(transfer.import_file)
app.command("export")(transfer.export_file)
app.command("query")(query.query)
app.command("get")(points.get)
app.command("count")(points.count)
app.command("delete")(points.delete)
app.command("advise")(advise_command)
app.command("stats")(inspect.stats)
app.command("verify")(inspect.verify)
app.command("snapshot")(snapshots.snapshot)
app.command("snapshots")(snapshots.snapshots)
app.command("restore")(snapshots.restore)
app.command("collections")(inspect.collections)
app.command("operations")(inspect.operations)
app.command("cancel")(manage.cancel)
app.command("compact")(manage.compact)
app.command("drop")(manage.drop)
app.command("info")(inspect.info)
app.add_typer(documents.app, name="documents")
app.add_typer(alias.app, name="alias")
app.add_typer(keys.app, name="keys")
