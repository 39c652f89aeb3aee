"""From similarities to examples to one score. Similarities are scores for which large is near: of l2 and hamming the
negated distance. s(x) = (x / (1 + |x|) + 1) / 2 maps them to 0..1 in the same order.

    average_vector  a query by mean(positive) + (mean(positive) - mean(negative)); for cosine, of unit vectors
    best_score      s(p) where p > n, else -s(n); p and n are the similarities to the nearest positive and negative
    sum_scores      the sum over the positive minus the sum over the negative
    discover        s(target) + the sum over the pairs of sign(positive - negative)
    context         without a target, the sum over the pairs of min(0, s(positive) - s(negative))

Each has a bound on the score of points that are not among the nearest to some examples, so that looking at these alone
is enough once the k-th best score is above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.ranking import Discover, Recommend, Strategy

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scorer:
    """`score` takes similarities (examples, n). The points nearest to the first `leading` examples are looked at first
    (0: every point is scored); `bound` is the most that a point scores which is nearer to none of them than `edges`."""

    score: Callable[[Scores], Scores]
    leading: int = 0
    bound: Callable[[Scores], float] = lambda edges: np.inf


def scorer_of(ranking: Recommend | Discover) -> Scorer:
    """For the examples in the order of `examples_of`."""
    if isinstance(ranking, Discover):
        pairs = len(ranking.context)
        if ranking.target is None:
            return Scorer(_context)
        return Scorer(_discover, 1, lambda edges: pairs + float(squash(edges[0])))
    n = len(ranking.positive)
    if ranking.strategy is Strategy.BEST_SCORE:
        return Scorer(lambda near: _best(near, n), n, lambda edges: float(squash(edges.max())))
    bound = (lambda edges: float(edges.sum())) if not ranking.negative else (lambda edges: np.inf)
    return Scorer(lambda near: near[:n].sum(axis=0) - near[n:].sum(axis=0), n, bound)


def squash(near: Scores | np.float64) -> Scores:
    result: Scores = 0.5 * (near / (1.0 + np.abs(near)) + 1.0)
    return result


def _best(near: Scores, positive: int) -> Scores:
    nearest = near[:positive].max(axis=0, initial=-np.inf)
    farthest = near[positive:].max(axis=0, initial=-np.inf)
    liked = nearest > farthest
    result: Scores = np.where(liked, squash(np.where(liked, nearest, 0.0)), -squash(np.where(liked, 0.0, farthest)))
    return result


def _discover(near: Scores) -> Scores:
    signs: Scores = np.sign(near[1::2] - near[2::2]).sum(axis=0)
    return signs + squash(near[0])


def _context(near: Scores) -> Scores:
    result: Scores = np.minimum(squash(near[0::2]) - squash(near[1::2]), 0.0).sum(axis=0)
    return result
