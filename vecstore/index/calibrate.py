"""Measuring a calibration on held-out rows, or on a user's queries, against exact search.

The exact neighbours of a query stand in known lists, so recall as a function of the lists visited needs no search:
it is the share of neighbours whose list ranks early (or near) enough. Only how deep estimates bury true neighbours is
measured by searching the codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.index import probing
from vecstore.index.calibration import CAP_FACTOR, DEPTH_K, DEPTH_MAX, KS, Calibration
from vecstore.index.coarse import Coarse, Ranked, Scanner
from vecstore.index.recall_axis import MARGIN, TARGETS
from vecstore.kernels.base import Float32Array, Int64Array, Kernels


@dataclass(frozen=True, slots=True)
class Truth:
    """Queries and their nearest rows; of queries made of stored rows, their nearest other rows."""

    queries: Float32Array  # (nq, dim), as codes see them
    own: Int64Array | None  # (nq,) the row that each was made of, if they were
    rows: Int64Array  # (nq, k), nearest first


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
    near = float(gaps[:, 0].mean()) * probing.NEAR_SHARE
    near = near if near > 0 else 1.0  # every query is a centroid
    over = probing.excess(gaps, near)
    stop = tuple(
        tuple(_stop(over, at[:, :k], t, lists) for t, lists in zip(TARGETS, row, strict=True))
        for k, row in zip(ks, nprobe, strict=True)
    )
    return Calibration(ks, nprobe, depth, stop, near)


def _reaching(values: NDArray[np.integer] | Float32Array, target: float) -> float:
    """The least bound that at least `target` of the values do not exceed; of (nq, k), and by MARGIN standard errors."""
    flat = np.sort(values, axis=None)
    bound = flat[min(len(flat) - 1, math.ceil(target * len(flat)) - 1)]
    if values.ndim == 2:
        error = float((values <= bound).mean(axis=1).std()) / math.sqrt(len(values))
        target = min(target + MARGIN * error, (1 + target) / 2)
        bound = flat[min(len(flat) - 1, math.ceil(target * len(flat)) - 1)]
    return float(bound)


def _stop(over: Float32Array, at: Int64Array, target: float, lists: int) -> float:
    """The excess (nq, nlist) up to which lists are visited, of neighbours' lists whose ranks are `at`: 0 where so many
    `lists` for every query are no more work."""
    most = min(over.shape[1], CAP_FACTOR * lists)
    needed = np.take_along_axis(over, at, axis=1)
    within = at < most
    stop = _reaching(np.where(within, needed, needed[within].max(initial=0)), target)
    visited = (over[:, :most] <= np.float32(stop)).sum(axis=1)
    return stop if visited.mean() < lists else 0.0


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
