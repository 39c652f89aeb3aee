"""From what users write in a query to a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict

from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.options import unknown_option
from vecstore.client.rankings import VECTORS, as_ranking
from vecstore.client.requests import as_count, as_flag, as_number, as_timeout, bad_argument, search_params, select
from vecstore.client.stages import Prefetch, as_prefetches, checked_fusion
from vecstore.client.vectors import as_query, only_vector
from vecstore.config import Limits
from vecstore.memory.remembered import Remembered
from vecstore.query.fusion import Fusion
from vecstore.rows import GivenRows
from vecstore.schema import Schema, VectorField
from vecstore.types import Mmr, QueryRequest

REQUESTS_REMEMBERED = 64


class BatchOptions(TypedDict, total=False):
    """What queries by a vector take, as `Collection.query` explains it."""

    using: str | None
    filter: FilterLike | None
    offset: int
    score_threshold: float | None
    with_payload: bool | Sequence[str]
    with_vectors: bool | Sequence[str]
    nprobe: int | None
    ef: int | None
    oversampling: float | None
    rescore: bool
    exact: bool
    truncate_dim: int | None
    recall: float | None
    block_factor: float | None
    indexed_only: bool
    allow_partial: bool
    timeout_s: float | None


class QueryOptions(BatchOptions, total=False):
    """What every kind of query takes."""

    prefetch: Sequence[Prefetch]
    fusion: Fusion | None
    mmr: Mmr | None
    explain: bool


class Asked:
    """What a handle was asked for lately, all of it but the vectors and filters: programs ask alike again and again.
    Threads may share one object."""

    def __init__(self) -> None:
        self._requests: Remembered[Any, tuple[Schema, VectorField, QueryRequest]] = Remembered(REQUESTS_REMEMBERED)

    def request(
        self,
        name: str,
        schema: Schema,
        limits: Limits,
        vector: Any,
        k: int,
        min_seq: int,
        timeout_s: float,
        given: QueryOptions,
    ) -> QueryRequest:
        """As `query_request`, of the same `name`, `limits` and `timeout_s` each time."""
        # With their types, for True and 1.0 are equal to 1 and may be refused where it is not.
        key = (k, type(k), *given.items(), *map(type, given.values()))
        try:
            known = self._requests.get(key)
        except TypeError:  # of a list, which may hold something else next time
            return query_request(name, schema, limits, vector, k, min_seq, timeout_s, given)
        if known is None or known[0] is not schema or type(vector) not in VECTORS:
            made = query_request(name, schema, limits, vector, k, min_seq, timeout_s, given)
            if made.vector is not None and not made.is_staged and _are_plain((k, *given.values())):
                field = schema.vectors[only_vector(schema, made.using)]
                self._requests.keep(key, (schema, field, replace(made, vector=None)))
            return made
        _, field, like = known
        return QueryRequest(
            name, as_query(vector, field), like.using, None, like.k, like.offset, like.score_threshold, like.select,
            min_seq, like.timeout_s, like.explain, like.params,
        )  # fmt: skip


def _are_plain(values: Sequence[object]) -> bool:
    """Whether these are what they are for good."""
    return all(value is None or type(value) in (bool, int, float, str) for value in values)


def check_query_options(given: QueryOptions) -> None:
    """Raises TypeError for an option that there is not."""
    for option in given.keys() - QueryOptions.__annotations__.keys():
        raise unknown_option("a query", option, QueryOptions.__annotations__)


def check_batch_options(given: BatchOptions) -> None:
    for option in given.keys() - BatchOptions.__annotations__.keys():
        if option not in QueryOptions.__annotations__:
            raise unknown_option("a batch of vectors", option, BatchOptions.__annotations__)
        raise TypeError(f"a batch of vectors has no option {option!r}; one of Query objects may have it in each")


def query_request(
    name: str, schema: Schema, limits: Limits, vector: Any, k: int, min_seq: int, timeout_s: float, given: QueryOptions
) -> QueryRequest:
    """A request to collection `name`; `timeout_s` is where none is given. Raises InvalidArgument, and TypeError for
    an option that there is not."""
    check_query_options(given)
    prefetch = as_prefetches(given.get("prefetch", ()), schema, limits)
    rows, ranking = as_ranking(vector, schema, given.get("using"), limits, len(prefetch))
    request = request_of(name, limits, rows, k, min_seq, timeout_s, given)
    request.prefetch, request.ranking = prefetch, ranking
    request.fusion, request.mmr = checked_fusion(given.get("fusion")), given.get("mmr")
    if not isinstance(request.mmr, Mmr | None):
        raise bad_argument("mmr", f"mmr={request.mmr!r:.80} must be MMR(...)")
    request.explain = as_flag("explain", given.get("explain", False))
    return request


def request_of(
    name: str,
    limits: Limits,
    rows: GivenRows | None,
    k: int,
    min_seq: int,
    timeout_s: float,
    given: BatchOptions,
) -> QueryRequest:
    """By rows, one or a batch of them. Raises InvalidArgument."""
    return QueryRequest(
        name,
        rows,
        using=given.get("using"),
        filter=as_filter(given.get("filter"), limits),
        k=as_count("k", k),
        offset=as_count("offset", given.get("offset", 0)),
        score_threshold=as_number("score_threshold", given.get("score_threshold")),
        select=select(given.get("with_payload", True), given.get("with_vectors", False)),
        min_seq=min_seq,
        timeout_s=as_timeout(given.get("timeout_s"), timeout_s),
        params=search_params(
            given.get("nprobe"),
            given.get("oversampling"),
            given.get("rescore", True),
            given.get("exact", False),
            given.get("truncate_dim"),
            given.get("recall"),
            given.get("ef"),
            given.get("block_factor"),
            given.get("indexed_only", False),
            given.get("allow_partial", False),
        ),
    )
