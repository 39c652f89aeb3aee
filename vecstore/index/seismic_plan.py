"""What a search through blocks visits, and the recall that this promises."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from vecstore.index.base import SearchParams
from vecstore.index.seismic_calibration import FactorTable
from vecstore.kernels.seismic import BLOCK, TERMS_MAX, Visit
from vecstore.memory.remembered import Remembered

DEFAULT_RECALL = 0.98
SHARE = 0.95  # of a query's weight whose terms find candidates; all score them
FIRST_BLOCKS = 8
DEPTH, DEPTH_PRUNED = 1.5, 4.0  # rows scored in full, as a multiple of k; more where codes are missing
FACTORS_REMEMBERED = 1_000
_NO_PLAN: tuple[SearchParams | None, int, int, Visit, float | None] = (None, 0, 0, Visit(1, 1, 1.0), None)


class Planner:
    """For one index of `n` rows and one table. Threads may share it."""

    def __init__(self, table: FactorTable, n: int, pruned: bool) -> None:
        """`pruned`: some entries have no code."""
        self._table, self._n, self._pruned = table, n, pruned
        self._last = _NO_PLAN  # hashing parameters takes a while
        self._factors: Remembered[tuple[float, int], float] = Remembered(FACTORS_REMEMBERED)

    def plan(self, k: int, matches: int, params: SearchParams) -> tuple[Visit, float | None]:
        """What to visit for k of `matches` allowed rows, and the recall that this promises."""
        last = self._last
        if last[1] == k and last[2] == matches and (last[0] is params or last[0] == params):
            return last[3], last[4]
        target, table = params.recall_target or DEFAULT_RECALL, self._table
        factor = params.block_factor or self._factor(target, k)
        recall = table.recall_of(factor, k) if params.block_factor else table.recall_for(target, k)
        visit = self.visit(k, matches, factor)
        if params.nprobe:
            visit, recall = replace(visit, terms=min(params.nprobe, TERMS_MAX), share=1.0), None
        if params.oversampling:
            visit, recall = replace(visit, depth=max(k, ceil(k * params.oversampling))), None
        self._last = params, k, matches, visit, recall
        return visit, recall

    def visit(self, k: int, matches: int, factor: float) -> Visit:
        """By a block factor."""
        depth = ceil(k * (DEPTH_PRUNED if self._pruned else DEPTH))
        first = max(FIRST_BLOCKS, ceil(2 * depth * self._n / (BLOCK * max(1, matches))))
        return Visit(depth, first, factor, TERMS_MAX, SHARE)

    def _factor(self, recall: float, k: int) -> float:
        known = self._factors.get((recall, k))
        return self._factors.keep((recall, k), self._table.factor(recall, k)) if known is None else known
