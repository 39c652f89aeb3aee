"""What a query has beside its filter: vectors, search parameters, prefetches and fusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vecstore.config import Limits
from vecstore.errors import invalid, limit_exceeded
from vecstore.index.base import DEFAULT_PARAMS, SearchParams, params_of
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.sparse_check import bad_vector
from vecstore.types import Mmr, Prefetch, QueryRequest
from vecstore.wire.filters import filter_to_pb, given_filter
from vecstore.wire.given import only
from vecstore.wire.parts import query_vector, set_int
from vecstore.wire.ranking import ranking_from_pb, ranking_to_pb
from vecstore.wire.vectors import set_vector

LIMIT_DEFAULT = Prefetch().k


def params_to_pb(message: pb.SearchParams, params: SearchParams) -> None:
    """Defaults stay off the wire; what is out of bounds is the engine's to refuse."""
    message.SetInParent()
    for name in SearchParams.__slots__:
        value = getattr(params, name)
        if value == getattr(DEFAULT_PARAMS, name):
            continue
        try:
            setattr(message, name, value)
        except (ValueError, TypeError):
            problem = f"params.{name}={value!r:.40} does not fit its type"
            path = f"params.{name}"
            raise invalid("BAD_ARGUMENT", problem, path) from None


def params_from_pb(message: pb.SearchParams) -> SearchParams:
    return params_of(
        message.nprobe,
        message.oversampling,
        message.rescore if message.HasField("rescore") else True,
        message.exact,
        message.truncate_dim,
        message.recall_target,
        message.ef,
        message.block_factor,
        message.indexed_only,
        message.allow_partial,
    )


# ---- prefetches and fusions


def stages_to_pb(request: QueryRequest | Prefetch, message: pb.QueryRequest | pb.Prefetch) -> None:
    """What makes `request` more than one search."""
    if request.ranking is not None:
        ranking_to_pb(request.ranking, message)
    if request.fusion is not None:
        _fusion_to_pb(request.fusion, message.fusion)
    for prefetch in request.prefetch:
        _prefetch_to_pb(prefetch, message.prefetch.add())
    if isinstance(request, QueryRequest) and request.mmr is not None and isinstance(message, pb.QueryRequest):
        message.mmr.diversity = request.mmr.diversity
        set_int(message.mmr, "candidates", request.mmr.candidates)


def _prefetch_to_pb(prefetch: Prefetch, message: pb.Prefetch) -> None:
    if prefetch.vector is not None:
        set_vector(message.nearest, only(prefetch.vector))
    message.using = prefetch.using or ""
    set_int(message, "limit", prefetch.k)
    if prefetch.filter is not None:
        message.filter.CopyFrom(filter_to_pb(prefetch.filter))
    if prefetch.score_threshold is not None:
        message.score_threshold = prefetch.score_threshold
    if prefetch.params != DEFAULT_PARAMS:
        params_to_pb(message.params, prefetch.params)
    stages_to_pb(prefetch, message)


def _fusion_to_pb(fusion: Fusion, message: pb.Fusion) -> None:
    if fusion.method is FusionMethod.RRF:
        message.rrf.SetInParent()
        set_int(message.rrf, "k", fusion.k)
        message.rrf.weigh_ranks = fusion.weigh_ranks
    elif fusion.method is FusionMethod.DBSF:
        message.dbsf.SetInParent()
    else:
        message.relative.SetInParent()
    message.weights.extend(fusion.weights)


def stages_from_pb(message: pb.QueryRequest, request: QueryRequest, limits: Limits, path: str) -> None:
    """Fill in what makes `request` more than one search. Raises InvalidArgument."""
    request.prefetch = _prefetches_from_pb(message.prefetch, limits, path, 1)
    if message.WhichOneof("query") == "fusion":
        request.fusion = _fusion_from_pb(message.fusion, f"{path}fusion")
    request.ranking = ranking_from_pb(message, limits, path)
    if message.HasField("mmr"):
        default, mmr = Mmr(), message.mmr
        request.mmr = Mmr(
            mmr.diversity if mmr.HasField("diversity") else default.diversity,
            mmr.candidates if mmr.HasField("candidates") else default.candidates,
        )


def _prefetches_from_pb(messages: Sequence[pb.Prefetch], limits: Limits, path: str, depth: int) -> tuple[Prefetch, ...]:
    if messages and depth > limits.prefetch_depth_max:
        raise limit_exceeded("prefetch_depth_max", depth, limits.prefetch_depth_max, path="prefetch depth")
    return tuple(
        _prefetch_from_pb(message, limits, f"{path}prefetch[{place}].", depth) for place, message in enumerate(messages)
    )


def _prefetch_from_pb(message: pb.Prefetch, limits: Limits, path: str, depth: int) -> Prefetch:
    has, query = message.HasField, message.WhichOneof("query")
    if query is None:
        raise bad_vector(f"{path}nearest", "is missing: a prefetch needs a vector or a fusion")
    return Prefetch(
        query_vector(message.nearest, f"{path}nearest") if query == "nearest" else None,
        message.using or None,
        given_filter(message, limits, f"{path}filter"),
        message.limit if has("limit") else LIMIT_DEFAULT,
        message.score_threshold if has("score_threshold") else None,
        params_from_pb(message.params) if has("params") else DEFAULT_PARAMS,
        _prefetches_from_pb(message.prefetch, limits, path, depth + 1),
        _fusion_from_pb(message.fusion, f"{path}fusion") if query == "fusion" else None,
        ranking_from_pb(message, limits, path),
    )


def _fusion_from_pb(message: pb.Fusion, path: str) -> Fusion:
    method = message.WhichOneof("method")
    if method is None:
        problem = f"{path} names no method: give rrf, dbsf or relative"
        raise invalid("BAD_ARGUMENT", problem, path)
    weights = tuple(message.weights)
    k = message.rrf.k if message.rrf.HasField("k") else Fusion().k
    return Fusion(FusionMethod(method), k, weights, message.rrf.weigh_ranks)


def legs_to_pb(legs: Mapping[int, float], point: pb.ScoredPoint) -> None:
    for place, score in legs.items():
        point.legs.add(prefetch=place, score=score)


def legs_from_pb(point: pb.ScoredPoint) -> dict[int, float]:
    return {leg.prefetch: leg.score for leg in point.legs}
