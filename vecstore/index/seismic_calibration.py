"""Which block factor a wanted recall takes: measured at build on held-out rows, stored with the index."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index.recall_axis import TARGET_NINES, TARGETS, is_recalls, nines, promised, recall_at, surely
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.sparse import SparseRows

KS = (1, 10, 100)
QUERIES = 256
# A row makes a query by a few of its heavy entries: its nearest by all of them are found with less work than those of
# the queries that people ask, by these with as much (docs/RESULTS-SPARSE.md).
HEAVIEST, DRAWN = 40, 10
EVERY_BLOCK = 1e6
FACTORS = (0.7, 0.85, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.85, 2.0, 2.2, 2.5, 3.0, 4.0, 6.0, EVERY_BLOCK)

# Rows and distances (nq, k) for queries, at a block factor; None: exactly.
Search = Callable[[SparseRows, int, float | None], tuple[Int64Array, Float32Array]]


class FactorTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For each of `ks` the factors of `TARGETS`, and the recall that they reached."""

    ks: tuple[int, ...]
    factors: tuple[tuple[float, ...], ...]
    reached: tuple[tuple[float, ...], ...] = ()
    rows: int = 0  # among which it was measured; 0: all

    def factor(self, target: float, k: int) -> float:
        at_target = [float(np.interp(nines(target), TARGET_NINES, np.log(row))) for row in self.factors]
        return float(np.exp(np.interp(math.log(k), np.log(self.ks), at_target)))

    def recall_for(self, target: float, k: int) -> float | None:
        """What the factor for a target promises."""
        return promised(target, k, self.ks, self.reached)

    def recall_of(self, factor: float, k: int) -> float | None:
        """What a factor promises."""
        along = [
            math.exp(float(np.interp(math.log(k), np.log(self.ks), np.log([row[t] for row in self.factors]))))
            for t in range(len(TARGETS))
        ]
        target = recall_at(factor, along)
        return None if target is None else self.recall_for(target, k)

    def check(self) -> None:
        """Raises Corruption for what `calibrated` would not have made."""
        fits = len(self.ks) == len(self.factors) >= 1 and list(self.ks) == sorted(set(self.ks)) and self.ks[0] >= 1
        fits = fits and all(len(row) == len(TARGETS) for row in self.factors)
        fits = fits and is_recalls(self.reached, len(self.ks))
        if not fits or any(not 0 < factor <= EVERY_BLOCK for row in self.factors for factor in row):
            raise Corruption("the calibration of a seismic index does not hold tables of recall")


UNCALIBRATED = FactorTable((10,), ((2.5,) * len(TARGETS),))  # for indexes too small to measure


def calibrated(search: Search, asked: SparseRows, own: Int64Array, n: int) -> FactorTable:
    """`own` (nq,) is the row that each query was made of, which is left out of what counts; -1 for real queries."""
    if n < 4 * KS[1] or not len(asked):
        return UNCALIBRATED
    ks = tuple(k for k in KS if k < n // 4)
    more = int(own.max() >= 0)
    limits = _without(own, *search(asked, ks[-1] + more, None))
    curves, means = [], []
    for factor in FACTORS:
        found = [_without(own, *search(asked, k + more, factor))[:, :k] for k in ks]
        right = [(near <= limits[:, k - 1 : k]) & np.isfinite(near) for near, k in zip(found, ks, strict=True)]
        there = [np.isfinite(limits[:, :k]).sum(axis=1) for k in ks]
        each = [good.sum(axis=1)[of > 0] / of[of > 0] for good, of in zip(right, there, strict=True)]
        curves.append([float(surely(one)) if len(one) else 1.0 for one in each])
        means.append([float(one.mean()) if len(one) else 1.0 for one in each])
    recalls, mean = (np.maximum.accumulate(np.array(one), axis=0) for one in (curves, means))
    factors, reached = [], []
    for place in range(len(ks)):
        first = [int(np.argmax(recalls[:, place] >= min(target, recalls[-1, place]))) for target in TARGETS]
        factors.append(tuple(FACTORS[at] for at in first))
        reached.append(tuple(float(mean[at, place]) for at in first))
    return FactorTable(ks, tuple(factors), tuple(reached), n)


def drawn(rows: SparseRows, rng: np.random.Generator) -> SparseRows:
    """DRAWN of each row's HEAVIEST entries, as float32 queries."""
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    rank = np.arange(rows.nnz) - np.repeat(rows.offsets[:-1], np.diff(rows.offsets))
    values = rows.values.astype(np.float32)
    heavy = np.lexsort((-values, row_of))[rank < HEAVIEST]
    mixed = heavy[np.lexsort((rng.random(len(heavy)), row_of[heavy]))]
    counts = np.bincount(row_of[mixed], minlength=len(rows))
    place = np.arange(len(mixed)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.sort(mixed[place < DRAWN])
    offsets = np.concatenate(([0], np.cumsum(np.bincount(row_of[kept], minlength=len(rows)))))
    return SparseRows(offsets.astype(np.int64), rows.indices[kept], values[kept])


def _without(own: Int64Array, rows: Int64Array, distances: Float32Array) -> Float32Array:
    """Distances of other rows, in order."""
    others = np.where(rows == own[:, None], np.float32(np.inf), distances)
    others.sort(axis=1)
    return others
