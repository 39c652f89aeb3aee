"""vecstore stats, verify, collections, operations, info: what is there and whether it is well."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from vecstore.cli.fields import describe
from vecstore.cli.render import as_bytes, as_time, show_json, show_table, show_tree
from vecstore.cli.target import Json, Target, open_client
from vecstore.client.connect import connect
from vecstore.config import load_settings
from vecstore.errors import Corruption
from vecstore.types import OperationInfo, OperationState

Collection = Annotated[str, typer.Argument(help="The collection's name.")]
AnyCollection = Annotated[str | None, typer.Argument(help="A collection's name; without it, all of them.")]


def stats(collection: Collection, target: Target, as_json: Json = False) -> None:
    """Rows, segments, bytes of each component, indexes."""
    with open_client(target) as db:
        values = db.collection(collection).stats()
    if as_json:
        show_json(values)
    else:
        show_stats(values, collection)


def show_stats(values: dict[str, Any], collection: str) -> None:
    segments = values.pop("segments")
    show_tree(values, collection)
    columns = ("segment", "kind", "rows", "dead", "bytes", "indexes", "damaged")
    show_table(columns, [_segment_row(one) for one in segments])
    chosen = [
        (one["id"], name, choice["index"], choice["why"])
        for one in segments
        for name, choice in sorted(one["chosen"].items())
    ]
    if chosen:
        show_table(("segment", "field", "chosen", "why"), chosen)


def _segment_row(one: dict[str, Any]) -> tuple[object, ...]:
    indexes = [f"{name}: {text}" for name, text in sorted(one["vector_indexes"].items())]
    size = as_bytes(sum(one["bytes"].values()))
    dead = f"{one['deleted']:,} ({one['dead_share']:.1%})"
    return one["id"], one["kind"], one["rows"], dead, size, [*indexes, *one["indexed"]], sorted(one["damaged"])


def verify(target: Target, collection: AnyCollection = None, as_json: Json = False) -> None:
    """Check every checksum; exit code 1 when something is damaged."""
    with open_client(target) as db:
        operation = db.verify() if collection is None else db.collection(collection).verify()
    if as_json:
        show_json(operation)
    elif operation.state is OperationState.DONE:
        show_operations([operation])
    if operation.state is not OperationState.DONE:
        raise Corruption(operation.error or f"verification ended as {operation.state}")


def collections(target: Target, as_json: Json = False) -> None:
    """Every collection with its fields."""
    with open_client(target) as db:
        infos = db.list_collections()
    if as_json:
        show_json(infos)
        return
    rows = []
    for info in infos:
        fields = [f"{name}: {describe(field)}" for name, field in info.schema.vectors.items()]
        indexes = [f"{key}: {kind}" for key, kind in info.schema.fields.items()]
        rows.append((info.name, info.points, "; ".join(fields), "; ".join(indexes) or "-", info.seq))
    show_table(("collection", "points", "vectors", "indexes", "seq"), rows)


def operations(target: Target, collection: AnyCollection = None, as_json: Json = False) -> None:
    """Long jobs, running and recent."""
    with open_client(target) as db:
        listed = db.operations(collection)
    if as_json:
        show_json(listed)
    else:
        show_operations(listed)


def show_operations(listed: list[OperationInfo]) -> None:
    columns = ("operation", "kind", "collection", "state", "phase", "progress", "rate", "eta", "started", "error")
    show_table(columns, [_operation_row(one) for one in listed])


def _operation_row(one: OperationInfo) -> tuple[str, ...]:
    progress = f"{one.done:,} / {one.total:,}" if one.total else f"{one.done:,}"
    rate = f"{one.rate:,.0f}/s" if one.rate else "-"
    eta = "-" if one.eta_s is None else f"{one.eta_s:.0f} s"
    started = as_time(one.started_at)
    state = str(one.state)
    return (one.id, one.kind, one.collection or "-", state, one.phase, progress, rate, eta, started, one.error or "")


def info(
    target: Annotated[
        str, typer.Option("--target", "-t", envvar="VECSTORE_TARGET", help="Ask this database or server instead.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Version, kernels and their instruction set, and the limits."""
    with open_client(target) if target else connect(":memory:", settings=load_settings()) as db:
        values: dict[str, Any] = db.info()
    values = {**values, "limits": msgspec.structs.asdict(load_settings().limits)} if not target else values
    if as_json:
        show_json(values)
    else:
        show_tree(values, "vecstore")
