"""How a graph answers: a walk past what a filter refuses, a walk around it, or a scan of what it allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vecstore.index.base import SearchParams
from vecstore.index.graph_calibration import WalkTable

DEFAULT_RECALL = 0.98
# Nanoseconds, measured on one core (bench graph-filters); only their ratios matter here.
SCAN_ROW = 6.0  # a code in order
HOP = 320.0  # a candidate's neighbours: fetch, score, insert
DETOUR_HOP = 2_500.0  # the same with the lists behind refused neighbours
DETOURS_FROM = 0.2  # share of allowed rows below which detours find what is behind
# Times a walk's candidates to rescore: allowed rows may all be far, and codes tell those apart less well.
SCAN_DEPTH = 6
DETOUR_WIDTH = 4  # times the candidates: bridges take places


@dataclass(frozen=True, slots=True)
class Plan:
    how: Literal["walk", "detours", "scan"]
    ef: int
    rescored: int
    recall: float | None = None  # that the calibration promises


def plan(table: WalkTable, spec_ef: int, n: int, k: int, params: SearchParams, matches: int) -> Plan:
    """`matches` of the n rows are allowed; `spec_ef` is 0 for automatic."""
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
    ways = [(matches * SCAN_ROW, Plan("scan", 0, min(SCAN_DEPTH * depth, matches), recall))]
    if target < 1 or fixed:
        share = min(1.0, matches / measured)
        met = min(ef, max(depth, ef // 2), matches)  # that a walk should meet; with fewer, it was in the wrong place
        wide = min(n, math.ceil(ef / share))
        ways.append((wide * HOP, Plan("walk", wide, met, recall)))
        if share < DETOURS_FROM:
            ways.append((ef * DETOUR_WIDTH * DETOUR_HOP, Plan("detours", ef * DETOUR_WIDTH, met, recall)))
    return min(ways, key=lambda way: way[0])[1]
