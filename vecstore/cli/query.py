"""vecstore query: the points nearest to a vector or to another point."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import numpy as np
import typer

from vecstore.cli.inspect import Collection
from vecstore.cli.render import as_text, show_json, show_table, show_tree
from vecstore.cli.target import Json, Target, open_client
from vecstore.client._sync.collection import Collection as CollectionHandle
from vecstore.client.filters import as_filter
from vecstore.client.vectors import only_vector
from vecstore.config import Limits
from vecstore.errors import InvalidArgument, NotFound
from vecstore.hits import Hits
from vecstore.io.jsonl import read_vector, write_id
from vecstore.query.filter import Filter, HasId, PointId
from vecstore.rows import StoredVector
from vecstore.schema import VectorField, VectorKind, larger_is_nearer


def query(
    collection: Collection,
    target: Target,
    vector: Annotated[
        str | None,
        typer.Option(
            help="JSON, a .json or .npy file, or - for JSON on standard input. Binary: packed bits in hex; sparse: "
            '{"17": 0.5}; for a text field, the words to search for.'
        ),
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="Search near this point, which is left out.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many points.")] = 10,
    using: Annotated[str | None, typer.Option(help="The vector field, when there are several.")] = None,
    filter: Annotated[
        str | None, typer.Option(help='JSON: {"must": [{"key": "lang", "match": {"value": "en"}}]}')
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Drop points with a worse score.")] = None,
    nprobe: Annotated[int | None, typer.Option(help="Lists to visit at most.")] = None,
    ef: Annotated[int | None, typer.Option(help="Candidates that a walk of a graph keeps.")] = None,
    oversampling: Annotated[float | None, typer.Option(help="Candidates to rerank, as a multiple of -k.")] = None,
    recall: Annotated[float | None, typer.Option(help="The share of the true nearest to find.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Scan the stored vectors.")] = False,
    rescore: Annotated[bool, typer.Option(help="Score by better values than the index's codes.")] = True,
    truncate_dim: Annotated[int | None, typer.Option(help="Compare this many leading components.")] = None,
    block_factor: Annotated[
        float | None, typer.Option(help="The benefit of the doubt that blocks of sparse vectors are given; 1: none.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show what was searched, and how.")] = False,
    payload: Annotated[bool, typer.Option(help="Show payloads.")] = True,
    as_json: Json = False,
) -> None:
    """Print the points nearest to a vector, or nearest to a stored point."""
    if (vector is None) == (id is None):
        raise typer.BadParameter("give --vector or --id, one of the two", param_hint="--vector")
    tree = None if filter is None else as_filter(read_json(filter, "--filter", "BAD_FILTER"), Limits())
    with open_client(target) as db:
        handle = db.get_collection(collection)
        name = only_vector(handle.schema(), using)
        field = handle.schema().vectors[name]
        given: Any = None if vector is None else read_given(vector, field)
        if id is not None:
            own, given = find_point(handle, id, name)
            tree = Filter(must=() if tree is None else (tree,), must_not=(HasId((own,)),))
        hits = handle.query(
            given, k, using=name, filter=tree, score_threshold=threshold, with_payload=payload, nprobe=nprobe,
            ef=ef, oversampling=oversampling, recall=recall, exact=exact, rescore=rescore, truncate_dim=truncate_dim,
            block_factor=block_factor, explain=explain,
        )  # fmt: skip
    if as_json:
        found = [{"id": write_id(hit.id), "score": hit.score, "payload": hit.payload} for hit in hits]
        quality = None if hits.quality is None else asdict(hits.quality)
        show_json({"hits": found, "quality": quality, "explain": hits.explain} if explain else found)
    else:
        show_hits(hits, field)
        if hits.explain is not None:
            show_tree({} if hits.quality is None else asdict(hits.quality), "quality")
            show_tree(hits.explain, "explain")


def show_hits(hits: Hits, field: VectorField) -> None:
    score = "similarity" if larger_is_nearer(field.metric) else "distance"
    rows = [(place, str(hit.id), round(hit.score, 4), as_text(hit.payload or {})) for place, hit in enumerate(hits, 1)]
    show_table(("", "id", f"{field.metric} {score}", "payload"), rows)


def read_json(text: str, where: str, reason: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidArgument(f"{where} is not JSON: {error}", reason=reason) from None


def read_given(text: str, field: VectorField) -> Any:
    """A vector, or words for a text field, from the command line, standard input or a file."""
    if field.kind is VectorKind.TEXT:
        return sys.stdin.read() if text == "-" else text
    if text == "-":
        return _vector(sys.stdin.read(), "standard input")
    if text.lstrip().startswith(("[", "{", '"')):
        return _vector(text, "--vector")
    path = Path(text)
    if not path.is_file():
        raise NotFound(f"--vector {text} is neither JSON nor a file", reason="FILE_NOT_FOUND")
    if path.suffix == ".npy":
        try:
            return np.squeeze(np.load(path))
        except (ValueError, EOFError) as error:
            raise InvalidArgument(f"{path} is not a numpy array: {error}", reason="BAD_VECTOR") from None
    return _vector(path.read_text(encoding="utf-8"), text)


def _vector(text: str, where: str) -> Any:
    try:
        return read_vector(read_json(text, where, "BAD_VECTOR"))
    except ValueError as error:
        raise InvalidArgument(f"{where} is no vector: {error}", reason="BAD_VECTOR") from None


def find_point(collection: CollectionHandle, text: str, name: str) -> tuple[PointId, StoredVector]:
    """The point whose id reads as `text` (as a number, UUID or string, the first that exists) and its vector."""
    for one in ids_that_read(text):
        for point in collection.get([one], with_payload=False, with_vectors=[name]):
            if not point.vectors or name not in point.vectors:
                raise NotFound(f"point {text} has no vector {name!r}", reason="VECTOR_NOT_FOUND")
            return point.id, point.vectors[name]
    raise NotFound(f"point {text} does not exist in {collection.name}", reason="POINT_NOT_FOUND")


def ids_that_read(text: str) -> list[PointId]:
    ids: list[PointId] = []
    if text.isascii() and text.isdigit() and int(text) < 1 << 64:
        ids.append(int(text))
    with contextlib.suppress(ValueError):
        ids.append(UUID(text))
    return [*ids, text]
