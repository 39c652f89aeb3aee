"""vecstore estimate: what a collection would take, or one of a schema that is not there."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vecstore.cli.create import VectorIndex, named
from vecstore.cli.render import as_bytes, show_json, show_table
from vecstore.cli.target import Json, open_client
from vecstore.client.fields import vector_field

Entries = Annotated[
    list[str] | None, typer.Option(help="FIELD=NUMBER of entries, words or tokens of a point, on average.")
]


def estimate(
    target: Annotated[
        str,
        typer.Option(
            "--target", "-t", envvar="VECSTORE_TARGET", help="A directory, grpc://host:port or http://host:port."
        ),
    ] = ":memory:",
    collection: Annotated[str | None, typer.Argument(help="One that exists; without it give --kind or --dim.")] = None,
    points: Annotated[int | None, typer.Option(help="How many there would be; default: as many as there are.")] = None,
    dim: Annotated[int | None, typer.Option(help="Of vectors of a collection that does not exist.")] = None,
    kind: Annotated[str | None, typer.Option(help="dense, binary, sparse, text or multi; default: dense.")] = None,
    metric: Annotated[str | None, typer.Option(help="cosine, dot or l2.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16 or bfloat16.")] = None,
    vector_index: VectorIndex = None,
    index: Annotated[list[str] | None, typer.Option(help="FIELD=KIND, a payload index.")] = None,
    entries: Entries = None,
    payload_bytes: Annotated[float | None, typer.Option(help="Of a payload's JSON, on average.")] = None,
    id_bytes: Annotated[float | None, typer.Option(help="Of ids that are texts or UUIDs.")] = None,
    as_json: Json = False,
) -> None:
    """Bytes on disk and in memory, by part. Makes nothing."""
    sizes = {name: _number(value) for name, value in (named(one, "--entries") for one in entries or ())}
    shape: dict[str, Any] = {"payload_bytes": payload_bytes, "id_bytes": id_bytes}
    if (collection is None) == (dim is None and kind is None):
        raise typer.BadParameter("give a collection, or --dim or --kind", param_hint="COLLECTION")
    with open_client(target) as db:
        if collection is not None:
            values = db.collection(collection).estimate(points, entries=sizes, **shape)
        else:
            if points is None:
                raise typer.BadParameter("is needed", param_hint="--points")
            wanted: dict[str, Any] = {"kind": kind or "dense", "dim": dim, "metric": metric, "datatype": dtype}
            wanted = {name: value for name, value in wanted.items() if value is not None} | {"index": vector_index}
            kinds = dict(named(one, "--index") for one in index or ())
            values = db.estimate(points, {"default": vector_field(wanted)}, indexes=kinds, entries=sizes, **shape)
    if as_json:
        show_json(values)
    else:
        show_estimate(values)


def show_estimate(values: dict[str, Any]) -> None:
    typer.echo(f"{values['points']:,} points in {values['segments']} segments")
    rows = [(name, one["index"], f"{one['row_bytes']:,.0f} B a point") for name, one in values["vectors"].items()]
    show_table(("field", "index", "vectors and index"), rows)
    columns = ("for", "disk", "mapped", "resident")
    every = {**values["components"], "all": values["total"]}
    show_table(columns, [(name, *(as_bytes(one[key]) for key in columns[1:])) for name, one in every.items()])
    if "actual" in values:
        actual, found = values["actual"]["bytes"], values["bytes"]
        names = sorted(actual.keys() | found.keys())
        table = [(name, as_bytes(found.get(name, 0)), as_bytes(actual.get(name, 0))) for name in names]
        show_table(("component", "estimated", f"now, {values['actual']['rows']:,} rows"), table)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number", param_hint="--entries") from None
