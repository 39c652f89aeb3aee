"""vecstore update: settings of a collection that exists."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer
from msgspec import UNSET

from vecstore.cli.create import VectorIndex, named, only_field
from vecstore.cli.inspect import Collection, show_operations
from vecstore.cli.render import show_json
from vecstore.cli.target import Json, Target, open_client
from vecstore.client.requests import field_index
from vecstore.schema import SearchDefaults

SEARCH = SearchDefaults.__struct_fields__  # in the order of the options
RESETS = ("index", "device", "embedder", "search", *(f"search.{name}" for name in SEARCH), "metadata")


def update(
    collection: Collection,
    target: Target,
    using: Annotated[str | None, typer.Option(help="The vector field, when there are several.")] = None,
    vector_index: VectorIndex = None,
    device: Annotated[str | None, typer.Option(help='Where it is searched: "cpu", "auto", "cuda:0".')] = None,
    embedder: Annotated[str | None, typer.Option(help="What makes its vectors of texts; of the same model.")] = None,
    recall: Annotated[float | None, typer.Option(help="For queries that do not say how hard to look.")] = None,
    ef: Annotated[int | None, typer.Option(help="The same: width of a graph walk.")] = None,
    nprobe: Annotated[int | None, typer.Option(help="The same: lists to visit.")] = None,
    oversampling: Annotated[float | None, typer.Option(help="The same: candidates to rescore, times k.")] = None,
    block_factor: Annotated[float | None, typer.Option(help="The same, of sparse fields.")] = None,
    index: Annotated[list[str] | None, typer.Option(help="KEY=KIND, a payload index, as of `create`.")] = None,
    drop_index: Annotated[list[str] | None, typer.Option(help="KEY, of a payload index; filters go on.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="KEY=JSON (or text); null takes the key away.")] = None,
    default: Annotated[list[str] | None, typer.Option(help=f"Put back to its default: {', '.join(RESETS)}.")] = None,
    if_version: Annotated[int | None, typer.Option(help="Only if the schema is at this version.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until indexes are built.")] = True,
    as_json: Json = False,
) -> None:
    """Change settings of a collection; what is not named stays."""
    changes = {"index": vector_index, "device": device, "embedder": embedder}
    field: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    effort = dict(zip(SEARCH, (recall, ef, nprobe, oversampling, block_factor), strict=True))
    search: dict[str, Any] = {name: value for name, value in effort.items() if value is not None}
    indexes = [named(one, "--index") for one in index or ()]
    for key, kind in indexes:
        field_index(collection, key, kind)  # refuses what is no kind before anything is changed
    own: Any = dict(_metadata(one) for one in metadata) if metadata else UNSET
    for name in default or ():
        if name not in RESETS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(RESETS)}", param_hint="--default")
        first, _, rest = name.partition(".")
        if name == "metadata":
            own = None
        elif rest:
            search[rest] = None
        else:
            field[first] = None
    if search and field.get("search", search) is not None:
        field["search"] = search
    with open_client(target) as db:
        handle = db.get_collection(collection)
        vectors = {only_field(handle.schema().vectors, using): field} if field else {}
        updated = handle.update(vectors=vectors, metadata=own, if_version=if_version, wait=wait)
        gone = [key for key in drop_index or () if handle.delete_field_index(key)]
        built = [handle.create_field_index(key, kind, wait=wait) for key, kind in indexes]
        info = handle.info() if gone or built else updated.info
    operations = [one for one in (updated.operation, *built) if one is not None]
    if as_json:
        show_json({"info": info, "operations": operations})
        return
    typer.echo(f"{collection}: version {info.version}")
    if operations:
        show_operations(operations)


def _metadata(text: str) -> tuple[str, Any]:
    key, value = named(text, "--metadata")
    try:
        return key, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return key, value
