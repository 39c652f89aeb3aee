"""Checks of what ranks a query in place of a vector: examples against their field, orders, samples."""

from __future__ import annotations

import math
from dataclasses import replace

from vecstore import validate
from vecstore.config import Limits
from vecstore.engine.params import LEAVING, check_params
from vecstore.errors import invalid, limit_exceeded
from vecstore.given import query_rows
from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.query.match import is_number
from vecstore.query.metrics import bad_metric, metric_named
from vecstore.query.validate import check_key
from vecstore.ranking import (
    ByExample,
    ByMetric,
    Discover,
    Example,
    NearestId,
    OrderBy,
    Ranking,
    Recommend,
    Sample,
    Strategy,
    examples_of,
    is_id,
)
from vecstore.schema import FieldKind, Schema, VectorField, VectorKind

AVERAGED = (VectorKind.DENSE, VectorKind.SPARSE)


def check_ranking(ranking: Ranking, params: SearchParams, field: VectorField, limits: Limits) -> ByExample:
    """Raises InvalidArgument naming the example."""
    if not isinstance(ranking, ByExample):
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
    average = isinstance(ranking, Recommend) and ranking.strategy is Strategy.AVERAGE_VECTOR
    for name in LEAVING:
        if getattr(params, name) and not (average or isinstance(ranking, NearestId)):
            message = f"params.{name} does not apply to examples that each score points: no point may be left out"
            raise invalid("BAD_ARGUMENT", message, f"params.{name}")
    return ranking


def check_by_metric(ranking: ByMetric, params: SearchParams, field: VectorField, limits: Limits) -> ByMetric:
    """The same with its vector as one row. Raises InvalidArgument."""
    metric_named(ranking.metric)
    if field.kind is not VectorKind.DENSE:
        raise bad_metric("by_metric", f"applies to dense fields, this is a {field.kind.value} field")
    if params != DEFAULT_PARAMS:
        raise invalid("BAD_ARGUMENT", "params do not apply to by_metric, which compares all points", "params")
    return replace(ranking, vector=query_rows(ranking.vector, field, limits, "by_metric.vector"))


def check_unscored(ranking: OrderBy | Sample, schema: Schema, limits: Limits) -> OrderBy | Sample:
    """The same, knowing whether its values are moments. Raises InvalidArgument."""
    if isinstance(ranking, Sample):
        seed = ranking.seed
        if seed is not None and (type(seed) is not int or not 0 <= seed < 1 << 63):
            raise invalid("BAD_ARGUMENT", f"sample.seed={seed!r:.40} must be an integer of 0..2^63-1", "sample.seed")
        return ranking
    check_key(ranking.key, "order_by.key")
    start = ranking.start
    if start is not None and not (is_number(start) and math.isfinite(start)):
        raise invalid("BAD_ARGUMENT", f"order_by.start_from={start!r:.40} is not finite", "order_by.start_from")
    if ranking.after is not None:
        if start is None:
            raise invalid("BAD_ARGUMENT", "order_by.after needs start_from, the value of that point", "order_by.after")
        validate.check_id(ranking.after, limits, "order_by.after")
    return replace(ranking, datetime=ranking.datetime or schema.fields.get(ranking.key) is FieldKind.DATETIME)


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
