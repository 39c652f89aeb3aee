"""What a first stage of multi-vectors finds, by effort and by how many candidates it is asked for.

Lists and graphs look less hard for few candidates than for many, so that the first of many are more than a search for
few would find: such a stage is asked for each of some numbers of candidates. A scan of codes, or of centroids, finds
for few the first of what it finds for many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vecstore.index.recall_axis import surely
from vecstore.index.scored_once import Scores
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.tokens import TokenRows

DEPTHS = (3, 10, 20, 50, 100, 200, 500, 1024)
DEEPER = 2  # times as many candidates, where all of these find too little
SCANNED_PART = 16  # of the rows: a scan costs as much as so many candidates and what finds them
DEPTH_MOST = 16_384
INTERACT_COST = 0.02  # of scoring a row by its tokens: looking at one by centroids

# Candidates (nq, m) of queries by the first stage at an effort, and rows looked at for one query.
First = Callable[[TokenRows, int, int], tuple[Int64Array, float]]


@dataclass(frozen=True, slots=True)
class Searched:
    """For `depth` candidates. `exact` and `coded` are (nq, depth); `coded` is None where there are no codes."""

    depth: int
    exact: Float32Array
    coded: Float32Array | None


@dataclass(slots=True)
class Measured:
    effort: int
    nested: bool  # a search for fewer candidates finds the first of these
    looked: float = 0.0
    searched: list[Searched] = field(default_factory=list)  # ascending; the deepest alone where they are nested

    def curves(self, limits: Float32Array, k: int) -> Curves:
        """Of the k nearest, which are within `limits` (nq,)."""
        good = [one.exact <= limits[:, None] for one in self.searched]
        if self.nested:
            recalls = np.minimum(np.cumsum(good[-1], axis=1), k) / k
            return Curves(np.arange(1, recalls.shape[1] + 1), surely(recalls), recalls.mean(axis=0))
        counts = np.stack([np.minimum(one.sum(axis=1), k) for one in good], axis=1) / k
        return Curves(np.array([one.depth for one in self.searched]), surely(counts), counts.mean(axis=0))

    def holding(self, depth: int) -> Searched:
        """The search for at least so many candidates."""
        return next(one for one in self.searched if one.depth >= depth)


@dataclass(frozen=True, slots=True)
class Curves:
    """By how many candidates are asked for: the recall that is sure, and the mean."""

    depths: Int64Array
    sure: NDArray[np.float64]
    mean: NDArray[np.float64]

    def depth_for(self, wanted: float, least: int) -> tuple[int, float] | None:
        """On the line between two that were measured, along the logarithm, below which the curve does not fall; and the
        recall there. None where all of them find less."""
        if self.sure.max() < wanted:
            return None
        place = int(np.argmax(self.sure >= wanted))
        depth = int(self.depths[place])
        low = int(self.depths[place - 1]) if place else depth
        if depth - low > 1 and self.sure[place - 1] < wanted:
            before, reached = self.sure[place - 1 : place + 1].tolist()
            depth = math.ceil(low * (depth / low) ** ((wanted - before) / (reached - before)) - 1e-6)
        depth = max(least, depth)
        return depth, float(np.interp(math.log(depth), np.log(self.depths), self.mean))


def measured(
    queries: TokenRows, efforts: tuple[int, ...], first: First, exact: Scores, coded: Scores | None, most: int,
    is_enough: Callable[[Measured], bool], nested: bool,
) -> list[Measured]:  # fmt: skip
    """Of every effort. The last is asked for more and more candidates until `is_enough`, of `most` rows at most a
    part."""

    def search(of: Measured, depth: int) -> None:
        found, of.looked = first(queries, of.effort, depth)
        one = Searched(depth, exact(found), None if coded is None else coded(found))
        of.searched = [one] if nested else [*of.searched, one]

    made = [Measured(effort, nested) for effort in efforts]
    for one in made:
        for depth in DEPTHS[-1:] if nested else DEPTHS:
            if not one.searched or one.searched[-1].depth < min(most, depth):
                search(one, min(most, depth))
    deeper = DEPTHS[-1] * DEEPER
    while deeper <= min(DEPTH_MOST, most // SCANNED_PART) and not any(is_enough(one) for one in made):
        search(made[-1], deeper)
        deeper *= DEEPER
    return made


def cheapest(
    measured: list[Measured], curves: list[Curves], limits: Float32Array, k: int, target: float
) -> tuple[tuple[int, int, int], float]:
    """Effort, depth and fine depth that reach the target at least cost, and the recall there; the most where nothing
    does."""
    best: tuple[float, tuple[int, int, int], float] | None = None
    for of, curve in zip(measured, curves, strict=True):
        deepest = of.searched[-1]
        found = curve.depth_for(target if deepest.coded is None else target + (1 - target) / 2, k)
        if found is None:
            continue
        depth, recall = found
        fine = depth
        if deepest.coded is not None:
            fine, recall = _fine(of.holding(depth), limits, k, depth, target)
        cost = of.looked * INTERACT_COST + (depth if deepest.coded is None else depth / 3 + fine)
        if best is None or cost < best[0]:
            best = cost, (of.effort, depth, fine), recall
    if best is None:
        deepest = measured[-1].searched[-1]
        return (measured[-1].effort, deepest.depth, deepest.depth), float(curves[-1].mean[-1])
    return best[1:]


def _fine(searched: Searched, limits: Float32Array, k: int, depth: int, target: float) -> tuple[int, float]:
    """How many of so many candidates are worth scoring by stored tokens after their codes, and the recall there."""
    assert searched.coded is not None
    good = searched.exact[:, :depth] <= limits[:, None]
    order = np.argsort(searched.coded[:, :depth], axis=1, kind="stable")
    ranked = np.minimum(np.cumsum(np.take_along_axis(good, order, axis=1), axis=1), k)
    sure = surely(ranked / k)
    fine = max(k, int(np.argmax(sure >= target)) + 1 if sure.max() >= target else depth)
    return fine, float(ranked[:, fine - 1].mean() / k)
