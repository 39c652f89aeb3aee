"""Checks of examples against their field."""

from __future__ import annotations

from vecstore import validate
from vecstore.config import Limits
from vecstore.engine.params import check_params
from vecstore.errors import limit_exceeded
from vecstore.given import query_rows
from vecstore.index.base import SearchParams
from vecstore.ranking import Discover, Example, NearestId, Ranking, Recommend, Strategy, examples_of, is_id
from vecstore.schema import VectorField, VectorKind
from vecstore.validate import invalid

AVERAGED = (VectorKind.DENSE, VectorKind.SPARSE)


def check_ranking(ranking: Ranking, params: SearchParams, field: VectorField, limits: Limits) -> Ranking:
    """Raises InvalidArgument naming the example."""
    if not isinstance(ranking, Ranking):
        raise invalid("BAD_ARGUMENT", f"query is a {type(ranking).__name__}, which ranks nothing", "query")
    examples = examples_of(ranking)
    if len(examples) > limits.queries_per_request_max:
        bound = limits.queries_per_request_max
        raise limit_exceeded("queries_per_request_max", len(examples), bound, path="examples count")
    for path, example in examples:
        _check_example(path, example, params, field, limits)
    if isinstance(ranking, Recommend):
        _check_recommend(ranking, field)
    if isinstance(ranking, Discover) and not examples:
        raise invalid("BAD_ARGUMENT", "discover has neither a target nor a context", "discover")
    if params.truncate_dim and not isinstance(ranking, NearestId):
        message = "params.truncate_dim does not apply to examples, which are compared whole"
        raise invalid("BAD_ARGUMENT", message, "params.truncate_dim")
    return ranking


def _check_example(path: str, example: Example, params: SearchParams, field: VectorField, limits: Limits) -> None:
    if is_id(example):
        validate.check_id(example, limits, path)
        return
    rows = query_rows(example, field, limits, path)  # type: ignore[arg-type]
    check_params(params, field, rows)


def _check_recommend(ranking: Recommend, field: VectorField) -> None:
    strategies = list(Strategy)
    if ranking.strategy not in strategies:
        message = f"recommend.strategy={ranking.strategy!r:.40} is not one of {', '.join(strategies)}"
        raise invalid("BAD_ARGUMENT", message, "recommend.strategy")
    average = ranking.strategy is Strategy.AVERAGE_VECTOR
    if average and field.kind not in AVERAGED:
        message = f"recommend.strategy=average_vector does not apply to a {field.kind.value} field: use best_score"
        raise invalid("BAD_ARGUMENT", message, "recommend.strategy")
    if not ranking.positive and (average or not ranking.negative):
        needed = "a positive example" if average else "an example"
        raise invalid("BAD_ARGUMENT", f"recommend.{ranking.strategy.value} needs {needed}", "recommend.positive")
