"""What indexes of multi-vectors share: candidates of a first stage, scored by codes, the best by the stored tokens."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index import costs, late_calibration
from vecstore.index.base import (
    DEFAULT_PARAMS,
    EXACT_SCAN,
    PLANS_REMEMBERED,
    BuiltIndex,
    Candidates,
    SearchParams,
    Way,
    allowed_count,
    falls_short,
    is_left_open,
)
from vecstore.index.late_calibration import LateTable, calibrated, uncalibrated
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.smallest import smallest
from vecstore.kernels.tokens import OpenTokens, TokenCodes
from vecstore.memory.remembered import Remembered
from vecstore.schema import VectorField
from vecstore.tokens import TokenRows

DEFAULT_RECALL = 0.98
# Rows scored by all their tokens for what a search of candidates costs besides those it scores so.
SCAN_ROWS = 128
CODED_PART = 1 / 3  # of what scoring a row by its stored tokens costs, by codes
USUAL_TOKENS = 16  # of a query, where a plan has none
# Queries that lists and graphs are measured by at a time: more would have all rows scanned for them together, and find
# more than a query alone does.
FEW = costs.TOGETHER - 1


@dataclass(frozen=True, slots=True)
class Plan:
    effort: int
    depth: int  # candidates of the first stage
    fine: int  # of these, scored by the stored tokens
    recall: float | None = None  # that the calibration promises
    first_ns: float = 0.0  # of the first stage


class LateIndex(BuiltIndex):
    """Answers are complete: where at least k allowed rows have tokens, k are found.

    `efforts` are the settings of the first stage that are calibrated; `SearchParams.nprobe` is one, or another."""

    complete: ClassVar[bool] = True
    plans_filters: ClassVar[bool] = True
    efforts: ClassVar[tuple[int, ...]] = (1,)

    def __init__(
        self, field: VectorField, rows: TokenRows, tokens: TokenCodes | None, stored: bool, table: LateTable
    ) -> None:
        """`stored`: answers are scored by the stored tokens, else by the codes."""
        self.field, self.table, self.ntotal = field, table, len(rows)
        self._rows, self._tokens, self._stored = rows, tokens, stored
        self._with_tokens = int(np.count_nonzero(np.diff(rows.offsets)))
        self._exact = MaxSimFlatIndex(field, rows)
        self._open: dict[str, OpenTokens] = {}
        self._plans: Remembered[tuple[int, SearchParams, int], Plan] = Remembered(PLANS_REMEMBERED)
        self._asked: TokenRows | None = None  # the user's queries that the table was measured on

    @abstractmethod
    def _first(
        self, kernels: Kernels, queries: TokenRows, m: int, effort: int, allowed: Bitmap | None
    ) -> tuple[Int64Array, Float32Array, dict[str, int]]:
        """m candidates for each query, nearest first by the first stage's estimate, -1 for none."""

    def search(
        self,
        kernels: Kernels,
        queries: TokenRows,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        """`nprobe` is the effort of the first stage, `ef` or `oversampling` the number of its candidates. Without
        `rescore` distances are by codes, or where there are none, by the first stage. Raises InvalidArgument for
        `truncate_dim`."""
        if params.truncate_dim:
            raise InvalidArgument(f"truncate_dim={params.truncate_dim} suits dense vectors, these are rows of tokens")
        matches = allowed_count(self.ntotal, allowed)
        how = self._plan(k, params, matches)
        if params.exact or k == 0 or self._is_scanned(kernels, k, how, matches, params, queries):
            return self._exact.search(kernels, queries, k, allowed, params)
        rows, distances, counters = self._first(kernels, queries, how.depth, how.effort, allowed)
        if params.rescore or self._coded:
            rows, distances = self._refined(kernels, queries, rows, k, how, params.rescore, counters)
        rows, distances = np.ascontiguousarray(rows[:, :k]), np.ascontiguousarray(distances[:, :k])
        found = Candidates(rows, distances, counters, how.recall)
        self._top_up(kernels, queries, allowed, found)
        return found

    def _is_scanned(
        self, kernels: Kernels, k: int, how: Plan, matches: int, params: SearchParams, queries: TokenRows | None
    ) -> bool:
        """Whether few rows are allowed, or, where nothing but a recall is asked for, a scan of them is what reaches it
        or takes less. `queries` None: one as usual."""
        if matches <= max(k, how.fine + SCAN_ROWS):
            return True
        if not (self._stored and is_left_open(params)) or costs.row_factor(kernels) != 1:
            return False
        count, tokens = (1, USUAL_TOKENS) if queries is None else (max(1, len(queries)), len(queries.tokens))
        by_rows, by_index = self._costs(how, matches, tokens / count, count)
        return by_rows <= by_index or falls_short(params, how.recall, by_rows)

    def _costs(self, how: Plan, matches: int, tokens: float, queries: int = 1) -> tuple[float, float]:
        """Nanoseconds of a query of so many tokens, among so many queries: of a scan, and of a search."""
        row_bytes = self._rows.tokens.nbytes / max(1, self._with_tokens)
        scored = how.fine + (CODED_PART * how.depth if self._coded else 0)
        by_index = how.first_ns + costs.maxsim_rescored(scored, row_bytes, tokens)
        return costs.maxsim_exact(matches, row_bytes, tokens, queries), by_index

    def ways(self, kernels: Kernels, k: int, matches: int, params: SearchParams) -> list[Way]:
        how = self._plan(k, params, matches)
        by_rows, by_index = self._costs(how, matches, USUAL_TOKENS)
        exact = self._is_scanned(kernels, k, how, matches, params, None)
        return [
            Way(self.name, by_index / 1e3, how.recall, not exact),
            Way(EXACT_SCAN, by_rows / 1e3, 1.0, exact),
        ]

    def _first_ns(self, m: int, effort: int, matches: int) -> float:
        """What the first stage costs a query, where that is much beside scoring what it finds."""
        return 0.0

    @property
    def _nested(self) -> bool:
        """Whether the first stage finds for few candidates the first of what it finds for more."""
        return True

    @property
    def _coded(self) -> bool:
        return self._tokens is not None and self._tokens.codes is not None

    def _refined(
        self, kernels: Kernels, queries: TokenRows, rows: Int64Array, k: int, how: Plan, rescore: bool,
        counters: dict[str, int],
    ) -> tuple[Int64Array, Float32Array]:  # fmt: skip
        exact = rescore and self._stored
        distances = np.empty(rows.shape, np.float32)
        if self._coded:
            kernels.token_rerank(self._opened(kernels), queries, rows, distances)
            counters["rows_scored_by_codes"] = int(np.count_nonzero(rows >= 0))
            rows, distances = smallest(rows, distances, how.fine if exact else k)
        if exact:
            rows, distances = np.ascontiguousarray(rows), np.empty(rows.shape, np.float32)
            kernels.maxsim_rerank(queries, self._rows, rows, distances)
            counters["rows_rescored"] = int(np.count_nonzero(rows >= 0))
            rows, distances = smallest(rows, distances, k)
        return rows, distances

    def _top_up(self, kernels: Kernels, queries: TokenRows, allowed: Bitmap | None, found: Candidates) -> None:
        """Scan exactly for the queries that found fewer than there may be."""
        if found.rows[:, -1].min(initial=0) >= 0 or (allowed is None and self._found_all(found)):
            return
        short = np.flatnonzero(found.rows[:, -1] < 0)
        exact = self._exact.search(kernels, queries.take(short), found.rows.shape[1], allowed)
        found.rows[short], found.distances[short] = exact.rows, exact.distances
        found.scanned, found.counters["queries_topped_up"] = short, len(short)

    def _found_all(self, found: Candidates) -> bool:
        return bool((np.count_nonzero(found.rows >= 0, axis=1) >= self._with_tokens).all())

    def _plan(self, k: int, params: SearchParams, matches: int) -> Plan:
        key = (k, params, matches)
        known = self._plans.get(key)
        if known is None:
            known = self._plans.keep(key, self._planned(k, params, matches))
        return known

    def _planned(self, k: int, params: SearchParams, matches: int) -> Plan:
        """A filter that allows a share of the rows leaves as much of what an effort looks at."""
        target = params.recall_target or DEFAULT_RECALL
        share = min(1.0, max(1, matches) / max(1, self.table.rows or self.ntotal))
        effort = params.nprobe or (0 if params.recall_target else self._effort) or self.table.effort_for(target, k)
        depth, fine = self.table.depth_for(target, k), self.table.fine_for(target, k)
        if params.ef or params.oversampling:
            depth = max(k, params.ef, math.ceil(k * params.oversampling))
            fine = max(k, min(depth, math.ceil(depth * fine / max(1, self.table.depth_for(target, k)))))
        recall = self.table.recall_for(target, k)
        if params.nprobe or params.ef or params.oversampling or (self._effort and not params.recall_target):
            recall = self.table.recall_of(effort, depth, k)
        if not params.rescore or not self._stored:
            recall = None  # nothing was measured by codes alone
        if target >= 1:
            depth = fine = self.ntotal
        if not self._coded:
            fine = depth
        effort, depth = max(1, math.ceil(effort / share)), min(depth, self.ntotal)
        return Plan(effort, depth, min(fine, self.ntotal), recall, self._first_ns(depth, effort, matches))

    @property
    def _effort(self) -> int:
        """The spec's, 0 for automatic."""
        return 0

    def _opened(self, kernels: Kernels) -> OpenTokens:
        assert self._tokens is not None
        opened = self._open.get(kernels.name)
        if opened is None:
            opened = self._open[kernels.name] = kernels.open_tokens(self._tokens)
        return opened

    @property
    def measured_rows(self) -> int:
        return self.table.rows or self.ntotal

    def _calibrate(self, kernels: Kernels, alive: Bitmap | None = None) -> None:
        """By the user's queries where there are any, by held-out rows' tokens otherwise."""
        self.table = uncalibrated()
        if self._asked is None:
            queries, own = late_calibration.queries_of(self._rows, alive)
        else:
            queries, own = self._asked, np.full(len(self._asked), -1, np.int64)

        def first(queries: TokenRows, effort: int, m: int) -> tuple[Int64Array, float]:
            step = max(1, len(queries)) if self._nested else FEW
            found, looked = [], 0
            for low in range(0, len(queries), step):
                rows, _, counters = self._first(kernels, queries[low : low + step], m, effort, alive)
                found.append(rows)
                looked += counters.get("rows_scanned", 0)
            return np.concatenate(found), looked / len(queries)

        def coded(queries: TokenRows, rows: Int64Array) -> Float32Array:
            out = np.empty(rows.shape, np.float32)
            kernels.token_rerank(self._opened(kernels), queries, rows, out)
            return out

        by_codes = coded if self._coded else None
        measured = self._rows, queries, own, self.efforts, first, by_codes, kernels, alive
        self.table = calibrated(*measured, nested=self._nested)

    def tuned(self, queries: Any | None, kernels: Kernels, alive: Bitmap | None = None) -> Self:
        if queries is not None and (not isinstance(queries, TokenRows) or queries.dim != self.field.dim):
            raise InvalidArgument(f"queries to tune by must be rows of tokens of {self.field.dim} components")
        index = copy.copy(self)
        index._plans = Remembered(PLANS_REMEMBERED)
        if queries is not None:
            index._asked = queries.astype(np.float32)
        index._calibrate(kernels, alive)
        return index

    def _asked_arrays(self) -> dict[str, np.ndarray]:
        if self._asked is None:
            return {}
        return {f"asked.{name}": array for name, array in self._asked.arrays().items()}


def open_asked(arrays: dict[str, np.ndarray], dim: int) -> TokenRows | None:
    """The user's queries as they are stored with an index. Raises Corruption."""
    if not arrays:
        return None
    offsets, tokens = arrays.get("offsets"), arrays.get("tokens")
    fits = offsets is not None and tokens is not None and offsets.dtype == np.int64 and offsets.ndim == 1
    if not fits or tokens is None or offsets is None or tokens.dtype != np.float32 or tokens.ndim != 2:
        raise Corruption("the queries of a multi-vector index are not offsets and float32 tokens")
    cut = len(offsets) and offsets[0] == 0 and offsets[-1] == len(tokens) and (np.diff(offsets) >= 0).all()
    if not cut or tokens.shape[1] != dim or not np.isfinite(tokens).all():
        raise Corruption(f"the queries of a multi-vector index are not rows of finite tokens of {dim} components")
    return TokenRows(offsets, tokens)
