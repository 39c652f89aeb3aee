"""vecstore get, count and delete: points by id or by filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from vecstore.cli.inspect import Collection
from vecstore.cli.query_given import one_that_exists, read_filter
from vecstore.cli.query_values import ids_between_commas
from vecstore.cli.render import as_payload, as_text, show_json, show_table
from vecstore.cli.target import Json, Target, Yes, confirm, open_client
from vecstore.errors import NotFound
from vecstore.io.jsonl import write_id, write_vector
from vecstore.schema import VectorField
from vecstore.types import Point

Filter = Annotated[str | None, typer.Option(help='JSON: {"must": [{"key": "lang", "match": {"value": "en"}}]}')]


def get(
    collection: Collection,
    ids: Annotated[list[str], typer.Argument(help="Ids: numbers, UUIDs or strings.")],
    target: Target,
    vectors: Annotated[bool, typer.Option("--vectors", help="Their vectors, too.")] = False,
    as_json: Json = False,
) -> None:
    """Print points by their ids; exit code 1 when one does not exist."""
    with open_client(target) as db:
        handle = db.get_collection(collection)
        wanted = [one_that_exists(handle, text) for text in ids]
        points = handle.get(wanted, with_vectors=vectors)
        fields = handle.schema().vectors
    if as_json:
        show_json([_plain(point, fields) for point in points])
    else:
        shown = fields if vectors else {}
        show_table(("id", "seq", "payload", *shown), [_row(point, shown) for point in points])
    there = {point.id for point in points}
    if missing := [str(one) for one in wanted if one not in there]:
        raise NotFound(f"not in {collection}: {', '.join(missing)}", reason="POINT_NOT_FOUND")


def count(collection: Collection, target: Target, filter: Filter = None) -> None:
    """Print how many points there are, or match a filter: exactly."""
    with open_client(target) as db:
        typer.echo(db.get_collection(collection).count(read_filter(filter)))


def delete(
    collection: Collection,
    target: Target,
    ids: Annotated[str | None, typer.Option(metavar="IDS", help="Between commas.")] = None,
    filter: Filter = None,
    yes: Yes = False,
) -> None:
    """Delete points by their ids, or all that match a filter."""
    if (ids is None) == (filter is None):
        raise typer.BadParameter("give --ids or --filter, one of the two", param_hint="--ids")
    with open_client(target) as db:
        handle = db.get_collection(collection)
        if ids is not None:
            chosen: dict[str, Any] = {"ids": [one_that_exists(handle, one) for one in ids_between_commas(ids)]}
        else:
            chosen = {"filter": read_filter(filter)}
            confirm(f"delete {handle.count(chosen['filter']):,} points of {collection}?", yes=yes)
        typer.echo(f"deleted {handle.delete(**chosen).changed:,}")


def _row(point: Point, fields: Mapping[str, VectorField]) -> tuple[object, ...]:
    vectors = [as_text(_written(point, fields).get(name)) for name in fields]
    return str(point.id), str(point.seq), as_payload(point.payload), *vectors


def _plain(point: Point, fields: Mapping[str, VectorField]) -> dict[str, Any]:
    found = {"id": write_id(point.id), "seq": point.seq, "payload": point.payload}
    return found if point.vectors is None else {**found, "vectors": _written(point, fields)}


def _written(point: Point, fields: Mapping[str, VectorField]) -> dict[str, Any]:
    return {name: write_vector(one, fields[name]) for name, one in (point.vectors or {}).items()}
