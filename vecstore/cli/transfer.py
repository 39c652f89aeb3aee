"""vecstore import and export: files in and out of a collection."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from vecstore.cli.inspect import Collection as CollectionName
from vecstore.cli.render import show_note
from vecstore.cli.target import Target, open_client
from vecstore.client._sync.client import Client
from vecstore.client._sync.collection import Collection
from vecstore.client.batches import UPLOAD_BYTES
from vecstore.client.fields import vector_field
from vecstore.client.progress import progress_bar
from vecstore.errors import AlreadyExists, InvalidArgument, VecstoreError
from vecstore.index_check import read_index
from vecstore.io.mapping import ColumnMapping, row_in_batch
from vecstore.io.sink import open_sink
from vecstore.io.source import Source, open_source
from vecstore.schema import VectorKind

PAGE_BYTES = 8 << 20
PAGE_POINTS = 1_000


def import_file(
    file: Annotated[
        Path, typer.Argument(help=".parquet, .jsonl, .npy, .hdf5 (ann-benchmarks, too), .npz; sparse: .csr, too")
    ],
    collection: CollectionName,
    target: Target,
    vector: Annotated[
        list[str] | None, typer.Option(help="NAME=COLUMN, for each vector field; default: what surely is one.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="NAME=COLUMN, for each text field; the column is payload, too.")
    ] = None,
    id_column: Annotated[str | None, typer.Option(help='Ids; default: "id", else row numbers.')] = None,
    payload: Annotated[
        str | None, typer.Option(help="Payload columns, comma-separated; default: all that hold single values.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Create the collection when it does not exist.")] = False,
    metric: Annotated[str | None, typer.Option(help="With --create: cosine, dot or l2.")] = None,
    dtype: Annotated[str | None, typer.Option(help="With --create: float32, float16 or bfloat16.")] = None,
    index: Annotated[list[str] | None, typer.Option(help="With --create: FIELD=KIND, a payload index.")] = None,
    vector_index: Annotated[
        str | None, typer.Option(help='With --create: index of the vectors, such as "ivf | rabitq(bits=4)".')
    ] = None,
    batch_bytes: Annotated[int, typer.Option(min=1, help="Bytes of one request.")] = UPLOAD_BYTES,
    resume: Annotated[int, typer.Option(min=0, help="Skip this many rows, stored before.")] = 0,
) -> None:
    """Import a file, in order and in batches; a bad row stops it, with nothing of its batch written."""
    shapes = (("--metric", metric), ("--dtype", dtype), ("--index", index), ("--vector-index", vector_index))
    for option, given in shapes:
        if given and not create:
            raise typer.BadParameter("shapes a new collection, so it goes with --create", param_hint=option)
    columns = None if payload is None else [name for name in payload.split(",") if name]
    named, texts = (
        dict(_pair(one, option) for one in given or ()) for option, given in (("--vector", vector), ("--text", text))
    )
    mapping = ColumnMapping(id_column, named, columns, texts)
    indexes = dict(_pair(one, "--index") for one in index or ())
    source = open_source(file, mapping)
    with open_client(target, create=create) as db:
        if create and not db.has_collection(collection):
            _create(db, collection, source, metric, dtype, indexes, vector_index)
        handle = db.collection(db.collection(collection).info().name)  # all of it goes to what an alias stands for now
        _upload(handle, source, file, batch_bytes, resume)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or (equals and not value) or (option == "--index" and not equals):
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
    return name, value or name


def _create(
    db: Client,
    name: str,
    source: Source,
    metric: str | None,
    dtype: str | None,
    indexes: dict[str, str],
    vector_index: str | None,
) -> None:
    fields = {}
    for field_name, field in source.fields().items():
        if field.kind is VectorKind.DENSE:
            wanted = {"dim": field.dim, "metric": metric or field.metric, "datatype": dtype or field.datatype}
            field = vector_field(wanted)
        elif field.kind in (VectorKind.SPARSE, VectorKind.MULTI):
            field = vector_field({"kind": field.kind, "dim": field.dim, "datatype": dtype or field.datatype})
        if vector_index is not None:
            field = msgspec.structs.replace(field, index=read_index(vector_index))
        fields[field_name] = field
    db.create_collection(name, fields, indexes=indexes)


def _upload(collection: Collection, source: Source, file: Path, batch_bytes: int, resume: int) -> None:
    done = resume
    started = time.perf_counter()
    with progress_bar(f"import {file.name}", source.total, None, done=resume) as advance:

        def count(points: int) -> None:
            nonlocal done
            done += points
            advance(points)

        try:
            batches = source.batches(collection.schema())
            result = collection.upload(batches, skip=resume, batch_bytes=batch_bytes, progress=count)
        except (VecstoreError, KeyboardInterrupt) as error:
            if done:
                show_note(f"{done:,} rows are stored; go on with --resume {done}")
            if isinstance(error, InvalidArgument):
                raise _with_row(error, file, done) from None
            raise
    seconds = time.perf_counter() - started
    rate = result.points / max(seconds, 1e-9)
    show_note(f"{result.points:,} points in {seconds:.1f} s ({rate:,.0f} points/s), seq {result.seq}")


def _with_row(error: InvalidArgument, file: Path, done: int) -> InvalidArgument:
    """The error with the file's row in front, or where it names no point of the request that failed, the first row of
    that."""
    if "row" in error.metadata:
        return error
    place = row_in_batch(error)
    row, where = (done, f"from row {done} on") if place is None else (done + place, f"row {done + place}")
    return InvalidArgument(f"{file}, {where}: {error.message}", reason=error.reason, metadata={"row": row})


def export_file(
    collection: CollectionName,
    file: Annotated[Path, typer.Argument(help=".parquet, .jsonl, .npy or .hdf5")],
    target: Target,
    vector: Annotated[list[str] | None, typer.Option(help="Vector fields; default: all.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it exists.")] = False,
) -> None:
    """Export every point, in id order; of a text field, its terms."""
    if file.exists() and not force:
        raise AlreadyExists(f"{file} exists; replace it with --force", reason="FILE_EXISTS")
    with open_client(target) as db:
        handle = db.collection(db.collection(collection).info().name)  # all of it is of what an alias stands for now
        fields = handle.schema().vectors
        if vector:
            unknown = sorted(set(vector) - set(fields))
            if unknown:
                known = ", ".join(sorted(fields))
                message = f"vector field {unknown[0]!r} is unknown; the collection has: {known}"
                raise InvalidArgument(message, reason="VECTOR_NAME_UNKNOWN")
            fields = {name: fields[name] for name in vector}
        started = time.perf_counter()
        points = _write(handle, file, list(fields))
    show_note(f"{points:,} points to {file} in {time.perf_counter() - started:.1f} s")


def _write(collection: Collection, file: Path, names: list[str]) -> int:
    schema = collection.schema()
    fields = {name: schema.vectors[name] for name in names}
    row_bytes = sum(field.row_bytes for field in fields.values()) + 256
    page = max(1, min(PAGE_POINTS, PAGE_BYTES // row_bytes))
    points = collection.scroll(page=page, with_vectors=names)
    written = 0
    sink = open_sink(file, fields, id_kinds(collection))
    try:
        with progress_bar(f"export {collection.name}", collection.count(), None) as advance:
            while chunk := list(itertools.islice(points, page)):
                sink.write(chunk)
                written += len(chunk)
                advance(len(chunk))
        sink.close()
    except BaseException:
        file.unlink(missing_ok=True)  # half a file looks like a whole one
        raise
    return written


def id_kinds(collection: Collection) -> list[str]:
    """Which kinds of id occur. Ids are ordered by kind, so three looks are enough."""
    kinds = []
    last: int | UUID | None = None
    for kind, end in (("num", (1 << 64) - 1), ("uuid", UUID(int=(1 << 128) - 1)), ("str", None)):
        first = next(collection.scroll(after=last, page=1, with_payload=False), None)
        if first is not None and {"num": int, "uuid": UUID, "str": str}[kind] is type(first.id):
            kinds.append(kind)
        last = end
    return kinds
