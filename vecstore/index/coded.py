"""An index over codes in lists: `ivf`, and `flat` with a quantizer, which is one list around the mean."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

import msgspec
import numpy as np

from vecstore.index import costs, ivf_build, ivf_search
from vecstore.index.asked import open_asked
from vecstore.index.base import (
    DEFAULT_PARAMS,
    EXACT_SCAN,
    BuiltIndex,
    Candidates,
    Progress,
    SearchParams,
    Warm,
    Way,
    allowed_count,
    some_alive,
)
from vecstore.index.calibrate import calibrate
from vecstore.index.calibration import EPS, EPS_FINE, FINE_BITS, QUERIES, Calibration, uncalibrated
from vecstore.index.coarse import homes_of, make_lists, open_lists
from vecstore.index.coded_header import VERSION, Header, open_header, spill
from vecstore.index.exact_lists import ExactLists
from vecstore.index.familiar import measured
from vecstore.index.familiar_limits import Caution, along, familiar_arrays, open_familiar
from vecstore.index.flat import FlatIndex
from vecstore.index.ivf_plan import Held, Plan, Planner
from vecstore.index.ivf_update import adapt
from vecstore.index.learned import SEED, Learned, learn, list_count, open_learned, outgrown, within
from vecstore.index.rerank import Rescorer, RowRescorer, distinct
from vecstore.index.rerank_copy import make_copy, open_copy, rescorer
from vecstore.index.stored_rows import StoredRows
from vecstore.index_queried import as_queried
from vecstore.index_spec import IVF, Flat
from vecstore.kernels.base import Bitmap, DenseRows, Float32Array, Int64Array, Kernels
from vecstore.kernels.smallest import smallest
from vecstore.quantize.base import Codes, Found, Lists, Probes
from vecstore.schema import Metric, VectorField

FAR_LISTS = 0.6  # by how much the logarithm of the lists that are visited grows a step beyond the familiar


class CodedIndex(BuiltIndex):
    """Finds candidates by codes and scores them by finer values; see Index and BuiltIndex for the contract."""

    reads_by_kernels = True

    def __init__(
        self,
        source: StoredRows,
        spec: IVF | Flat,
        learned: Learned,
        lists: Lists,
        code_arrays: dict[str, np.ndarray],
        copy_arrays: dict[str, np.ndarray],
    ) -> None:
        """Without a calibration yet. Raises Corruption when the arrays do not fit together."""
        self.field, self.spec, self.learned, self.lists = source.field, spec, learned, lists
        self.ntotal = len(source)
        self._source = source
        self._asked: Float32Array | None = None  # the user's queries that the calibration was measured on
        self._code_arrays, self._copy_arrays = code_arrays, copy_arrays
        self._exact = FlatIndex(source.field, source.rows, source.inverse_norms)
        stored = RowRescorer(source.field.metric, source.rows, source.inverse_norms)
        self._codes: Codes | None = None
        self._rescorer: Rescorer | None = stored
        self.code_bytes = 0.0
        self._eps = EPS
        self._copies = learned.coarse.copies(spill(spec))
        if learned.quantizer is not None:
            self._codes = learned.quantizer.open(code_arrays, lists)
            fine = learned.quantizer.code_bytes * 8 >= FINE_BITS * learned.quantizer.dim
            self._eps = (EPS_FINE if fine else EPS) + learned.quantizer.wider
            self._rescorer = rescorer(spec.rerank, source, copy_arrays)
            copied = sum(array.nbytes for name, array in copy_arrays.items() if name.startswith("row."))
            self.code_bytes = learned.quantizer.code_bytes * self._copies + copied / max(1, self.ntotal)
        self._lists_exact = ExactLists(lists, stored)
        code_bytes = 0.0 if learned.quantizer is None else learned.quantizer.code_bytes
        self._held = Held(self.ntotal, learned.coarse.nlist, self._copies, code_bytes, self.field.row_bytes)
        self._take(uncalibrated())

    def _take(self, calibration: Calibration) -> None:
        nprobe = self.spec.nprobe if isinstance(self.spec, IVF) and self.spec.nprobe != "auto" else 0
        self.calibration, self._planner = calibration, Planner(self._held, calibration, nprobe)

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: IVF | Flat,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        source = StoredRows(field, rows, inverse_norms)
        chosen = ivf_build.choose(spec, len(rows))
        homes = None
        if warm is None or outgrown(spec, warm.index.learned, warm.index.ntotal, len(rows)):
            learned = learn(spec, source, chosen.sample, field.metric is Metric.COSINE, kernels, progress)
        else:
            learned, homes = adapt(
                warm.index.learned, source, chosen.sample, list_count(spec, len(rows)), kernels, progress
            )
        copies = learned.coarse.copies(spill(spec))
        homes, encoded = ivf_build.encode(learned, source, copies, kernels, progress, homes)
        lists, coded = make_lists(homes, learned.coarse.nlist)
        progress("pack", 0, 1)
        packed = ivf_build.pack(learned, encoded, lists, coded)
        copied = make_copy(spec, source, chosen.sample, progress)
        index = cls(source, spec, learned, lists, packed, copied)
        progress("calibrate", 0, 1)
        index._asked = None if warm is None else warm.index._asked
        index._calibrate(chosen.held_out, homes, kernels)
        progress("calibrate", 1, 1)
        return index

    @property
    def measured_rows(self) -> int:
        return self.calibration.rows or self.ntotal

    def tuned(self, queries: np.ndarray | None, kernels: Kernels, alive: Bitmap | None = None) -> Self:
        index = copy.copy(self)
        if queries is not None:
            index._asked = np.ascontiguousarray(queries, np.float32)
        held_out = some_alive(self.ntotal, alive, QUERIES, SEED)
        index._calibrate(held_out, homes_of(self.lists, self.ntotal), kernels, alive)
        return index

    def _calibrate(
        self, held_out: Int64Array, homes: Int64Array, kernels: Kernels, alive: Bitmap | None = None
    ) -> None:
        """By the user's queries where there are any, by held-out rows otherwise; of rows alive alone."""
        if allowed_count(self.ntotal, alive) > 1:
            asked = self._source.take(held_out) if self._asked is None else self._unit(self._asked)
            own = held_out if self._asked is None else None
            truth = ivf_build.truth(self.learned, self._source, asked, own, kernels, alive)

            def scan(probes: Probes, k: int, m: int) -> Found:
                return self._scan(kernels, asked, truth.queries, alive, probes, k, m)

            found = calibrate(self.learned.coarse, scan, homes, truth, kernels)
            self._take(msgspec.structs.replace(found, rows=allowed_count(self.ntotal, alive)))
            self.familiar = measured(self, self.field.metric, kernels, asked, own, alive)

    def search(
        self,
        kernels: Kernels,
        queries: Float32Array,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        matches = allowed_count(self.ntotal, allowed)
        if params.exact or params.truncate_dim or k == 0 or matches <= k:
            return self._exact.search(kernels, queries, k, allowed, params)
        how = self._planner.plan(k, params, matches)
        cost = None
        if how.pays and costs.is_scanned(how.pays, len(queries)) and costs.row_factor(kernels) == 1:
            return self._exact.search(kernels, queries, k, allowed, params)
        if allowed is not None:
            factor = costs.row_factor(kernels)
            cost = self._held.cost(how, matches, factor, len(queries))
            by_rows = self._held.exact(matches, k, factor, len(queries))
            if by_rows <= cost and params.rescore:
                found = self._exact.search(kernels, queries, k, allowed, params)
                found.est_us = round(by_rows / 1e3, 1)
                return found
        found = self._candidates(kernels, queries, k, allowed, how, params.rescore)
        found.est_us = None if cost is None else round(cost / 1e3, 1)
        if np.count_nonzero(found.rows[:, -1] < 0):
            self._top_up(kernels, queries, allowed, found)
        return found

    def caution(self, k: int, matches: int, params: SearchParams) -> Caution:
        """Less where lists end by distance: a query far from all of them visits more by itself."""
        if not self._planner.plan(k, params, matches).stop:
            return super().caution(k, matches, params)
        return Caution(nines=along(k, 0.35, 0.3, 0.12))

    def scan_pays(self, k: int, queries: int, params: SearchParams, far: float) -> bool:
        how = self._planner.plan(k, params, self.ntotal)
        if not (how.pays and how.stop):
            return False
        wider = replace(how, about=round(how.about * math.exp(FAR_LISTS * far)))
        return self._held.exact(self.ntotal, k, 1.0, queries) <= self._held.cost(wider, self.ntotal, 1.0, queries)

    def search_further(
        self, kernels: Kernels, queries: Float32Array, k: int, allowed: Bitmap | None, params: SearchParams,
        before: SearchParams, found: Candidates,
    ) -> Candidates:  # fmt: skip
        """Of lists without codes, only those that were not visited: what was found before stays; or all rows, where
        that takes less. Codes have to look deeper into all lists."""
        matches = allowed_count(self.ntotal, allowed)
        how, had = self._planner.plan(k, params, matches), self._planner.plan(k, before, matches)
        if self._codes is not None or self._copies > 1:
            return self.search(kernels, queries, k, allowed, params)
        factor, nq = costs.row_factor(kernels), len(queries)
        if self._held.exact(matches, k, factor, nq) <= self._held.cost(how, matches, factor, nq) + costs.FURTHER / nq:
            return self._exact.search(kernels, queries, k, allowed, params)
        more = self._candidates(kernels, queries, k, allowed, how, True, had)
        rows = np.concatenate((found.rows, more.rows), axis=1)
        distances = np.concatenate((found.distances, more.distances), axis=1)
        more.rows, more.distances = smallest(rows, distances, k)
        return more

    def ways(self, kernels: Kernels, k: int, matches: int, params: SearchParams) -> list[Way]:
        how, factor = self._planner.plan(k, params, matches), costs.row_factor(kernels)
        by_lists, by_rows = self._held.cost(how, matches, factor), self._held.exact(matches, k, factor)
        exact = factor == 1 and costs.is_scanned(how.pays, 1)
        if matches < self.ntotal:
            exact = exact or (by_rows <= by_lists and params.rescore)
        return [
            Way(self.name, by_lists / 1e3, how.recall, not exact),
            Way(EXACT_SCAN, by_rows / 1e3, 1.0, exact),
        ]

    def _candidates(
        self,
        kernels: Kernels,
        queries: Float32Array,
        k: int,
        allowed: Bitmap | None,
        how: Plan,
        rescore: bool,
        had: Plan | None = None,
    ) -> Candidates:
        """Of the lists that `had` did not visit, where it is given."""
        unit = self._unit(queries)
        vectors, shift = self.learned.chain.apply_queries(unit)

        def scan(probes: Probes, k: int, m: int) -> Found:
            return self._scan(kernels, queries, vectors, allowed, probes, k, m)

        coarse, calibration, coded = self.learned.coarse, self.calibration, self._codes is not None
        rescored = rescore and self._rescorer is not None
        if not rescored and (coder := self.learned.quantizer) is not None and not coder.has_bounds:
            how = replace(how, m=k)  # nothing chooses among more; codes of bytes then take the query's finer form
        if had is None:
            found = ivf_search.candidates(coarse, calibration, how, vectors, k, scan, kernels, coded)
        else:
            again = ivf_search.further(coarse, calibration, how, had, vectors, k, scan, kernels, coded)
            if again is None:
                none = np.full((len(queries), 1), -1, np.int64)
                return Candidates(none, np.full(none.shape, np.inf, np.float32), recall=how.recall)
            found = again
        if self._codes is None:
            return Candidates(found.rows[:, :k], found.distances[:, :k], found.counters, how.recall)
        if rescore and self._rescorer is not None:
            found.counters["reranked"] = int(np.count_nonzero(found.rows >= 0))
            near = self._rescorer.distances(queries, found.rows, kernels)
            rows, distances = smallest(found.rows, near, k)
            return Candidates(rows, distances, found.counters, how.recall)
        rows, distances = np.ascontiguousarray(found.rows[:, :k]), np.ascontiguousarray(found.distances[:, :k])
        if shift is not None:
            distances -= shift[:, None]
        if self.field.metric is Metric.COSINE:
            distances += 1
        return Candidates(rows, distances, found.counters, how.recall)

    def _scan(
        self,
        kernels: Kernels,
        queries: Float32Array,
        vectors: Float32Array,
        allowed: Bitmap | None,
        probes: Probes,
        k: int,
        m: int,
    ) -> Found:
        """Candidates of distinct rows; a row that stands in several of the lists takes as many places till then."""
        k, places = k * self._copies, m * self._copies
        if self._codes is None:
            found = self._lists_exact.search(kernels, queries, probes, places, allowed)
        elif self.field.metric is Metric.DOT:
            longer, probes, factors = self.learned.coarse.stretched(vectors, probes)
            found = self._codes.search(kernels, longer, probes, k, places, allowed, self._eps)
            found.distances /= factors
        else:
            found = self._codes.search(kernels, vectors, probes, k, places, allowed, self._eps)
        found.counters["lists_probed"] = int(np.count_nonzero(probes.lists >= 0))
        if self._copies > 1:
            found.rows, found.distances = distinct(found.rows, found.distances, m)
        return found

    def _unit(self, queries: Float32Array) -> Float32Array:
        if self.field.metric is not Metric.COSINE:
            return queries
        lengths = np.sqrt(np.vecdot(queries, queries))
        unit: Float32Array = queries / np.maximum(lengths, np.float32(1e-15))[:, None]
        return unit

    def _top_up(self, kernels: Kernels, queries: Float32Array, allowed: Bitmap | None, found: Candidates) -> None:
        """Scan exactly for the queries whose lists held fewer than k matches: there are at least k."""
        short = np.flatnonzero(found.rows[:, -1] < 0)
        exact = self._exact.search(kernels, np.ascontiguousarray(queries[short]), found.rows.shape[1], allowed)
        found.rows[short], found.distances[short] = exact.rows, exact.distances
        found.scanned, found.counters["queries_topped_up"] = short, len(short)
        found.counters["rows_scanned"] += exact.counters["rows_scanned"]

    def arrays(self) -> dict[str, np.ndarray]:
        field = self.field
        header = Header(VERSION, self.ntotal, field.dim, field.metric, self.spec, self.calibration)
        asked = {} if self._asked is None else {"asked": self._asked}
        return {
            "header": np.frombuffer(msgspec.json.encode(header), np.uint8),
            **asked,
            **familiar_arrays(self.familiar),
            "lists.offsets": self.lists.offsets,
            "lists.rows": self.lists.rows,
            **self.learned.arrays(),
            **{f"codes.{name}": array for name, array in self._code_arrays.items()},
            **{f"rerank.{name}": array for name, array in self._copy_arrays.items()},
        }

    @classmethod
    def from_arrays(cls, field: VectorField, rows: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Self:
        header = open_header(field, len(rows), arrays)
        FlatIndex.from_arrays(field, rows, arrays)  # checks the rows and their norms
        norms = arrays.get("inverse_norms") if field.metric is Metric.COSINE else None
        source = StoredRows(field, rows, norms)
        learned = open_learned(header.spec, source.metric, field.dim, arrays)
        nlist = learned.coarse.nlist
        copies = learned.coarse.copies(spill(header.spec))
        lists = open_lists(arrays.get("lists.offsets"), arrays.get("lists.rows"), nlist, len(rows), copies)
        header.calibration.check(nlist)
        copied = open_copy(header.spec, source, within(arrays, "rerank."))
        spec = as_queried(header.spec, field.index)
        index = cls(source, spec, learned, lists, within(arrays, "codes."), copied)
        index._take(header.calibration)
        index._asked = open_asked(arrays.get("asked"), field.dim)
        index.familiar = open_familiar(field.metric, arrays)
        return index


class IVFIndex(CodedIndex):
    name = "ivf"


class FlatCodesIndex(CodedIndex):
    name = "flat_codes"
