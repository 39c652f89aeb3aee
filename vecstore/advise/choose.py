"""Intervals, the Pareto front, and the pick: statistics over queries, no index in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
TIE = 0.005  # options farther apart in recall than this are never called equal


class Choice(Protocol):
    @property
    def bytes_per_vector(self) -> float: ...
    @property
    def recall(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def micros(self) -> float: ...


C = TypeVar("C", bound=Choice)


def intervals(recalls: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """95 % bootstrap intervals over queries of the mean recall: (options, queries) to (options, 2). All options see the
    same resamples."""
    queries = recalls.shape[1]
    weights = np.random.default_rng(seed).multinomial(queries, np.full(queries, 1 / queries), RESAMPLES) / queries
    bounds: NDArray[np.float64] = np.percentile(recalls @ weights.T, [2.5, 97.5], axis=1)
    return bounds.T


def pareto(choices: Sequence[C]) -> list[C]:
    """Those that no other beats in bytes and recall at once, by ascending bytes."""
    kept: list[C] = []
    for choice in sorted(choices, key=lambda one: (one.bytes_per_vector, -one.recall, one.micros)):
        if not kept or choice.recall > kept[-1].recall:
            kept.append(choice)
    return kept


def undecided(one: Choice, other: Choice) -> bool:
    """Whether the intervals overlap by more than the gap between the means: the sample cannot tell the two apart."""
    gap = abs(one.recall - other.recall)
    return min(one.high, other.high) - max(one.low, other.low) > gap and gap <= TIE


def pick(choices: Sequence[C], budget: float | None, min_recall: float | None) -> tuple[C | None, list[C]]:
    """The choice, and those that the sample cannot tell from it.

    With a recall to reach, the fewest bytes of those whose interval lies above it; else the best recall within the
    budget, or of those that cannot be told from it the one of fewest bytes. Bytes equal, the faster."""
    fitting = [one for one in choices if budget is None or one.bytes_per_vector <= budget]
    if min_recall is not None:
        fitting = [one for one in fitting if one.low >= min_recall]
    if not fitting or (budget is None and min_recall is None):
        return None, []
    if min_recall is not None:
        return min(fitting, key=_cost), []
    best = max(fitting, key=lambda one: (one.recall, -one.bytes_per_vector, -one.micros))
    equal = [one for one in fitting if one is not best and undecided(best, one)]
    chosen = min([best, *equal], key=_cost)
    return chosen, [one for one in [best, *equal] if one is not chosen]


def _cost(one: Choice) -> tuple[float, float]:
    return one.bytes_per_vector, one.micros
