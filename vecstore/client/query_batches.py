"""Batches of unlike queries: each is what `Collection.query` takes, and they go in as few requests as the limits
allow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeGuard, Unpack

import msgspec

from vecstore.client.batches import POINT_OVERHEAD_BYTES, row_bytes
from vecstore.client.query import BatchOptions, QueryOptions, check_query_options
from vecstore.errors import InvalidArgument, VecstoreError, invalid
from vecstore.query.parse import to_dict
from vecstore.ranking import Discover, Example, NearestId, Recommend, examples_of, is_id
from vecstore.types import Prefetch, QueryRequest


class Query:
    """One query of a batch: a vector or what else `Collection.query` takes, how many points, and its own options."""

    __slots__ = ("k", "options", "vector")

    def __init__(self, vector: Any = None, k: int = 10, **options: Unpack[QueryOptions]) -> None:
        check_query_options(options)
        self.vector, self.k, self.options = vector, k, options

    def __repr__(self) -> str:
        given = [f"{name}={value!r:.60}" for name, value in self.options.items()]
        return f"Query({', '.join([f'{self.vector!r:.60}', f'k={self.k!r}', *given])})"


def are_queries(given: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a batch has queries with options of their own in it, and not only vectors."""
    return isinstance(given, list | tuple) and any(isinstance(one, Query) for one in given)


def check_no_options(k: int | None, options: BatchOptions) -> None:
    """Raises InvalidArgument where one is given beside queries that have their own."""
    given = sorted(options) if k is None else ["k", *sorted(options)]
    if given:
        message = f"{given[0]} must be given to each Query: those of a batch have their own options"
        raise invalid("BAD_ARGUMENT", message, given[0])


def as_requests(given: Sequence[Any], build: Callable[[Query], QueryRequest]) -> list[QueryRequest]:
    """Raises InvalidArgument naming the query, before any is sent."""
    requests = []
    for place, one in enumerate(given):
        if not isinstance(one, Query):
            message = f"queries[{place}] must be a Query, as others of the batch are, not {type(one).__name__}"
            violations = [(f"queries[{place}]", message)]
            raise InvalidArgument(message, reason="BAD_ARGUMENT", field_violations=violations)
        try:
            requests.append(build(one))
        except VecstoreError as error:
            raise error.at(f"queries[{place}]") from None
    return requests


def cut_requests(
    requests: Sequence[QueryRequest], bytes_max: int, count_max: int
) -> Iterator[tuple[int, Sequence[QueryRequest]]]:
    """(the place of the first, requests) in order, as many at a time as fit, but never less than one."""
    start = size = 0
    for place, request in enumerate(requests):
        own = request_bytes(request)
        if place > start and (size + own > bytes_max or place - start == count_max):
            yield start, requests[start:place]
            start, size = place, 0
        size += own
    yield start, requests[start:]


def request_bytes(request: QueryRequest | Prefetch) -> int:
    """What its vectors and filters take on the wire, about; the rest is small by its own bounds."""
    size = POINT_OVERHEAD_BYTES + sum(map(request_bytes, request.prefetch))
    if request.vector is not None:
        size += int(row_bytes(request.vector).sum())
    if request.filter is not None:
        size += len(msgspec.json.encode(to_dict(request.filter)))
    if isinstance(request.ranking, NearestId | Recommend | Discover):
        size += sum(_example_bytes(one) for _, one in examples_of(request.ranking))
    return size


def _example_bytes(example: Example) -> int:
    return POINT_OVERHEAD_BYTES if is_id(example) else int(row_bytes(example).sum())  # type: ignore[arg-type]


def further(error: VecstoreError, start: int) -> VecstoreError:
    """The error of a request whose first query is number `start` of the batch, with places counted in the batch."""

    def counted(text: str) -> str:
        return re.sub(r"\Aqueries\[(\d+)\]", lambda found: f"queries[{int(found[1]) + start}]", text)

    violations = [(counted(field), counted(message)) for field, message in error.field_violations]
    return type(error)(
        counted(error.message), reason=error.reason, metadata=error.metadata, field_violations=violations
    )
