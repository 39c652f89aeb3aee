"""The law: plain numpy with float64 sums, rounded to float32 once at the end. The other backends are tested against it.

Sums run over each pair by itself (einsum, not a matrix product), so that equal rows get equal distances wherever they
stand and ties fall to the lower row. That makes it slow; it is also what runs where neither the extension nor Numba is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import (
    byte_numpy,
    graph_numpy,
    hamming_numpy,
    maxsim_numpy,
    row_numpy,
    seismic_numpy,
    sparse_numpy,
    table_numpy,
    tokens_numpy,
)
from vecstore.kernels.allowed import allowed_mask, allowed_rows
from vecstore.kernels.base import (
    Bitmap,
    ByteCodes,
    DenseRows,
    Float32Array,
    Int64Array,
    MihTables,
    RowCodes,
    TableCodes,
    UInt8Array,
)
from vecstore.kernels.checks import (
    check_byte_scan,
    check_hamming_list_scan,
    check_hamming_scan,
    check_inverse_norms,
    check_mih_search,
    check_rerank,
    check_scan,
    check_table_scan,
)
from vecstore.kernels.graph import BuildParams, ByteRows, GraphArrays, GraphBuilder, OpenGraph, UInt32Array, Walk
from vecstore.kernels.graph_build_numpy import NumpyGraphBuilder
from vecstore.kernels.graph_checks import check_graph, check_graph_answers, check_graph_builder, check_walk
from vecstore.kernels.graph_numpy import CodeQuery, PythonGraph
from vecstore.kernels.graph_queries import CodeQueries, products
from vecstore.kernels.maxsim_checks import (
    check_centroid_search,
    check_maxsim_rerank,
    check_maxsim_scan,
    check_token_rerank,
)
from vecstore.kernels.row_checks import check_row_scan
from vecstore.kernels.seismic import OpenSeismic, SeismicArrays, Visit
from vecstore.kernels.seismic_checks import check_seismic, check_seismic_search, check_sketch_nearest
from vecstore.kernels.sparse import Saturation
from vecstore.kernels.sparse_checks import (
    check_document_frequency,
    check_sparse_rerank,
    check_sparse_scan,
    check_unpack,
)
from vecstore.kernels.stop import check_stop
from vecstore.kernels.tokens import OpenTokens, TokenCodes
from vecstore.kernels.tokens_numpy import PythonTokens
from vecstore.kernels.window_search import PortableSparse
from vecstore.offsets import taken_of
from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.schema import Metric
from vecstore.sparse import SparseRows
from vecstore.tokens import TokenRows

_BLOCK_BYTES = 1 << 20  # rows widened to float64 at once
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def widen(rows: DenseRows) -> NDArray[np.float64]:
    """Stored rows as float64; uint16 is bfloat16, the high half of a float32."""
    if rows.dtype == np.uint16:
        return (rows.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return rows.astype(np.float64)


def _distances(
    metric: Metric, query: NDArray[np.float64], rows: NDArray[np.float64], inverse_norms: NDArray[Any] | None
) -> Float32Array:
    """(n,) distances; for cosine the query has unit length. NaN (an overflow of both signs) ranks last, as +inf."""
    with np.errstate(over="ignore", invalid="ignore"):
        if metric is Metric.L2:
            difference = rows - query
            distances = np.einsum("nd,nd->n", difference, difference)
        else:
            distances = -np.einsum("nd,d->n", rows, query)
        if inverse_norms is not None:
            distances = 1.0 + distances * inverse_norms
        rounded = distances.astype(np.float32)
    return np.where(np.isnan(rounded), np.float32(np.inf), rounded)


def _prepare(metric: Metric, queries: Float32Array) -> NDArray[np.float64]:
    wide = queries.astype(np.float64)
    if metric is Metric.COSINE:
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        wide = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    return wide


def _blocks(listed: NDArray[np.int64], row_elements: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, _BLOCK_BYTES // (8 * max(1, row_elements)))
    for start in range(0, len(listed), step):
        check_stop()
        yield listed[start : start + step]


def _merge(out_rows: Int64Array, out_distances: Float32Array, rows: NDArray[np.int64], distances: Float32Array) -> None:
    """Merge candidates with higher rows into one query's places (a stable sort keeps ties in row order)."""
    held = int((out_rows >= 0).sum())
    k = len(out_rows)
    if held == k:
        nearer = distances < out_distances[-1]
        rows, distances = rows[nearer], distances[nearer]
    all_distances = np.concatenate((out_distances[:held], distances))
    order = np.argsort(all_distances, kind="stable")[:k]
    all_rows = np.concatenate((out_rows[:held], rows))
    out_rows[: len(order)] = all_rows[order]
    out_distances[: len(order)] = all_distances[order]


class NumpyKernels(PortableSparse):
    name = "numpy"
    isa = "numpy"
    threads = 1

    def scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_scan(metric, queries, rows, inverse_norms, allowed, out_rows, out_distances)
        out_rows.fill(-1)
        out_distances.fill(np.inf)
        if out_rows.size == 0:
            return
        prepared = _prepare(metric, queries)
        scales = inverse_norms if metric is Metric.COSINE else None
        for block in _blocks(allowed_rows(allowed, len(rows)), rows.shape[1]):
            wide = widen(rows[block])
            for q, query in enumerate(prepared):
                check_stop()
                distances = _distances(metric, query, wide, None if scales is None else scales[block])
                _merge(out_rows[q], out_distances[q], block, distances)

    def hamming_scan(
        self,
        queries: UInt8Array,
        rows: UInt8Array,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_hamming_scan(queries, rows, allowed, out_rows, out_distances)
        out_rows.fill(-1)
        out_distances.fill(np.inf)
        if out_rows.size == 0:
            return
        bit_counts = np.array([byte.bit_count() for byte in range(256)], np.uint8)
        for block in _blocks(allowed_rows(allowed, len(rows)), rows.shape[1]):
            part = rows[block]
            for q, query in enumerate(queries):
                differing = bit_counts[part ^ query].sum(axis=1, dtype=np.int64)
                _merge(out_rows[q], out_distances[q], block, differing.astype(np.float32))

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
        check_hamming_list_scan(queries, codes, rows, offsets, probes, allowed, *outputs)
        hamming_numpy.list_scan(queries, codes, rows, offsets, probes, allowed, *outputs)

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
        outputs = (out_rows, out_distances, out_counters)
        check_mih_search(queries, rows, tables, allowed, *outputs)
        hamming_numpy.mih_search(queries, rows, tables, max_distance, budget, allowed, *outputs)

    def rerank(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        candidates: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_rerank(metric, queries, rows, inverse_norms, candidates, out_distances)
        out_distances.fill(np.inf)
        scales = inverse_norms if metric is Metric.COSINE else None
        for q, query in enumerate(_prepare(metric, queries)):
            check_stop()
            places = np.flatnonzero(candidates[q] >= 0)
            listed = candidates[q, places]
            distances = _distances(metric, query, widen(rows[listed]), None if scales is None else scales[listed])
            out_distances[q, places] = distances

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
        outputs = (out_rows, out_distances, out_counters)
        check_table_scan(codes, queries, probes, list_add, list_radius, k, eps, allowed, *outputs)
        for q, query in enumerate(queries):
            of_query = (query, probes[q], list_add[q], list_radius[q])
            table_numpy.scan_query(codes, *of_query, k, eps, allowed, *(out[q] for out in outputs))

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
        outputs = (out_rows, out_distances, out_counters)
        check_row_scan(codes, queries, probes, list_add, allowed, *outputs)
        for q, query in enumerate(queries):
            of_query = (query, probes[q], list_add[q], allowed, *(out[q] for out in outputs))
            row_numpy.scan_query(codes, row_numpy.products, *of_query)

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
        outputs = (out_rows, out_distances, out_counters)
        check_byte_scan(codes, queries, probes, list_add, allowed, *outputs)
        for q, query in enumerate(queries):
            byte_numpy.scan_query(codes, query, probes[q], list_add[q], allowed, *(out[q] for out in outputs))

    def open_graph(
        self, metric: Metric, rows: DenseRows, inverse_norms: Float32Array | None, arrays: GraphArrays
    ) -> OpenGraph:
        check_graph(metric, rows, inverse_norms, arrays)
        return OpenGraph(rows, PythonGraph(metric, rows, inverse_norms, arrays, CodeQueries(metric, arrays)))

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
        opened: PythonGraph = graph.handle
        outputs = (out_rows, out_distances, out_counters)
        check_graph_answers(graph.rows.shape, walk.rescored, queries, allowed, *outputs)
        check_walk(walk, len(graph.rows), out_rows)
        mask = allowed_mask(allowed, len(graph.rows))
        skipped = [-1] * len(queries) if walk.skipped is None else walk.skipped.tolist()
        prepared = opened.queries.prepare(queries, products)
        for q in range(len(queries)):
            code, rescore = CodeQuery(opened, prepared, q), opened.rescore(self, queries[q : q + 1])
            graph_numpy.search_query(opened, code, walk, skipped[q], mask, rescore, *(out[q] for out in outputs))

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
        opened: PythonGraph = graph.handle
        outputs = (out_rows, out_distances, out_counters)
        check_graph_answers(graph.rows.shape, rescored, queries, allowed, *outputs)
        listed = allowed_rows(allowed, len(graph.rows))
        prepared = opened.queries.prepare(queries, products)
        for q in range(len(queries)):
            code, rescore = CodeQuery(opened, prepared, q), opened.rescore(self, queries[q : q + 1])
            graph_numpy.scan_query(code, listed, rescored, rescore, *(out[q] for out in outputs))

    def graph_builder(self, rows: ByteRows, params: BuildParams, neighbours: UInt32Array) -> GraphBuilder:
        check_graph_builder(rows, params, neighbours)
        return NumpyGraphBuilder(rows, params, neighbours)

    def sparse_scan(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_sparse_scan(queries, rows, saturation, allowed, out_rows, out_distances)
        listed = allowed_rows(allowed, len(rows))
        distances = np.empty((len(queries), len(listed)), np.float32)
        matched = np.empty(distances.shape, bool)
        for part in sparse_numpy.blocks_of(len(listed)):
            block = rows[part] if allowed is None else rows.take(listed[part])
            own = saturation and saturation.take(listed[part])
            for q, query in enumerate(queries):
                distances[q, part], matched[q, part] = sparse_numpy.row_distances(query, block, own)
        for q in range(len(queries)):
            found = matched[q]
            sparse_numpy.write_nearest(listed[found], distances[q, found], out_rows[q], out_distances[q])

    def sparse_rerank(
        self,
        queries: SparseRows,
        rows: StoredRows,
        saturation: Saturation | None,
        candidates: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_sparse_rerank(queries, rows, saturation, candidates, out_distances)
        out_distances.fill(np.inf)
        for q, query in enumerate(queries):
            places = np.flatnonzero(candidates[q] >= 0)
            listed = candidates[q, places]
            own = saturation and saturation.take(listed)
            distances, matched = sparse_numpy.row_distances(query, rows.take(listed), own)
            out_distances[q, places[matched]] = distances[matched]

    def sparse_document_frequency(
        self, terms: NDArray[np.uint32], rows: StoredRows, allowed: Bitmap | None, out: Int64Array
    ) -> None:
        check_document_frequency(terms, rows, allowed, out)
        listed = allowed_rows(allowed, len(rows))
        out[:] = 0
        for part in sparse_numpy.blocks_of(len(listed)):
            out += sparse_numpy.document_frequency(terms, rows.take(listed[part]))

    def unpack_places(self, rows: PackedRows, listed: Int64Array, offsets: Int64Array, out: NDArray[np.uint32]) -> None:
        check_unpack(rows, listed, offsets, out)
        out[:] = rows.places(listed, *taken_of(rows.offsets, listed))

    def open_seismic(self, arrays: SeismicArrays) -> OpenSeismic:
        return OpenSeismic(len(arrays.rows), seismic_numpy.Opened(arrays, check_seismic(arrays)))

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
        check_seismic_search(index.n, rows, queries, visit, allowed, out_rows, out_distances, out_counters)
        opened: seismic_numpy.Opened = index.handle
        mask = None if allowed is None else allowed_mask(allowed, index.n)
        parts = partial(seismic_numpy.estimates, opened), partial(seismic_numpy.read_blocks, opened)
        for q, query in enumerate(queries):
            outputs = out_rows[q], out_distances[q], out_counters[q]
            seismic_numpy.search(self.sparse_rerank, opened.arrays, rows, query, visit, mask, *parts, *outputs)

    def sketch_nearest(
        self,
        ids: NDArray[np.uint32],
        weights: Float32Array,
        members: Int64Array,
        centroids: Float32Array,
        out: NDArray[np.int32],
    ) -> None:
        check_sketch_nearest(ids, weights, members, centroids, out)
        seismic_numpy.sketch_nearest(ids, weights, members, centroids, out)

    def maxsim_scan(
        self,
        queries: TokenRows,
        rows: TokenRows,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_maxsim_scan(queries, rows, allowed, out_rows, out_distances)
        out_rows.fill(-1)
        out_distances.fill(np.inf)
        if out_rows.size == 0:
            return
        listed = allowed_rows(allowed, len(rows))
        listed = listed[rows.offsets[listed + 1] > rows.offsets[listed]]
        for q, query in enumerate(queries):
            _merge(out_rows[q], out_distances[q], listed, maxsim_numpy.query_distances(query.tokens, rows, listed))

    def maxsim_rerank(
        self, queries: TokenRows, rows: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        check_maxsim_rerank(queries, rows, candidates, out_distances)
        out_distances.fill(np.inf)
        for q, query in enumerate(queries):
            used = candidates[q] >= 0
            out_distances[q, used] = maxsim_numpy.query_distances(query.tokens, rows, candidates[q, used])

    def open_tokens(self, codes: TokenCodes) -> OpenTokens:
        return OpenTokens(codes, PythonTokens(codes))

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
        check_centroid_search(tokens.codes, queries, allowed, *outputs)
        mask = allowed_mask(allowed, len(tokens.codes))
        for q, query in enumerate(queries):
            tokens_numpy.search(tokens.handle, query.tokens, lists, mask, *(out[q] for out in outputs))

    def token_rerank(
        self, tokens: OpenTokens, queries: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        check_token_rerank(tokens.codes, queries, candidates, out_distances)
        opened: PythonTokens = tokens.handle
        for q, query in enumerate(queries):
            out_distances[q] = opened.distances(query.tokens, candidates[q])

    def inverse_norms(self, rows: DenseRows, out: Float32Array) -> None:
        check_inverse_norms(rows, out)
        for block in _blocks(np.arange(len(rows)), rows.shape[1]):
            norms = np.linalg.norm(widen(rows[block]), axis=1)
            inverses = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
            out[block] = np.minimum(inverses, _FLOAT32_MAX)

    def set_threads(self, threads: int) -> None:
        """numpy runs on the calling thread; any bound holds."""
