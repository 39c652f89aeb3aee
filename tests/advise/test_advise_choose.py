"""Intervals, the front and the pick, on made-up scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from vecstore.advise.choose import intervals, pareto, pick, undecided


@dataclass(frozen=True)
class Made:
    bytes_per_vector: float
    recall: float
    half: float = 0.001
    micros: float = 1.0

    @property
    def low(self) -> float:
        return self.recall - self.half

    @property
    def high(self) -> float:
        return self.recall + self.half


def test_the_front_is_what_nothing_beats() -> None:
    made = [Made(48, 0.7), Made(96, 0.9), Made(96, 0.8), Made(100, 0.9), Made(192, 0.95), Made(384, 0.94)]
    assert pareto(made) == [Made(48, 0.7), Made(96, 0.9), Made(192, 0.95)]


def test_a_budget_takes_the_best_recall_that_fits() -> None:
    made = [Made(48, 0.7), Made(96, 0.9), Made(97, 0.99)]
    assert pick(made, 96, None) == (Made(96, 0.9), [])
    assert pick(made, 47, None) == (None, [])


def test_fewer_bytes_win_where_the_sample_cannot_tell() -> None:
    small, large = Made(90, 0.899, half=0.01), Made(96, 0.900, half=0.01)
    assert undecided(small, large)
    assert pick([small, large], 96, None) == (small, [large])


def test_a_clear_gap_is_not_a_tie() -> None:
    small, large = Made(90, 0.88, half=0.002), Made(96, 0.90, half=0.002)
    assert not undecided(small, large)
    assert pick([small, large], 96, None) == (large, [])


def test_wide_intervals_never_hide_a_large_gap() -> None:
    small, large = Made(90, 0.88, half=0.2), Made(96, 0.90, half=0.2)
    assert pick([small, large], 96, None)[0] == large


def test_a_recall_to_reach_counts_the_low_end() -> None:
    made = [Made(48, 0.905, half=0.01), Made(96, 0.92, half=0.01), Made(192, 0.99, half=0.001)]
    assert pick(made, None, 0.9)[0] == Made(96, 0.92, half=0.01)
    assert pick(made, 100, 0.95)[0] is None


def test_equal_bytes_go_to_the_faster() -> None:
    slow, fast = Made(96, 0.9, micros=20.0), Made(96, 0.9, micros=10.0)
    assert pick([slow, fast], 96, None) == (fast, [slow])


def test_nothing_asked_nothing_picked() -> None:
    assert pick([Made(96, 0.9)], None, None) == (None, [])


@pytest.mark.parametrize("mean", [0.5, 0.9, 0.99])
def test_intervals_hold_the_mean_about_95_times_in_100(mean: float) -> None:
    rng = np.random.default_rng(3)
    recalls = rng.binomial(10, mean, size=(400, 300)) / 10
    low, high = intervals(recalls).T
    held = ((low <= mean) & (mean <= high)).mean()
    assert 0.90 <= held <= 0.98
    assert (low <= recalls.mean(axis=1)).all()
    assert (recalls.mean(axis=1) <= high).all()
