"""Where a walk may end early, from walks of fixed widths, without walking again.

Places in a pool of candidates only grow. So a walk that ends before the candidate at place p + 1 has expanded what one
of width p does (and few more, where the first candidates were still far when it began): what a reach
(kernels.graph.Narrow) would find is read off the walks of fixed widths, between two of them along a line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.index.recall_axis import surely
from vecstore.kernels.base import Float32Array

CAP_FACTOR = 3  # a walk that may end early keeps at most this multiple of the fixed width
REACHES = (0.02, 50.0)
RESCORE_COST = 0.15  # of scoring a row by its vector, where looking at one more candidate's neighbours costs 1
_DEEPER = (1.0, 1.5)  # times what a fixed width rescores
_SLACK = 1.02  # of the least cost, for rescoring more: codes tell those near to foreign queries apart less well
_STEPS = 10  # of bisection: to a hundredth
_PAYS = 0.97  # of the cost of a fixed width


@dataclass(frozen=True, slots=True)
class Walked:
    """What walks of one width found."""

    width: int
    estimates: Float32Array  # (nq, width), ascending
    good: list[NDArray[np.uint16]]  # for each k (nq, width): how many of the first m candidates are among the k nearest

    def recalls(self, place: int, k: int) -> NDArray[np.float64]:
        """(nq, width): of the k nearest when the first m candidates are rescored; k is the place-th."""
        return np.minimum(self.good[place], k) / k


class Replay:
    def __init__(self, place: int, k: int, least: float, walked: Sequence[Walked]) -> None:
        self._place, self._k, self._walked = place, k, walked
        self._widths = np.array([one.width for one in walked])
        parts, low = [], 0
        for one in walked:
            if one.width > k:
                first = max(low, k)
                near = one.estimates[:, k - 1 : k]
                with np.errstate(invalid="ignore"):  # infinite where rows that died left fewer
                    over = one.estimates[:, first:] - near
                    over /= np.maximum(near, np.float32(max(least, 1e-30)))
                parts.append(over * np.sqrt(np.arange(first + 1, one.width + 1, dtype=np.float32)))
            low = one.width
        past = np.concatenate(parts, axis=1) if parts else np.empty((len(walked[0].estimates), 0), np.float32)
        # (nq, widest - k): the reach from which on the candidate at place k + 1 and so on is kept
        self._needed = np.maximum.accumulate(np.nan_to_num(past, nan=np.inf, posinf=np.inf), axis=1)

    def cheapest(self, target: float, ef: int, depth: int) -> tuple[float, int]:
        """A reach, and how many to rescore; 0 where that saves little beside a fixed width `ef` and `depth`."""
        fixed, deeper = ef + RESCORE_COST * depth, [min(math.ceil(times * depth), ef) for times in _DEEPER]
        found = [(*self._least_reach(target, ef, each), each) for each in deeper]
        costs = [width + RESCORE_COST * each for _, width, each in found]
        within = min(_SLACK * min(costs), _PAYS * fixed)
        good = [(reach, each) for (reach, _, each), cost in zip(found, costs, strict=True) if cost <= within]
        return good[-1] if good else (0.0, depth)

    def _least_reach(self, target: float, ef: int, depth: int) -> tuple[float, float]:
        """The least that surely finds enough with so many rescored, and the mean width; infinite where none does."""
        recalls = np.stack([one.recalls(self._place, self._k)[:, min(depth, one.width) - 1] for one in self._walked], 1)
        most, kept = CAP_FACTOR * ef, max(depth, int(self._widths[0]))

        def widths(reach: float) -> NDArray[np.int64]:
            places: NDArray[np.int64] = self._k + np.count_nonzero(self._needed <= reach, axis=1)
            return places.clip(min(kept, most), min(most, int(self._widths[-1])))

        low, high = np.log(REACHES)
        if not surely(self._at(recalls, widths(REACHES[1]))) >= target:
            return 0.0, math.inf
        for _ in range(_STEPS):
            middle = (low + high) / 2
            enough = surely(self._at(recalls, widths(float(np.exp(middle))))) >= target
            low, high = (low, middle) if enough else (middle, high)
        found = float(np.exp(high))
        return found, float(widths(found).mean())

    def _at(self, recalls: NDArray[np.float64], widths: NDArray[np.int64]) -> NDArray[np.float64]:
        """(nq,) from (nq, walked)."""
        high = np.clip(np.searchsorted(self._widths, widths), 1, max(1, len(self._widths) - 1))
        if len(self._widths) == 1:
            return recalls[:, 0]
        low = high - 1
        share = (widths - self._widths[low]) / (self._widths[high] - self._widths[low])
        share, every = np.clip(share, 0, 1), np.arange(len(widths))
        found: NDArray[np.float64] = recalls[every, low] * (1 - share) + recalls[every, high] * share
        return found
