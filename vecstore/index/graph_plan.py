"""How a graph answers: a walk past what a filter refuses, a walk around it, or a scan of what it allows, by codes or by
the stored rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from vecstore.index import costs
from vecstore.index.base import SearchParams
from vecstore.index.graph_calibration import WalkTable

DEFAULT_RECALL = 0.98
DETOURS_FROM = 0.2  # share of allowed rows below which detours find what is behind
# Times a walk's candidates to rescore: allowed rows may all be far, and codes tell those apart less well.
SCAN_DEPTH = 6
DETOUR_WIDTH = 4  # times the candidates: bridges take places


@dataclass(frozen=True, slots=True)
class Plan:
    how: Literal["walk", "detours", "scan", "exact"]
    ef: int
    rescored: int
    recall: float | None = None  # that the calibration promises
    cost_ns: float | None = None  # of a query, where ways were weighed


def plan(
    table: WalkTable, spec_ef: int, n: int, k: int, params: SearchParams, matches: int, row_bytes: int,
    factor: float = 1.0,
) -> Plan:  # fmt: skip
    """`matches` of the n rows are allowed; `spec_ef` is 0 for automatic; stored rows of so many bytes cost `factor`
    times as much as in memory."""
    target = params.recall_target or DEFAULT_RECALL
    fixed = params.ef or (0 if params.recall_target else spec_ef)
    ef = max(k, fixed) if fixed else table.width(target, k)
    depth = table.depth_for_width(ef, k) if fixed else table.depth(target, k)
    if params.oversampling:
        depth = max(k, math.ceil(k * params.oversampling))
        ef = max(ef, depth)
    if not params.rescore:
        recall = None  # nothing was measured by codes alone
    elif fixed or params.oversampling:
        recall = table.recall_of(ef, depth, k)
    else:
        recall = table.recall_for(target, k)
    measured = table.rows or n
    if matches == n and (target < 1 or fixed):
        return Plan("walk", min(n, ef), min(depth, ef, n), recall)
    deep = min(SCAN_DEPTH * depth, matches)
    by_codes = costs.CODES_FIXED + matches * costs.CODE_ROW + costs.rescored(deep, row_bytes, factor)
    ways = [(by_codes, Plan("scan", 0, deep, recall))]
    if params.rescore:
        ways.append((costs.exact(matches, row_bytes, factor), Plan("exact", 0, 0, 1.0)))
    if target < 1 or fixed:
        share = min(1.0, matches / measured)
        met = min(ef, max(depth, ef // 2), matches)  # that a walk should meet; with fewer, it was in the wrong place
        wide = min(n, math.ceil(ef / share))
        ways.append((wide * costs.HOP + costs.rescored(met, row_bytes, factor), Plan("walk", wide, met, recall)))
        if share < DETOURS_FROM:
            ways.append((ef * DETOUR_WIDTH * costs.DETOUR_HOP, Plan("detours", ef * DETOUR_WIDTH, met, recall)))
    cost, chosen = min(ways, key=lambda way: way[0])
    return replace(chosen, cost_ns=cost)
