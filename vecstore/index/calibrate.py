"""Measuring a calibration on held-out rows, or on a user's queries, against exact search.

The exact neighbours of a query stand in known lists, so recall as a function of the lists visited needs no search:
it is the share of neighbours whose list ranks early (or near) enough. Only how deep estimates bury true neighbours,
and the radius that APS sees after its first lists, are measured by searching the codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.index import probing
from vecstore.index.calibration import APS_LISTS, CAP_FACTOR, DEPTH_K, DEPTH_MAX, FIRST, KS, Calibration
from vecstore.index.coarse import Coarse, Ranked, Scanner
from vecstore.index.recall_axis import MARGIN, TARGETS
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.schema import Metric


@dataclass(frozen=True, slots=True)
class Truth:
    """Queries and their nearest rows; of queries made of stored rows, their nearest other rows."""

    queries: Float32Array  # (nq, dim), as codes see them
    shift: Float32Array | None  # (nq,), what transforms add to inner products
    own: Int64Array | None  # (nq,) the row that each was made of, if they were
    rows: Int64Array  # (nq, k), nearest first
    lengths: Float32Array | None  # (nq, k), distances to them as lengths; None where the metric has none


def calibrate(coarse: Coarse, scan: Scanner, homes: Int64Array, truth: Truth, kernels: Kernels) -> Calibration:
    """`homes` (n, copies) are the lists of each row; `scan` searches the codes for the truth's queries."""
    known = truth.rows.shape[1]
    ks = tuple(k for k in KS if k <= known) or (known,)
    ranked = coarse.rank(truth.queries, coarse.nlist, kernels)
    ranks = np.empty(ranked.lists.shape, np.int64)
    np.put_along_axis(ranks, ranked.lists, np.arange(coarse.nlist)[None, :].repeat(len(ranks), 0), axis=1)
    lists = homes[truth.rows]  # (nq, known, copies)
    at = np.take_along_axis(ranks[:, None, :], lists, axis=2).min(axis=2)  # (nq, known): a neighbour's first rank
    nprobe = tuple(tuple(int(_reaching(at[:, :k], t)) + 1 for t in TARGETS) for k in ks)
    judged = ks.index(DEPTH_K) if DEPTH_K in ks else len(ks) - 1
    depth = tuple(_depths(coarse, scan, ranked, at, truth, nprobe[judged][-1]))
    if coarse.nlist == 1:
        return Calibration(ks, nprobe, depth)
    gaps = ranked.gaps(coarse.metric)
    over = np.take_along_axis(gaps, at, axis=1) - gaps[:, :1]
    slack = tuple(
        tuple(_slack(over[:, :k], at[:, :k], t, lists) for t, lists in zip(TARGETS, row, strict=True))
        for k, row in zip(ks, nprobe, strict=True)
    )
    if truth.lengths is None:
        return Calibration(ks, nprobe, depth, slack)
    spacing = float(np.sqrt(np.maximum(gaps[:, 0], 0)).mean()) or 1.0
    dim = probing.intrinsic_dim(truth.lengths)
    radii = [_radii(coarse, scan, ranked, truth, k, row[FIRST]) for k, row in zip(ks, nprobe, strict=True)]
    mass = tuple(
        _mass(gaps[:, :APS_LISTS], at[:, :k], rho, row[FIRST], spacing, dim)
        for k, row, rho in zip(ks, nprobe, radii, strict=True)
    )
    return Calibration(ks, nprobe, depth, slack, mass, dim, spacing)


def _reaching(values: NDArray[np.integer] | Float32Array, target: float) -> float:
    """The least bound that at least `target` of the values do not exceed; of (nq, k), and by MARGIN standard errors."""
    flat = np.sort(values, axis=None)
    bound = flat[min(len(flat) - 1, math.ceil(target * len(flat)) - 1)]
    if values.ndim == 2:
        error = float((values <= bound).mean(axis=1).std()) / math.sqrt(len(values))
        target = min(target + MARGIN * error, (1 + target) / 2)
        bound = flat[min(len(flat) - 1, math.ceil(target * len(flat)) - 1)]
    return float(bound)


def _slack(over: Float32Array, at: Int64Array, target: float, lists: int) -> float:
    """Of neighbours' lists, whose ranks are `at`, among the lists that a search visits at most."""
    within = at < CAP_FACTOR * lists
    return max(0.0, _reaching(np.where(within, over, over[within].max(initial=0)), target))


def _depths(coarse: Coarse, scan: Scanner, ranked: Ranked, at: Int64Array, truth: Truth, nprobe: int) -> list[float]:
    """Candidates for each wanted row, so that a share TARGETS of the neighbours in visited lists are among them."""
    k = min(DEPTH_K, truth.rows.shape[1])
    itself = 0 if truth.own is None else 1
    m = DEPTH_MAX * k + itself
    first = ranked.nearest(nprobe)
    found = scan(coarse.probes(first, None), k + itself, m)
    others = found.rows >= 0 if truth.own is None else found.rows != truth.own[:, None]
    places = np.cumsum(others, axis=1)  # 1-based among rows that are not the query itself
    same = (truth.rows[:, :k, None] == found.rows[:, None, :]) & others[:, None, :]
    reached = np.where(same.any(axis=2), np.take_along_axis(places, same.argmax(axis=2), axis=1), DEPTH_MAX * k)
    seen = at[:, :k] < nprobe
    visited = reached[seen]
    if not visited.size:
        return [1.0] * len(TARGETS)
    return [max(1.0, _reaching(reached if seen.all() else visited, target) / k) for target in TARGETS]


def _radii(coarse: Coarse, scan: Scanner, ranked: Ranked, truth: Truth, k: int, first: int) -> Float32Array:
    """The k-th distance (nq,) among the first lists, as a search sees it."""
    among = k if truth.own is None else k + 1  # the query itself may be one of them
    found = scan(coarse.probes(ranked.nearest(first), None), among, among)
    return as_lengths(coarse.metric, found.distances[:, among - 1], ranked.squares[:, 0], truth.shift)


def _mass(
    gaps: Float32Array, at: Int64Array, rho: Float32Array, first: int, spacing: float, dim: float
) -> tuple[float, ...]:
    """Where to stop for each target."""
    before = probing.mass_before(gaps, rho, spacing, dim)
    before[:, :first] = 0
    last = gaps.shape[1] - 1
    needed = np.where(at <= last, np.take_along_axis(before, np.minimum(at, last), axis=1), np.float32(2))
    return tuple(min(1.0, _reaching(needed, target) + 1e-6) for target in TARGETS)


def as_lengths(
    metric: Metric, distances: Float32Array, squares: Float32Array, shift: Float32Array | None
) -> Float32Array:
    """Estimated distances (nq,) as lengths, +inf where there is none; under DOT, of unit vectors."""
    if metric is Metric.L2:
        return np.sqrt(np.maximum(distances, np.float32(0)))
    shifted = distances if shift is None else distances - shift
    lengths: Float32Array = np.sqrt(np.maximum(2 + 2 * shifted / np.sqrt(np.maximum(squares, 1e-30)), 0))
    return lengths
