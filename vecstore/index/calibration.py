"""How hard to look for a wanted recall: tables measured at build (`calibrate.py`) and stored with the index."""

from __future__ import annotations

import math

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
FIRST = 0  # of TARGETS: APS takes its radius from as many lists as hold this share of neighbours
CAP_FACTOR = 4  # a search by slack visits at most this multiple of the fixed number of lists
APS_LISTS = 2048  # APS shares its mass among as many of the nearest lists

Table = tuple[tuple[float, ...], ...]


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`nprobe`, `slack` and `mass` are for each of `ks` and each of `TARGETS`; `depth` for each of `TARGETS`."""

    ks: tuple[int, ...]
    nprobe: tuple[tuple[int, ...], ...]  # lists that hold the share
    depth: tuple[float, ...]  # candidates for each wanted row, so that the share of those visited are among them
    slack: Table = ()  # of squared distances to centroids over that to the nearest; empty for one list
    mass: Table = ()  # where APS stops; empty where the metric has no lengths
    dim: float = 1.0
    spacing: float = 1.0
    rows: int = 0  # among which it was measured; 0: all

    def lists_for(self, target: float, k: float) -> int:
        """The fixed number of lists that holds this share of the k nearest; between the measured k, and beyond them,
        along the logarithms."""
        values = [math.log(_between(target, row)) for row in self.nprobe]
        return max(1, math.ceil(math.exp(min(_along(k, self.ks, values), 40.0)) - 1e-6))

    def slack_for(self, target: float, k: float) -> float:
        return _along(k, self.ks, [_between(target, row) for row in self.slack])

    def mass_for(self, target: float, k: float) -> float:
        return min(1.0, _along(min(k, self.ks[-1]), self.ks, [_between(target, row) for row in self.mass]))

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
        tables = (*self.nprobe, *self.slack, *self.mass, self.depth)
        fits = len(self.nprobe) == len(self.ks) >= 1 and {len(self.slack), len(self.mass)} <= {0, len(self.ks)}
        fits = fits and all(len(t) == len(TARGETS) for t in tables) and list(self.ks) == sorted(set(self.ks))
        finite = fits and all(math.isfinite(value) and 0 <= value < 1e30 for table in tables for value in table)
        if not (finite and min(self.ks) >= 1 and all(1 <= value <= nlist for row in self.nprobe for value in row)):
            raise Corruption("the calibration of an index does not hold tables of recall")
        if not (1.0 <= self.dim <= 1000.0 and 0.0 < self.spacing < math.inf):
            raise Corruption(f"the calibration of an index has dim={self.dim} and spacing={self.spacing}")


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
