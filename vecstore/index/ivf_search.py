"""Searching lists of codes: how hard to look, which lists to visit, candidates by their codes, answers by finer ones.

Python orchestrates: what it does costs the same for one query and for a thousand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vecstore.index import probing
from vecstore.index.base import SearchParams
from vecstore.index.calibration import CAP_FACTOR, Calibration, as_lengths
from vecstore.index.coarse import Coarse, Ranked, Scanner
from vecstore.index.rerank import smallest
from vecstore.kernels.base import Float32Array, Kernels
from vecstore.quantize.base import Found, Probes

DEFAULT_RECALL = 0.95  # of the lists that an automatic nprobe visits
DEFAULT_REACH = 0.995  # of the neighbours in them that come to the rerank


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard to look: `lists` at most, fewer by `slack` (the relative-distance rule) or by `mass` (APS, after the
    `first` ones), and `m` candidates."""

    lists: int
    m: int
    slack: float = 0.0
    mass: float = 0.0
    first: int = 0


def plan(calibration: Calibration, nlist: int, spec_nprobe: int, k: int, params: SearchParams, share: float) -> Plan:
    """`share` is how much of the rows a filter allows: the k nearest of a share of the rows are spread over as many
    lists as the k / share nearest of all. `spec_nprobe` is 0 for automatic."""
    target = params.recall_target or DEFAULT_RECALL
    reach = 1 - (1 - target) / 4 if params.recall_target else DEFAULT_REACH
    depth = max(1.0, params.oversampling) if params.oversampling else calibration.depth_for(reach)
    m = max(k, math.ceil(k * depth))
    fixed = params.nprobe or (0 if params.recall_target else spec_nprobe)
    if fixed or nlist == 1:
        return Plan(min(nlist, max(1, fixed)), m)
    if params.recall_target:
        target = min(1.0, target / reach)
    spread = k / max(share, 1e-6)
    most = min(nlist, CAP_FACTOR * calibration.lists_for(target, spread))
    if params.recall_target >= 1:
        return Plan(nlist, m)
    if params.recall_target and calibration.mass:
        return Plan(most, m, mass=calibration.mass_for(target), first=min(most, calibration.first))
    return Plan(most, m, slack=calibration.slack_for(target, spread))


def candidates(
    coarse: Coarse,
    dim: float,
    how: Plan,
    queries: Float32Array,  # (nq, dim), transformed
    shift: Float32Array | None,
    k: int,
    scan: Scanner,
    kernels: Kernels,
) -> Found:
    """Up to `how.m` rows for each query, ascending by (estimated distance, row)."""
    ranked = coarse.rank(queries, how.lists, kernels)
    if not how.mass or how.first >= how.lists:
        keep = probing.nearly_nearest(ranked.gaps(coarse.metric), how.slack) if how.slack else None
        return scan(_visited(coarse, ranked, keep), k, how.m)
    near = Ranked(ranked.lists[:, : how.first], ranked.distances[:, : how.first], ranked.squares)
    found = scan(coarse.probes(near, None), k, how.m)
    radius = as_lengths(coarse.metric, found.distances[:, k - 1], ranked.squares[:, 0], shift)
    keep = probing.enough_mass(probing.mass(coarse, ranked, radius, dim, kernels), how.mass)
    keep[:, : how.first] = False
    visited = int(np.flatnonzero(keep.any(axis=0))[-1]) + 1 if keep.any() else 0
    if not visited:
        return found
    rest = ranked.nearest(visited)
    more = scan(coarse.probes(rest, keep[:, how.first : visited], how.first), k, how.m)
    rows = np.concatenate((found.rows, more.rows), axis=1)
    distances = np.concatenate((found.distances, more.distances), axis=1)
    counters = {name: count + more.counters.get(name, 0) for name, count in found.counters.items()}
    return Found(*smallest(rows, distances, how.m), counters)


def _visited(coarse: Coarse, ranked: Ranked, keep: probing.Keep | None) -> Probes:
    """Without the ranks that no query keeps."""
    if keep is not None and len(keep) > 0:
        last = int(np.flatnonzero(keep.any(axis=0))[-1]) + 1
        ranked = ranked.nearest(last)
        keep = keep[:, :last]
    return coarse.probes(ranked, keep)
