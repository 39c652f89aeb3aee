"""What ranks answers beside vectors: fusions, examples, orders, samples, formulas; and how hard a query looks."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec

from vecstore.config import Limits
from vecstore.errors import InvalidArgument
from vecstore.index.base import DEFAULT_PARAMS, SearchParams, params_of
from vecstore.query.formula_format import format_formula
from vecstore.query.formula_parse import parse_formula
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.query.metrics import embedded_only
from vecstore.ranking import (
    ByMetric,
    Discover,
    Example,
    Formula,
    NearestId,
    OrderBy,
    Ranking,
    Recommend,
    Sample,
    Strategy,
    is_id,
)
from vecstore.types import Mmr
from vecstore.wire.given import only
from vecstore.wire.rest.base import Body, bad_argument
from vecstore.wire.rest.ids import U64_MAX, Id, StringId, Unsigned, filter_ids, id_from_json, id_to_json
from vecstore.wire.rest.vectors import Vector, query_vector, vector_to_json

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
FormulaSpec = Annotated[
    Any,
    msgspec.Meta(
        description='Such as {"add": [{"score": 0}, {"mul": [0.2, {"field": "year"}]}]}.',
        extra_json_schema={"$ref": "#/components/schemas/Formula"},
    ),
]


class ReciprocalRank(Body):
    """The sum of weight / (k + rank), ranks from 1; with `weigh_ranks` of 1 / (k + rank / weight)."""

    k: Int64 = 60
    weigh_ranks: bool = False


class ScoreDistribution(Body):
    """The sum of weight * (score - (mean - 3 sd)) / (6 sd)."""


class RelativeScore(Body):
    """The sum of weight * (score - min) / (max - min)."""


class FusionSpec(Body):
    """How the answers to the prefetches become one: exactly one of `rrf`, `dbsf` and `relative`. `weights` has one for
    each prefetch, or is left out."""

    rrf: ReciprocalRank | None = None
    dbsf: ScoreDistribution | None = None
    relative: RelativeScore | None = None
    weights: list[float] = []


class FusionName(StrEnum):
    """A fusion with its defaults."""

    RRF = "rrf"
    DBSF = "dbsf"
    RELATIVE = "relative"


class Diversity(Body):
    """Of `candidates`, those near the query and unlike each other; `diversity` 0 is only near, 1 only unlike."""

    diversity: float = 0.5
    candidates: Int64 = 100


class SearchParamsSpec(Body):
    """How hard a query looks. What is left out is the index's own choice."""

    nprobe: Annotated[Int64, msgspec.Meta(description="Lists to visit at most.")] | None = None
    oversampling: Annotated[float, msgspec.Meta(description="Candidates to rerank, times limit.")] | None = None
    rescore: bool = True
    exact: Annotated[bool, msgspec.Meta(description="Scan the stored vectors.")] = False
    truncate_dim: Int64 | None = None
    recall_target: Annotated[float, msgspec.Meta(description="Above 0, at most 1.")] | None = None
    ef: Annotated[Int64, msgspec.Meta(description="Width of a graph walk.")] | None = None
    block_factor: float | None = None
    indexed_only: Annotated[
        bool, msgspec.Meta(description="Leave out segments that wait for an index; in the prefetches below, too.")
    ] = False
    allow_partial: Annotated[
        bool, msgspec.Meta(description="When time runs out, answer from the segments searched so far; as above.")
    ] = False


class ExampleSpec(Body):
    """The `id` of a stored point, whose vector is meant, or a `vector`."""

    id: Id | None = None
    vector: Vector | None = None


class RecommendSpec(Body):
    """Points like the positive and unlike the negative examples."""

    positive: list[ExampleSpec] = []
    negative: list[ExampleSpec] = []
    strategy: Strategy = Strategy.AVERAGE_VECTOR


class ContextPair(Body):
    positive: ExampleSpec
    negative: ExampleSpec


class DiscoverSpec(Body):
    """Points on the positive side of as many pairs as possible, and of those nearest to the target."""

    target: ExampleSpec | None = None
    context: list[ContextPair] = []


class OrderBySpec(Body):
    """In the order of the number, or the moment, at a payload key."""

    key: str
    descending: bool = False
    start_from: float | str | None = None
    after: Id | None = None
    datetime: bool = False


class SampleSpec(Body):
    """Any points, each as likely as any other; the same ones for the same seed."""

    seed: Unsigned | None = None


# ---- from JSON


def params_from_json(given: SearchParamsSpec | None) -> SearchParams:
    if given is None:
        return DEFAULT_PARAMS
    return params_of(
        given.nprobe or 0, given.oversampling or 0.0, given.rescore, given.exact, given.truncate_dim or 0,
        given.recall_target or 0.0, given.ef or 0, given.block_factor or 0.0, given.indexed_only, given.allow_partial,
    )  # fmt: skip


def fusion_from_json(given: FusionSpec | FusionName, path: str) -> Fusion:
    """Raises InvalidArgument (BAD_ARGUMENT)."""
    if isinstance(given, FusionName):
        return Fusion(FusionMethod(given.value))
    named = [method for method in FusionMethod if getattr(given, method.value) is not None]
    if len(named) != 1:
        raise bad_argument(path, f"names {len(named) or 'no'} methods: give one of rrf, dbsf and relative")
    rank = ReciprocalRank() if given.rrf is None else given.rrf
    return Fusion(named[0], rank.k, tuple(given.weights), rank.weigh_ranks)


def mmr_from_json(given: Diversity | None) -> Mmr | None:
    return None if given is None else Mmr(given.diversity, given.candidates)


def ranking_from_json(given: Any, limits: Limits, path: str) -> Ranking | None:
    """Of a query or a prefetch; None where a vector or a fusion ranks. Raises InvalidArgument."""
    if given.nearest_id is not None:
        return NearestId(id_from_json(given.nearest_id))
    if given.recommend is not None:
        examples, at = given.recommend, f"{path}recommend"
        return Recommend(
            _examples(examples.positive, f"{at}.positive"),
            _examples(examples.negative, f"{at}.negative"),
            examples.strategy,
        )
    if given.discover is not None:
        return _discover(given.discover, f"{path}discover")
    if given.order_by is not None:
        order = given.order_by
        after = None if order.after is None else id_from_json(order.after)
        try:
            return OrderBy(order.key, order.descending, order.start_from, after, order.datetime)
        except InvalidArgument as error:
            raise error.at(path.removesuffix(".")) if path else error from None
    if given.sample is not None:
        if given.sample.seed is not None and given.sample.seed > U64_MAX:
            raise bad_argument(f"{path}sample.seed", f"is {given.sample.seed}, outside 0..2^64-1", "LIMIT_EXCEEDED")
        return Sample(given.sample.seed)
    if given.formula is not None:
        return Formula(parse_formula(filter_ids(given.formula), limits, f"{path}formula"))
    return None


def _discover(given: DiscoverSpec, path: str) -> Discover:
    pairs = []
    for place, pair in enumerate(given.context):
        at = f"{path}.context[{place}]"
        pairs.append((_example(pair.positive, f"{at}.positive"), _example(pair.negative, f"{at}.negative")))
    return Discover(None if given.target is None else _example(given.target, f"{path}.target"), tuple(pairs))


def _examples(given: list[ExampleSpec], path: str) -> tuple[Example, ...]:
    return tuple(_example(one, f"{path}[{place}]") for place, one in enumerate(given))


def _example(given: ExampleSpec, path: str) -> Example:
    if (given.id is None) == (given.vector is None):
        raise bad_argument(path, "must be either an id or a vector", "BAD_VECTOR")
    if given.vector is not None:
        return query_vector(given.vector, path)
    assert given.id is not None
    return id_from_json(given.id)


# ---- to JSON


def params_to_json(params: SearchParams) -> SearchParamsSpec | None:
    """Defaults stay off the wire; what is out of bounds is the engine's to refuse."""
    changed = {
        name: value
        for name in SearchParams.__slots__
        if (value := getattr(params, name)) != getattr(DEFAULT_PARAMS, name)
    }
    return SearchParamsSpec(**changed) if changed else None


def fusion_to_json(fusion: Fusion | None) -> FusionSpec | None:
    if fusion is None:
        return None
    spec = FusionSpec(weights=list(fusion.weights))
    if fusion.method is FusionMethod.RRF:
        spec.rrf = ReciprocalRank(k=fusion.k, weigh_ranks=fusion.weigh_ranks)
    elif fusion.method is FusionMethod.DBSF:
        spec.dbsf = ScoreDistribution()
    else:
        spec.relative = RelativeScore()
    return spec


def mmr_to_json(mmr: Mmr | None) -> Diversity | None:
    return None if mmr is None else Diversity(diversity=mmr.diversity, candidates=mmr.candidates)


def ranking_to_json(ranking: Ranking | None) -> dict[str, Any]:
    """The field of the query that says it."""
    match ranking:
        case None:
            return {}
        case NearestId(id):
            return {"nearest_id": id_to_json(id)}
        case Recommend(positive, negative, strategy):
            near, far = [_to_json(one) for one in positive], [_to_json(one) for one in negative]
            return {"recommend": RecommendSpec(positive=near, negative=far, strategy=strategy)}
        case Discover(target, context):
            pairs = [ContextPair(positive=_to_json(near), negative=_to_json(far)) for near, far in context]
            return {"discover": DiscoverSpec(target=None if target is None else _to_json(target), context=pairs)}
        case OrderBy(key, descending, _, after, datetime):
            last: int | str | StringId | None = None if after is None else id_to_json(after)
            start = ranking.start
            spec = OrderBySpec(key=key, descending=descending, start_from=start, after=last, datetime=datetime)
            return {"order_by": spec}
        case Sample(seed):
            return {"sample": SampleSpec(seed=seed)}
        case Formula(expression):
            return {"formula": format_formula(expression)}
        case ByMetric(_, metric):
            raise embedded_only(metric)


def _to_json(example: Example) -> ExampleSpec:
    if is_id(example):
        return ExampleSpec(id=id_to_json(example))
    return ExampleSpec(vector=vector_to_json(only(example), packed=True))  # type: ignore[arg-type]
