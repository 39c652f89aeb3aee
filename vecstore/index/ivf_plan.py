"""How hard a search of lists looks for a recall, and what that costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

from vecstore.index import costs
from vecstore.index.base import PLANS_REMEMBERED, SearchParams, falls_short, is_left_open
from vecstore.index.calibration import CAP_FACTOR, Calibration
from vecstore.index.recall_axis import TARGETS
from vecstore.memory.remembered import Remembered

DEFAULT_RECALL = 0.95  # of the lists that an automatic nprobe visits
DEFAULT_REACH = 0.995  # of the neighbours in them that come to the rerank
STOP_FROM = 250  # rows in lists without codes: for fewer all queries visit as many lists


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard to look: `lists` at most, with `stop` only those before the first whose excess (`probing`) is larger;
    `m` candidates."""

    lists: int
    m: int
    recall: float | None = None  # that the calibration promises
    stop: float = 0.0  # 0 for none
    about: int = 0  # lists that are visited on average, where it is no fixed number
    pays: tuple[bool, ...] = ()  # `costs.scan_pays`, where nothing but a recall is asked for, perhaps too high a one


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


@dataclass(frozen=True, slots=True)
class Held:
    """What the lists of an index hold: n rows, each in `copies` of the `nlist` lists, by codes of so many bytes, or,
    where that is 0, by the rows themselves, which take `row_bytes`."""

    n: int
    nlist: int
    copies: int
    code_bytes: float
    row_bytes: int

    def cost(self, how: Plan, matches: int, factor: float, queries: int = 1) -> float:
        """In nanoseconds, of a query among so many: codes are scored whatever the mask, rows where it allows them.
        `factor` is what stored rows cost (`costs.row_factor`)."""
        share = min(1.0, (how.about or how.lists) / self.nlist)
        ranking = costs.ranking(self.nlist, how.lists, self.row_bytes, queries)
        if not self.code_bytes:
            scored = costs.row_lists(share, matches, self.row_bytes, self.n, how.m, factor, queries)
            return ranking + scored
        codes = costs.by_codes(share * self.n * self.copies, how.m, self.code_bytes)
        return ranking + costs.code_lists(queries) + codes + costs.rescored(how.m, self.row_bytes, factor)

    def exact(self, matches: int, k: int, factor: float, queries: int = 1) -> float:
        """Of a query that all allowed rows are read for instead."""
        return costs.exact(matches, self.row_bytes, factor, queries, k)


class Planner:
    """Plans of one index by one calibration. Threads may share it."""

    def __init__(self, held: Held, calibration: Calibration, nprobe: int) -> None:
        """`nprobe` is the spec's, 0 for automatic."""
        self.held, self._calibration, self._nprobe = held, calibration, nprobe
        self._plans: Remembered[tuple[int, SearchParams, int], Plan] = Remembered(PLANS_REMEMBERED)

    def plan(self, k: int, params: SearchParams, matches: int) -> Plan:
        """For k of `matches` allowed rows."""
        key = (k, params, matches)
        known = self._plans.get(key)
        return self._plans.keep(key, self._planned(k, params, matches)) if known is None else known

    def _planned(self, k: int, params: SearchParams, matches: int) -> Plan:
        held = self.held
        share = min(1.0, matches / (self._calibration.rows or held.n))
        found = plan(self._calibration, held.nlist, self._nprobe, k, params, share)
        if found.stop and self._is_little(found, matches):
            known = self._calibration.recall_of(found.about, k / max(share, 1e-6))
            found = replace(found, lists=found.about, stop=0.0, about=0, recall=known or found.recall)
        if falls_short(params, found.recall, held.exact(matches, k, 1.0)):
            found = replace(found, pays=(True,))
        elif matches == held.n and is_left_open(params):
            pays = costs.scan_pays(partial(held.cost, found, matches, 1.0), matches, held.row_bytes, k)
            found = replace(found, pays=pays)
        return found

    def _is_little(self, how: Plan, matches: int) -> bool:
        """Whether seeing by distances how many lists a query visits takes longer than it saves."""
        held = self.held
        if held.n * held.row_bytes <= costs.CACHED_BYTES:
            return True
        return not held.code_bytes and how.about * matches < STOP_FROM * held.nlist
