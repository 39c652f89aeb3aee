"""Queries of several stages as users write them: prefetches, fusions, diversity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.rankings import as_ranking
from vecstore.client.requests import as_count, as_flag, as_number, bad_argument, search_params
from vecstore.config import Limits
from vecstore.errors import InvalidArgument
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.schema import Schema
from vecstore.types import Mmr
from vecstore.types import Prefetch as PrefetchRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefetch:
    """A query whose `k` points another one starts from: by `vector`, as in `Collection.query`, or by a `fusion` of its
    own `prefetch`. With both a vector and prefetches, what these find is scored exactly by the vector. Its filter holds
    for the prefetches below it too."""

    vector: Any = None
    using: str | None = None
    k: int = 100
    filter: FilterLike | None = None
    score_threshold: float | None = None
    prefetch: Sequence[Prefetch] = ()
    fusion: Fusion | None = None
    nprobe: int | None = None
    ef: int | None = None
    oversampling: float | None = None
    rescore: bool = True
    exact: bool = False
    truncate_dim: int | None = None
    recall: float | None = None
    block_factor: float | None = None
    indexed_only: bool = False
    allow_partial: bool = False


def RRF(  # noqa: N802 (reads as a type where queries are written)
    k: int = 60, weights: Sequence[float] = (), *, weigh_ranks: bool = False
) -> Fusion:
    """Reciprocal rank fusion: the sum of weight / (k + rank), ranks from 1; with `weigh_ranks` of
    1 / (k + rank / weight), so that weights 3 and 1 take three of one list for each of the other."""
    return Fusion(FusionMethod.RRF, as_count("k", k), _weights(weights), as_flag("weigh_ranks", weigh_ranks))


def DBSF(weights: Sequence[float] = ()) -> Fusion:  # noqa: N802
    """Distribution-based score fusion: the weighted sum of (score - (mean - 3 sd)) / (6 sd)."""
    return Fusion(FusionMethod.DBSF, weights=_weights(weights))


def RelativeScore(weights: Sequence[float] = ()) -> Fusion:  # noqa: N802
    """Relative score fusion: the weighted sum of (score - min) / (max - min)."""
    return Fusion(FusionMethod.RELATIVE, weights=_weights(weights))


def _weights(given: Sequence[float]) -> tuple[float, ...]:
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise bad_argument("fusion.weights", f"fusion.weights={given!r:.80} must be a list of numbers")
    return tuple(_number(f"fusion.weights[{leg}]", weight) for leg, weight in enumerate(given))


def _number(name: str, value: Any) -> float:
    number = as_number(name, value)
    if number is None:
        raise bad_argument(name, f"{name}=None must be a number")
    return number


def checked_fusion(given: Any) -> Fusion | None:
    if not isinstance(given, Fusion | None):
        raise bad_argument("fusion", f"fusion={given!r:.80} must be RRF(), DBSF() or RelativeScore()")
    return given


def MMR(diversity: float = 0.5, candidates: int = 100) -> Mmr:  # noqa: N802
    """Of `candidates`, those that are near the query and unlike each other (maximal marginal relevance): `diversity` 0
    is only near, 1 only unlike."""
    return Mmr(_number("diversity", diversity), as_count("candidates", candidates))


def as_prefetches(given: Sequence[Prefetch], schema: Schema, limits: Limits) -> tuple[PrefetchRequest, ...]:
    """Raises InvalidArgument naming the prefetch."""
    if isinstance(given, Prefetch):
        given = [given]
    return tuple(_prefetch(one, schema, limits, f"prefetch[{place}]") for place, one in enumerate(given))


def _prefetch(given: Prefetch, schema: Schema, limits: Limits, path: str) -> PrefetchRequest:
    if not isinstance(given, Prefetch):
        raise InvalidArgument(f"{path} must be a Prefetch, not {type(given).__name__}", reason="BAD_ARGUMENT")
    try:
        below = as_prefetches(given.prefetch, schema, limits)
        vector, ranking = as_ranking(given.vector, schema, given.using, limits, len(below))
        params = search_params(
            given.nprobe, given.oversampling, given.rescore, given.exact, given.truncate_dim, given.recall, given.ef,
            given.block_factor, given.indexed_only, given.allow_partial,
        )  # fmt: skip
        return PrefetchRequest(
            vector,
            given.using,
            as_filter(given.filter, limits),
            as_count("k", given.k),
            as_number("score_threshold", given.score_threshold),
            params,
            below,
            checked_fusion(given.fusion),
            ranking,
        )
    except InvalidArgument as error:
        raise error.at(path) from None


def hybrid_stages(
    queries: Mapping[str, Any], fusion: Fusion, candidates: int, rerank: Mapping[str, Any] | None, k: int
) -> Prefetch:
    """One query by field name each, fused; with `rerank`, one field's query scores the best `candidates` exactly."""
    if not isinstance(queries, Mapping) or not queries:
        raise InvalidArgument("hybrid needs queries by field name, such as {'dense': vector}", reason="BAD_ARGUMENT")
    if rerank is not None and (not isinstance(rerank, Mapping) or len(rerank) != 1):
        raise InvalidArgument("rerank is one query by field name, such as {'tokens': tokens}", reason="BAD_ARGUMENT")
    legs = [Prefetch(vector=vector, using=name, k=candidates) for name, vector in queries.items()]
    if rerank is None:
        return Prefetch(prefetch=legs, fusion=fusion, k=k)
    ((name, vector),) = rerank.items()
    return Prefetch(vector=vector, using=name, k=k, prefetch=[Prefetch(prefetch=legs, fusion=fusion, k=candidates)])
