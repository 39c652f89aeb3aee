"""What ranks the answers to a query where it is neither a vector nor a fusion."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.query.datetimes import parse_datetime, to_microseconds
from vecstore.query.filter import PointId
from vecstore.query.formula import Expression
from vecstore.rows import GivenRows

LARGEST = sys.float_info.max  # what larger numbers count as
Example: TypeAlias = PointId | GivenRows  # a stored point, whose vector is meant, or one vector as in `QueryRequest`


class Strategy(StrEnum):
    AVERAGE_VECTOR = "average_vector"
    BEST_SCORE = "best_score"
    SUM_SCORES = "sum_scores"


@dataclass(frozen=True, slots=True)
class NearestId:
    """By the vector of a stored point, which is not among the answers."""

    id: PointId


@dataclass(frozen=True, slots=True)
class Recommend:
    """Like the `positive` examples and unlike the `negative` ones (`engine.examples` has the strategies). The examples
    that are points are not among the answers."""

    positive: tuple[Example, ...] = ()
    negative: tuple[Example, ...] = ()
    strategy: Strategy = Strategy.AVERAGE_VECTOR


@dataclass(frozen=True, slots=True)
class Discover:
    """On the positive side of as many pairs of `context` (positive, negative) as possible, and of those nearest to
    `target`; without a target, as little on the wrong sides as possible."""

    target: Example | None = None
    context: tuple[tuple[Example, Example], ...] = ()


@dataclass(frozen=True, slots=True)
class OrderBy:
    """By the number at a payload key, or the moment where `datetime`; equal ones by id. Points without one are left
    out; of several, the smallest counts, or the largest where `descending`.

    `start_from` is the first value, for moments a date and time as payloads have it, or microseconds since 1970 UTC;
    with `after`, points with that value come after this id: the value and id of an answer's last point go on from
    there. Raises InvalidArgument (BAD_ARGUMENT) for what is neither."""

    key: str
    descending: bool = False
    start_from: float | str | dt.datetime | None = None
    after: PointId | None = None
    datetime: bool = False

    def __post_init__(self) -> None:
        start: Any = self.start_from
        if isinstance(start, str | dt.datetime):
            start = parse_datetime(start) if isinstance(start, str) else to_microseconds(start)
            object.__setattr__(self, "datetime", True)
        elif isinstance(start, np.generic):
            start = start.item()
        if self.start_from is not None:
            if isinstance(start, bool) or not isinstance(start, int | float):
                message = f"order_by.start_from={self.start_from!r:.40} is neither a number nor a date and time"
                raise InvalidArgument(
                    message, reason="BAD_ARGUMENT", field_violations=[("order_by.start_from", message)]
                )
            within = min(max(start, -LARGEST), LARGEST) if start == start else start
            object.__setattr__(self, "start_from", float(within))

    @property
    def start(self) -> float | None:
        """`start_from`, which is a number here."""
        return self.start_from  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Sample:
    """Any points that match, each as likely as any other, in any order; the same ones for the same `seed`."""

    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Formula:
    """By an expression over what the prefetches found; points for which it is not finite are left out."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class ByMetric:
    """By the distance from `vector` in a metric of the user's own (`vecstore.register_metric`), exactly: of all points
    of a dense field that match, or of what the prefetches found. The score is the distance, small is near."""

    vector: Any
    metric: str


Ranking: TypeAlias = NearestId | Recommend | Discover | OrderBy | Sample | Formula | ByMetric
ByExample: TypeAlias = NearestId | Recommend | Discover


def is_id(example: Example) -> bool:
    return isinstance(example, int | str | UUID)


def examples_of(ranking: ByExample) -> list[tuple[str, Example]]:
    """All examples with their paths."""
    if isinstance(ranking, NearestId):
        return [("nearest_id", ranking.id)]
    if isinstance(ranking, Recommend):
        listed = [("positive", ranking.positive), ("negative", ranking.negative)]
        return [(f"recommend.{name}[{place}]", one) for name, some in listed for place, one in enumerate(some)]
    found: list[tuple[str, Example]] = [] if ranking.target is None else [("discover.target", ranking.target)]
    for place, (near, far) in enumerate(ranking.context):
        path = f"discover.context[{place}]"
        found += [(f"{path}.positive", near), (f"{path}.negative", far)]
    return found
