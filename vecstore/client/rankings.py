"""Queries by examples as users write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecstore.client.requests import as_count, as_flag, as_text
from vecstore.client.vectors import as_query, only_vector
from vecstore.config import Limits
from vecstore.errors import InvalidArgument
from vecstore.query.formula import Expression
from vecstore.query.formula_check import check_formula
from vecstore.query.formula_parse import parse_formula
from vecstore.ranking import ByMetric, Example, Formula, NearestId, OrderBy, Ranking, Sample, Strategy, is_id
from vecstore.ranking import Discover as DiscoverRanking
from vecstore.ranking import Recommend as RecommendRanking
from vecstore.rows import GivenRows
from vecstore.schema import Schema, VectorField
from vecstore.sparse import SparseRows, SparseVector


@dataclass(frozen=True, slots=True)
class Recommend:
    """Points like the `positive` and unlike the `negative` examples, each the id of a stored point or a vector. The
    examples' own points are not among the answers.

    Strategies: "average_vector" (one query by their mean; dense and sparse fields), "best_score" (the nearest example
    of each side counts), "sum_scores" (all count)."""

    positive: Sequence[Any] = ()
    negative: Sequence[Any] = ()
    strategy: str = "average_vector"


@dataclass(frozen=True, slots=True)
class Discover:
    """Points on the positive side of as many pairs (positive, negative) of `context` as possible, and of those nearest
    to `target`; without a target, those that are least on a wrong side. Examples are ids of stored points or vectors,
    and their own points are not among the answers."""

    target: Any = None
    context: Sequence[tuple[Any, Any]] = ()


VECTORS = (np.ndarray, tuple, list, str, SparseVector, SparseRows)  # and nothing else that ranks is of these types


def as_ranking(
    given: Any, schema: Schema, using: str | None, limits: Limits, prefetches: int
) -> tuple[GivenRows | None, Ranking | None]:
    """A vector, or what else ranks. Raises InvalidArgument."""
    if type(given) in VECTORS:
        return as_query(given, schema.vectors[only_vector(schema, using)]), None
    if given is None or isinstance(given, NearestId | OrderBy | Sample):
        return None, _checked(given)
    if isinstance(given, Mapping) and given.keys() == {"formula"}:
        given = parse_formula(given["formula"], limits)
    if isinstance(given, Expression):
        if not prefetches:
            raise InvalidArgument(
                "formula has nothing to rank: give prefetches",
                reason="BAD_ARGUMENT",
                field_violations=[("formula", "has nothing to rank")],
            )
        check_formula(given, prefetches, limits)
        return None, Formula(given)
    field = schema.vectors[only_vector(schema, using)]
    if isinstance(given, ByMetric):
        return None, ByMetric(as_query(given.vector, field), given.metric)
    if isinstance(given, Recommend):
        return None, _recommend(given, field)
    if isinstance(given, Discover):
        return None, _discover(given, field)
    return as_query(given, field), None


def _checked(given: NearestId | OrderBy | Sample | None) -> NearestId | OrderBy | Sample | None:
    """The same, of the types that every transport can carry."""
    match given:
        case NearestId(id):
            return NearestId(_id("nearest_id", id))
        case OrderBy(key, descending, start, after, datetime):
            return OrderBy(
                as_text("order_by.key", key),
                as_flag("order_by.descending", descending),
                start,
                None if after is None else _id("order_by.after", after),
                as_flag("order_by.datetime", datetime),
            )
        case Sample(seed):
            return Sample(None if seed is None else as_count("sample.seed", seed))
    return None


def _id(path: str, given: Any) -> Any:
    if isinstance(given, np.integer):
        return int(given)
    if isinstance(given, bool) or not is_id(given):
        problem = f"{path}={given!r:.80} is no id: an int, a UUID or a string"
        raise InvalidArgument(problem, reason="BAD_ID", field_violations=[(path, problem)])
    return given


def _recommend(given: Recommend, field: VectorField) -> RecommendRanking:
    try:
        strategy = Strategy(given.strategy)
    except ValueError:
        message = f"recommend.strategy={given.strategy!r:.40} is not one of {', '.join(Strategy)}"
        violations = [("recommend.strategy", message)]
        raise InvalidArgument(message, reason="BAD_ARGUMENT", field_violations=violations) from None
    return RecommendRanking(
        _examples(given.positive, field, "recommend.positive"),
        _examples(given.negative, field, "recommend.negative"),
        strategy,
    )


def _discover(given: Discover, field: VectorField) -> DiscoverRanking:
    pairs = []
    for place, pair in enumerate(given.context):
        path = f"discover.context[{place}]"
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise _bad(path, "must be a pair (positive, negative)")
        pairs.append((_example(pair[0], field, f"{path}.positive"), _example(pair[1], field, f"{path}.negative")))
    target = None if given.target is None else _example(given.target, field, "discover.target")
    return DiscoverRanking(target, tuple(pairs))


def _examples(given: Any, field: VectorField, path: str) -> tuple[Example, ...]:
    if is_id(given) or not hasattr(given, "__iter__"):
        raise _bad(path, "must be a list of ids and vectors")
    return tuple(_example(one, field, f"{path}[{place}]") for place, one in enumerate(given))


def _example(given: Any, field: VectorField, path: str) -> Example:
    if isinstance(given, np.integer):
        return int(given)
    if is_id(given):
        return given  # type: ignore[no-any-return]
    try:
        return as_query(given, field)
    except InvalidArgument as error:
        raise error.at(path) from None


def _bad(path: str, problem: str) -> InvalidArgument:
    return InvalidArgument(f"{path} {problem}", reason="BAD_ARGUMENT", field_violations=[(path, problem)])
