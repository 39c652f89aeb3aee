"""How wide a walk a wanted recall takes: measured at build on held-out rows, stored with the index."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

import msgspec
import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.base import allowed_count
from vecstore.index.graph_replay import RESCORE_COST, Replay, Walked
from vecstore.index.recall_axis import (
    TARGETS,
    is_recalls,
    log_along,
    log_between,
    promised,
    recall_at,
    surely,
)
from vecstore.index.stored_rows import StoredRows
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.graph import COUNTERS, WIDE, Narrow, OpenGraph, Walk
from vecstore.schema import Metric

KS = (1, 10, 100)
QUERIES = 512  # a recall of .95 is then known to about half a point
WIDTHS = (
    10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 100, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
    1024, 1280, 1536, 2048,
)  # fmt: skip
DEPTH_PART = 4
NEAR_SHARE = 0.25  # of the mean k-th distance: nearer ones count as this near, codes tell them apart less well
Float64Array = NDArray[np.float64]


class WalkTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For each of `ks` and each of `TARGETS`; `reached` is the recall that was measured with them."""

    ks: tuple[int, ...]
    ef: tuple[tuple[int, ...], ...]
    rescored: tuple[tuple[int, ...], ...]
    reached: tuple[tuple[float, ...], ...] = ()
    # Of `kernels.graph.Narrow`, 0 where a fixed width is as good; none under dot, and in older tables.
    reach: tuple[tuple[float, ...], ...] = ()
    deep: tuple[tuple[int, ...], ...] = ()  # what is rescored then
    least: tuple[float, ...] = ()  # for each of `ks`
    rows: int = 0  # among which it was measured; 0: all

    def width(self, target: float, k: int) -> int:
        return max(k, math.ceil(log_along(k, self.ks, [log_between(target, row) for row in self.ef])))

    def depth(self, target: float, k: int) -> int:
        return max(k, math.ceil(log_along(k, self.ks, [log_between(target, row) for row in self.rescored])))

    def depth_for_width(self, ef: int, k: int) -> int:
        """How many of `ef` candidates are worth rescoring: as where a target takes that width, and no less than one in
        DEPTH_PART, since queries that do not resemble the rows are told apart less well by codes."""
        widths = [log_along(k, self.ks, [row[t] for row in self.ef]) for t in range(len(TARGETS))]
        depths = [log_along(k, self.ks, [row[t] for row in self.rescored]) for t in range(len(TARGETS))]
        shares = [depth / max(1.0, width) for width, depth in zip(widths, depths, strict=True)]
        share = max(1 / DEPTH_PART, float(np.interp(ef, np.maximum.accumulate(widths), shares)))
        return max(k, min(ef, math.ceil(ef * share)))

    def narrow(self, target: float, k: int, depth: int = 0) -> tuple[Narrow, int]:
        """What lets a walk of CAP_FACTOR times the width for a target end early, and how many candidates it rescores,
        `depth` if that is not 0."""
        if not self.reach or k > self.ks[-1]:
            return WIDE, depth
        high = bisect_left(self.ks, k)
        between = [high] if k == self.ks[high] else [max(0, high - 1), high]
        around = slice(max(0, bisect_right(TARGETS, target) - 1), bisect_left(TARGETS, target) + 1)
        if min(min(self.reach[row][around]) for row in between) == 0:
            return WIDE, depth
        reach = log_along(k, self.ks, [log_between(target, np.maximum(row, 1e-6).tolist()) for row in self.reach])
        if not depth:
            depth = max(k, math.ceil(log_along(k, self.ks, [log_between(target, row) for row in self.deep])))
        return Narrow(reach, float(np.interp(k, self.ks, self.least)), k, max(depth, WIDTHS[0])), depth

    def recall_for(self, target: float, k: int) -> float | None:
        """What the width and the depth for a target promise."""
        return promised(target, k, self.ks, self.reached)

    def recall_of(self, ef: int, depth: int, k: int) -> float | None:
        """What a width promises with a depth: the less of what each of them is enough for."""
        if not self.reached:
            return None
        found = []
        for value, table in ((ef, self.ef), (depth, self.rescored)):
            along = [log_along(k, self.ks, [row[t] for row in table]) for t in range(len(TARGETS))]
            recall = recall_at(value, np.maximum.accumulate(along).tolist())
            if recall is None:
                return None
            found.append(recall)
        return self.recall_for(min(found), k)

    def check(self, n: int) -> None:
        """Raises Corruption for what `calibrated` would not have made."""
        tables = (*self.ef, *self.rescored, *self.deep)
        fits = len(self.ks) == len(self.ef) == len(self.rescored) >= 1 and list(self.ks) == sorted(set(self.ks))
        fits = fits and all(len(row) == len(TARGETS) for row in tables)
        fits = fits and is_recalls(self.reached, len(self.ks))
        fits = fits and len(self.reach) == len(self.deep) == len(self.least) and len(self.reach) in (0, len(self.ks))
        fits = fits and all(len(row) == len(TARGETS) for row in self.reach)
        fits = fits and all(0 <= value < math.inf for row in (*self.reach, self.least) for value in row)
        if not fits or min(self.ks) < 1 or any(not 1 <= value <= 1 << 31 for row in tables for value in row):
            raise Corruption(f"the calibration of a graph index over {n} rows does not hold tables of recall")


def uncalibrated() -> WalkTable:
    """For graphs too small to measure: wide enough for any."""
    return WalkTable((10,), ((64,) * len(TARGETS),), ((64,) * len(TARGETS),))


def calibrated(
    graph: OpenGraph, source: StoredRows, asked: Float32Array, held_out: Int64Array, kernels: Kernels,
    alive: Bitmap | None = None,
) -> WalkTable:  # fmt: skip
    """Walk for `asked` (nq, dim) at each width. `held_out` (nq,) is the row that each was made of: the walk goes around
    it, which would lead straight to its neighbours; -1 for queries of a user's own. Rows `alive` are to be found."""
    n = allowed_count(len(source), alive)
    if n < 2 * KS[1]:
        return uncalibrated()
    ks = tuple(k for k in KS if k < n // 4)
    limits = _kth_distances(source, asked, held_out, ks, kernels, alive)
    walked: list[Walked] = []
    for width in [width for width in WIDTHS if width <= n] or [min(n, WIDTHS[0])]:
        walked.append(_walked(graph, source, asked, held_out, width, limits, kernels, alive))
        if width >= ks[-1] and _is_enough(walked[-1], ks):
            break
    ef, rescored, reached, reach, deep, least = [], [], [], [], [], []
    for place, k in enumerate(ks):
        curves = [(surely(recalls), recalls.mean(axis=0)) for recalls in (one.recalls(place, k) for one in walked)]
        picked = [_cheapest(curves, [one.width for one in walked], k, target) for target in TARGETS]
        ef.append(tuple(np.maximum.accumulate([width for width, _, _ in picked]).tolist()))
        rescored.append(tuple(np.maximum.accumulate([depth for _, depth, _ in picked]).tolist()))
        reached.append(tuple(np.maximum.accumulate([recall for _, _, recall in picked]).tolist()))
        if source.field.metric is not Metric.DOT:
            near = float(limits[:, place].mean(where=np.isfinite(limits[:, place])))
            least.append(max(0.0, NEAR_SHARE * near))
            replayed = Replay(place, k, least[-1], walked)
            efforts = zip(TARGETS, ef[place], rescored[place], strict=True)
            found = [replayed.cheapest(*effort) for effort in efforts]
            reach.append(tuple(far for far, _ in found))
            deep.append(tuple(depth for _, depth in found))
    ends = tuple(reach), tuple(deep), tuple(least)
    return WalkTable(ks, tuple(ef), tuple(rescored), tuple(reached), *ends, n)


def _is_enough(walked: Walked, ks: tuple[int, ...]) -> bool:
    """The next width is larger by more than all the rescoring of this one costs, so that no target would choose it."""
    return all(float(surely(walked.recalls(place, k)[:, -1:])[0]) >= TARGETS[-1] for place, k in enumerate(ks))


def _kth_distances(
    source: StoredRows, asked: Float32Array, held_out: Int64Array, ks: tuple[int, ...], kernels: Kernels,
    alive: Bitmap | None,
) -> Float32Array:  # fmt: skip
    """(nq, len(ks)): the distance of the k-th nearest other row."""
    rows = np.empty((len(asked), ks[-1] + 1), np.int64)
    distances = np.empty(rows.shape, np.float32)
    arrays = source.field.metric, asked, source.rows, source.inverse_norms
    kernels.scan(*arrays, alive, rows, distances)
    kernels.rerank(*arrays, rows, distances)  # to the bits that candidates get: not every backend's scan has those
    distances[rows == held_out[:, None]] = np.inf
    distances.sort(axis=1)
    return distances[:, [k - 1 for k in ks]]


def _walked(
    graph: OpenGraph, source: StoredRows, asked: Float32Array, held_out: Int64Array, width: int, limits: Float32Array,
    kernels: Kernels, alive: Bitmap | None,
) -> Walked:  # fmt: skip
    """`limits` (nq, len(ks)) are the distances of the k-th nearest."""
    rows, estimates = np.empty((len(asked), width), np.int64), np.empty((len(asked), width), np.float32)
    counters = np.empty((len(asked), len(COUNTERS)), np.int64)
    kernels.graph_search(graph, asked, Walk(width, 0, skipped=held_out), alive, rows, estimates, counters)
    exact = np.empty(rows.shape, np.float32)
    kernels.rerank(source.field.metric, asked, source.rows, source.inverse_norms, rows, exact)
    good = [np.cumsum((exact <= limit[:, None]) & (rows >= 0), axis=1, dtype=np.uint16) for limit in limits.T]
    return Walked(width, estimates, good)


def _cheapest(
    curves: list[tuple[Float64Array, Float64Array]], widths: list[int], k: int, target: float
) -> tuple[int, int, float]:
    """The width and depth that reach the target at least cost, and the recall there; the widest and deepest where none
    does."""
    best: tuple[float, int, int, float] | None = None
    for (sure, curve), width in zip(curves, widths, strict=True):
        if width < k or sure[-1] < target:
            continue
        depth = max(k, int(np.argmax(sure >= target)) + 1)
        cost = width + RESCORE_COST * depth
        if best is None or cost < best[0]:
            best = cost, width, min(depth, width), float(curve[min(depth, width) - 1])
    return (widths[-1], widths[-1], float(curves[-1][1][-1])) if best is None else best[1:]
