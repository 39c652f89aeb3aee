"""Fusion and diversity against their formulas, written out."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from vecstore.query.diversify import mmr
from vecstore.query.fusion import Fusion, FusionMethod, Listed, fuse
from vecstore.schema import Metric


def listed(scores: dict[int, float]) -> Listed:
    ordered = sorted(scores, key=lambda key: -scores[key])
    values = np.array([scores[key] for key in ordered], np.float32)
    return Listed(np.array(ordered, np.int64), values)


def reference(lists: list[dict[int, float]], fusion: Fusion) -> dict[int, float]:
    total: dict[int, float] = {}
    for leg, scores in enumerate(lists):
        weight = fusion.weights[leg] if fusion.weights else 1.0
        values = [float(np.float32(value)) for value in scores.values()]
        for key, score in scores.items():
            rank = 1 + sum(other > score for other in scores.values())
            if fusion.method is FusionMethod.RRF:
                part = 1 / (fusion.k + rank)
            elif len(values) == 1:
                part = 0.5 if fusion.method is FusionMethod.DBSF else 1.0
            elif len(set(values)) == 1:
                part = 0.5
            elif fusion.method is FusionMethod.DBSF:
                mean, sd = statistics.mean(values), statistics.stdev(values)
                part = (score - (mean - 3 * sd)) / (6 * sd)
            else:
                part = (score - min(values)) / (max(values) - min(values))
            total[key] = total.get(key, 0.0) + weight * part
    return total


LISTS = {
    "overlapping": [{1: 0.9, 2: 0.5, 3: 0.1}, {3: 12.0, 1: 7.0, 9: 1.0}],
    "apart": [{1: 0.9, 2: 0.5}, {3: 12.0}],
    "an empty one": [{1: 0.9, 2: 0.5}, {}],
    "negative": [{1: -0.5, 2: -3.0}, {2: -1.0, 1: -2.0, 4: -2.5}],
}


@pytest.mark.parametrize("method", FusionMethod)
@pytest.mark.parametrize("weights", [(), (2.0, 0.5), (0.0, 1.0)])
@pytest.mark.parametrize("name", LISTS)
def test_fused_scores_are_those_of_the_formulas(name: str, weights: tuple[float, ...], method: FusionMethod) -> None:
    fusion = Fusion(method, 7, weights)
    fused, legs = fuse([listed(one) for one in LISTS[name]], fusion)
    expected = reference(LISTS[name], fusion)
    assert dict(zip(fused.keys.tolist(), fused.scores.tolist(), strict=True)) == pytest.approx(expected)
    assert (np.diff(fused.scores) <= 0).all()
    for key, row in zip(fused.keys.tolist(), legs.tolist(), strict=True):
        for score, one in zip(row, LISTS[name], strict=True):
            assert math.isnan(score) if key not in one else score == pytest.approx(one[key])


def test_weights_may_divide_the_ranks_as_qdrant_has_it() -> None:
    """Its rrf is 1 / ((p + 1) / w + k - 1) at places p from 0, 0 where w is 0: so its k is ours and one."""
    lists, weights = LISTS["overlapping"], (3.0, 0.5)
    for theirs in (2, 61):
        expected: dict[int, float] = {}
        for scores, weight in zip(lists, weights, strict=True):
            for place, key in enumerate(sorted(scores, key=lambda key: -scores[key])):
                expected[key] = expected.get(key, 0.0) + 1 / ((place + 1) / weight + theirs - 1)
        fused, _ = fuse([listed(one) for one in lists], Fusion(FusionMethod.RRF, theirs - 1, weights, True))
        assert dict(zip(fused.keys.tolist(), fused.scores.tolist(), strict=True)) == pytest.approx(expected)
        assert fused.keys.tolist() == sorted(expected, key=lambda key: -expected[key])
    # Three of the first for each of the second, and what has no weight stays, last.
    apart = [listed({key: -float(key) for key in range(9)}), listed({key: -float(key) for key in range(20, 23)})]
    assert fuse(apart, Fusion(FusionMethod.RRF, 1, (3.0, 1.0), True))[0].keys.tolist() == [
        0, 1, 2, 20, 3, 4, 5, 21, 6, 7, 8, 22,
    ]  # fmt: skip
    assert fuse(apart, Fusion(FusionMethod.RRF, 1, (0.0, 1.0), True))[0].keys.tolist()[:3] == [20, 21, 22]
    without, _ = fuse([listed(one) for one in lists], Fusion(FusionMethod.RRF, 60))
    ones, _ = fuse([listed(one) for one in lists], Fusion(FusionMethod.RRF, 60, (), True))
    assert ones.scores.tolist() == without.scores.tolist()


@pytest.mark.parametrize(
    ("method", "single", "equal"),
    [(FusionMethod.RRF, 1 / 61, [1 / 61, 1 / 62]), (FusionMethod.DBSF, 0.5, [0.5, 0.5]),
     (FusionMethod.RELATIVE, 1.0, [0.5, 0.5])],
)  # fmt: skip
def test_lists_of_one_score(method: FusionMethod, single: float, equal: list[float]) -> None:
    assert fuse([listed({5: 3.0})], Fusion(method))[0].scores.tolist() == pytest.approx([single])
    assert fuse([listed({5: 3.0, 6: 3.0})], Fusion(method))[0].scores.tolist() == pytest.approx(equal)


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2])
@pytest.mark.parametrize("diversity", [0.0, 0.3, 1.0])
def test_mmr_is_the_formula(metric: Metric, diversity: float) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(30, 6)).astype(np.float32)
    relevance = np.sort(rng.normal(size=30))[::-1].astype(np.float32)

    def similarity(a: int, b: int) -> float:
        if metric is Metric.L2:
            return -float(np.linalg.norm(vectors[a] - vectors[b]))
        product = float(vectors[a] @ vectors[b])
        lengths = float(np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b]))
        return product / lengths if metric is Metric.COSINE else product

    chosen: list[int] = []
    while len(chosen) < 8:
        left = [place for place in range(30) if place not in chosen]
        chosen.append(max(left, key=lambda at: (1 - diversity) * relevance[at] - (
            diversity * max(similarity(at, other) for other in chosen) if chosen else 0.0)))  # fmt: skip
    assert mmr(relevance, vectors, metric, diversity, 8).tolist() == chosen
    assert mmr(relevance, vectors, metric, 0.0, 40).tolist() == list(range(30))
