"""The nearest centroid of many rows, exactly as a scan finds it, without comparing most pairs in full.

A row x and a centroid c, less a common mean, are seen along the w directions in which rows vary most. What lies outside
of them is as long as |x'| and |c'|, so that <x, c> is at most the product of what is seen plus |x'| |c'|
(Cauchy-Schwarz): one more component. Hence no distance is below what the kernels take from a product of w + 2 numbers,
and most centroids are out of question by it. The idea is that of ADSampling (2303.09855) and SuperKMeans (2603.20009);
with a bound that holds always in place of a test that holds nearly always, answers are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.schema import Metric

DIM_MIN = 64  # of fewer dimensions a scan is as fast
WORTH = 1 << 31  # products of a scan from which on directions are worth finding
_ENERGY = 0.8  # of the rows around their mean that the directions should hold
_FITTED = 8  # rows for each dimension, of which directions are found
_OPEN = 1 / 8  # of all pairs: where more have to be compared, a scan is faster
_TRIED = 1024  # rows by which that is seen
_BATCH = 16384
_ROUNDING = np.float32(2e-5)  # of products and lengths: far more than float32 loses
_TINY = np.float32(1e-36)


def worth(rows: Float32Array, centroids: Float32Array) -> bool:
    """Whether there is enough to compare."""
    return rows.shape[1] >= DIM_MIN and len(rows) * centroids.size >= WORTH


@dataclass(frozen=True, slots=True)
class View:
    """Directions found once, by which rows are seen."""

    mean: Float32Array  # (dim,)
    basis: Float32Array  # (dim, w), orthonormal columns

    @classmethod
    def fit(cls, rows: Float32Array) -> Self | None:
        """None where the rows hold numbers too large to be squared."""
        n, dim = rows.shape
        some = rows[:: max(1, n // (_FITTED * dim))]
        with np.errstate(over="ignore", invalid="ignore"):
            mean = some.mean(axis=0, dtype=np.float64).astype(np.float32)
            around = some - mean
            moments = (around.T @ around).astype(np.float64)
        if not np.isfinite(moments).all():
            return None
        energies, directions = np.linalg.eigh(moments)
        shares = np.cumsum(energies[::-1]) / max(energies.sum(), np.finfo(np.float64).tiny)
        wanted = -(-int(np.searchsorted(shares, _ENERGY) + 1) // 16) * 16
        width = min(max(wanted, dim // 8), -(-dim // 48) * 16)
        return cls(mean, np.ascontiguousarray(directions[:, : -width - 1 : -1], np.float32))

    def seen(self, rows: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Squared lengths of rows around the mean (n,), and what bounds are products of (n, w + 2), the last 1."""
        around = rows - self.mean
        squares = np.vecdot(around, around)
        parts = np.ones((len(rows), self.basis.shape[1] + 2), np.float32)
        inside = parts[:, :-2]
        np.matmul(around, self.basis, out=inside)
        rest = np.maximum(squares - np.vecdot(inside, inside), 0) + _ROUNDING * squares + _TINY
        parts[:, -2] = np.sqrt(rest)
        return squares, parts


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows (n, dim) as many calls need them: what bounds their distances to any centroids."""

    parts: Float32Array  # (n, w + 2)
    base: Float32Array  # (n,)
    lengths: Float32Array  # (n,), at least those of the rows and of the rows around the mean


def see(view: View, metric: Metric, rows: Float32Array) -> Seen:
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.vecdot(rows, rows)) + np.linalg.norm(view.mean)
        squares, parts = view.seen(rows)
        if metric is Metric.L2:  # |x - c|^2 = |x|^2 - <(2 x, 2), (c, -|c|^2 / 2)>, both around the mean
            parts *= 2
            return Seen(parts, squares, lengths)
        # -<x, c> = <m, m> - <x, m> - <(x - m, 1), (c - m, <m, c>)>
        base: Float32Array = np.vecdot(view.mean, view.mean) - rows @ view.mean
        return Seen(parts, base, lengths)


def nearest(
    metric: Metric, rows: Float32Array, centroids: Float32Array, kernels: Kernels, view: View, seen: Seen | None = None
) -> Int64Array | None:
    """The nearest centroid of each row (n,), L2 or DOT, of equally near ones the first. `seen` are the rows by that
    view, where it is kept. None where bounds leave so much open that a scan is faster."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares, of_centroids = view.seen(centroids)
        of_centroids[:, -1] = squares * np.float32(-0.5) if metric is Metric.L2 else centroids @ view.mean
        longest = np.sqrt(np.vecdot(centroids, centroids).max()) + np.linalg.norm(view.mean)
    out, distances = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32)
    step = min(_TRIED, len(rows))
    low = 0
    while low < len(rows):
        part = slice(low, low + step)
        asked = rows[part]
        own = see(view, metric, asked) if seen is None else Seen(seen.parts[part], seen.base[part], seen.lengths[part])
        with np.errstate(over="ignore", invalid="ignore"):
            far = own.lengths if metric is Metric.DOT else own.lengths + longest
            base = own.base - _ROUNDING * longest * far
            largest = np.sqrt(np.vecdot(own.parts, own.parts).max() * np.vecdot(of_centroids, of_centroids).max())
        if not (np.isfinite(largest) and np.isfinite(base).all()):
            return None
        compared = kernels.nearest(metric, asked, centroids, own.parts, of_centroids, base, out[part], distances[part])
        if compared > _OPEN * len(asked) * len(centroids):
            return None
        low, step = low + step, _BATCH
    return out
