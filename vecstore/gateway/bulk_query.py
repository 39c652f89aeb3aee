"""How bodies of many points are written: what stands after `?`, as these bodies have no place for it."""

from __future__ import annotations

import msgspec

from vecstore.types import Durability, WriteMode
from vecstore.wire.rest.base import Waited, bad_argument
from vecstore.wire.rest.conditions import IfMatchSpec, WriteBody

PART_KEY_MAX = 240  # characters: each batch of a stream adds its number


class BulkQuery(msgspec.Struct):
    """What a body of JSON says beside its points, for bodies of other types; `if_match` is the same JSON as there."""

    mode: WriteMode = WriteMode.UPSERT
    durability: Durability | None = None
    if_match: str | None = None
    idempotency_key: str | None = None
    wait: Waited = "visible"


def conditions_of(query: BulkQuery, *, parts: bool = False) -> WriteBody:
    """For a body that is written whole, or in `parts`. Raises InvalidArgument (BAD_ARGUMENT)."""
    spec = None
    if query.if_match is not None:
        try:
            spec = msgspec.json.decode(query.if_match.encode(), type=IfMatchSpec)
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_argument("if_match", f"does not fit: {str(error)[:300]}") from None
        if parts and spec.seqs is not None:
            raise bad_argument("if_match.seqs", "are not for streams: PUT the points, or use a filter")
    if parts and query.wait != "visible":
        raise bad_argument("wait", f"={query.wait} is not for streams: PUT the last points with it")
    key = query.idempotency_key
    if parts and key is not None and not 0 < len(key) <= PART_KEY_MAX:
        raise bad_argument("idempotency_key", f"has {len(key)} characters, not 1 to {PART_KEY_MAX}")
    return WriteBody(if_match=spec, idempotency_key=key, wait=query.wait)


def part_key(query: BulkQuery, number: int) -> str | None:
    """Of a stream's batch: the same lines sent again are cut into the same batches."""
    return None if query.idempotency_key is None else f"{query.idempotency_key}/{number}"


def check_in_body(query: BulkQuery) -> None:
    """A body of JSON has these itself. Raises InvalidArgument (BAD_ARGUMENT)."""
    for name in query.__struct_fields__:
        if getattr(query, name) != getattr(BulkQuery(), name):
            raise bad_argument(name, "belongs into a body of JSON")
