"""What indexes of multi-vectors share: candidates of a first stage, scored by codes, the best by the stored tokens."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index import late_calibration
from vecstore.index.base import DEFAULT_PARAMS, PLANS_REMEMBERED, BuiltIndex, Candidates, SearchParams, allowed_count
from vecstore.index.late_calibration import LateTable, calibrated, uncalibrated
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.index.rerank import smallest
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.tokens import OpenTokens, TokenCodes
from vecstore.memory.remembered import Remembered
from vecstore.schema import VectorField
from vecstore.tokens import TokenRows

DEFAULT_RECALL = 0.98
# Rows scored by all their tokens for what a search of candidates costs besides those it scores so.
SCAN_ROWS = 128


@dataclass(frozen=True, slots=True)
class Plan:
    effort: int
    depth: int  # candidates of the first stage
    fine: int  # of these, scored by the stored tokens
    recall: float | None = None  # that the calibration promises


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
        if params.exact or k == 0 or matches <= max(k, how.fine + SCAN_ROWS):
            return self._exact.search(kernels, queries, k, allowed, params)
        rows, distances, counters = self._first(kernels, queries, how.depth, how.effort, allowed)
        if params.rescore or self._coded:
            rows, distances = self._refined(kernels, queries, rows, k, how, params.rescore, counters)
        rows, distances = np.ascontiguousarray(rows[:, :k]), np.ascontiguousarray(distances[:, :k])
        found = Candidates(rows, distances, counters, how.recall)
        self._top_up(kernels, queries, allowed, found)
        return found

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
        found.counters["queries_topped_up"] = len(short)

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
        return Plan(max(1, math.ceil(effort / share)), min(depth, self.ntotal), min(fine, self.ntotal), recall)

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
            rows, _, counters = self._first(kernels, queries, m, effort, alive)
            return np.ascontiguousarray(rows), counters.get("rows_scanned", 0) / max(1, len(queries))

        def coded(queries: TokenRows, rows: Int64Array) -> Float32Array:
            out = np.empty(rows.shape, np.float32)
            kernels.token_rerank(self._opened(kernels), queries, rows, out)
            return out

        by_codes = coded if self._coded else None
        self.table = calibrated(self._rows, queries, own, self.efforts, first, by_codes, kernels, alive)

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
