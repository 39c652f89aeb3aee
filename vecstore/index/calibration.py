"""How hard to look for a wanted recall: tables measured at build (`calibrate.py`) and stored with the index."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index.recall_axis import TARGET_NINES, TARGETS, nines, of_nines, recall_at

KS = (1, 3, 10, 30, 100)
QUERIES = 512  # a recall of .95 is then known to about half a point
EPS = 1.9  # standard deviations of error bounds
EPS_FINE = 2.5  # of codes so fine that narrower bounds would lose more neighbours than the codes themselves
FINE_BITS = 5.5  # for each dimension
DEPTH_K = 10
DEPTH_MAX = 32  # candidates per wanted row that a calibrated search asks for at most
CAP_FACTOR = 3  # a search that ends by distance visits at most this multiple of the fixed number of lists

Table = tuple[tuple[float, ...], ...]


class Calibration(msgspec.Struct, frozen=True):
    """`nprobe` and `stop` are for each of `ks` and each of `TARGETS`; `depth` for each of `TARGETS`. Older ones have
    fields that are not read any more, and no `stop`."""

    ks: tuple[int, ...]
    nprobe: tuple[tuple[int, ...], ...]  # lists that hold the share
    depth: tuple[float, ...]  # candidates for each wanted row, so that the share of those visited are among them
    stop: Table = ()  # the largest excess of a list that is visited (`probing`), 0 where a fixed number is as good
    near: float = 1.0  # the least squared distance to the nearest centroid that counts
    rows: int = 0  # among which it was measured; 0: all

    def lists_for(self, target: float, k: float) -> int:
        """The fixed number of lists that holds this share of the k nearest; between the measured k, and beyond them,
        along the logarithms."""
        values = [math.log(_between(target, row)) for row in self.nprobe]
        return max(1, math.ceil(math.exp(min(_along(k, self.ks, values), 40.0)) - 1e-6))

    def stop_for(self, target: float, k: float) -> float:
        """0 for a fixed number of lists."""
        if not self.stop:
            return 0.0
        high = min(bisect_left(self.ks, k), len(self.ks) - 1)
        between = [high] if k == self.ks[high] else [max(0, high - 1), high]
        place = max(0, bisect_right(TARGETS, target) - 1)
        if min(min(self.stop[row][place : place + 2]) for row in between) == 0:
            return 0.0
        return _along(k, self.ks, [_between(target, row) for row in self.stop])

    def depth_for(self, target: float) -> float:
        return max(1.0, _between(target, self.depth))

    def reach_of(self, depth: float) -> float:
        """The share of the neighbours visited that so many candidates for each wanted row hold."""
        return float(of_nines(np.interp(depth, np.maximum.accumulate(self.depth), TARGET_NINES)))

    def recall_of(self, lists: int, k: float) -> float | None:
        """The share of the k nearest that a fixed number of lists holds."""
        along = [_along(k, self.ks, [math.log(row[t]) for row in self.nprobe]) for t in range(len(TARGETS))]
        return recall_at(lists, np.exp(np.maximum.accumulate(along)).tolist())

    def check(self, nlist: int) -> None:
        """Raises Corruption for what `calibrate` would not have made."""
        tables = (*self.nprobe, *self.stop, self.depth)
        fits = len(self.nprobe) == len(self.ks) >= 1 and len(self.stop) in (0, len(self.ks))
        fits = fits and all(len(t) == len(TARGETS) for t in tables) and list(self.ks) == sorted(set(self.ks))
        finite = fits and all(math.isfinite(value) and 0 <= value < 1e30 for table in tables for value in table)
        if not (finite and min(self.ks) >= 1 and all(1 <= value <= nlist for row in self.nprobe for value in row)):
            raise Corruption("the calibration of an index does not hold tables of recall")
        if not 0.0 < self.near < math.inf:
            raise Corruption(f"the calibration of an index has near={self.near}, which must be above 0")


def uncalibrated() -> Calibration:
    """For one row, or none: the first list, no candidates in reserve."""
    return Calibration((1,), ((1,) * len(TARGETS),), (1.0,) * len(TARGETS))


def _between(target: float, values: tuple[float, ...] | tuple[int, ...]) -> float:
    return float(np.interp(nines(target), TARGET_NINES, values))


def _along(k: float, ks: tuple[int, ...], values: list[float]) -> float:
    """Piecewise linear over log k, extended above the last."""
    if len(ks) > 1 and k > ks[-1]:
        slope = (values[-1] - values[-2]) / math.log(ks[-1] / ks[-2])
        return values[-1] + max(0.0, slope) * math.log(k / ks[-1])
    return float(np.interp(math.log(k), [math.log(each) for each in ks], values))
