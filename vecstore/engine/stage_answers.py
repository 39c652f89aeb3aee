"""The answers to one stage, given what its prefetches found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vecstore.config import Limits, Storage
from vecstore.engine import bitmaps
from vecstore.engine.by_metric import metric_distances
from vecstore.engine.collection import View
from vecstore.engine.exact_cache import ExactCache
from vecstore.engine.examples import scorer_of
from vecstore.engine.filtering import Filtering
from vecstore.engine.formulas import Candidates
from vecstore.engine.number_columns import NumberColumns
from vecstore.engine.ordered import ordered, sampled
from vecstore.engine.recommend import ByExamples, every_key, rows_within, with_vectors
from vecstore.engine.row_keys import keys_of, ranked_of
from vecstore.engine.scan import Queries
from vecstore.engine.search import Plan, Ranked, allowed_by_segment, ordered_ties, search_view
from vecstore.engine.stage import Stage, StagePlan
from vecstore.engine.stored_examples import average, read_examples
from vecstore.engine.term_statistics import TermStatistics
from vecstore.index.base import SearchParams
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.quality import NOTHING, Quality
from vecstore.query.filter import Filter
from vecstore.query.formula import Expression, terms_of, text_of
from vecstore.query.fusion import Listed, fuse
from vecstore.ranking import ByExample, ByMetric, NearestId, OrderBy, Recommend, Sample, examples_of
from vecstore.schema import VectorKind, larger_is_nearer, score_of

EXACT = SearchParams(exact=True)
TERMS_SHOWN = 100  # answers whose terms explain lists


@dataclass(slots=True)
class StageAnswers:
    """On one view. `lists` are the answers to the prefetches, `where` the filters of this stage and those above."""

    kernels: Kernels
    filtering: Filtering
    terms: TermStatistics
    exact: ExactCache
    numbers: NumberColumns
    view: View
    limits: Limits
    storage: Storage
    counted: list[Mapping[str, int]]  # gets the counters of each segment that is searched

    def searched(self, stage: Stage, where: Filter | None, lists: Sequence[Listed], plan: StagePlan | None) -> Ranked:
        assert stage.field is not None
        assert stage.vectors is not None
        queries = self.terms.prepared(self.kernels, self.view, stage.name, stage.field, stage.vectors)
        searched = None if plan is None else Plan()
        within = rows_within(self.view.segments, _union(lists)) if stage.stages else None
        params = replace(EXACT, allow_partial=stage.params.allow_partial) if stage.stages else stage.params
        k = min(stage.k, max(1, self.view.points))
        ranked = search_view(
            self.kernels, self.view, stage.name, queries, k, where, self.filtering, searched, params, within,
            self.storage, self.counted, self.exact,
        )  # fmt: skip
        if plan is not None:
            plan.searched = searched
        return _cut(ranked, stage)

    def unscored(
        self, stage: Stage, ranking: OrderBy | Sample, where: Filter | None, lists: Sequence[Listed]
    ) -> Ranked:
        allowed = self._allowed(None, stage, where, lists)
        if isinstance(ranking, OrderBy):
            return ordered(self.view, self.numbers, allowed, ranking, stage.k)
        return sampled(self.view, allowed, ranking, stage.k)

    def by_metric(
        self, stage: Stage, ranking: ByMetric, where: Filter | None, lists: Sequence[Listed], plan: StagePlan | None
    ) -> Ranked:
        assert stage.field is not None
        allowed = self._allowed(stage.name, stage, where, lists)
        keys, distances = metric_distances(self.view, stage.name, stage.field, ranking, allowed)
        scanned = (bitmaps.count_bits(words) for words in allowed.values())
        self.counted += [{"rows_scanned": rows} for rows in scanned if rows]
        if plan is not None:
            plan.notes = {"metric": ranking.metric, "rows_scanned": len(keys)}
        order = self._best(keys, distances, stage.k, np.inf if stage.threshold is None else stage.threshold)
        best = ranked_of(keys[order], distances[order])
        best.quality = Quality(1.0, True, "exact_scan", "exact")
        return best

    def _allowed(
        self, name: str | None, stage: Stage, where: Filter | None, lists: Sequence[Listed]
    ) -> dict[int, Bitmap]:
        """Rows that match, of those that the prefetches found if there are any, by place of the segment."""
        allowed = allowed_by_segment(self.view, name, where, self.filtering)
        if not stage.stages:
            return allowed
        within = rows_within(self.view.segments, _union(lists))
        return {place: allowed[place] & words for place, words in within.items()}

    def _best(self, keys: Int64Array, distances: Float32Array, k: int, bound: float) -> Int64Array:
        """Places of the k best that are no farther than `bound`, in order; NaN is farther than anything."""
        if len(distances) > k:  # the k-th and all that are equal to it
            bound = min(bound, np.partition(distances, k - 1)[k - 1])  # the first where the other is NaN
        kept = (distances <= bound).nonzero()[0]
        kept = kept[distances[kept].argsort(kind="stable")]
        order: Int64Array = kept[ordered_ties(self.view, ranked_of(keys[kept], distances[kept]), k)[:k]]
        return order

    def by_examples(
        self, stage: Stage, ranking: ByExample, where: Filter | None, lists: Sequence[Listed], plan: StagePlan | None
    ) -> Ranked:
        assert stage.field is not None
        name, field = stage.name, stage.field
        examples = read_examples(self.view, name, field, examples_of(ranking), self.limits)
        if stage.by_vector:
            rows = (
                average(examples.rows, ranking, field, self.limits) if isinstance(ranking, Recommend) else examples.rows
            )
            one = replace(stage, vectors=rows, ranking=None, k=stage.k + len(examples.own))
            searched_by = self.searched(one, where, lists, plan)
            found = _without(searched_by, examples.own, stage.k)
            found.quality = searched_by.quality
            return found
        assert not isinstance(ranking, NearestId)
        searched = None if plan is None else Plan()
        qualities: list[Quality] = []

        def search(queries: Queries, k: int, within: dict[int, Bitmap] | None) -> Ranked:
            only, params = (where, stage.params) if within is None else (None, EXACT)
            ranked = search_view(
                self.kernels, self.view, name, queries, max(1, k), only, self.filtering, searched, params, within,
                counted=self.counted, exact=self.exact,
            )  # fmt: skip
            if within is None:
                qualities.append(ranked.quality)
            return ranked

        def having(keys: Int64Array) -> Int64Array:
            return with_vectors(self.view.segments, name, keys, multi=field.kind is VectorKind.MULTI)

        def allowed() -> Int64Array:
            return having(every_key(allowed_by_segment(self.view, name, where, self.filtering)))

        queries = self.terms.prepared(self.kernels, self.view, name, field, examples.rows)
        by = ByExamples(self.view, field.metric, queries, scorer_of(ranking), examples.own, search, allowed)
        if plan is not None:
            plan.searched = searched
        best = _cut(by.best(stage.k, having(_union(lists)) if stage.stages else None), stage)
        best.quality = min(qualities, key=lambda one: one.est_recall or 0.0, default=NOTHING)
        return best

    def by_formula(
        self, lists: Sequence[Listed], stage: Stage, root: Expression, plan: StagePlan | None
    ) -> tuple[Ranked, Float32Array]:
        keys, legs = _candidates(lists)
        for leg, below in enumerate(stage.stages):
            if not larger_is_nearer(below.metric):
                np.negative(legs[:, leg], out=legs[:, leg])
        scores = Candidates(self.view, self.filtering, self.numbers, keys, legs).score(root)
        with np.errstate(over="ignore"):
            distances = -scores.astype(np.float32)
        distances[~np.isfinite(distances)] = np.nan  # which sorts last, and is within no bound
        order = self._best(keys, distances, stage.k, np.inf if stage.threshold is None else -stage.threshold)
        if plan is not None:
            chosen = Candidates(self.view, self.filtering, self.numbers, keys[order], legs[order])
            plan.notes = {"formula": text_of(root), "undefined": len(keys) - int(np.isfinite(scores).sum())}
            plan.notes["terms"] = {text_of(one): _plain(chosen.score(one)) for one in terms_of(root)}
        return ranked_of(keys[order], distances[order]), legs[order]

    def fused(self, lists: Sequence[Listed], stage: Stage) -> tuple[Ranked, Float32Array]:
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


def _plain(values: np.ndarray) -> list[float | None]:
    return [one if math.isfinite(one) else None for one in values[:TERMS_SHOWN].tolist()]


def _union(lists: Sequence[Listed]) -> Int64Array:
    """Ascending. By sorting: `np.unique` hashes integers, which takes several times as long for a thousand."""
    keys = np.sort(np.concatenate([one.keys for one in lists]), kind="stable")
    first = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return keys[first]


def _candidates(lists: Sequence[Listed]) -> tuple[Int64Array, Float32Array]:
    """Keys of all lists, each once, and their scores in each, (n, lists), NaN where one does not hold them."""
    if len(lists) == 1:
        return lists[0].keys, lists[0].scores.astype(np.float32)[:, np.newaxis]
    keys = _union(lists)
    legs = np.full((len(keys), len(lists)), np.nan, np.float32)
    for leg, one in enumerate(lists):
        legs[np.searchsorted(keys, one.keys), leg] = one.scores
    return keys, legs


def _without(ranked: Ranked, own: Int64Array, k: int) -> Ranked:
    """The first k that are not among `own`."""
    keys = keys_of(ranked)
    kept = np.flatnonzero(~np.isin(keys, own))[:k]
    return ranked_of(keys[kept], ranked.distances[0][kept])


def _cut(ranked: Ranked, stage: Stage) -> Ranked:
    """Without unused places, and without what is worse than the threshold."""
    used = ranked.rows[0] >= 0
    if stage.threshold is not None:
        scores = score_of(stage.metric, ranked.distances[0])
        used &= scores >= stage.threshold if larger_is_nearer(stage.metric) else scores <= stage.threshold
    segments = ranked.segments if isinstance(ranked.segments, int) else ranked.segments[:, used]
    return Ranked(segments, ranked.rows[:, used], ranked.distances[:, used], ranked.quality)
