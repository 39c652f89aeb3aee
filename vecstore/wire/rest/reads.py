"""Requests that read points, besides queries, and what they answer."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from vecstore.config import Limits
from vecstore.facets import FacetRequest, Facets, Matrix, MatrixRequest
from vecstore.hits import id_array
from vecstore.types import CountRequest, GetRequest, Point, ScrollRequest, ScrollResult
from vecstore.wire.rest.base import Answer, Body, bad_argument
from vecstore.wire.rest.conditions import FilterSpec
from vecstore.wire.rest.ids import U64_MAX, Id, Unsigned, id_from_json, id_to_json, ids_from_json
from vecstore.wire.rest.points import (
    StoredPoint,
    filter_from_json,
    filter_to_json,
    ids_to_json,
    point_from_json,
    points_to_json,
)
from vecstore.wire.rest.queries import Selector, Seqs, TimeoutMs
from vecstore.wire.rest.query_requests import selection, selector_to_json, seq_from_json, seqs_from_json
from vecstore.wire.rest.ranking import Int64
from vecstore.wire.rest.vectors import VectorEncoding


class Selected(Body):
    with_payload: Selector = True
    with_vectors: Selector = False
    vector_encoding: VectorEncoding = VectorEncoding.LIST
    min_seq: Unsigned = 0
    min_seqs: Seqs = {}


class GetBody(Selected, kw_only=True):
    ids: list[Id]


class GetAnswer(Answer):
    """The points that exist, in the order of the request."""

    points: list[StoredPoint]
    seq: int


class ScrollBody(Selected):
    """Points in id order, starting after `after`."""

    filter: FilterSpec = None
    limit: Int64 = 10
    after: Id | None = None


class ScrollAnswer(Answer):
    """Pass `next_after` as `after` to go on in `collection`, as an alias may stand for another one by then; null at the
    end."""

    points: list[StoredPoint]
    next_after: Id | None
    seq: int
    collection: str = ""


class CountBody(Body):
    filter: FilterSpec = None
    min_seq: Unsigned = 0
    min_seqs: Seqs = {}


class CountAnswer(Answer):
    count: int
    seq: int


class FacetBody(Body):
    """The most frequent values of a payload key: strings, integers, booleans. A point counts once for each of its
    values."""

    key: str
    filter: FilterSpec = None
    limit: Int64 = 10
    min_seq: Unsigned = 0
    min_seqs: Seqs = {}


class FacetCount(msgspec.Struct):
    value: bool | int | float | str
    count: int


class FacetAnswer(Answer):
    counts: list[FacetCount]
    seq: int


class MatrixBody(Body):
    """Of the points listed, or of a sample of those that match."""

    using: str | None = None
    ids: list[Id] | None = None
    filter: FilterSpec = None
    sample: Int64 = 100
    seed: Unsigned | None = None
    min_seq: Unsigned = 0
    min_seqs: Seqs = {}
    timeout_ms: TimeoutMs | None = None


class MatrixAnswer(Answer):
    """Row after row: the score of a query by the row's vector for the column's point."""

    ids: list[Id]
    scores: list[list[float]]
    seq: int


def get_from_json(collection: str, given: GetBody) -> GetRequest:
    select = selection(given.with_payload, given.with_vectors)
    return GetRequest(
        collection, ids_from_json(given.ids), select, seq_from_json(given.min_seq), seqs_from_json(given.min_seqs)
    )


def scroll_from_json(collection: str, given: ScrollBody, limits: Limits) -> ScrollRequest:
    return ScrollRequest(
        collection,
        filter_from_json(given.filter, limits),
        given.limit,
        None if given.after is None else id_from_json(given.after),
        selection(given.with_payload, given.with_vectors),
        seq_from_json(given.min_seq),
        seqs_from_json(given.min_seqs),
    )


def count_from_json(collection: str, given: CountBody, limits: Limits) -> CountRequest:
    where = filter_from_json(given.filter, limits)
    return CountRequest(collection, where, seq_from_json(given.min_seq), seqs_from_json(given.min_seqs))


def facet_from_json(collection: str, given: FacetBody, limits: Limits) -> FacetRequest:
    where = filter_from_json(given.filter, limits)
    seq, seqs = seq_from_json(given.min_seq), seqs_from_json(given.min_seqs)
    return FacetRequest(collection, given.key, where, given.limit, seq, seqs)


def matrix_request_from_json(collection: str, given: MatrixBody, limits: Limits) -> MatrixRequest:
    if given.seed is not None and given.seed > U64_MAX:
        raise bad_argument("seed", f"is {given.seed}, outside 0..2^64-1", "LIMIT_EXCEEDED")
    return MatrixRequest(
        collection,
        given.using,
        None if given.ids is None else ids_from_json(given.ids),
        filter_from_json(given.filter, limits),
        given.sample,
        given.seed,
        seq_from_json(given.min_seq),
        None if given.timeout_ms is None else given.timeout_ms / 1000,
        seqs_from_json(given.min_seqs),
    )


def get_to_answer(points: list[Point], seq: int, encoding: VectorEncoding) -> GetAnswer:
    return GetAnswer(points=points_to_json(points, encoding is VectorEncoding.BASE64), seq=seq)


def scroll_to_answer(result: ScrollResult, encoding: VectorEncoding) -> ScrollAnswer:
    return ScrollAnswer(
        points=points_to_json(result.points, encoding is VectorEncoding.BASE64),
        next_after=None if result.next_after is None else id_to_json(result.next_after),
        seq=result.seq,
        collection=result.collection,
    )


def facets_to_answer(facets: Facets) -> FacetAnswer:
    return FacetAnswer(counts=[FacetCount(value, count) for value, count in facets.counts], seq=facets.seq)


def matrix_to_answer(matrix: Matrix) -> MatrixAnswer:
    ids = [id_to_json(one) for one in matrix.ids.tolist()]
    return MatrixAnswer(ids=ids, scores=matrix.scores.tolist(), seq=matrix.seq)


# ---- of a client


def get_to_json(request: GetRequest) -> GetBody:
    return GetBody(ids=ids_to_json(request.ids), **_selected(request))


def scroll_to_json(request: ScrollRequest) -> ScrollBody:
    after = None if request.after is None else id_to_json(request.after)
    where = filter_to_json(request.filter)
    return ScrollBody(filter=where, limit=request.limit, after=after, **_selected(request))


def count_to_json(request: CountRequest) -> CountBody:
    return CountBody(
        filter=filter_to_json(request.filter), min_seq=request.min_seq, min_seqs=dict(request.min_seqs or {})
    )


def facet_to_json(request: FacetRequest) -> FacetBody:
    where = filter_to_json(request.filter)
    return FacetBody(
        key=request.key,
        filter=where,
        limit=request.limit,
        min_seq=request.min_seq,
        min_seqs=dict(request.min_seqs or {}),
    )


def matrix_to_json(request: MatrixRequest) -> MatrixBody:
    return MatrixBody(
        using=request.using,
        ids=None if request.ids is None else ids_to_json(request.ids),
        filter=filter_to_json(request.filter),
        sample=request.sample,
        seed=request.seed,
        min_seq=request.min_seq,
        min_seqs=dict(request.min_seqs or {}),
        timeout_ms=None if request.timeout_s is None else max(1, round(request.timeout_s * 1000)),
    )


def get_from_answer(answer: GetAnswer) -> tuple[list[Point], int]:
    return [point_from_json(one) for one in answer.points], answer.seq


def scroll_from_answer(answer: ScrollAnswer) -> ScrollResult:
    after = None if answer.next_after is None else id_from_json(answer.next_after)
    return ScrollResult([point_from_json(one) for one in answer.points], after, answer.seq, answer.collection)


def facets_from_answer(answer: FacetAnswer) -> Facets:
    return Facets([(one.value, one.count) for one in answer.counts], answer.seq)


def matrix_from_answer(answer: MatrixAnswer) -> Matrix:
    count = len(answer.ids)
    scores = np.array(answer.scores, dtype=np.float32).reshape(count, count)
    return Matrix(id_array([id_from_json(one) for one in answer.ids]), scores, answer.seq)


def _selected(request: GetRequest | ScrollRequest) -> dict[str, Any]:
    return {
        "with_payload": selector_to_json(request.select.payload),
        "with_vectors": selector_to_json(request.select.vectors),
        "vector_encoding": VectorEncoding.BASE64,
        "min_seq": request.min_seq,
        "min_seqs": dict(request.min_seqs or {}),
    }
