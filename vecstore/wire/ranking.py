"""What ranks a query where it is neither a vector nor a fusion."""

from __future__ import annotations

from typing import Any

from vecstore.config import Limits
from vecstore.errors import invalid
from vecstore.pb.v1 import ranking_pb2 as pb
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
from vecstore.wire.formula import formula_from_pb, formula_to_pb
from vecstore.wire.given import only
from vecstore.wire.ids import id_from_pb, set_id
from vecstore.wire.parts import query_vector, set_int
from vecstore.wire.vectors import set_vector

_TO_PB = {
    Strategy.AVERAGE_VECTOR: pb.RECOMMEND_STRATEGY_AVERAGE_VECTOR,
    Strategy.BEST_SCORE: pb.RECOMMEND_STRATEGY_BEST_SCORE,
    Strategy.SUM_SCORES: pb.RECOMMEND_STRATEGY_SUM_SCORES,
}
_FROM_PB = {number: strategy for strategy, number in _TO_PB.items()} | {
    pb.RECOMMEND_STRATEGY_UNSPECIFIED: Strategy.AVERAGE_VECTOR
}


def ranking_to_pb(ranking: Ranking, message: Any) -> None:
    """Write into a QueryRequest or a Prefetch."""
    if isinstance(ranking, NearestId):
        set_id(message.nearest_id, ranking.id)
    elif isinstance(ranking, Recommend):
        message.recommend.strategy = _TO_PB[ranking.strategy]
        for example in ranking.positive:
            _example_to_pb(example, message.recommend.positive.add())
        for example in ranking.negative:
            _example_to_pb(example, message.recommend.negative.add())
    elif isinstance(ranking, Formula):
        formula_to_pb(ranking.expression, message.formula)
    elif isinstance(ranking, OrderBy):
        _order_to_pb(ranking, message.order_by)
    elif isinstance(ranking, Sample):
        message.sample.SetInParent()
        if ranking.seed is not None:
            set_int(message.sample, "seed", ranking.seed)
    elif isinstance(ranking, ByMetric):
        raise embedded_only(ranking.metric)
    else:
        message.discover.SetInParent()
        if ranking.target is not None:
            _example_to_pb(ranking.target, message.discover.target)
        for near, far in ranking.context:
            pair = message.discover.context.add()
            _example_to_pb(near, pair.positive)
            _example_to_pb(far, pair.negative)


def ranking_from_pb(message: Any, limits: Limits, path: str) -> Ranking | None:
    """Of a QueryRequest or a Prefetch; None where a vector or a fusion ranks. Raises InvalidArgument."""
    match message.WhichOneof("query"):
        case "nearest_id":
            return NearestId(id_from_pb(message.nearest_id, f"{path}nearest_id"))
        case "recommend":
            return _recommend_from_pb(message.recommend, f"{path}recommend")
        case "discover":
            return _discover_from_pb(message.discover, f"{path}discover")
        case "order_by":
            return _order_from_pb(message.order_by, f"{path}order_by")
        case "formula":
            return Formula(formula_from_pb(message.formula, limits, f"{path}formula"))
        case "sample":
            return Sample(message.sample.seed if message.sample.HasField("seed") else None)
    return None


def _recommend_from_pb(message: pb.Recommend, path: str) -> Recommend:
    strategy = _FROM_PB.get(message.strategy)
    if strategy is None:
        problem = f"{path}.strategy={message.strategy} is unknown"
        raise invalid("BAD_ARGUMENT", problem, f"{path}.strategy")
    return Recommend(
        tuple(_example_from_pb(one, f"{path}.positive[{place}]") for place, one in enumerate(message.positive)),
        tuple(_example_from_pb(one, f"{path}.negative[{place}]") for place, one in enumerate(message.negative)),
        strategy,
    )


def _discover_from_pb(message: pb.Discover, path: str) -> Discover:
    pairs = []
    for place, pair in enumerate(message.context):
        at = f"{path}.context[{place}]"
        near = _example_from_pb(pair.positive, f"{at}.positive")
        pairs.append((near, _example_from_pb(pair.negative, f"{at}.negative")))
    target = _example_from_pb(message.target, f"{path}.target") if message.HasField("target") else None
    return Discover(target, tuple(pairs))


def _order_to_pb(order: OrderBy, message: pb.OrderBy) -> None:
    message.key, message.descending, message.datetime = order.key, order.descending, order.datetime
    if order.start is not None:
        message.start_from = order.start
    if order.after is not None:
        set_id(message.after, order.after)


def _order_from_pb(message: pb.OrderBy, path: str) -> OrderBy:
    return OrderBy(
        message.key,
        message.descending,
        message.start_from if message.HasField("start_from") else None,
        id_from_pb(message.after, f"{path}.after") if message.HasField("after") else None,
        message.datetime,
    )


def _example_to_pb(example: Example, message: pb.Example) -> None:
    if is_id(example):
        set_id(message.id, example)  # type: ignore[arg-type]
    else:
        set_vector(message.vector, only(example))  # type: ignore[arg-type]


def _example_from_pb(message: pb.Example, path: str) -> Example:
    kind = message.WhichOneof("example")
    if kind == "id":
        return id_from_pb(message.id, path)
    if kind == "vector":
        return query_vector(message.vector, path)
    problem = f"{path} is missing: give an id or a vector"
    raise invalid("BAD_VECTOR", problem, path)
