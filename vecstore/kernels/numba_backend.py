"""Kernels compiled by Numba for the machine at hand: the portable equal of the native backend."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from vecstore.kernels import (
    byte_numba,
    graph_codes_numba,
    graph_numba,
    graph_numpy,
    hamming_numba,
    maxsim_numba,
    row_numba,
    row_numpy,
    table_numba,
    tokens_numba,
    tokens_numpy,
)
from vecstore.kernels import numba_loops as loops
from vecstore.kernels.allowed import allowed_mask
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
from vecstore.kernels.graph import LINE, BuildParams, ByteRows, GraphArrays, GraphBuilder, OpenGraph, UInt32Array, Walk
from vecstore.kernels.graph_build_numba import NumbaGraphBuilder
from vecstore.kernels.graph_checks import check_graph, check_graph_answers, check_graph_builder, check_walk
from vecstore.kernels.graph_numpy import PythonGraph
from vecstore.kernels.graph_queries import CodeQueries
from vecstore.kernels.maxsim_checks import (
    check_centroid_search,
    check_maxsim_rerank,
    check_maxsim_scan,
    check_token_rerank,
)
from vecstore.kernels.numba_threads import LAST_ROW, NO_LIST, NumbaThreads, slices
from vecstore.kernels.row_checks import check_row_scan
from vecstore.kernels.seismic_numba_backend import NumbaSeismic
from vecstore.kernels.sparse_numba_kernels import NumbaSparse
from vecstore.kernels.stop import check_stop
from vecstore.kernels.stop_alarm import watched
from vecstore.kernels.tokens import OpenTokens, TokenCodes
from vecstore.kernels.tokens_numpy import PythonTokens
from vecstore.schema import Metric
from vecstore.tokens import TokenRows

_NO_NORMS = np.empty(0, np.float32)
_NO_BYTES = np.empty((0, 0), np.uint8)
_NO_RUNS = np.empty((0, 2), np.int32)
_NO_DIMS = np.empty(0, np.int32)
_NO_WORDS = np.empty(0, np.uint64)


def _typed(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows under the dtype that tells the loops what they hold: float16 travels as int16. Columns of a wider array
    come as rows of its whole width, so that the compiler sees contiguous rows; loops end where the queries do."""
    if not rows.flags.c_contiguous:
        rows = as_strided(rows, (len(rows), rows.strides[0] // rows.itemsize), writeable=False)
    return rows.view(np.int16) if rows.dtype == np.float16 else rows


def _table_arguments(codes: TableCodes) -> tuple[Any, ...]:
    """The arrays of TableCodes in the order of the loop, empty where a code has none."""
    first = (codes.offsets, codes.counts, codes.rows, codes.blocks, _typed(codes.factors))
    extra = codes.extra, codes.extra_factors, codes.extra_runs, codes.extra_dims, codes.extra_steps
    none: tuple[NDArray[Any], ...] = (_NO_BYTES, _typed(codes.factors)[:0, 0], _NO_RUNS, _NO_DIMS, _NO_NORMS)
    arrays = [absent if array is None else _typed(array) for array, absent in zip(extra, none, strict=True)]
    return (*first, codes.table_dims, codes.table_values, codes.extra is not None, *arrays)


def _graph_codes(graph: PythonGraph) -> tuple[NDArray[Any], ...]:
    """Headers, lines, masks and passes: how the loops read codes."""
    codes, layout = graph.arrays.codes, graph.queries
    return codes.view(np.int16), codes.reshape(len(codes), -1, LINE), layout.masks, layout.passes


def _as_words(packed: UInt8Array) -> NDArray[Any]:
    """Packed bits as the widest unsigned integers that divide a row."""
    word = next(np.dtype(f"u{size}") for size in (8, 4, 2, 1) if packed.shape[1] % size == 0)
    return packed.view(word) if packed.shape[1] else packed


def _put_in_order(heap_rows: Int64Array, heaps: Float32Array) -> None:
    """Each query's heap to ascending (distance, row); unused places become row -1."""
    for rows, distances in zip(heap_rows, heaps, strict=True):
        order = np.lexsort((rows, distances))
        rows[:], distances[:] = rows[order], distances[order]
    heap_rows[heap_rows == LAST_ROW] = -1


def _prepare(metric: Metric, queries: Float32Array, tile: int) -> Float32Array:
    """Queries padded with zero rows to whole tiles, for cosine at unit length."""
    prepared = np.zeros((-(-len(queries) // tile) * tile, queries.shape[1]), np.float32)
    prepared[: len(queries)] = queries
    if metric is Metric.COSINE:
        norms = np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
        np.divide(queries, norms, out=prepared[: len(queries)], where=norms > 0, casting="same_kind")
    return prepared


class NumbaKernels(NumbaThreads, NumbaSparse, NumbaSeismic):
    name = "numba"
    isa = "jit"

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
        prepared = _prepare(metric, queries, 4)
        norms = inverse_norms if inverse_norms is not None and metric is Metric.COSINE else _NO_NORMS
        typed = _typed(rows)
        passes = -(-len(queries) // 4)

        def part(listed: Int64Array, begin: int, end: int, heap_rows: Int64Array, heap: Float32Array) -> None:
            args = (listed, allowed is None, begin, end, heap_rows, heap)
            loops.scan_rows(metric is Metric.L2, prepared, typed, norms, *args)

        row_bytes = rows.shape[1] * rows.itemsize
        self._top_k(part, len(rows), row_bytes * passes, allowed, out_rows, out_distances)

    def hamming_scan(
        self,
        queries: UInt8Array,
        rows: UInt8Array,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_hamming_scan(queries, rows, allowed, out_rows, out_distances)
        words, query_words = _as_words(rows), _as_words(queries)

        def part(listed: Int64Array, begin: int, end: int, heap_rows: Int64Array, heap: Float32Array) -> None:
            loops.hamming_rows(query_words, words, listed, allowed is None, begin, end, heap_rows, heap)

        self._top_k(part, len(rows), rows.shape[1] * len(queries), allowed, out_rows, out_distances)

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
        words, query_words = _as_words(codes), _as_words(queries)
        mask = _NO_WORDS if allowed is None else allowed
        work = int(np.diff(offsets).mean()) * probes.size * codes.shape[1] if len(offsets) > 1 else 0

        def part(first: int, last: int) -> None:
            own: tuple[Any, ...] = (
                probes[first:last],
                allowed is not None,
                mask,
                *(out[first:last] for out in outputs),
            )
            with watched() as flag:
                hamming_numba.list_scan(query_words[first:last], words, rows, offsets, *(*own, flag))
            check_stop()

        if out_rows.size == 0:
            return
        self._by_query(part, len(queries), work)
        _put_in_order(out_rows, out_distances)

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
        words, query_words = _as_words(rows), _as_words(queries)
        mask = _NO_WORDS if allowed is None else allowed

        def part(first: int, last: int) -> None:
            own: tuple[Any, ...] = (allowed is not None, mask, *(out[first:last] for out in outputs))
            arrays = (tables.starts, tables.buckets, tables.rows, max_distance, budget)
            with watched() as flag:
                own = (*arrays, *own, flag)
                hamming_numba.mih_search(queries[first:last], query_words[first:last], words, *own)
            check_stop()

        if out_rows.size == 0:
            return
        self._by_query(part, len(queries), len(queries) * min(budget, len(rows)) * 256)
        _put_in_order(out_rows, out_distances)

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
        prepared = _prepare(metric, queries, 1)
        norms = inverse_norms if inverse_norms is not None and metric is Metric.COSINE else _NO_NORMS
        typed = _typed(rows)
        for q in range(len(queries)):
            for part in slices(candidates.shape[1], rows.shape[1] * rows.itemsize):
                own = candidates[q, part], out_distances[q, part]
                loops.rerank_rows(metric is Metric.L2, prepared[q], typed, norms, *own)

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
        arguments = _table_arguments(codes)
        words = _NO_WORDS if allowed is None else allowed

        def run(q: int) -> None:
            out_counters[q] = 0
            lowers = np.empty(out_rows.shape[1], np.float32)
            asked = (queries[q], probes[q], list_add[q], list_radius[q], k, eps, allowed is None, words)
            found = (out_distances[q], out_rows[q], lowers, out_counters[q])
            with watched() as flag:
                cut = table_numba.scan_query(arguments, *asked, *found, flag)
            check_stop()
            used = np.flatnonzero((out_rows[q] != LAST_ROW) & (lowers <= cut))
            best = used[np.lexsort((out_rows[q, used], out_distances[q, used]))]
            for out, empty in ((out_rows[q], -1), (out_distances[q], np.inf)):
                out[: len(best)] = out[best]
                out[len(best) :] = empty
            out_counters[q, 2] = len(best)

        self._each(run, len(queries))

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

        def run(q: int) -> None:
            of_query = (queries[q], probes[q], list_add[q], allowed, *(out[q] for out in outputs))
            row_numpy.scan_query(codes, row_numba.products, *of_query)

        self._each(run, len(queries))

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
        lists = (codes.offsets, codes.counts, codes.rows)
        arguments = (*lists, codes.codes, codes.factors, codes.table_dims, codes.table_values)
        words = _NO_WORDS if allowed is None else allowed

        def run(q: int) -> None:
            asked = (queries[q], probes[q], list_add[q], allowed is None, words)
            with watched() as flag:
                scored = byte_numba.scan_query(arguments, *asked, out_distances[q], out_rows[q], flag)
            check_stop()
            found = min(scored, out_rows.shape[1])
            best = np.lexsort((out_rows[q], out_distances[q]))  # unused places sort last: their row is the largest
            out_rows[q], out_distances[q] = out_rows[q, best], out_distances[q, best]
            out_rows[q, found:] = -1
            out_counters[q] = scored, 0, found

        self._each(run, len(queries))

    def open_graph(
        self, metric: Metric, rows: DenseRows, inverse_norms: Float32Array | None, arrays: GraphArrays
    ) -> OpenGraph:
        check_graph(metric, rows, inverse_norms, arrays)
        norms = inverse_norms if metric is Metric.COSINE else None
        return OpenGraph(rows, PythonGraph(metric, rows, norms, arrays, CodeQueries(metric, arrays)))

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
        a, ef, words = opened.arrays, min(walk.ef, len(graph.rows)), _NO_WORDS if allowed is None else allowed
        norms = _NO_NORMS if opened.inverse_norms is None else opened.inverse_norms
        arrays = (_graph_codes(opened), a.neighbours, a.entries, _typed(graph.rows), norms)
        skipped = np.full(len(queries), -1) if walk.skipped is None else walk.skipped
        to = walk.narrow
        narrow = (np.float32(to.reach), np.float32(to.least), to.near, to.kept)
        params = (a.add_unit, ef, walk.rescored, walk.detours, narrow, allowed is None, words.view(np.int64))
        is_l2 = opened.metric is Metric.L2

        def part(first: int, last: int) -> None:
            own, asked = (out[first:last] for out in outputs), queries[first:last]
            prepared = opened.queries.prepare(asked, graph_codes_numba.products)
            exact = _prepare(opened.metric, asked, 1)
            asked_of: tuple[Any, ...] = (arrays, is_l2, tuple(prepared), exact, *params, skipped[first:last])
            with watched() as flag:
                graph_numba.search_queries(*(*asked_of, *own, flag))
            check_stop()

        if len(queries):
            self._by_query(part, len(queries), len(queries) * ef * a.neighbours.shape[1] * a.codes.shape[1])

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
        n, codes, add_unit = len(graph.rows), _graph_codes(opened), np.float32(opened.arrays.add_unit)
        listed = NO_LIST if allowed is None else loops.list_allowed(allowed, 0, n)
        scored = n if allowed is None else len(listed)
        most = min(rescored or out_rows.shape[1], scored)
        prepared = opened.queries.prepare(queries, graph_codes_numba.products)

        def run(q: int) -> None:
            heap, heap_rows = np.full(most, np.inf, np.float32), np.full(most, LAST_ROW)
            if most:
                of_query = (prepared.weights[q], prepared.bias[q], prepared.scale[q], add_unit)
                with watched() as flag:
                    graph_codes_numba.scan_query(codes, of_query, n, allowed is None, listed, heap, heap_rows, flag)
                check_stop()
            rescore, own = opened.rescore(self, queries[q : q + 1]), (out[q] for out in outputs)
            graph_numpy.answer(prepared.base[q], heap_rows, heap, rescored, rescore, (0, scored, 0), *own)

        self._each(run, len(queries))

    def graph_builder(self, rows: ByteRows, params: BuildParams, neighbours: UInt32Array) -> GraphBuilder:
        check_graph_builder(rows, params, neighbours)
        return NumbaGraphBuilder(rows, params, neighbours, self._by_query)

    def maxsim_scan(
        self,
        queries: TokenRows,
        rows: TokenRows,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_maxsim_scan(queries, rows, allowed, out_rows, out_distances)
        lanes = [np.ascontiguousarray(query.tokens.T) for query in queries]
        tokens = _typed(rows.tokens)

        def part(listed: Int64Array, begin: int, end: int, heap_rows: Int64Array, heap: Float32Array) -> None:
            asked = (listed, allowed is None, begin, end)
            with watched() as flag:
                for q, query in enumerate(lanes):
                    maxsim_numba.scan(query, tokens, rows.offsets, *asked, heap_rows[q], heap[q], flag)
            check_stop()

        row_bytes = len(queries.tokens) * rows.nbytes // max(1, len(rows))
        self._top_k(part, len(rows), row_bytes, allowed, out_rows, out_distances)
        out_rows[out_rows == LAST_ROW] = -1

    def maxsim_rerank(
        self, queries: TokenRows, rows: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        check_maxsim_rerank(queries, rows, candidates, out_distances)
        tokens = _typed(rows.tokens)

        def run(q: int) -> None:
            lanes = np.ascontiguousarray(queries.row(q).tokens.T)
            with watched() as flag:
                maxsim_numba.rerank(lanes, tokens, rows.offsets, candidates[q], out_distances[q], flag)
            check_stop()

        self._each(run, len(queries))

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

        def run(q: int) -> None:
            own: tuple[Any, ...] = (*(out[q] for out in outputs), tokens_numba.interact)
            tokens_numpy.search(tokens.handle, queries.row(q).tokens, lists, mask, *own)

        self._each(run, len(queries))

    def token_rerank(
        self, tokens: OpenTokens, queries: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        check_token_rerank(tokens.codes, queries, candidates, out_distances)
        opened: PythonTokens = tokens.handle

        def run(q: int) -> None:
            arguments = opened.arguments(queries.row(q).tokens)
            mean = len(arguments[2]) * tokens.codes.dim // max(1, len(tokens.codes))
            for part in slices(candidates.shape[1], len(queries.row(q).tokens) * mean):
                own: tuple[Any, ...] = (tokens.codes.offsets, candidates[q, part], out_distances[q, part])
                tokens_numba.distances(*arguments, *own)

        self._each(run, len(queries))

    def inverse_norms(self, rows: DenseRows, out: Float32Array) -> None:
        check_inverse_norms(rows, out)
        loops.inverse_norms_of(_typed(rows), rows.shape[1], out)
