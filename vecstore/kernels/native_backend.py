"""The C++ SIMD extension behind the kernels protocol. Importing this file raises ImportError where it was not built."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import _native
from vecstore.kernels.base import (
    Bitmap,
    ByteCodes,
    CodeKind,
    DenseRows,
    Float32Array,
    Int64Array,
    MihTables,
    RowCodes,
    TableCodes,
    UInt8Array,
)
from vecstore.kernels.graph import (
    COUNTERS,
    BuildParams,
    ByteRows,
    GraphArrays,
    GraphBuilder,
    OpenGraph,
    UInt32Array,
    Walk,
)
from vecstore.kernels.graph_tuning import QUERIES, TUNED_FROM, tuned
from vecstore.kernels.row_bytes import RowBytes
from vecstore.kernels.seismic import OpenSeismic, SeismicArrays, Visit
from vecstore.kernels.sparse_native import NativeSparse, stored
from vecstore.kernels.stop import use_native
from vecstore.kernels.token_row_bytes import TokenRowBytes
from vecstore.kernels.tokens import OpenTokens, TokenCodes
from vecstore.packed_sparse import StoredRows
from vecstore.schema import Metric
from vecstore.sparse import SparseRows
from vecstore.tokens import TokenRows

use_native(_native.set_stop)
_CODE_KINDS = {kind: number for number, kind in enumerate(get_args(CodeKind))}
TUNING_EF = 48
_METRIC_CODES = {Metric.L2: 0, Metric.DOT: 1, Metric.COSINE: 2}


def _code(metric: Metric) -> int:
    try:
        return _METRIC_CODES[metric]
    except KeyError:
        raise ValueError(f"metric {metric} is not one of l2, dot, cosine") from None


def supported_isas() -> list[str]:
    """Instruction sets that this machine can run, best first."""
    return list(_native.supported_isas())


def use_isa(name: str) -> None:
    """Force an instruction set for the whole process. Raises ValueError for one that this machine lacks."""
    _native.use_isa(name)


def _tune(graph: _native.Graph, mean: Float32Array) -> None:
    """Walks without rescoring for queries around the mean; which stored rows they meet does not matter."""
    rng = np.random.default_rng(0)
    spread = np.float32(np.abs(mean).mean() + 1e-3)
    queries = (mean + spread * rng.standard_normal((QUERIES, len(mean)))).astype(np.float32)
    rows, distances = np.empty((QUERIES, 10), np.int64), np.empty((QUERIES, 10), np.float32)
    counters = np.empty((QUERIES, len(COUNTERS)), np.int64)

    def search(setting: tuple[int, int, int]) -> None:
        graph.tune(*setting)
        graph.search(queries, TUNING_EF, 0, False, None, None, 0.0, 0.0, 1, 1, rows, distances, counters)

    graph.tune(*tuned(search))


class NativeKernels(NativeSparse):
    """Sums are float32 in 16 fixed lanes. A pair's distance has the same bits alone and in a batch, for any number of
    threads, and on AVX2, AVX-512 and NEON; the scalar build rounds each product as well, so its last bits differ."""

    name = "native"

    @property
    def isa(self) -> str:
        return str(_native.current_isa())

    @property
    def threads(self) -> int:
        return int(_native.threads())

    def scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        row_bytes: RowBytes | None = None,
    ) -> None:
        if row_bytes is None:
            _native.scan(_code(metric), queries, rows, inverse_norms, allowed, out_rows, out_distances)
            return
        b, out = row_bytes, (out_rows, out_distances)
        arrays = b.blocks, b.scales, b.squares, b.errors, b.lengths
        _native.scan_by_bytes(_code(metric), queries, rows, inverse_norms, allowed, *arrays, *out)

    def nearest(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: Float32Array,
        query_bounds: Float32Array,
        row_bounds: Float32Array,
        base: Float32Array,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> int:
        return _native.nearest(_code(metric), queries, rows, query_bounds, row_bounds, base, out_rows, out_distances)

    def round_rows(self, metric: Metric, rows: DenseRows, inverse_norms: Float32Array | None) -> RowBytes | None:
        if not _native.row_bytes_pay():
            return None
        rounded = RowBytes.empty(metric, *rows.shape)
        _native.round_rows(_code(metric), rows, inverse_norms, *rounded.arrays)
        return rounded

    def hamming_scan(
        self,
        queries: UInt8Array,
        rows: UInt8Array,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        _native.hamming_scan(queries, rows, allowed, out_rows, out_distances)

    def hamming_list_scan(
        self,
        queries: UInt8Array,
        codes: UInt8Array,
        rows: NDArray[np.uint32],
        offsets: Int64Array,
        probes: NDArray[np.int32],
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_scanned: Int64Array,
    ) -> None:
        outputs = (out_rows, out_distances, out_scanned)
        _native.hamming_list_scan(queries, codes, rows, offsets, probes, allowed, *outputs)

    def mih_search(
        self,
        queries: UInt8Array,
        rows: UInt8Array,
        tables: MihTables,
        max_distance: int,
        budget: int,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        arrays = (tables.starts, tables.buckets, tables.rows)
        outputs = (out_rows, out_distances, out_counters)
        _native.mih_search(queries, rows, *arrays, max_distance, budget, allowed, *outputs)

    def rerank(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        candidates: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        _native.rerank(_code(metric), queries, rows, inverse_norms, candidates, out_distances)

    def dense_list_scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        list_rows: NDArray[np.uint32],
        offsets: Int64Array,
        probes: NDArray[np.int32],
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_scanned: Int64Array,
    ) -> None:
        lists, outputs = (list_rows, offsets, probes), (out_rows, out_distances, out_scanned)
        _native.dense_list_scan(_code(metric), queries, rows, inverse_norms, *lists, allowed, *outputs)

    def table_scan(
        self,
        codes: TableCodes,
        queries: Float32Array,
        probes: NDArray[np.int32],
        list_add: Float32Array,
        list_radius: Float32Array,
        k: int,
        eps: float,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        c = codes
        _native.table_scan(
            c.offsets, c.counts, c.rows, c.blocks, c.factors, c.table_dims, c.table_values, c.extra, c.extra_factors,
            c.extra_runs, c.extra_dims, c.extra_steps, queries, probes, list_add, list_radius, k, eps, allowed,
            out_rows, out_distances, out_counters,
        )  # fmt: skip

    def row_scan(
        self,
        codes: RowCodes,
        queries: Float32Array,
        probes: NDArray[np.int32],
        list_add: Float32Array,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        c = codes
        _native.row_scan(
            _CODE_KINDS[c.kind], c.query_bytes, c.offsets, c.counts, c.rows, c.blocks, c.factors, c.levels,
            queries, probes, list_add, allowed, out_rows, out_distances, out_counters,
        )  # fmt: skip

    def byte_scan(
        self,
        codes: ByteCodes,
        queries: Float32Array,
        probes: NDArray[np.int32],
        list_add: Float32Array,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        c = codes
        _native.byte_scan(
            c.offsets, c.counts, c.rows, c.codes, c.factors, c.table_dims, c.table_values, queries, probes, list_add,
            allowed, out_rows, out_distances, out_counters,
        )  # fmt: skip

    def open_graph(
        self, metric: Metric, rows: DenseRows, inverse_norms: Float32Array | None, arrays: GraphArrays
    ) -> OpenGraph:
        a = arrays
        handle = _native.Graph(
            _code(metric), rows, inverse_norms, a.neighbours, a.codes, a.entries, a.mean, a.directions,
            a.direction_scales, a.fields, a.field_weights, a.add_unit, a.scale_unit,
        )  # fmt: skip
        if len(rows) >= TUNED_FROM:
            _tune(handle, a.mean)
        return OpenGraph(rows, handle)

    def graph_search(
        self,
        graph: OpenGraph,
        queries: Float32Array,
        walk: Walk,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        outputs = (out_rows, out_distances, out_counters)
        to = walk.narrow
        how = walk.ef, walk.rescored, walk.detours, allowed, walk.skipped, to.reach, to.least, to.near, to.kept
        graph.handle.search(queries, *how, *outputs)

    def graph_scan(
        self,
        graph: OpenGraph,
        queries: Float32Array,
        rescored: int,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        graph.handle.scan(queries, rescored, allowed, out_rows, out_distances, out_counters)

    def graph_builder(self, rows: ByteRows, params: BuildParams, neighbours: UInt32Array) -> GraphBuilder:
        p = params
        builder: GraphBuilder = _native.GraphBuilder(
            rows.bytes, rows.scales, rows.squares, rows.sums, p.leaf_rows, p.leaf_nearest, p.reservoir, list(p.fanout),
            p.seed, p.alpha, neighbours,
        )  # fmt: skip
        return builder

    def open_seismic(self, arrays: SeismicArrays) -> OpenSeismic:
        a = arrays
        parts = (a.block_bits, a.part_blocks, a.part_codes, a.part_records, a.record_bases)
        handle = _native.Seismic(a.rows, a.terms, a.scales, a.term_parts, *parts, a.records)
        return OpenSeismic(len(a.rows), handle)

    def seismic_search(
        self,
        index: OpenSeismic,
        rows: StoredRows,
        queries: SparseRows,
        visit: Visit,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        q, v = queries, visit
        arrays = (q.offsets, q.indices, q.values, *stored(rows))
        how = (v.depth, v.first, v.block_factor, v.terms, v.share, v.all, v.bounded, v.coded)
        index.handle.search(*arrays, *how, allowed, out_rows, out_distances, out_counters)

    def sketch_nearest(
        self,
        ids: NDArray[np.uint32],
        weights: Float32Array,
        members: Int64Array,
        centroids: Float32Array,
        out: NDArray[np.int32],
    ) -> None:
        _native.sketch_nearest(ids, weights, members, centroids, out)

    def maxsim_scan(
        self,
        queries: TokenRows,
        rows: TokenRows,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        row_bytes: TokenRowBytes | None = None,
    ) -> None:
        arrays = (queries.offsets, queries.tokens, rows.offsets, rows.tokens)
        if row_bytes is None:
            _native.maxsim_scan(*arrays, allowed, out_rows, out_distances)
            return
        b, out = row_bytes, (out_rows, out_distances)
        _native.maxsim_scan_by_bytes(*arrays, allowed, b.tokens, b.scales, b.errors, b.lengths, *out)

    def round_tokens(self, rows: TokenRows) -> TokenRowBytes | None:
        if not _native.token_bytes_pay():
            return None
        b = TokenRowBytes.empty(rows)
        _native.round_tokens(rows.offsets, rows.tokens, b.tokens, b.scales, b.errors, b.lengths)
        return b

    def maxsim_rerank(
        self, queries: TokenRows, rows: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        arrays = (queries.offsets, queries.tokens, rows.offsets, rows.tokens)
        _native.maxsim_rerank(*arrays, candidates, out_distances)

    def open_tokens(self, codes: TokenCodes) -> OpenTokens:
        c, k = codes.centroids, codes.codes
        shared = (None,) * 3 if c is None else (c.homes, c.centroids, c.scales)
        coded = (None, 8, None, 1.0) if k is None else (k.codes, k.bits, k.levels, k.step)
        scales = (None,) * 2 if k is None else (k.scales, k.scale_values)
        lists = (None,) * 2 if c is None else (c.list_starts, c.lists)
        return OpenTokens(codes, _native.Tokens(codes.dim, codes.offsets, *shared, *coded, *scales, *lists))

    def centroid_search(
        self,
        tokens: OpenTokens,
        queries: TokenRows,
        lists: int,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        outputs = (out_rows, out_distances, out_counters)
        tokens.handle.search(queries.offsets, queries.tokens, lists, allowed, *outputs)

    def token_rerank(
        self, tokens: OpenTokens, queries: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        tokens.handle.rerank(queries.offsets, queries.tokens, candidates, out_distances)

    def inverse_norms(self, rows: DenseRows, out: Float32Array) -> None:
        _native.inverse_norms(rows, out)

    def set_threads(self, threads: int) -> None:
        _native.set_threads(threads)
