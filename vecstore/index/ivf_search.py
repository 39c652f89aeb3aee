"""Searching lists of codes: how hard to look, which lists to visit, candidates by their codes, answers by finer ones.

Python orchestrates: what it does costs the same for one query and for a thousand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import SearchParams
from vecstore.index.calibration import CAP_FACTOR, Calibration
from vecstore.index.coarse import Coarse, Ranked, Scanner
from vecstore.index.recall_axis import TARGETS
from vecstore.kernels.base import Float32Array, Kernels
from vecstore.quantize.base import Found

DEFAULT_RECALL = 0.95  # of the lists that an automatic nprobe visits
DEFAULT_REACH = 0.995  # of the neighbours in them that come to the rerank


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard to look: `lists` at most, with `stop` only those before the first whose excess (`probing`) is larger;
    `m` candidates."""

    lists: int
    m: int
    recall: float | None = None  # that the calibration promises
    stop: float = 0.0  # 0 for none
    about: int = 0  # lists that are visited on average, where it is no fixed number
    pays: tuple[bool, ...] = ()  # `costs.scan_pays`, where nothing but a recall is asked for


def plan(calibration: Calibration, nlist: int, spec_nprobe: int, k: int, params: SearchParams, share: float) -> Plan:
    """`share` is how much of the rows a filter allows: the k nearest of a share of the rows are spread over as many
    lists as the k / share nearest of all. `spec_nprobe` is 0 for automatic."""
    target = params.recall_target or DEFAULT_RECALL
    reach = DEFAULT_REACH
    if params.recall_target:  # where all lists are read, candidates are all there is to choose
        reach = target if nlist == 1 else 1 - (1 - target) / 10
    depth = max(1.0, params.oversampling) if params.oversampling else calibration.depth_for(reach)
    m = max(k, math.ceil(k * depth))
    fixed = params.nprobe or (0 if params.recall_target else spec_nprobe)
    spread = k / max(share, 1e-6)
    held = calibration.reach_of(depth if params.rescore else 1.0)  # of what the lists hold
    if fixed or nlist == 1 or target >= 1:
        lists = nlist if nlist == 1 or not fixed else min(nlist, fixed)
        in_lists = 1.0 if lists == nlist else calibration.recall_of(lists, spread)
        return Plan(lists, m, None if in_lists is None else in_lists * held)
    if params.recall_target:
        target = min(TARGETS[-1], target / max(reach, calibration.reach_of(depth)))
    lists = calibration.lists_for(target, spread)
    stop = calibration.stop_for(target, spread)
    return Plan(min(nlist, CAP_FACTOR * lists if stop else lists), m, target * held, stop, lists)


def candidates(
    coarse: Coarse,
    calibration: Calibration,
    how: Plan,
    queries: Float32Array,  # (nq, dim), transformed
    k: int,
    scan: Scanner,
    kernels: Kernels,
) -> Found:
    """Up to `how.m` rows for each query, ascending by (estimated distance, row)."""
    ranked = coarse.rank(queries, how.lists, kernels)
    if not how.stop:
        return scan(coarse.probes(ranked, None), k, how.m)
    keep = ranked.distances <= ranked.bounds(coarse.metric, how.stop, calibration.near)
    # Lists come in order, and bounds fall along it: those kept are the first.
    if len(keep) == 1:
        visited = most = int(np.count_nonzero(keep))
        found = scan(coarse.probes(ranked.nearest(most), None), k, how.m)
    else:
        visited = np.count_nonzero(keep, axis=1)
        most = int(visited.max(initial=1))
        found = scan(coarse.probes(ranked.nearest(most), keep[:, :most]), k, how.m)
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
) -> Found | None:
    """As `candidates`, of the lists that `had` did not visit; None where it visited all."""
    ranked = coarse.rank(queries, how.lists, kernels)
    fresh = _visited(coarse, calibration, how, ranked) & ~_visited(coarse, calibration, had, ranked)
    places = np.flatnonzero(fresh.any(axis=0))
    if not len(places):
        return None
    low, high = int(places[0]), int(places[-1]) + 1
    return scan(coarse.probes(ranked.nearest(high), fresh[:, low:high], low), k, how.m)


def _visited(coarse: Coarse, calibration: Calibration, how: Plan, ranked: Ranked) -> NDArray[np.bool_]:
    """(nq, n), of the ranked lists."""
    visited: NDArray[np.bool_] = np.broadcast_to(np.arange(ranked.lists.shape[1]) < how.lists, ranked.lists.shape)
    if how.stop:
        visited = visited & (ranked.distances <= ranked.bounds(coarse.metric, how.stop, calibration.near))
    return visited
