"""The bodies of queries and their answers."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from vecstore.wire.rest.base import Answer, Body, JsonObject
from vecstore.wire.rest.conditions import FilterSpec
from vecstore.wire.rest.ids import Id, Unsigned
from vecstore.wire.rest.points import (
    StoredPoint,
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
)
from vecstore.wire.rest.vectors import Vector, VectorEncoding

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
