"""The law for graphs."""

from __future__ import annotations

from vecstore.kernels import (
    graph_numpy,
)
from vecstore.kernels.allowed import allowed_mask, allowed_rows
from vecstore.kernels.base import (
    Bitmap,
    DenseRows,
    Float32Array,
    Int64Array,
)
from vecstore.kernels.graph import BuildParams, ByteRows, GraphArrays, GraphBuilder, OpenGraph, UInt32Array, Walk
from vecstore.kernels.graph_build_numpy import NumpyGraphBuilder
from vecstore.kernels.graph_checks import check_graph, check_graph_answers, check_graph_builder, check_walk
from vecstore.kernels.graph_numpy import CodeQuery, PythonGraph
from vecstore.kernels.graph_queries import CodeQueries, products
from vecstore.kernels.rows_numpy_backend import NumpyRows
from vecstore.schema import Metric


class NumpyGraphs(NumpyRows):
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
            code, rescore = CodeQuery(opened, prepared, q), opened.rescore(self.rerank, queries[q : q + 1])
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
            code, rescore = CodeQuery(opened, prepared, q), opened.rescore(self.rerank, queries[q : q + 1])
            graph_numpy.scan_query(code, listed, rescored, rescore, *(out[q] for out in outputs))

    def graph_builder(self, rows: ByteRows, params: BuildParams, neighbours: UInt32Array) -> GraphBuilder:
        check_graph_builder(rows, params, neighbours)
        return NumpyGraphBuilder(rows, params, neighbours)
