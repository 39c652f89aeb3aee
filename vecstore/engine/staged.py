"""Queries of several stages: prefetches are answered first, then fused, or their points scored by another vector.

All stages read one view. Filters of a stage hold for the prefetches below it. A vector with prefetches scores exactly
what these found, whatever the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.filtering import Filtering
from vecstore.engine.row_columns import as_matrix
from vecstore.engine.row_keys import by_segment, keys_of, ranked_of, rows_of
from vecstore.engine.search import Plan, Ranked, ordered_ties, search_view
from vecstore.engine.term_statistics import TermStatistics
from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.kernels.base import Bitmap, Float32Array, Kernels
from vecstore.query.diversify import mmr
from vecstore.query.filter import Filter
from vecstore.query.fusion import Fusion, Listed, fuse
from vecstore.rows import Rows
from vecstore.schema import Metric, VectorField, larger_is_nearer, score_of
from vecstore.types import Mmr

EXACT = SearchParams(exact=True)


@dataclass(slots=True)
class Stage:
    """A checked query: `vectors` is one row for `field`, or there is a `fusion`."""

    k: int
    name: str = ""
    field: VectorField | None = None
    vectors: Rows | None = None
    filter: Filter | None = None
    threshold: float | None = None
    params: SearchParams = DEFAULT_PARAMS
    stages: Sequence[Stage] = ()
    fusion: Fusion | None = None

    @property
    def metric(self) -> Metric:
        """What its scores mean; of fused ones large is near, as of an inner product."""
        return Metric.DOT if self.field is None else self.field.metric


@dataclass(slots=True)
class StagePlan:
    """What a stage did, for explain."""

    what: str
    found: int = 0
    searched: Plan | None = None
    stages: list[StagePlan] = default(default_factory=list)

    def described(self) -> dict[str, Any]:
        described: dict[str, Any] = {"stage": self.what, "found": self.found}
        if self.searched is not None:
            described["segments"] = self.searched.segments
        if self.stages:
            described["prefetch"] = [stage.described() for stage in self.stages]
        return described


@dataclass(slots=True)
class Staged:
    """Runs stages on one view."""

    kernels: Kernels
    filtering: Filtering
    terms: TermStatistics
    view: View
    deadline: float

    def run(
        self, stage: Stage, plan: StagePlan | None, above: Filter | None = None
    ) -> tuple[Ranked, Float32Array | None]:
        """(1, n) answers by ascending distance, and where fused the scores of each prefetch, (n, prefetches)."""
        where = _both(above, stage.filter)
        lists = []
        for below in stage.stages:
            planned = None if plan is None else StagePlan(_what(below))
            if plan is not None and planned is not None:
                plan.stages.append(planned)
            lists.append(self._listed(below, planned, where))
        if stage.fusion is not None:
            ranked, legs = self._fused(lists, stage)
        else:
            ranked, legs = self._searched(stage, where, lists, plan), None
        if plan is not None:
            plan.found = ranked.rows.shape[1]
        return ranked, legs

    def diversified(self, stage: Stage, ranked: Ranked, wanted: Mmr, k: int) -> Ranked:
        """k of the answers to a stage with a dense vector, in the order of maximal marginal relevance."""
        assert stage.field is not None
        keys = keys_of(ranked)
        vectors = np.empty((len(keys), stage.field.dim), np.float32)
        for place, at in by_segment(keys):
            segment = self.view.segments[place]
            vectors[at] = as_matrix(segment.segment.vectors(stage.name, segment.n_rows), rows_of(keys[at]), stage.field)
        relevance = _nearness(stage.metric, ranked.distances[0])
        chosen = mmr(relevance, vectors, stage.metric, wanted.diversity, k)
        return ranked_of(keys[chosen], ranked.distances[0][chosen])

    def _searched(self, stage: Stage, where: Filter | None, lists: Sequence[Listed], plan: StagePlan | None) -> Ranked:
        assert stage.field is not None
        assert stage.vectors is not None
        queries = self.terms.prepared(self.kernels, self.view, stage.name, stage.field, stage.vectors)
        searched = None if plan is None else Plan()
        within = self._within(lists) if stage.stages else None
        params = EXACT if stage.stages else stage.params
        k = min(stage.k, max(1, self.view.points))
        ranked = search_view(
            self.kernels, self.view, stage.name, queries, k, where, self.filtering, self.deadline, searched, params,
            within,
        )  # fmt: skip
        if plan is not None:
            plan.searched = searched
        return _cut(ranked, stage)

    def _fused(self, lists: Sequence[Listed], stage: Stage) -> tuple[Ranked, Float32Array]:
        assert stage.fusion is not None
        fused, legs = fuse(lists, stage.fusion)
        ranked = ranked_of(fused.keys, -fused.scores)
        order = ordered_ties(self.view, ranked, stage.k)
        keys, scores, legs = fused.keys[order], fused.scores[order], legs[order]
        kept = slice(0, stage.k)
        if stage.threshold is not None:
            kept = slice(0, min(stage.k, int(np.count_nonzero(scores >= stage.threshold))))
        for leg, below in enumerate(stage.stages):
            if not larger_is_nearer(below.metric):
                legs[:, leg] = -legs[:, leg]
        return ranked_of(keys[kept], -scores[kept]), legs[kept]

    def _listed(self, stage: Stage, plan: StagePlan | None, above: Filter | None) -> Listed:
        ranked, _ = self.run(stage, plan, above)
        return Listed(keys_of(ranked), _nearness(stage.metric, ranked.distances[0]))

    def _within(self, lists: Sequence[Listed]) -> Mapping[int, Bitmap]:
        """The union of what lists hold, by place of segment."""
        keys = np.unique(np.concatenate([one.keys for one in lists]))
        within = {}
        for place, at in by_segment(keys):
            words = np.zeros(bitmaps.word_count(self.view.segments[place].n_rows), np.uint64)
            bitmaps.set_rows(words, rows_of(keys[at]))
            within[place] = words
        return within


def _what(stage: Stage) -> str:
    return stage.name if stage.fusion is None else stage.fusion.method.value


def _both(above: Filter | None, own: Filter | None) -> Filter | None:
    if above is None or own is None:
        return own if above is None else above
    return Filter(must=(above, own))


def _nearness(metric: Metric, distances: Float32Array) -> Float32Array:
    scores = score_of(metric, distances)
    return scores if larger_is_nearer(metric) else -scores


def _cut(ranked: Ranked, stage: Stage) -> Ranked:
    """Without unused places, and without what is worse than the threshold."""
    used = ranked.rows[0] >= 0
    if stage.threshold is not None:
        scores = score_of(stage.metric, ranked.distances[0])
        used &= scores >= stage.threshold if larger_is_nearer(stage.metric) else scores <= stage.threshold
    segments = ranked.segments if isinstance(ranked.segments, int) else ranked.segments[:, used]
    return Ranked(segments, ranked.rows[:, used], ranked.distances[:, used])
