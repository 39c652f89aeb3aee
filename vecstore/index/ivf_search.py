"""Searching lists of codes: how hard to look, which lists to visit, candidates by their codes, answers by finer ones.

Python orchestrates: what it does costs the same for one query and for a thousand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vecstore.index import probing
from vecstore.index.base import SearchParams
from vecstore.index.calibrate import as_lengths
from vecstore.index.calibration import APS_LISTS, CAP_FACTOR, FIRST, Calibration
from vecstore.index.coarse import Coarse, Scanner
from vecstore.index.recall_axis import TARGETS
from vecstore.index.rerank import smallest
from vecstore.kernels.base import Float32Array, Kernels
from vecstore.quantize.base import Found

DEFAULT_RECALL = 0.95  # of the lists that an automatic nprobe visits
DEFAULT_REACH = 0.995  # of the neighbours in them that come to the rerank


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard to look: `lists` at most; with `slack` only those nearly as near as the nearest; with `mass` only as
    many as APS wants after the `first`; `m` candidates."""

    lists: int
    m: int
    recall: float | None = None  # that the calibration promises
    slack: float | None = None
    mass: float | None = None
    first: int = 0
    about: int = 0  # lists that are visited on average, where it is no fixed number


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
    recall = target * held
    if not (params.recall_target and calibration.mass):
        return Plan(min(nlist, CAP_FACTOR * lists), m, recall, slack=calibration.slack_for(target, spread), about=lists)
    first = min(nlist, calibration.lists_for(TARGETS[FIRST], spread))
    return Plan(min(nlist, APS_LISTS), m, recall, mass=calibration.mass_for(target, spread), first=first,
                about=lists)  # fmt: skip


def candidates(
    coarse: Coarse,
    calibration: Calibration,
    how: Plan,
    queries: Float32Array,  # (nq, dim), transformed
    shift: Float32Array | None,
    k: int,
    scan: Scanner,
    kernels: Kernels,
) -> Found:
    """Up to `how.m` rows for each query, ascending by (estimated distance, row)."""
    ranked = coarse.rank(queries, how.lists, kernels)
    if how.slack is not None:
        keep = ranked.distances <= ranked.bound(coarse.metric, how.slack)
        visited = keep.sum(axis=1)  # lists come in order: those kept are the first
        most = int(visited.max(initial=1))
        cut = keep[:, :most] if len(keep) > 1 else None
        return scan(coarse.probes(ranked.nearest(most), cut), k, how.m)
    if how.mass is None or how.first >= how.lists:
        return scan(coarse.probes(ranked, None), k, how.m)
    found = scan(coarse.probes(ranked.nearest(how.first), None), k, how.m)
    rho = as_lengths(coarse.metric, found.distances[:, k - 1], ranked.squares[:, 0], shift)
    gaps = ranked.gaps(coarse.metric)
    keep = probing.mass_before(gaps, rho, calibration.spacing, calibration.dim)[:, how.first :] < how.mass
    wanted = np.flatnonzero(keep.any(axis=0))
    if not len(wanted):
        return found
    visited = int(wanted[-1]) + 1
    more = scan(coarse.probes(ranked.nearest(how.first + visited), keep[:, :visited], how.first), k, how.m)
    rows = np.concatenate((found.rows, more.rows), axis=1)
    distances = np.concatenate((found.distances, more.distances), axis=1)
    counters = {name: count + more.counters.get(name, 0) for name, count in found.counters.items()}
    return Found(*smallest(rows, distances, how.m), counters)
