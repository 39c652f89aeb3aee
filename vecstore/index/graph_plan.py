"""How a graph answers: a walk past what a filter refuses, a walk around it, or a scan of what it allows, by codes or by
the stored rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from vecstore.index import costs
from vecstore.index.base import SearchParams, falls_short, is_left_open
from vecstore.index.graph_calibration import WalkTable
from vecstore.index.graph_replay import CAP_FACTOR
from vecstore.kernels.graph import WIDE, Narrow

DEFAULT_RECALL = 0.98
DETOURS_FROM = 0.2  # share of allowed rows below which detours find what is behind
# Times a walk's candidates to rescore: allowed rows may all be far, and codes tell those apart less well.
SCAN_DEPTH = 6
# Share of allowed rows from which walks may end early: what rows that died leave until they are merged away. Behind
# other filters allowed rows may lie past any gap.
NARROW_FROM = 0.75
# Of how many among so many are allowed, in standard deviations: of those that say what is near, of those that are kept.
_SPARE = 1, 3
DETOUR_WIDTH = 4  # times the candidates: bridges take places


@dataclass(frozen=True, slots=True)
class Plan:
    how: Literal["walk", "detours", "scan", "exact"]
    ef: int
    rescored: int
    recall: float | None = None  # that the calibration promises
    cost_ns: float | None = None  # of a query, where ways were weighed
    narrow: Narrow = WIDE
    pays: tuple[bool, ...] = ()  # `costs.scan_pays`, where nothing but a recall is asked for, perhaps too high a one


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan is for: `matches` of the n rows are allowed; `spec_ef` is 0 for automatic; stored rows of so many
    bytes cost `factor` times as much as in memory."""

    spec_ef: int
    n: int
    k: int
    params: SearchParams
    matches: int
    row_bytes: int
    factor: float = 1.0


def plan(table: WalkTable, asked: Asked) -> Plan:
    """A walk where every row is allowed, else what costs least."""
    found = ways(table, asked)
    if asked.matches == asked.n and (walk := next((one for _, one in found if one.how == "walk"), None)) is not None:
        chosen = _narrowed(table, asked, replace(walk, rescored=min(_effort(table, asked)[1], walk.ef)))
        if not is_left_open(asked.params) or asked.factor != 1:
            return chosen
        if falls_short(asked.params, chosen.recall, costs.exact(asked.n, asked.row_bytes, k=asked.k)):
            return replace(chosen, pays=(True,))
        cost = next(cost for cost, one in found if one.how == "walk")
        return replace(chosen, pays=costs.scan_pays(lambda queries: cost, asked.n, asked.row_bytes, asked.k))
    by_rows = costs.exact(asked.matches, asked.row_bytes, k=asked.k)
    short = asked.factor == 1 and falls_short(asked.params, _effort(table, asked)[2], by_rows)
    cost, chosen = min((way for way in found if way[1].how == "exact" or not short), key=lambda way: way[0])
    chosen = replace(chosen, cost_ns=cost)
    if chosen.how != "walk" or asked.matches < NARROW_FROM * asked.n:
        return chosen
    depth = min(_effort(table, asked)[1], chosen.rescored)
    return _among(asked.matches / asked.n, _narrowed(table, asked, replace(chosen, rescored=depth)), chosen)


def _among(share: float, walk: Plan, fixed: Plan) -> Plan:
    """A walk that may end early, where a share of the candidates is not allowed: what was measured in places among
    allowed ones, in places among all, with so much more that enough of them are allowed, were they drawn."""
    narrow = walk.narrow
    if narrow is WIDE:
        return fixed
    counts = zip((narrow.near, narrow.kept), _SPARE, strict=True)
    near, kept = (math.ceil((count + spare * math.sqrt(count * (1 - share))) / share) for count, spare in counts)
    return replace(walk, narrow=Narrow(narrow.reach / math.sqrt(share), narrow.least, near, kept))


def without_end(walk: Plan) -> Plan:
    """The walk of a fixed width that one which may end early stands for."""
    return replace(walk, narrow=WIDE, ef=max(walk.rescored, walk.ef // CAP_FACTOR))


def _narrowed(table: WalkTable, asked: Asked, walk: Plan) -> Plan:
    """Ending early where the calibration knows how."""
    if _fixed(asked) or not asked.params.rescore:
        return walk
    target = asked.params.recall_target or DEFAULT_RECALL
    narrow, depth = table.narrow(target, asked.k, walk.rescored if asked.params.oversampling else 0)
    if narrow is WIDE:
        return walk
    recall = None if walk.recall is None else min(walk.recall, target)
    ef = min(asked.n, CAP_FACTOR * walk.ef)
    return replace(walk, ef=ef, rescored=min(depth, ef), narrow=narrow, recall=recall)


def _effort(table: WalkTable, asked: Asked) -> tuple[int, int, float | None]:
    """The width of a walk, the candidates that it rescores, and the recall that this promises."""
    k, params = asked.k, asked.params
    target = params.recall_target or DEFAULT_RECALL
    fixed = _fixed(asked)
    ef = max(k, fixed) if fixed else table.width(target, k)
    depth = table.depth_for_width(ef, k) if fixed else table.depth(target, k)
    if params.oversampling:
        depth = max(k, math.ceil(k * params.oversampling))
        ef = max(ef, depth)
    if not params.rescore:
        return ef, depth, None  # nothing was measured by codes alone
    if fixed or params.oversampling:
        return ef, depth, table.recall_of(ef, depth, k)
    return ef, depth, table.recall_for(target, k)


def _fixed(asked: Asked) -> int:
    return asked.params.ef or (0 if asked.params.recall_target else asked.spec_ef)


def ways(table: WalkTable, asked: Asked) -> list[tuple[float, Plan]]:
    """Every way to answer, and what it costs in nanoseconds."""
    n, matches, row_bytes, factor = asked.n, asked.matches, asked.row_bytes, asked.factor
    ef, depth, recall = _effort(table, asked)
    deep = min(SCAN_DEPTH * depth, matches)
    by_codes = costs.CODES_FIXED + matches * costs.CODE_ROW + costs.rescored(deep, row_bytes, factor)
    found = [(by_codes, Plan("scan", 0, deep, recall))]
    if asked.params.rescore:
        found.append((costs.exact(matches, row_bytes, factor, k=asked.k), Plan("exact", 0, 0, 1.0)))
    if (asked.params.recall_target or DEFAULT_RECALL) < 1 or _fixed(asked):
        share = min(1.0, matches / (table.rows or n))
        met = min(ef, max(depth, ef // 2), matches)  # that a walk should meet; with fewer, it was in the wrong place
        wide = min(n, math.ceil(ef / share)) if matches < n else min(n, ef)
        walked = costs.WALK_FIXED + wide * costs.HOP + costs.rescored(met, row_bytes, factor)
        found.append((walked, Plan("walk", wide, met, recall)))
        if share < DETOURS_FROM:
            width = ef * DETOUR_WIDTH
            found.append((width * costs.DETOUR_HOP, Plan("detours", width, met, recall)))
    return found
