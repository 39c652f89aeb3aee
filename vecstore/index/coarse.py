"""The coarse structure: centroids that rank lists, and what residual codes are relative to.

Under L2 a list's codes are relative to its centroid. Under DOT centroids are directions (unit length), and codes are
relative to `scales[j] * centroids[j]`, the multiple of the direction nearest to the list's rows on average, so that
both -<q, c> and |q - c| follow from the distances by which lists were ranked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index import probing
from vecstore.index.kmeans import ON_DEVICE, assign_all
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.kernels.device.clusters import closest
from vecstore.kernels.device.dense import upload
from vecstore.kernels.places import by_batches, entered, place_of
from vecstore.kernels.row_bytes import RowBytes, bytes_pay
from vecstore.quantize.base import Found, Lists, Probes
from vecstore.schema import Metric

STRETCH_MAX = 16  # times as long as the centroid a query is at most made
_NONE = np.empty((0, 0), np.float32)
Scanner = Callable[[Probes, int, int], Found]  # lists to visit, k, m: the m best rows by codes, for given queries


@dataclass(frozen=True, slots=True)
class Ranked:
    """The nearest lists of each query, nearest first."""

    lists: Int64Array  # (nq, n)
    distances: Float32Array  # (nq, n): |q - c|^2 under L2, -<q, direction> under DOT
    squares: Float32Array  # (nq, 1): |q|^2

    def nearest(self, n: int) -> Ranked:
        """The first n of them."""
        if n >= self.lists.shape[1]:
            return self
        lists, distances = np.ascontiguousarray(self.lists[:, :n]), np.ascontiguousarray(self.distances[:, :n])
        return Ranked(lists, distances, self.squares)

    def bounds(self, metric: Metric, stop: float, near: float) -> Float32Array:
        """The distances (nq, n) up to which lists are visited: see `probing.excess`."""
        nearest, squares = self.distances[:, :1], self.squares
        if len(nearest) == 1:  # the same by numbers, which take a third of the time of arrays
            nearest, squares = nearest[0, 0], squares[0, 0]
        if metric is Metric.L2:
            over = np.maximum(nearest, np.float32(near))
        else:  # gaps times |q| / 2, which is what distances are of them
            lengths = np.sqrt(squares)
            over = np.maximum(lengths + nearest, lengths * np.float32(0.5 * near))
        bounds: Float32Array = (over * np.float32(stop)) * probing.falling(self.distances.shape[1])
        bounds += nearest
        return bounds.reshape(self.distances.shape)

    def gaps(self, metric: Metric) -> Float32Array:
        """Squared distances to the centroids; under DOT between directions (0..4)."""
        if metric is Metric.L2:
            return self.distances
        inverse: Float32Array = np.divide(2, np.sqrt(np.maximum(self.squares, 1e-30)), dtype=np.float32)
        gaps: Float32Array = self.distances * inverse + np.float32(2.0)
        return gaps


@dataclass(slots=True)
class _Bytes:
    """Of the centroids, once they are asked for."""

    of: RowBytes | None = None


@dataclass(frozen=True, slots=True)
class Coarse:
    metric: Metric  # L2 or DOT
    centroids: Float32Array  # (nlist, dim)
    scales: Float32Array  # (nlist,), 1 under L2
    _bytes: _Bytes = field(default_factory=_Bytes, init=False, repr=False, compare=False)

    @property
    def nlist(self) -> int:
        return len(self.centroids)

    def origins(self, lists: NDArray[np.integer]) -> Float32Array:
        """What codes of rows in these lists (n,) are relative to, (n, dim)."""
        origins: Float32Array = self.centroids[lists] * self.scales[lists, None]
        return origins

    def copies(self, spill: str) -> int:
        """The lists that each row stands in."""
        return 2 if spill == "soar" and self.nlist > 1 else 1

    def home(self, rows: Float32Array, kernels: Kernels) -> Int64Array:
        """The list of each row (n,), where the rows are."""
        if self.nlist == 1:
            return np.zeros_like(rows[:, 0], np.int64)
        if (place := place_of(rows)) is not None:
            held = place.held(self.centroids, lambda: upload(place.device, self.centroids))
            homes: Int64Array = closest(place.device, held, self.metric, rows)
            return homes
        if entered() is not None and len(rows) >= ON_DEVICE:
            return by_batches(rows, lambda some: self.home(some, kernels))
        return assign_all(self.metric, rows, self.centroids, kernels)

    def rank(self, queries: Float32Array, n: int, kernels: Kernels) -> Ranked:
        """The n nearest lists of each query: of many centroids, most are only read as bytes."""
        lists = np.empty((len(queries), n), np.int64)
        distances = np.empty((len(queries), n), np.float32)
        row_bytes = None
        if bytes_pay(self.nlist, n):
            row_bytes = self._bytes.of
            if row_bytes is None:
                row_bytes = self._bytes.of = kernels.round_rows(self.metric, self.centroids, None)
        kernels.scan(self.metric, queries, self.centroids, None, None, lists, distances, row_bytes)
        return Ranked(lists, distances, np.vecdot(queries, queries)[:, None])

    def probes(self, ranked: Ranked, keep: NDArray[np.bool_] | None, low: int = 0, codes: bool = True) -> Probes:
        """Ranks `low` and up of those lists, without those that `keep` (nq, n - low) drops; the lists alone where they
        hold no codes."""
        lists = ranked.lists[:, low:].astype(np.int32)
        if keep is not None:
            lists[~keep] = -1
        if not codes:
            return Probes(lists, _NONE, _NONE)
        add = ranked.distances[:, low:]
        if self.metric is Metric.L2:
            radius = np.sqrt(np.maximum(add, np.float32(0)))
        else:  # |q - s u|^2 = |q|^2 - 2 s <q, u> + s^2
            scales = self.scales[ranked.lists[:, low:]]
            squares = ranked.squares + scales * (scales + 2 * add)
            radius = np.sqrt(np.maximum(squares, np.float32(0)))
            add = add * scales
        return Probes(lists, np.ascontiguousarray(add), radius)

    def stretched(self, queries: Float32Array, probes: Probes) -> tuple[Float32Array, Probes, Float32Array]:
        """Under DOT, queries of the length that codes are best asked by, what their probes are then, and the factors
        (nq, 1). An estimate errs by |q - c|, so that of the multiples of a query the best is the one whose component
        along c is c: of shorter ones nothing but c would be asked for. c is that of the nearest list."""
        squares, scales = np.vecdot(queries, queries)[:, None], self.scales[probes.lists]
        lengths, first = np.sqrt(squares) * np.float32(1 / STRETCH_MAX), np.maximum(scales[:, :1], np.float32(1e-6))
        least = np.maximum(lengths, probes.add[:, :1] / -first)
        factors = first / np.maximum(least, np.float32(1e-15))  # of no query more than float32 holds the square of
        add = probes.add * factors
        radius = np.sqrt(np.maximum(squares * factors * factors + scales * scales + 2 * add, np.float32(0)))
        return queries * factors, Probes(probes.lists, add, radius), factors

    def arrays(self) -> dict[str, np.ndarray]:
        return {"centroids": self.centroids, "scales": self.scales}


def open_coarse(metric: Metric, centroids: np.ndarray | None, scales: np.ndarray | None, dim: int) -> Coarse:
    """Raises Corruption when the arrays do not fit together or hold what is not a finite number."""
    if centroids is None or scales is None:
        raise Corruption("an index lacks its centroids or their scales")
    fits = centroids.ndim == 2 and centroids.shape[1] == dim and scales.shape == (len(centroids),) and len(scales)
    if not fits or centroids.dtype != np.float32 or scales.dtype != np.float32:
        got = f"{centroids.dtype} {centroids.shape} and {scales.dtype} {scales.shape}"
        raise Corruption(f"centroids and scales are {got}, not float32 of n x {dim} and n")
    if not (np.isfinite(centroids).all() and np.isfinite(scales).all()):
        raise Corruption("centroids hold numbers that are not finite")
    return Coarse(metric, np.ascontiguousarray(centroids), np.ascontiguousarray(scales))


def make_lists(homes: Int64Array, nlist: int) -> tuple[Lists, Lists]:
    """Rows by list, ascending within a list, from the lists (n, copies) that each row stands in; and the same with
    `copy * n + row` in place of the row, which tells its codes relative to one centroid from those to another."""
    n, copies = homes.shape
    offsets = np.zeros(nlist + 1, np.int64)
    np.cumsum(np.bincount(homes.ravel(), minlength=nlist), out=offsets[1:])
    order = np.argsort(homes.ravel(), kind="stable")  # row-major: rows ascend within a list
    rows, copy = order // copies, order % copies
    return Lists(offsets, rows.astype(np.uint32)), Lists(offsets, (copy * n + rows).astype(np.uint32))


def homes_of(lists: Lists, n: int) -> Int64Array:
    """The lists (n, copies) that each of n rows stands in: what `make_lists` was given, copies in any order."""
    numbers = np.repeat(np.arange(lists.nlist), np.diff(lists.offsets))
    return numbers[np.argsort(lists.rows, kind="stable")].reshape(n, -1)


def open_lists(offsets: np.ndarray | None, rows: np.ndarray | None, nlist: int, n: int, copies: int) -> Lists:
    """Raises Corruption unless every row 0..n-1 stands in as many lists as it has copies, ascending within each."""
    if offsets is None or rows is None:
        raise Corruption("an index lacks its list offsets or rows")
    total = n * copies
    if offsets.dtype != np.int64 or offsets.shape != (nlist + 1,) or rows.dtype != np.uint32 or rows.shape != (total,):
        got = f"{offsets.dtype} {offsets.shape} and {rows.dtype} {rows.shape}"
        raise Corruption(f"list offsets and rows are {got}, not int64 ({nlist + 1},) and uint32 ({total},)")
    if offsets[0] != 0 or offsets[-1] != total or (np.diff(offsets) < 0).any():
        raise Corruption(f"list offsets do not rise from 0 to {total}")
    if n and (int(rows.max()) >= n or (np.bincount(rows, minlength=n) != copies).any()):
        raise Corruption(f"lists do not hold each of {n} rows {copies} times")
    falls = np.flatnonzero(rows[1:] <= rows[:-1]) + 1
    if not np.isin(falls, offsets).all():
        raise Corruption("rows do not ascend within their list")
    return Lists(offsets, rows)
