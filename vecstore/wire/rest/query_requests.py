"""Queries from the bodies of requests, and to them. Reading one is the gateway's hottest code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from vecstore.config import Limits
from vecstore.errors import limit_exceeded
from vecstore.grouping import GroupsRequest
from vecstore.sparse_check import bad_vector
from vecstore.types import Prefetch, QueryRequest, Selection
from vecstore.wire.given import given_rows, given_vectors, only
from vecstore.wire.rest.base import bad_argument
from vecstore.wire.rest.ids import U64_MAX
from vecstore.wire.rest.points import (
    filter_from_json,
    filter_to_json,
)
from vecstore.wire.rest.queries import (
    PrefetchSpec,
    QueryBatchBody,
    QueryBody,
    QueryGroupsBody,
    Ranked,
)
from vecstore.wire.rest.ranking import (
    fusion_from_json,
    fusion_to_json,
    mmr_from_json,
    mmr_to_json,
    params_from_json,
    params_to_json,
    ranking_from_json,
    ranking_to_json,
)
from vecstore.wire.rest.vectors import VectorEncoding, query_vector, vector_to_json

WAYS = ("nearest", "nearest_id", "recommend", "discover", "fusion", "order_by", "sample", "formula")
_DEFAULT_SELECTION = Selection()


def query_from_json(collection: str, given: QueryBody, limits: Limits, path: str = "") -> QueryRequest:
    """`path` is put before the names of fields in errors, such as `queries[3].`.

    Raises InvalidArgument: BAD_VECTOR, BAD_ARGUMENT, BAD_FILTER, BAD_FORMULA, LIMIT_EXCEEDED."""
    way = _way(given, path)
    return QueryRequest(
        collection,
        query_vector(given.nearest, f"{path}nearest") if given.nearest is not None else None,
        given.using,
        filter_from_json(given.filter, limits, f"{path}filter"),
        given.limit,
        given.offset,
        given.score_threshold,
        selection(given.with_payload, given.with_vectors),
        seq_from_json(given.min_seq, f"{path}min_seq"),
        None if given.timeout_ms is None else given.timeout_ms / 1000,
        given.explain,
        params_from_json(given.params),
        _prefetches(given.prefetch, limits, path, 1),
        fusion_from_json(given.fusion, f"{path}fusion") if given.fusion is not None else None,
        mmr_from_json(given.mmr),
        None if way in ("nearest", "fusion") else ranking_from_json(given, limits, path),
        seqs_from_json(given.min_seqs, f"{path}min_seqs"),
    )


def _way(given: Ranked, path: str) -> str:
    ways = [way for way in WAYS if getattr(given, way) is not None]
    if not ways:
        raise bad_vector(f"{path}nearest", f"is missing: give one of {', '.join(WAYS)}")
    if len(ways) > 1:
        raise bad_argument(f"{path}{ways[1]}", f"and {ways[0]} are both given: give one")
    return ways[0]


def _prefetches(given: list[PrefetchSpec], limits: Limits, path: str, depth: int) -> tuple[Prefetch, ...]:
    if given and depth > limits.prefetch_depth_max:
        raise limit_exceeded("prefetch_depth_max", depth, limits.prefetch_depth_max, path="prefetch depth")
    return tuple(_prefetch(one, limits, f"{path}prefetch[{place}].", depth) for place, one in enumerate(given))


def _prefetch(given: PrefetchSpec, limits: Limits, path: str, depth: int) -> Prefetch:
    way = _way(given, path)
    return Prefetch(
        query_vector(given.nearest, f"{path}nearest") if given.nearest is not None else None,
        given.using,
        filter_from_json(given.filter, limits, f"{path}filter"),
        given.limit,
        given.score_threshold,
        params_from_json(given.params),
        _prefetches(given.prefetch, limits, path, depth + 1),
        fusion_from_json(given.fusion, f"{path}fusion") if given.fusion is not None else None,
        None if way in ("nearest", "fusion") else ranking_from_json(given, limits, path),
    )


def selection(payload: bool | list[str], vectors: bool | list[str]) -> Selection:
    return _DEFAULT_SELECTION if payload is True and vectors is False else Selection(payload, vectors)


def seq_from_json(value: int, path: str = "min_seq") -> int:
    if value > U64_MAX:
        raise bad_argument(path, f"is {value}, outside 0..2^64-1", "LIMIT_EXCEEDED")
    return value


def seqs_from_json(given: Mapping[str, int], path: str = "min_seqs") -> dict[str, int] | None:
    return {name: seq_from_json(seq, f"{path}.{name:.80}") for name, seq in given.items()} or None


def groups_request_from_json(collection: str, given: QueryGroupsBody, limits: Limits) -> GroupsRequest:
    return GroupsRequest(query_from_json(collection, given.query, limits), given.group_by, given.group_size)


def query_to_json(request: QueryRequest) -> QueryBody:
    select = request.select
    return QueryBody(
        **_ranked(request),
        limit=request.k,
        offset=request.offset,
        with_payload=selector_to_json(select.payload),
        with_vectors=selector_to_json(select.vectors),
        vector_encoding=VectorEncoding.BASE64,
        min_seq=request.min_seq,
        min_seqs=dict(request.min_seqs or {}),
        timeout_ms=None if request.timeout_s is None else max(1, round(request.timeout_s * 1000)),
        explain=request.explain,
        mmr=mmr_to_json(request.mmr),
    )


def query_many_to_json(request: QueryRequest) -> QueryBatchBody:
    """A query for each row of `request.vector`."""
    if request.vector is None or not len(request.vector):
        return QueryBatchBody(queries=[])
    vectors = given_vectors(request.vector)
    one = request.vector[0] if isinstance(request.vector, np.ndarray) else given_rows(vectors[:1])
    first = query_to_json(replace(request, vector=one))
    nearest = [vector_to_json(vector, packed=True) for vector in vectors]
    return QueryBatchBody(queries=[msgspec.structs.replace(first, nearest=vector) for vector in nearest])


def groups_request_to_json(request: GroupsRequest) -> QueryGroupsBody:
    return QueryGroupsBody(query=query_to_json(request.query), group_by=request.by, group_size=request.size)


def _ranked(request: QueryRequest | Prefetch) -> dict[str, Any]:
    return {
        "nearest": None if request.vector is None else vector_to_json(only(request.vector), packed=True),
        "fusion": fusion_to_json(request.fusion),
        "using": request.using,
        "filter": filter_to_json(request.filter),
        "score_threshold": request.score_threshold,
        "params": params_to_json(request.params),
        "prefetch": [PrefetchSpec(**_ranked(one), limit=one.k) for one in request.prefetch],
        **ranking_to_json(request.ranking),
    }


def selector_to_json(choice: bool | Sequence[str]) -> bool | list[str]:
    return choice if isinstance(choice, bool) else list(choice)
