"""vecstore create, index and tune: a new collection, another index for a vector field of one that exists, and what that
index should know of the queries that come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vecstore.cli.advise import TEST, read_queries
from vecstore.cli.fields import describe
from vecstore.cli.inspect import Collection, show_operations
from vecstore.cli.target import Target, open_client
from vecstore.client.fields import vector_field
from vecstore.index_check import read_index
from vecstore.index_spec import Flat
from vecstore.io.sparse_source import read_sparse
from vecstore.schema import VectorField

VectorIndex = Annotated[
    str | None, typer.Option(help='Index of the vectors, such as "ivf | rabitq(bits=4)" or "flat"; default: auto.')
]


def create(
    collection: Collection,
    target: Target,
    dim: Annotated[int | None, typer.Option(min=1, help="Components of a vector, or bits of a binary one.")] = None,
    vector: Annotated[str, typer.Option(help="The vector field's name.")] = "default",
    metric: Annotated[str | None, typer.Option(help="cosine, dot or l2.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16 or bfloat16.")] = None,
    binary: Annotated[bool, typer.Option("--binary", help="Bits, compared by Hamming distance.")] = False,
    sparse: Annotated[bool, typer.Option("--sparse", help="Indices and weights, compared by inner product.")] = False,
    multi: Annotated[bool, typer.Option("--multi", help="Any number of token vectors, compared by MaxSim.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Texts, ranked by BM25.")] = False,
    language: Annotated[str | None, typer.Option(help='Of texts: stemmer and stop words; "none" for neither.')] = None,
    vector_index: VectorIndex = None,
    index: Annotated[list[str] | None, typer.Option(help="FIELD=KIND, a payload index.")] = None,
) -> None:
    """Create a collection with one vector field."""
    flags = {"binary": binary, "sparse": sparse, "multi": multi, "text": text}
    kinds = [name for name, given in flags.items() if given]
    if len(kinds) > 1:
        raise typer.BadParameter(f"goes without --{kinds[0]}", param_hint=f"--{kinds[1]}")
    kind = kinds[0] if kinds else "dense"
    if (dim is None) != (kind in ("sparse", "text")):
        problem = "is needed" if dim is None else f"does not apply: {kind} vectors have no dimension"
        raise typer.BadParameter(problem, param_hint="--dim")
    if language is not None and not text:
        raise typer.BadParameter("goes with --text", param_hint="--language")
    shape = {"dim": dim, "metric": metric, "datatype": dtype}
    wanted: dict[str, Any] = {"kind": kind, "index": vector_index}
    wanted |= {name: value for name, value in shape.items() if value is not None}
    if text:
        wanted["analysis"] = {"language": language or "english"}
    field = vector_field(wanted)
    with open_client(target, create=True) as db:
        db.create_collection(collection, {vector: field}, indexes=dict(named(one, "--index") for one in index or ()))
    typer.echo(f"{collection}: {vector}: {describe(field)}")


def update_index(
    collection: Collection,
    spec: Annotated[
        str,
        typer.Argument(help='Such as "ivf | rabitq(bits=4)"; "flat" (or "none") is exact search.'),
    ],
    target: Target,
    using: Annotated[str | None, typer.Option(help="The vector field, when there are several.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until every segment is indexed.")] = True,
) -> None:
    """Index a vector field by another spec. Queries go on meanwhile."""
    chosen = Flat() if spec == "none" else read_index(spec)
    with open_client(target) as db:
        handle = db.get_collection(collection)
        name = only_field(handle.schema().vectors, using)
        show_operations([handle.update_index(name, chosen, wait=wait)])
        if wait:
            show_served(handle.stats()["vectors"][name])


def show_served(field: dict[str, Any]) -> None:
    """What answers for a field's rows by now: an index is not for those that are few, or still growing."""
    served = ", ".join(f"{rows:,} rows by {how}" for how, rows in field["served_by"].items())
    typer.echo(f"{field['index']}: {served or 'no rows yet'}")
    if field["index"] not in ("auto", "flat") and field["served_by"].get("flat"):
        typer.echo(
            "Segments that grow, or have fewer rows than storage.index_rows_min, are scanned exactly; "
            "`vecstore compact` seals and merges them."
        )


def tune(
    collection: Collection,
    queries: Annotated[
        Path, typer.Argument(help="Like those to come: a .npy matrix, or an .hdf5 file's `test`; sparse: .npz, .csr.")
    ],
    target: Target,
    using: Annotated[str | None, typer.Option(help="The vector field, when there are several.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until every segment is tuned.")] = True,
) -> None:
    """Calibrate the index on queries of your own, so that --recall holds for queries like these."""
    with open_client(target) as db:
        handle = db.get_collection(collection)
        fields = handle.schema().vectors
        field = fields.get(only_field(fields, using))
        rows: Any = read_sparse(queries, TEST) if field is not None and field.is_sparse else read_queries(queries)
        show_operations([handle.tune(rows, using=using, wait=wait)])


def only_field(fields: dict[str, VectorField], using: str | None) -> str:
    """The field that is meant; an unknown one is for the engine to refuse."""
    if using is None and len(fields) > 1:
        raise typer.BadParameter(f"name one of {', '.join(sorted(fields))}", param_hint="--using")
    return using or next(iter(fields))


def named(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
    return name, value
