"""Funnel search over Matryoshka prefixes: scan the shortest, then rank fewer and fewer rows by longer ones.

Vectors are stored a second time as far as the longest prefix, cut at the stages' dimensions into contiguous matrices:
a scan of a prefix touches its bytes only, and stays in memory where the stored vectors may not. Each stage adds the
new components' part to the distance so far (inner products and squared differences add up; under cosine the sum is
divided by the prefix's stored norm), and the last one takes distances to the stored vectors (Kusupati et al., 2022,
adaptive and funnel retrieval).
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, ClassVar, Self

import numpy as np

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.index import costs
from vecstore.index.asked import open_asked
from vecstore.index.base import (
    DEFAULT_PARAMS,
    EXACT_SCAN,
    PLANS_REMEMBERED,
    BuiltIndex,
    Candidates,
    Progress,
    SearchParams,
    Warm,
    Way,
    allowed_count,
    falls_short,
    is_left_open,
    some_alive,
)
from vecstore.index.effort_table import EffortTable, calibrated, open_table, uncalibrated
from vecstore.index.familiar import measured
from vecstore.index.familiar_limits import Caution, along, familiar_arrays, open_familiar
from vecstore.index.flat import FlatIndex
from vecstore.index.funnel_stages import Stage, sizes_of
from vecstore.index.prefixes import Prefixes
from vecstore.index.stored_arrays import take
from vecstore.index.stored_rows import as_float32
from vecstore.kernels.base import Bitmap, DenseRows, Float32Array, Int64Array, Kernels
from vecstore.kernels.smallest import smallest
from vecstore.memory.remembered import Remembered
from vecstore.schema import Metric, VectorField

_NAME = "a funnel"
SEED = 0
_QUERIES = 256
_PLACES = 1 << 21  # of candidates held at a time where many queries are measured
ALL_SHARE = 8  # where one row in so many is kept for the last stage, all are scanned instead
CANDIDATES_MIN = 64  # for the last stage, unless the query says how many: short prefixes need more than a multiple of k


class FunnelIndex(BuiltIndex):
    name: ClassVar[str] = "funnel"
    truncates: ClassVar[bool] = True
    reads_by_kernels: ClassVar[bool] = True

    def __init__(
        self,
        field: VectorField,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        stages: Sequence[Stage],
        oversampling: float,
        table: EffortTable | None = None,
    ) -> None:
        """`table` says how many rows the last stage takes for a recall."""
        self.ntotal = len(rows)
        arrays = [array for stage in stages for array in (stage.rows, stage.inverse_norms) if array is not None]
        self.code_bytes = sum(array.nbytes for array in arrays) / max(1, self.ntotal)
        self._metric = field.metric
        self._rows = rows
        self._inverse_norms = inverse_norms
        self._stages = tuple(stages)
        self._oversampling = oversampling
        self._flat = FlatIndex(field, rows, inverse_norms)
        self._prefixes = Prefixes(field.metric, rows)
        self._table = table or uncalibrated(self.ntotal, self.ntotal)
        self._pays: Remembered[tuple[int, SearchParams, int], tuple[bool, ...]] = Remembered(PLANS_REMEMBERED)
        self._asked: Float32Array | None = None  # the user's queries that the table was measured on

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: index_spec.Funnel,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        """Copies prefixes; there is nothing to train but how many rows to keep for a recall."""
        _check_spec(spec, field.dim)
        dims = [dim for dim in spec.dims if dim < field.dim]  # the whole vectors are the last stage anyway
        stages = []
        for done, (low, high) in enumerate(zip([0, *dims], dims, strict=False)):
            progress("copy prefixes", done, len(dims))
            norms = None
            if field.metric is Metric.COSINE:
                norms = np.empty(len(rows), np.float32)
                kernels.inverse_norms(rows[:, :high], norms)
            components: Any = np.ascontiguousarray(rows[:, low:high])
            stages.append(Stage(low, high, components, norms))
        progress("copy prefixes", len(dims), len(dims))
        index = cls(field, rows, inverse_norms, stages, spec.oversampling)
        index._asked = None if warm is None else warm.index._asked
        progress("calibrate", 0, 1)
        index._calibrate(kernels, None)
        progress("calibrate", 1, 1)
        return index

    @property
    def measured_rows(self) -> int:
        return self._table.rows

    def tuned(self, queries: Any | None, kernels: Kernels, alive: Bitmap | None = None) -> Self:
        index = copy.copy(self)
        index._pays = Remembered(PLANS_REMEMBERED)
        if queries is not None:
            index._asked = np.ascontiguousarray(queries, np.float32)
        index._calibrate(kernels, alive)
        return index

    def _calibrate(self, kernels: Kernels, alive: Bitmap | None) -> None:
        """By the user's queries where there are any, by held-out rows otherwise."""
        own, asked = some_alive(self.ntotal, alive, _QUERIES, SEED), self._asked
        if asked is None:
            asked = as_float32(self._rows[own])
        else:
            own = np.full(len(asked), -1, np.int64)

        def search(k: int, effort: int | None) -> tuple[Int64Array, Float32Array]:
            if effort is None or effort >= self.ntotal or not self._stages:
                exact = self._flat.search(kernels, asked, k, alive)
                return exact.rows, exact.distances
            step = max(1, _PLACES // max(k, effort))
            parts = [
                self._through(kernels, asked[low : low + step], k, alive, self._stages, effort, DEFAULT_PARAMS)
                for low in range(0, len(asked), step)
            ]
            return np.concatenate([one.rows for one in parts]), np.concatenate([one.distances for one in parts])

        doubled = (16 << place for place in range(64))
        efforts = (*itertools.takewhile(lambda size: size * ALL_SHARE < self.ntotal, doubled), self.ntotal)
        self._table = calibrated(search, efforts, self.ntotal, own, allowed_count(self.ntotal, alive))
        self.familiar = measured(self, self._metric, kernels, asked, own, alive)

    def search(
        self,
        kernels: Kernels,
        queries: Float32Array,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        target = params.truncate_dim or self._rows.shape[1]
        stages = [stage for stage in self._stages if stage.high < target]
        if params.exact or not stages or self.ntotal == 0:
            return self._flat.search(kernels, queries, k, allowed, replace(params, truncate_dim=target))
        whole = params.rescore and target == self._rows.shape[1]
        matches = allowed_count(self.ntotal, allowed)
        last = self._last_size(k, params, matches)
        if whole and self._is_scanned(kernels, k, params, matches, last, len(queries)):
            return self._flat.search(kernels, queries, k, allowed, replace(params, truncate_dim=target))
        answer = self._through(kernels, queries, k, allowed, stages, last, params)
        answer.recall = self._table.recall_of(last, k) if whole else None
        return answer

    def ways(self, kernels: Kernels, k: int, matches: int, params: SearchParams) -> list[Way]:
        by_rows = costs.exact(matches, self._rows.strides[0], costs.row_factor(kernels), k=k) / 1e3
        if not self._stages:  # prefixes as long as the vectors
            return [Way(EXACT_SCAN, by_rows, 1.0, True)]
        last = self._last_size(k, params, matches)
        exact = params.rescore and self._is_scanned(kernels, k, params, matches, last, 1)
        recall = self._table.recall_of(last, k) if params.rescore else None
        by_stages = self._cost(last, matches, 1) / 1e3
        return [Way(self.name, by_stages, recall, not exact), Way(EXACT_SCAN, by_rows, 1.0, exact)]

    def _is_scanned(
        self, kernels: Kernels, k: int, params: SearchParams, matches: int, last: int, queries: int
    ) -> bool:
        """Whether a recall takes all rows, or nothing else is asked for, a scan takes less, and rows stay in memory."""
        if last == self.ntotal and params.recall_target:
            return True
        if not is_left_open(params) or costs.row_factor(kernels) != 1:
            return False
        key = k, params, matches
        pays = self._pays.get(key)
        if pays is None:
            row_bytes = self._rows.strides[0]
            pays = costs.scan_pays(functools.partial(self._cost, last, matches), matches, row_bytes, k)
            if falls_short(params, self._table.recall_of(last, k), costs.exact(matches, row_bytes, k=k)):
                pays = (True,)
            self._pays.keep(key, pays)
        return costs.is_scanned(pays, queries)

    def _cost(self, last: int, matches: int, queries: int) -> float:
        sizes = sizes_of(self._stages, last, self.ntotal)
        stages = [(size, stage.rows.strides[0]) for size, stage in zip(sizes, self._stages, strict=True)]
        return costs.funnel(matches, stages, (last, self._rows.strides[0]), queries)

    def _last_size(self, k: int, params: SearchParams, matches: int) -> int:
        """Rows for the last stage; all where a recall takes so many that a scan costs no more."""
        if params.recall_target and not params.oversampling:
            last = max(k, self._table.effort_for(params.recall_target, k))
            few = last * ALL_SHARE < matches
            return last if few and params.recall_target < 1 else self.ntotal
        last = ceil((params.oversampling or self._oversampling) * k)
        return max(k, last if params.oversampling else max(last, CANDIDATES_MIN))

    def _through(
        self, kernels: Kernels, queries: Float32Array, k: int, allowed: Bitmap | None, stages: Sequence[Stage],
        last: int, params: SearchParams,
    ) -> Candidates:  # fmt: skip
        """Through the stages, `last` rows to the last."""
        target = params.truncate_dim or self._rows.shape[1]
        last = max(k, last)
        sizes = sizes_of(stages, last, self.ntotal)
        found = stages[0].scan(self._metric, kernels, queries, sizes[0], allowed)
        sums = stages[0].sums(self._metric, kernels, queries, found.rows)
        rows, distances = found.rows, found.distances
        refined = 0
        for stage, size in zip(stages[1:], sizes[1:], strict=True):
            refined += int((rows >= 0).sum())
            sums += stage.sums(self._metric, kernels, queries, rows)
            near = stage.distances(queries, rows, sums)
            order = np.argsort(near, axis=1, kind="stable")[:, :size]
            rows, sums = np.take_along_axis(rows, order, axis=1), np.take_along_axis(sums, order, axis=1)
            distances = np.take_along_axis(near, order, axis=1)
        if params.rescore:
            refined += int((rows >= 0).sum())
            distances = np.empty(rows.shape, np.float32)
            kernels.rerank(self._metric, *self._last(kernels, queries, target), np.ascontiguousarray(rows), distances)
        counters = found.counters | {"rows_refined": refined}
        return Candidates(*smallest(rows, distances, k), counters)

    def _last(
        self, kernels: Kernels, queries: Float32Array, target: int
    ) -> tuple[Float32Array, DenseRows, Float32Array | None]:
        if target == self._rows.shape[1]:
            return queries, self._rows, self._inverse_norms
        for stage in self._stages:
            if stage.high == target:
                return np.ascontiguousarray(queries[:, :target]), self._rows[:, :target], stage.inverse_norms
        return self._prefixes.cut(kernels, queries, target)

    def caution(self, k: int, matches: int, params: SearchParams) -> Caution:
        return Caution(power=along(k, 1.0, 0.85, 0.85))

    def arrays(self) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {
            "dims": np.array([stage.high for stage in self._stages], np.int64),
            "oversampling": np.array([self._oversampling]),
            **self._table.arrays(),
            **({} if self._asked is None else {"asked": self._asked}),
            **familiar_arrays(self.familiar),
        }
        for place, stage in enumerate(self._stages):
            arrays[f"components.{place}"] = stage.rows
            if stage.inverse_norms is not None:
                arrays[f"inverse_norms.{place}"] = stage.inverse_norms
        return arrays

    @classmethod
    def from_arrays(cls, field: VectorField, rows: DenseRows, arrays: Mapping[str, np.ndarray]) -> Self:
        FlatIndex.from_arrays(field, rows, arrays)  # checks the rows and their norms
        dims = take(arrays, "dims", np.int64, (None,), _NAME).tolist()
        oversampling = float(take(arrays, "oversampling", np.float64, (1,), _NAME)[0])
        try:
            _check_spec(index_spec.Funnel(tuple(dims), oversampling), field.dim)
        except InvalidArgument as error:
            raise Corruption(f"a stored funnel: {error.message}") from None
        stages = []
        for place, (low, high) in enumerate(zip([0, *dims], dims, strict=False)):
            components = take(arrays, f"components.{place}", rows.dtype, (len(rows), high - low), _NAME)
            norms = None
            if field.metric is Metric.COSINE:
                norms = take(arrays, f"inverse_norms.{place}", np.float32, (len(rows),), _NAME)
            stages.append(Stage(low, high, components, norms))
        table = open_table(arrays, _NAME, len(rows), len(rows))
        index = cls(field, rows, arrays.get("inverse_norms"), stages, oversampling, table)
        index._asked = open_asked(arrays.get("asked"), field.dim)
        index.familiar = open_familiar(field.metric, arrays)
        return index


def _check_spec(spec: index_spec.Funnel, dim: int) -> None:
    if any(low >= high for low, high in zip((0, *spec.dims), (*spec.dims, dim + 1), strict=True)):
        message = f"funnel.dims={list(spec.dims)} must ascend from 1 to at most {dim}, the dimension of the vectors"
        raise InvalidArgument(message, reason="BAD_INDEX_SPEC")
    if not 1 <= spec.oversampling < np.inf:
        message = f"funnel.oversampling={spec.oversampling} must be at least 1"
        raise InvalidArgument(message, reason="BAD_INDEX_SPEC")
