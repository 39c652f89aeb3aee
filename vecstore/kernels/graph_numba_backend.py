"""The part of the Numba backend that builds and walks graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import (
    graph_codes_numba,
    graph_numba,
    graph_numpy,
)
from vecstore.kernels import numba_loops as loops
from vecstore.kernels.base import (
    Bitmap,
    DenseRows,
    Float32Array,
    Int64Array,
)
from vecstore.kernels.graph import LINE, BuildParams, ByteRows, GraphArrays, GraphBuilder, OpenGraph, UInt32Array, Walk
from vecstore.kernels.graph_build_numba import NumbaGraphBuilder
from vecstore.kernels.graph_checks import check_graph, check_graph_answers, check_graph_builder, check_walk
from vecstore.kernels.graph_numpy import PythonGraph
from vecstore.kernels.graph_queries import CodeQueries
from vecstore.kernels.numba_rows import NO_NORMS, NO_WORDS, as_typed, padded_queries
from vecstore.kernels.numba_threads import LAST_ROW, NO_LIST
from vecstore.kernels.rows_numba_backend import NumbaRows
from vecstore.kernels.stop import check_stop
from vecstore.kernels.stop_alarm import watched
from vecstore.schema import Metric


def _graph_codes(graph: PythonGraph) -> tuple[NDArray[Any], ...]:
    """Headers, lines, masks and passes: how the loops read codes."""
    codes, layout = graph.arrays.codes, graph.queries
    return codes.view(np.int16), codes.reshape(len(codes), -1, LINE), layout.masks, layout.passes


class NumbaGraphs(NumbaRows):
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
        a, ef, words = opened.arrays, min(walk.ef, len(graph.rows)), NO_WORDS if allowed is None else allowed
        norms = NO_NORMS if opened.inverse_norms is None else opened.inverse_norms
        arrays = (_graph_codes(opened), a.neighbours, a.entries, as_typed(graph.rows), norms)
        skipped = np.full(len(queries), -1) if walk.skipped is None else walk.skipped
        to = walk.narrow
        narrow = (np.float32(to.reach), np.float32(to.least), to.near, to.kept)
        params = (a.add_unit, ef, walk.rescored, walk.detours, narrow, allowed is None, words.view(np.int64))
        is_l2 = opened.metric is Metric.L2

        def part(first: int, last: int) -> None:
            own, asked = (out[first:last] for out in outputs), queries[first:last]
            prepared = opened.queries.prepare(asked, graph_codes_numba.products)
            exact = padded_queries(opened.metric, asked, 1)
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
            rescore, own = opened.rescore(self.rerank, queries[q : q + 1]), (out[q] for out in outputs)
            graph_numpy.answer(prepared.base[q], heap_rows, heap, rescored, rescore, (0, scored, 0), *own)

        self._each(run, len(queries))

    def graph_builder(self, rows: ByteRows, params: BuildParams, neighbours: UInt32Array) -> GraphBuilder:
        check_graph_builder(rows, params, neighbours)
        return NumbaGraphBuilder(rows, params, neighbours, self._by_query)
