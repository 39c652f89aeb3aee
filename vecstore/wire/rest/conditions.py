"""Under which conditions a write is done, and how often: what all writes have in common."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from vecstore.config import Limits
from vecstore.query.parse import parse_filter, to_dict
from vecstore.types import IfMatch, Indexed, WriteRequest
from vecstore.wire.rest.base import Body, Durable, Waited, bad_argument
from vecstore.wire.rest.ids import U64_MAX, Unsigned, filter_ids

W = TypeVar("W", bound=WriteRequest)

FilterSpec = Annotated[
    Any,
    msgspec.Meta(
        description="must, should, must_not, min_should, or one condition, or a list of conditions that must all hold.",
        extra_json_schema={"$ref": "#/components/schemas/Filter"},
    ),
]


class IfMatchSpec(Body):
    """What a point has to be for a write by ids to touch it. `filter`: a point that is there has to satisfy it.
    `seqs`: for each id, the write that the point must come from, 0 for no such point. With `fail` one point that does
    not match ends the write (VERSION_MISMATCH), otherwise it is skipped."""

    filter: FilterSpec = None
    seqs: list[Unsigned] | None = None
    fail: bool = False


class WriteBody(Body):
    """`idempotency_key`: a write whose key was used before is not done again, and gets the answer of the first time.
    `wait` "indexed": where the call's time is up first, 504 (NOT_INDEXED_YET) with the `seq` of the write, which is
    durable and visible."""

    durability: Durable | None = None
    if_match: IfMatchSpec | None = None
    idempotency_key: str | None = None
    wait: Waited = "visible"


def conditioned(request: W, given: WriteBody, limits: Limits) -> W:
    """The request, under the conditions of its body. Raises InvalidArgument (BAD_FILTER, LIMIT_EXCEEDED)."""
    request.idempotency_key = given.idempotency_key
    request.wait = wait_of(given.wait)
    if given.if_match is not None:
        where = given.if_match.filter
        for place, seq in enumerate(given.if_match.seqs or ()):
            if seq > U64_MAX:
                raise bad_argument(f"if_match.seqs[{place}]", f"is {seq}, outside 0..2^64-1", "LIMIT_EXCEEDED")
        parsed = None if where is None else parse_filter(filter_ids(where), limits, "if_match.filter")
        request.if_match = IfMatch(parsed, given.if_match.seqs, given.if_match.fail)  # type: ignore[union-attr]
    return request


def wait_of(given: Waited) -> Indexed | None:
    return Indexed() if given == "indexed" else None


def conditions_to_json(request: WriteRequest) -> dict[str, Any]:
    """The fields of `WriteBody`."""
    found: dict[str, Any] = {"durability": request.durability, "idempotency_key": request.idempotency_key}
    if request.wait is not None:
        found["wait"] = "indexed"
    condition: IfMatch | None = getattr(request, "if_match", None)
    if condition is not None:
        where = None if condition.filter is None else to_dict(condition.filter)
        seqs = None if condition.seqs is None else list(condition.seqs)
        found["if_match"] = IfMatchSpec(filter=where, seqs=seqs, fail=condition.fail)
    return found
