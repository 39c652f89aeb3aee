"""Queries and their answers. Reading one and answering it is the gateway's hottest code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from vecstore.config import Limits
from vecstore.errors import limit_exceeded
from vecstore.grouping import Group, Groups, GroupsRequest
from vecstore.hits import Answers, Hits, PointColumns, id_array
from vecstore.quality import Quality
from vecstore.sparse_check import bad_vector
from vecstore.types import Prefetch, QueryRequest, Selection
from vecstore.usage import Usage
from vecstore.wire.given import given_rows, given_vectors, only
from vecstore.wire.rest.base import Answer, Body, JsonObject, bad_argument, payload_bytes
from vecstore.wire.rest.conditions import FilterSpec
from vecstore.wire.rest.ids import U64_MAX, Id, Unsigned, id_from_json, id_to_json
from vecstore.wire.rest.points import (
    StoredPoint,
    filter_from_json,
    filter_to_json,
    stored_vectors,
    vectors_to_json,
)
from vecstore.wire.rest.ranking import (
    DiscoverSpec,
    Diversity,
    FormulaSpec,
    FusionName,
    FusionSpec,
    Int64,
    OrderBySpec,
    RecommendSpec,
    SampleSpec,
    SearchParamsSpec,
    fusion_from_json,
    fusion_to_json,
    mmr_from_json,
    mmr_to_json,
    params_from_json,
    params_to_json,
    ranking_from_json,
    ranking_to_json,
)
from vecstore.wire.rest.vectors import Vector, VectorEncoding, query_vector, vector_to_json

Selector: TypeAlias = Annotated[bool | list[str], msgspec.Meta(description="Everything, nothing, or what is named.")]
Seqs: TypeAlias = Annotated[
    dict[str, Unsigned],
    msgspec.Meta(
        description="Writes to be seen, by the collection that they were made in. They are waited for before it is "
        "looked up what an alias stands for; `min_seq` is of the collection that it stands for then."
    ),
]
TimeoutMs: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1, description="Milliseconds.")]


class Ranked(Body):
    """What a query and a prefetch have in common: exactly one of `nearest`, `nearest_id`, `recommend`, `discover`,
    `fusion`, `order_by`, `sample` and `formula`."""

    nearest: Vector | None = None
    nearest_id: Id | None = None
    recommend: RecommendSpec | None = None
    discover: DiscoverSpec | None = None
    fusion: FusionSpec | FusionName | None = None
    order_by: OrderBySpec | None = None
    sample: SampleSpec | None = None
    formula: FormulaSpec = None
    using: str | None = None
    filter: FilterSpec = None
    score_threshold: float | None = None
    params: SearchParamsSpec | None = None


class PrefetchSpec(Ranked):
    """A query whose points another one starts from."""

    limit: Int64 = 100
    prefetch: list[PrefetchSpec] = []


class QueryBody(Ranked):
    """The `limit` points nearest to a vector; with prefetches, of the points that these find, scored exactly. Or the
    points that a fusion of the prefetches ranks first."""

    limit: Int64 = 10
    offset: Int64 = 0
    with_payload: Selector = True
    with_vectors: Selector = False
    vector_encoding: VectorEncoding = VectorEncoding.LIST
    min_seq: Unsigned = 0
    min_seqs: Seqs = {}
    timeout_ms: TimeoutMs | None = None
    explain: bool = False
    prefetch: list[PrefetchSpec] = []
    mmr: Diversity | None = None


class LegScore(msgspec.Struct):
    """A point's score in one prefetch of a fusion, named by its place."""

    prefetch: int
    score: float


class ScoredPoint(StoredPoint, kw_only=True):
    """Large scores are near for cosine, dot, bm25 and maxsim, small ones for l2 and hamming. `legs`: of a fusion, in
    the prefetches that found the point."""

    score: float
    legs: list[LegScore] | None = None


class AnswerQuality(msgspec.Struct, kw_only=True):
    """How good an answer is, as far as the server knows. `est_recall`: the share of the true nearest that the indexes'
    calibration promises, 1 for an exact answer. `basis`: what that rests on: `exact`, `queries` that the indexes were
    tuned on, `rows` held out, `unfamiliar` where the query is unlike these; empty where nothing is known. `complete`
    is false where a part of the collection was left out: `skipped_segments` with `skipped_points`, which wait for an
    index or were not searched in time (`timed_out`). `strategy`: what searched."""

    est_recall: float | None
    complete: bool
    strategy: str
    basis: str = ""
    skipped_segments: int = 0
    skipped_points: int = 0
    timed_out: bool = False


class AnswerUsage(msgspec.Struct, kw_only=True):
    """What answering took, of all `queries` that were answered together, of this request or of several: `time_us`
    microseconds in the engine, without waiting; `segments` searched, by each stage anew; `rows_scored`, which were
    compared with a query by vector, code or token."""

    time_us: int
    queries: int
    segments: int
    rows_scored: int


class QueryAnswer(msgspec.Struct, omit_defaults=True, kw_only=True):
    points: list[ScoredPoint]
    seq: int
    explain: JsonObject | None = None
    quality: AnswerQuality | None = None
    usage: AnswerUsage | None = None


class QueryBatchBody(Body):
    queries: list[QueryBody]


class QueryBatchAnswer(Answer):
    results: list[QueryAnswer]


class QueryGroupsBody(Body):
    """The first `query.limit` groups of points with the same value of the payload key `group_by`, in the order of their
    best points, each with its best `group_size` points. Without offset and mmr."""

    query: QueryBody
    group_by: str
    group_size: Int64 = 3


class PointGroup(Answer):
    value: bool | int | float | str
    points: list[ScoredPoint]


class QueryGroupsAnswer(msgspec.Struct, omit_defaults=True, kw_only=True):
    groups: list[PointGroup]
    seq: int
    explain: JsonObject | None = None
    quality: AnswerQuality | None = None
    usage: AnswerUsage | None = None


class ExplainBody(Body):
    query: QueryBody
    analyze: Annotated[bool, msgspec.Meta(description="Answer the query, too, and say what it did.")] = False


class ExplainAnswer(Answer):
    explained: JsonObject


class WhyNotBody(Body):
    query: QueryBody
    id: Id


class WhyNotAnswer(Answer):
    report: JsonObject
    seq: int


WAYS = ("nearest", "nearest_id", "recommend", "discover", "fusion", "order_by", "sample", "formula")


# ---- requests


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


_DEFAULT_SELECTION = Selection()


def seq_from_json(value: int, path: str = "min_seq") -> int:
    if value > U64_MAX:
        raise bad_argument(path, f"is {value}, outside 0..2^64-1", "LIMIT_EXCEEDED")
    return value


def seqs_from_json(given: Mapping[str, int], path: str = "min_seqs") -> dict[str, int] | None:
    return {name: seq_from_json(seq, f"{path}.{name:.80}") for name, seq in given.items()} or None


def groups_request_from_json(collection: str, given: QueryGroupsBody, limits: Limits) -> GroupsRequest:
    return GroupsRequest(query_from_json(collection, given.query, limits), given.group_by, given.group_size)


# ---- answers


def scored_to_json(hits: Hits, packed: bool) -> list[ScoredPoint]:
    points = []
    legs = hits.legs
    for place, (value, seq, payload, vectors, score) in enumerate(hits.values()):
        points.append(
            ScoredPoint(
                id=value if type(value) is int else id_to_json(value),
                score=score,
                seq=seq,
                payload=msgspec.UNSET if payload is None else msgspec.Raw(payload),
                vectors=None if vectors is None else vectors_to_json(vectors, packed),
                legs=None if legs is None else [LegScore(leg, part) for leg, part in legs[place].items()],
            )
        )
    return points


def hits_to_json(hits: Hits, encoding: VectorEncoding) -> QueryAnswer:
    points = scored_to_json(hits, encoding is VectorEncoding.BASE64)
    return QueryAnswer(points=points, seq=hits.seq, **_how(hits))


def groups_to_json(groups: Groups, encoding: VectorEncoding) -> QueryGroupsAnswer:
    packed = encoding is VectorEncoding.BASE64
    listed = [PointGroup(value=one.value, points=scored_to_json(one.hits, packed)) for one in groups.groups]
    return QueryGroupsAnswer(groups=listed, seq=groups.seq, **_how(groups))


def _how(answer: Hits | Groups) -> dict[str, Any]:
    quality, usage = quality_to_json(answer.quality), usage_to_json(answer.usage)
    return {"explain": answer.explain, "quality": quality, "usage": usage}


def usage_to_json(usage: Usage | None) -> AnswerUsage | None:
    if usage is None:
        return None
    return AnswerUsage(
        time_us=usage.time_us, queries=usage.queries, segments=usage.segments, rows_scored=usage.rows_scored
    )


def quality_to_json(quality: Quality | None) -> AnswerQuality | None:
    if quality is None:
        return None
    return AnswerQuality(
        est_recall=quality.est_recall, complete=quality.complete, strategy=quality.strategy, basis=quality.basis,
        skipped_segments=quality.skipped_segments, skipped_points=quality.skipped_points, timed_out=quality.timed_out,
    )  # fmt: skip


def usage_from_json(given: AnswerUsage | None) -> Usage | None:
    return None if given is None else Usage(**msgspec.structs.asdict(given))


def quality_from_json(given: AnswerQuality | None) -> Quality | None:
    return None if given is None else Quality(**msgspec.structs.asdict(given))


# ---- of a client


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


def scored_from_json(
    points: list[ScoredPoint],
    seq: int,
    explain: dict[str, Any] | None = None,
    quality: Quality | None = None,
    usage: Usage | None = None,
) -> Hits:
    columns = PointColumns(
        id_array([id_from_json(point.id) for point in points]),
        np.array([point.seq for point in points], dtype=np.uint64),
        [payload_bytes(point.payload) for point in points],
        [stored_vectors(point.vectors) for point in points],
    )
    scores = np.array([point.score for point in points], dtype=np.float32)
    legs = None
    if any(point.legs is not None for point in points):
        legs = [{leg.prefetch: leg.score for leg in point.legs or ()} for point in points]
    return Hits(Answers(columns, scores, seq, explain, legs, quality, usage), 0, len(points))


def hits_from_json(answer: QueryAnswer) -> Hits:
    how = answer.explain, quality_from_json(answer.quality), usage_from_json(answer.usage)
    return scored_from_json(answer.points, answer.seq, *how)


def groups_from_json(answer: QueryGroupsAnswer) -> Groups:
    groups = [Group(one.value, scored_from_json(one.points, answer.seq)) for one in answer.groups]
    how = answer.explain, quality_from_json(answer.quality), usage_from_json(answer.usage)
    return Groups(groups, answer.seq, *how)
