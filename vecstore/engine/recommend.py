"""The points that examples score best (`examples.py`): candidates near some of the examples are scored exactly by all
of them, and more are looked at until no other point can be better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecstore.engine import bitmaps
from vecstore.engine.collection import View
from vecstore.engine.examples import Scorer, Scores
from vecstore.engine.row_keys import by_segment, key_of, keys_of, ranked_of, rows_of
from vecstore.engine.scan import Queries
from vecstore.engine.search import Ranked, ordered_ties
from vecstore.engine.segment import SegmentView
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array
from vecstore.schema import Metric, larger_is_nearer, score_of

FIRST, WIDER = 256, 4  # candidates of each example at first, and times as many each round
BLOCK = 1 << 16  # candidates scored at a time

# (queries, k, rows to search or None for all that match, exactly) -> the k nearest of each
Search = Callable[[Queries, int, dict[int, Bitmap] | None], Ranked]


@dataclass(frozen=True, slots=True)
class ByExamples:
    """`allowed` are the rows that match, by key; `own` those of the examples themselves."""

    view: View
    metric: Metric
    queries: Queries
    scorer: Scorer
    own: Int64Array
    search: Search
    allowed: Callable[[], Int64Array]

    def best(self, k: int, within: Int64Array | None) -> Ranked:
        """The k best of the points that match, or of those of `within`, by descending score and then by id."""
        if within is not None or not self.scorer.leading:
            return self._scored(self.allowed() if within is None else within, k)[0]
        wide = max(FIRST, 2 * (k + len(self.own)))
        points = max(1, self.view.points)
        leading = self.queries[: self.scorer.leading]
        while True:
            lists = self.search(leading, min(wide, points), None)
            used = lists.rows >= 0
            keys = [keys_of(lists, at)[used[at]] for at in range(len(used))]
            ranked, scores = self._scored(np.unique(np.concatenate(keys)), k)
            if wide >= points or all(len(one) < wide for one in keys):
                return ranked
            ends = nearness(self.metric, lists.distances[:, -1]) if used.size else np.empty(0)
            edges = np.where(used[:, -1], ends, -np.inf).astype(np.float64)
            if len(scores) == k and scores[-1] > self.scorer.bound(edges):
                return ranked
            wide *= WIDER

    def _scored(self, keys: Int64Array, k: int) -> tuple[Ranked, Scores]:
        keys = np.setdiff1d(keys, self.own, assume_unique=True)
        parts = [self.scorer.score(self._similarities(keys[at : at + BLOCK])) for at in range(0, len(keys), BLOCK)]
        scores = np.concatenate([np.empty(0), *parts])
        order = np.argsort(-scores, kind="stable")
        keys, scores = keys[order], scores[order]
        ranked = ranked_of(keys, -scores.astype(np.float32))
        first = ordered_ties(self.view, ranked, k)[:k]
        return ranked_of(keys[first], ranked.distances[0][first]), scores[first]

    def _similarities(self, keys: Int64Array) -> Scores:
        """(examples, n); 0 for sparse vectors without an index in common."""
        found = self.search(self.queries, len(keys), rows_within(self.view.segments, keys))
        near = np.zeros((len(self.queries), len(keys)))
        for at in range(len(self.queries)):
            used = found.rows[at] >= 0
            places = np.searchsorted(keys, keys_of(found, at)[used])
            near[at, places] = nearness(self.metric, found.distances[at][used])
        return near


def nearness(metric: Metric, distances: Float32Array) -> Float32Array:
    """Scores for which large is near."""
    scores = score_of(metric, distances)
    return scores if larger_is_nearer(metric) else -scores


def rows_within(segments: tuple[SegmentView, ...], keys: Int64Array) -> dict[int, Bitmap]:
    """Keys as bitmaps by the segment's place."""
    within = {}
    for place, at in by_segment(keys):
        words = np.zeros(bitmaps.word_count(segments[place].n_rows), np.uint64)
        bitmaps.set_rows(words, rows_of(keys[at]))
        within[place] = words
    return within


def with_vectors(segments: tuple[SegmentView, ...], name: str, keys: Int64Array, *, multi: bool) -> Int64Array:
    """Those whose row has the vector, of a multi-vector a token: what is not there is like nothing."""
    kept = np.ones(len(keys), bool)
    for place, at in by_segment(keys):
        segment, rows = segments[place], rows_of(keys[at])
        present = segment.segment.present(name, segment.n_rows)
        has = np.ones(len(rows), bool) if present is None else bitmaps.are_set(present, rows)
        if multi:
            stored: Any = segment.segment.vectors(name, segment.n_rows)
            has &= stored.offsets[rows + 1] > stored.offsets[rows]
        kept[at] = has
    return keys[kept]


def every_key(words: Mapping[int, Bitmap]) -> Int64Array:
    parts = [key_of(place, bitmaps.set_bits(one)) for place, one in words.items()]
    return np.concatenate([np.empty(0, np.int64), *parts])
