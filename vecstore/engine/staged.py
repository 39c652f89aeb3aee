"""Queries of several stages: prefetches are answered first, then fused, or their points scored by another vector.

All stages read one view. Filters of a stage hold for the prefetches below it. A vector with prefetches scores exactly
what these found, whatever the index.
"""

from __future__ import annotations

import numpy as np

from vecstore.engine.recommend import nearness
from vecstore.engine.row_columns import as_matrix
from vecstore.engine.row_keys import by_segment, keys_of, ranked_of, rows_of
from vecstore.engine.search import Ranked
from vecstore.engine.stage import Stage, StagePlan
from vecstore.engine.stage_answers import StageAnswers
from vecstore.kernels.base import Float32Array
from vecstore.quality import NOTHING, over_stages
from vecstore.query.diversify import mmr
from vecstore.query.filter import Filter
from vecstore.query.fusion import Listed
from vecstore.ranking import ByMetric, Formula, OrderBy, Sample
from vecstore.types import Mmr


class Staged(StageAnswers):
    """Runs stages, those below first."""

    __slots__ = ()

    def run(
        self, stage: Stage, plan: StagePlan | None, above: Filter | None = None
    ) -> tuple[Ranked, Float32Array | None]:
        """(1, n) answers by ascending distance, and where fused the scores of each prefetch, (n, prefetches)."""
        where = both(above, stage.filter)
        lists, qualities = [], []
        for below in stage.stages:
            planned = None if plan is None else StagePlan(stage_name(below))
            if plan is not None and planned is not None:
                plan.stages.append(planned)
            ranked, _ = self.run(below, planned, where)
            lists.append(Listed(keys_of(ranked), nearness(below.metric, ranked.distances[0])))
            qualities.append(ranked.quality)
        if stage.fusion is not None:
            ranked, legs = self.fused(lists, stage)
        elif isinstance(stage.ranking, Formula):
            ranked, legs = self.by_formula(lists, stage, stage.ranking.expression, plan)
        elif isinstance(stage.ranking, OrderBy | Sample):
            ranked, legs = self.unscored(stage, stage.ranking, where, lists), None
        elif isinstance(stage.ranking, ByMetric):
            ranked, legs = self.by_metric(stage, stage.ranking, where, lists, plan), None
        elif stage.ranking is not None:
            ranked, legs = self.by_examples(stage, stage.ranking, where, lists, plan), None
        else:
            ranked, legs = self.searched(stage, where, lists, plan), None
        if plan is not None:
            plan.found = ranked.rows.shape[1]
        if stage.stages or not stage.by_vector:
            searched = [] if ranked.quality is NOTHING else [ranked.quality]  # by examples; else of the prefetches
            ranked.quality = over_stages(what_ranks(stage), qualities or searched, ranked.quality)
        return ranked, legs

    def diversified(self, stage: Stage, ranked: Ranked, wanted: Mmr, k: int) -> Ranked:
        """k of the answers to a stage with a dense vector, in the order of maximal marginal relevance."""
        assert stage.field is not None
        keys = keys_of(ranked)
        vectors = np.empty((len(keys), stage.field.dim), np.float32)
        for place, at in by_segment(keys):
            segment = self.view.segments[place]
            vectors[at] = as_matrix(segment.segment.vectors(stage.name, segment.n_rows), rows_of(keys[at]), stage.field)
        relevance = nearness(stage.metric, ranked.distances[0])
        chosen = mmr(relevance, vectors, stage.metric, wanted.diversity, k)
        diverse = ranked_of(keys[chosen], ranked.distances[0][chosen])
        diverse.quality = over_stages("mmr", [ranked.quality])
        return diverse


def stage_name(stage: Stage) -> str:
    if stage.ranking is not None:
        return type(stage.ranking).__name__.lower()
    return stage.name if stage.fusion is None else stage.fusion.method.value


def what_ranks(stage: Stage) -> str:
    """What a stage does with what its prefetches found."""
    return "rescore" if stage.by_vector and stage.stages else stage_name(stage)


def both(above: Filter | None, own: Filter | None) -> Filter | None:
    """What holds where both filters do."""
    if above is None or own is None:
        return own if above is None else above
    return Filter(must=(above, own))
