"""A checked query and its prefetches, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

from vecstore.engine.search import Plan
from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.query.filter import Filter
from vecstore.query.fusion import Fusion
from vecstore.ranking import ByMetric, NearestId, OrderBy, Ranking, Recommend, Strategy
from vecstore.rows import Rows
from vecstore.schema import Metric, VectorField


@dataclass(slots=True)
class Stage:
    """A checked query: `vectors` is one row for `field`, or there is a `fusion`, or a `ranking`."""

    k: int
    name: str = ""
    field: VectorField | None = None
    vectors: Rows | None = None
    filter: Filter | None = None
    threshold: float | None = None
    params: SearchParams = DEFAULT_PARAMS
    stages: Sequence[Stage] = ()
    fusion: Fusion | None = None
    ranking: Ranking | None = None

    @property
    def by_vector(self) -> bool:
        """Whether one vector ranks its answers, be it given or made of examples."""
        average = isinstance(self.ranking, Recommend) and self.ranking.strategy is Strategy.AVERAGE_VECTOR
        return self.vectors is not None or average or isinstance(self.ranking, NearestId)

    @property
    def metric(self) -> Metric:
        """What its scores mean; of those that are no one metric's, large is near, as of an inner product."""
        if isinstance(self.ranking, OrderBy):
            return Metric.DOT if self.ranking.descending else Metric.HAMMING  # small values come first
        if isinstance(self.ranking, ByMetric):
            return Metric.HAMMING  # whose scores are distances as they are
        return self.field.metric if self.by_vector and self.field is not None else Metric.DOT


@dataclass(slots=True)
class StagePlan:
    """What a stage did, for explain."""

    what: str
    found: int = 0
    searched: Plan | None = None
    stages: list[StagePlan] = default(default_factory=list)
    notes: dict[str, Any] = default(default_factory=dict)

    def described(self) -> dict[str, Any]:
        described: dict[str, Any] = {"stage": self.what, "found": self.found}
        if self.searched is not None:
            described["segments"] = self.searched.segments
        described.update(self.notes)
        if self.stages:
            described["prefetch"] = [stage.described() for stage in self.stages]
        return described
