"""A graph of near neighbours, walked by short codes, its best candidates scored by the stored vectors.

The layout is lean: neighbour numbers and one code for each row, in whole cache lines (native/src/graph_*.h). The graph
is made by carving and joining, without search (PiPNN, arXiv 2602.21247), the same for any number of threads.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index import costs, graph_codes
from vecstore.index.asked import open_asked
from vecstore.index.base import (
    DEFAULT_PARAMS,
    PLANS_REMEMBERED,
    BuiltIndex,
    Candidates,
    Progress,
    SearchParams,
    Warm,
    Way,
    allowed_count,
    some_alive,
)
from vecstore.index.familiar import measured
from vecstore.index.familiar_limits import Caution, along, familiar_arrays, open_familiar
from vecstore.index.flat import FlatIndex
from vecstore.index.graph_build import DEGREE, neighbours_of
from vecstore.index.graph_calibration import QUERIES, WalkTable, calibrated, uncalibrated
from vecstore.index.graph_codes import GraphCodes
from vecstore.index.graph_connect import connect
from vecstore.index.graph_header import NAME, VERSION, Header, open_header
from vecstore.index.graph_plan import Asked, Plan, plan, ways
from vecstore.index.graph_rows import entries
from vecstore.index.graph_search import STRATEGIES, candidates
from vecstore.index.learned import SAMPLE_MIN, within
from vecstore.index.rerank_copy import make_copy, open_copy, rescorer
from vecstore.index.resident import aligned_empty, resident
from vecstore.index.stored_arrays import take
from vecstore.index.stored_rows import StoredRows
from vecstore.index_queried import as_queried
from vecstore.index_spec import SAQ, Flat, Graph
from vecstore.kernels.base import Bitmap, DenseRows, Float32Array, Int64Array, Kernels, UInt8Array
from vecstore.kernels.graph import LINE, GraphArrays, OpenGraph, UInt32Array
from vecstore.kernels.places import ahead, in_parts
from vecstore.kernels.smallest import smallest
from vecstore.memory.remembered import Remembered
from vecstore.schema import Metric, VectorField

SEED = 0
_NO_PLAN: tuple[Any, ...] = (None, 0, 0, None, 0.0)


class GraphIndex(BuiltIndex):
    name: ClassVar[str] = "graph"
    reads_by_kernels: ClassVar[bool] = True
    plans_filters: ClassVar[bool] = True

    def __init__(
        self,
        source: StoredRows,
        spec: Graph,
        codes: GraphCodes,
        coded: UInt8Array,  # (n, lines * 64)
        neighbours: UInt32Array,  # (n, degree)
        starts: UInt32Array,
        copies: dict[str, np.ndarray],
        table: WalkTable,
    ) -> None:
        self.field, self.spec, self.table = source.field, spec, table
        self.ntotal = len(source)
        self.neighbours, self.entries = resident(neighbours), starts
        self._codes, self._coded, self._copy = codes, resident(coded), copies
        self._exact = FlatIndex(source.field, source.rows, source.inverse_norms)
        self._rescorer = rescorer(spec.rerank, source, copies)
        values = copies.get("row.values")
        self._rescored_in_walk = spec.rerank not in ("none", "int8")
        self._rows = source.rows if values is None else values
        copied = sum(array.nbytes for name, array in copies.items() if name.startswith("row."))
        self.code_bytes = (coded.nbytes + neighbours.nbytes + copied) / max(1, self.ntotal)
        self._source = source
        self._asked: Float32Array | None = None  # the user's queries that the table was measured on
        self._open: dict[str, OpenGraph] = {}
        self._plans: Remembered[tuple[int, SearchParams, int, float], Plan] = Remembered(PLANS_REMEMBERED)
        self._last = _NO_PLAN  # of these the one that was asked for last: hashing takes a while

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: Graph,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        """A warm start keeps the codes and the edges of rows that are still here."""
        source = StoredRows(field, rows, inverse_norms)
        n = len(source)
        mixed = np.random.default_rng(SEED).permutation(n)
        sample = np.sort(mixed[:SAMPLE_MIN])
        progress("train codes", 0, 1)
        known = None
        if warm is not None and warm.index.ntotal and 4 * warm.index.ntotal >= n:
            codes, known = warm.index._codes, (warm.index.neighbours, warm.rows)
        else:
            codes = graph_codes.train(spec.quantizer, source.metric, source.take(sample) if n else _nothing(field))
        degree = DEGREE if spec.degree == "auto" else spec.degree
        if n:
            lists = neighbours_of(source, codes.mean, degree, known, kernels, progress)
            starts = connect(lists, entries(source, sample, kernels, progress))
        else:
            lists, starts = np.empty((0, degree), np.uint32), np.empty(0, np.uint32)
        coded = _encoded(source, codes, progress)
        copied = make_copy(_coded_spec(spec), source, sample, progress)
        index = cls(source, spec, codes, coded, lists, starts, copied, uncalibrated())
        progress("calibrate", 0, 1)
        index._asked = None if warm is None else warm.index._asked
        if n:
            index._calibrate(np.sort(mixed[-min(n, QUERIES) :]), kernels)
        progress("calibrate", 1, 1)
        return index

    @property
    def measured_rows(self) -> int:
        return self.table.rows or self.ntotal

    def tuned(self, queries: np.ndarray | None, kernels: Kernels, alive: Bitmap | None = None) -> Self:
        index = copy.copy(self)
        index._plans, index._last = Remembered(PLANS_REMEMBERED), _NO_PLAN
        if queries is not None:
            index._asked = np.ascontiguousarray(queries, np.float32)
        index._calibrate(some_alive(self.ntotal, alive, QUERIES, SEED), kernels, alive)
        return index

    def _calibrate(self, held_out: Int64Array, kernels: Kernels, alive: Bitmap | None = None) -> None:
        """By the user's queries where there are any, by held-out rows otherwise."""
        asked, own = self._asked, held_out
        if asked is None:
            asked = self._source.take(held_out)
        else:
            own = np.full(len(asked), -1, np.int64)
        self.table = calibrated(self._opened(kernels), self._source, asked, own, kernels, alive)
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
        how = self._plan(k, params, matches, costs.row_factor(kernels))
        if how.pays and costs.is_scanned(how.pays, len(queries)):
            return self._exact.search(kernels, queries, k, allowed, params)
        found = self._by_plan(kernels, queries, k, allowed, params, how)
        found.est_us = None if how.cost_ns is None else round(how.cost_ns / 1e3, 1)
        return found

    def _by_plan(
        self, kernels: Kernels, queries: Float32Array, k: int, allowed: Bitmap | None, params: SearchParams, how: Plan
    ) -> Candidates:
        if how.how == "exact":
            return self._exact.search(kernels, queries, k, allowed, params)
        graph = self._opened(kernels)
        if not params.rescore or self._rescorer is None:
            return candidates(kernels, graph, self.ntotal, queries, k, how, 0, allowed)
        if self._rescored_in_walk:
            return candidates(kernels, graph, self.ntotal, queries, k, how, how.rescored, allowed)
        found = candidates(kernels, graph, self.ntotal, queries, how.rescored, how, 0, allowed)
        near = self._rescorer.distances(queries, found.rows, kernels)
        rows, distances = smallest(found.rows, near, k)
        counters = found.counters | {"rows_rescored": found.rows.size}
        return Candidates(rows, distances, counters, found.recall, found.strategy)

    def _plan(self, k: int, params: SearchParams, matches: int, factor: float = 1.0) -> Plan:
        """`factor` is what stored rows cost (`costs.row_factor`)."""
        last = self._last
        if last[0] is params and last[1] == k and last[2] == matches and last[4] == factor:
            chosen: Plan = last[3]
            return chosen
        key = (k, params, matches, factor)
        known = self._plans.get(key)
        if known is None:
            known = self._plans.keep(key, plan(self.table, self._asked_of(k, params, matches, factor)))
        self._last = (params, k, matches, known, factor)
        return known

    def _asked_of(self, k: int, params: SearchParams, matches: int, factor: float) -> Asked:
        spec_ef = 0 if self.spec.ef == "auto" else self.spec.ef
        return Asked(spec_ef, self.ntotal, k, params, matches, self.field.row_bytes, factor)

    def caution(self, k: int, matches: int, params: SearchParams) -> Caution:
        """A walk misses a multiple, whatever the target; of many rows more, the higher it is, as by codes."""
        return Caution(power=along(k, 0.0, 0.0, 0.5), nines=along(k, 0.6, 0.62, 0.0))

    def ways(self, kernels: Kernels, k: int, matches: int, params: SearchParams) -> list[Way]:
        factor = costs.row_factor(kernels)
        chosen = self._plan(k, params, matches, factor)
        how = "exact" if costs.is_scanned(chosen.pays, 1) else chosen.how
        found = []
        for cost, one in ways(self.table, self._asked_of(k, params, matches, factor)):
            recall = chosen.recall if one.how == chosen.how else one.recall  # which perhaps ends early
            found.append(Way(STRATEGIES[one.how] or self.name, cost / 1e3, recall, one.how == how))
        return found

    def _opened(self, kernels: Kernels) -> OpenGraph:
        graph = self._open.get(kernels.name)
        if graph is None:
            codes = self._codes
            fields, weights, _ = codes.fields
            turned, scales = codes.rotation()
            arrays = GraphArrays(
                self.neighbours, self._coded, self.entries, codes.mean, turned, scales, fields, weights,
                float(codes.units[0]), float(codes.units[1]),
            )  # fmt: skip
            opened = kernels.open_graph(self.field.metric, self._rows, self._source.inverse_norms, arrays)
            graph = self._open[kernels.name] = opened
        return graph

    def arrays(self) -> dict[str, np.ndarray]:
        header = Header(VERSION, self.ntotal, self.field.dim, self.field.metric, self.spec, self.table)
        return {
            "header": np.frombuffer(msgspec.json.encode(header), np.uint8),
            "neighbours": self.neighbours,
            "codes": self._coded,
            "entries": self.entries,
            **{f"coder.{name}": array for name, array in self._codes.arrays().items()},
            **{f"rerank.{name}": array for name, array in self._copy.items()},
            **({} if self._asked is None else {"asked": self._asked}),
            **familiar_arrays(self.familiar),
        }

    @classmethod
    def from_arrays(cls, field: VectorField, rows: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Self:
        header = open_header(field, len(rows), arrays)
        header.table.check(len(rows))
        FlatIndex.from_arrays(field, rows, arrays)  # checks the rows and their norms
        norms = arrays.get("inverse_norms") if field.metric is Metric.COSINE else None
        source = StoredRows(field, rows, norms)
        codes = graph_codes.open_codes(within(arrays, "coder."), field.dim)
        n = len(rows)
        coded = take(arrays, "codes", np.uint8, (n, codes.lines * LINE), NAME)
        lists = take(arrays, "neighbours", np.uint32, (n, None), NAME)
        starts = take(arrays, "entries", np.uint32, (None,), NAME)
        if n and (not len(starts) or max(int(lists.max(initial=0)), int(starts.max())) >= n):
            raise Corruption(f"the neighbours or entries of {NAME} point past its {n} rows")
        copied = open_copy(_coded_spec(header.spec), source, within(arrays, "rerank."))
        spec = as_queried(header.spec, field.index)
        index = cls(source, spec, codes, coded, lists, starts, copied, header.table)
        index._asked = open_asked(arrays.get("asked"), field.dim)
        index.familiar = open_familiar(field.metric, arrays)
        return index


def _coded_spec(spec: Graph) -> Flat:
    """What copies for the rerank are made by."""
    return Flat(quantizer=spec.quantizer or SAQ(), rerank=spec.rerank)


def _nothing(field: VectorField) -> Float32Array:
    return np.zeros((1, field.dim), np.float32)


def _encoded(source: StoredRows, codes: GraphCodes, progress: Progress) -> UInt8Array:
    packed = codes.fields[2]
    out = aligned_empty((len(source), codes.lines * LINE), np.uint8)
    for low, rows in ahead(source.batches()):
        progress("encode", low, len(source))
        for part, made in in_parts(rows, None, lambda some, _: {"codes": codes.encode(some, source.metric, packed)}):
            out[low + part.start : low + part.stop] = made["codes"]
    return out
