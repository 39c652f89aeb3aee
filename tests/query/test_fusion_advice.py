"""Advice on fusions: what is better beyond chance is taken, what is not is left."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.errors import InvalidArgument
from vecstore.query.fusion import FusionMethod, Listed
from vecstore.query.fusion_advice import DEFAULT, advise_fusion, fusions, ndcg


def listed(keys: list[int]) -> Listed:
    return Listed(np.array(keys, np.int64), np.linspace(1, 0.1, len(keys), dtype=np.float32))


def test_ndcg_is_the_formula() -> None:
    gains = {7: 3.0, 8: 1.0}
    got = 1 / np.log2(3) + 3 / np.log2(5)
    assert ndcg(np.array([1, 8, 2, 7]), gains, 10) == pytest.approx(got / (3 / np.log2(2) + 1 / np.log2(3)))
    assert ndcg(np.array([1, 8, 2, 7]), gains, 1) == 0.0
    assert ndcg(np.array([7, 8]), gains, 10) == pytest.approx(1.0)
    assert ndcg(np.array([7]), {}, 10) == 0.0


def test_a_leg_that_misleads_loses_its_weight() -> None:
    lists, gains = [], []
    for query in range(60):
        right, wrong = 10 * query, 10 * query + 5
        lists.append([listed([right, wrong + 1, wrong]), listed([wrong, wrong + 3, wrong + 4])])
        gains.append({right: 1.0})
    advice = advise_fusion(["good", "bad"], lists, gains, 10)
    assert advice.pick.ndcg == 1.0
    assert advice.pick.fusion.weights == (1.0, 0.0)
    assert "keep good alone" in advice.reason
    assert advice.legs == {"good": 1.0, "bad": 0.0}
    assert advice.tried == sorted(advice.tried, key=lambda one: -one.ndcg)


def test_chance_is_not_followed() -> None:
    rng = np.random.default_rng(3)
    lists = [[listed(rng.permutation(30).tolist()), listed(rng.permutation(30).tolist())] for _ in range(25)]
    gains = [{int(rng.integers(30)): 1.0} for _ in range(25)]
    advice = advise_fusion(["one", "other"], lists, gains, 10)
    assert advice.pick.gain == 0.0
    assert "by chance: keep" in advice.reason


def test_what_is_better_beyond_chance_is_taken() -> None:
    """In turn, one leg is sure of the right answer and the other is not sure of a wrong one: ranks do not tell them
    apart, scores do."""
    lists, gains = [], []
    for query in range(40):
        wrong, right = 20 * query, 20 * query + 10
        sure = Listed(np.arange(right, right + 5), np.array([10, 1, 0.9, 0.8, 0.7], np.float32))
        unsure = Listed(np.arange(wrong, wrong + 5), np.array([1, 0.9, 0.8, 0.7, 0.6], np.float32))
        lists.append([sure, unsure] if query % 2 else [unsure, sure])
        gains.append({right: 1.0})
    advice = advise_fusion(["one", "other"], lists, gains, 10)
    assert advice.pick.fusion.method is FusionMethod.DBSF
    assert advice.pick.ndcg == 1.0
    assert advice.pick.low > 0
    assert advice.pick == advice.tried[0]
    assert advice.reason.startswith("better than ")


def test_too_few_judgements_are_refused() -> None:
    lists = [[listed([1]), listed([2])]] * 40
    with pytest.raises(InvalidArgument, match="at least 20"):
        advise_fusion(["one", "other"], lists, [{1: 1.0}] * 19 + [{}] * 21, 10)


@pytest.mark.parametrize("legs", [1, 2, 3, 5])
def test_the_default_is_always_tried(legs: int) -> None:
    tried = list(fusions(legs))
    assert DEFAULT in tried
    assert len(tried) == len(set(tried))
    assert all(len(one.weights) in (0, legs) for one in tried)
