"""Searching lists of codes: which lists to visit, candidates by their codes.

Python orchestrates: what it does costs the same for one query and for a thousand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.index.calibration import Calibration
from vecstore.index.coarse import Coarse, Ranked, Scanner
from vecstore.index.ivf_plan import Plan
from vecstore.kernels.base import Float32Array, Kernels
from vecstore.quantize.base import Found


def candidates(
    coarse: Coarse,
    calibration: Calibration,
    how: Plan,
    queries: Float32Array,  # (nq, dim), transformed
    k: int,
    scan: Scanner,
    kernels: Kernels,
    codes: bool = True,  # whether lists hold any
) -> Found:
    """Up to `how.m` rows for each query, ascending by (estimated distance, row)."""
    ranked = coarse.rank(queries, how.lists, kernels)
    if not how.stop:
        return scan(coarse.probes(ranked, None, codes=codes), k, how.m)
    keep = ranked.distances <= ranked.bounds(coarse.metric, how.stop, calibration.near)
    # Lists come in order, and bounds fall along it: those kept are the first.
    if len(keep) == 1:
        visited = most = int(np.count_nonzero(keep))
        found = scan(coarse.probes(ranked.nearest(most), None, codes=codes), k, how.m)
    else:
        visited = np.count_nonzero(keep, axis=1)
        most = int(visited.max(initial=1))
        found = scan(coarse.probes(ranked.nearest(most), keep[:, :most], codes=codes), k, how.m)
    found.counters["stopped_early"] = int(np.count_nonzero(visited < how.lists))
    return found


def further(
    coarse: Coarse,
    calibration: Calibration,
    how: Plan,
    had: Plan,
    queries: Float32Array,  # (nq, dim), transformed
    k: int,
    scan: Scanner,
    kernels: Kernels,
    codes: bool = True,  # whether lists hold any
) -> Found | None:
    """As `candidates`, of the lists that `had` did not visit; None where it visited all."""
    ranked = coarse.rank(queries, how.lists, kernels)
    fresh = _visited(coarse, calibration, how, ranked) & ~_visited(coarse, calibration, had, ranked)
    places = np.flatnonzero(fresh.any(axis=0))
    if not len(places):
        return None
    low, high = int(places[0]), int(places[-1]) + 1
    return scan(coarse.probes(ranked.nearest(high), fresh[:, low:high], low, codes), k, how.m)


def _visited(coarse: Coarse, calibration: Calibration, how: Plan, ranked: Ranked) -> NDArray[np.bool_]:
    """(nq, n), of the ranked lists."""
    visited: NDArray[np.bool_] = np.broadcast_to(np.arange(ranked.lists.shape[1]) < how.lists, ranked.lists.shape)
    if how.stop:
        visited = visited & (ranked.distances <= ranked.bounds(coarse.metric, how.stop, calibration.near))
    return visited
