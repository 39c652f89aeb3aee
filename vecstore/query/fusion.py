"""Fusing ranked lists into one. A point that a list does not hold gets nothing from it.

    rrf       sum of w / (k + rank), ranks from 1 (Cormack, Clarke & Buettcher 2009); with `weigh_ranks` of
              1 / (k + rank / w), nothing where w is 0: weights 3 and 1 take three of one list for each of the other.
              Qdrant's rrf is the latter, with a k larger by one
    dbsf      sum of w * (s - (mean - 3 sd)) / (6 sd), sd with n - 1 (distribution-based score fusion); 1/2 where a
              list has one score, or one value only
    relative  sum of w * (s - min) / (max - min) (relative score fusion); 1 for a list of one score, 1/2 for several
              equal ones

Scores are such that large is near: of metrics where small is near, the negated distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from vecstore.kernels.base import Float32Array, Int64Array


class FusionMethod(StrEnum):
    RRF = "rrf"  # by ranks
    DBSF = "dbsf"  # by scores, each list's mean and spread taken out
    RELATIVE = "relative"  # by scores, each list's from 0 to 1


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the answers to several prefetches become one (see above). `weights` has one for each, or is empty."""

    method: FusionMethod = FusionMethod.RRF
    k: int = 60  # rrf: the larger, the less the first ranks count
    weights: tuple[float, ...] = ()
    weigh_ranks: bool = False  # rrf: weights divide the ranks


@dataclass(frozen=True, slots=True)
class Listed:
    """One query's answer, best first: `keys` (n,) say which row of which of the view's segments, `scores` (n,)."""

    keys: Int64Array
    scores: Float32Array


def fuse(lists: Sequence[Listed], fusion: Fusion) -> tuple[Listed, Float32Array]:
    """The union, by descending fused score and then by key; and each of its scores in each list, (n, lists), NaN where
    the list does not hold it."""
    keys, places = np.unique(np.concatenate([one.keys for one in lists]), return_inverse=True)
    total = np.zeros(len(keys))
    legs = np.full((len(keys), len(lists)), np.nan, np.float32)
    start = 0
    for leg, one in enumerate(lists):
        own = places[start : start + len(one.keys)]
        start += len(one.keys)
        total[own] += _contributions(one.scores.astype(np.float64), fusion, _weight(fusion, leg))
        legs[own, leg] = one.scores
    order = np.argsort(-total, kind="stable")
    return Listed(keys[order], total[order].astype(np.float32)), legs[order]


def _weight(fusion: Fusion, leg: int) -> float:
    return fusion.weights[leg] if fusion.weights else 1.0


def _contributions(scores: np.ndarray, fusion: Fusion, weight: float) -> np.ndarray:
    ranks = np.arange(1, len(scores) + 1)
    if weight == 0:
        return np.zeros(len(scores))
    if fusion.weigh_ranks and fusion.method is FusionMethod.RRF:
        return np.asarray(1.0 / (fusion.k + ranks / weight))
    return weight * (1.0 / (fusion.k + ranks) if fusion.method is FusionMethod.RRF else _normalised(scores, fusion))


def _normalised(scores: np.ndarray, fusion: Fusion) -> np.ndarray:
    n = len(scores)
    if not n:
        return scores
    if fusion.method is FusionMethod.DBSF:
        spread = 6 * scores.std(ddof=1) if n > 1 else 0.0
        return (scores - scores.mean()) / spread + 0.5 if spread > 0 else np.full(n, 0.5)
    spread = scores.max() - scores.min()
    if spread > 0:
        return np.asarray((scores - scores.min()) / spread)
    return np.full(n, 1.0 if n == 1 else 0.5)
