"""The part of the Numba backend that reads stored rows: dense and binary."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import (
    hamming_numba,
)
from vecstore.kernels import numba_loops as loops
from vecstore.kernels.base import (
    Bitmap,
    DenseRows,
    Float32Array,
    Int64Array,
    MihTables,
    UInt8Array,
)
from vecstore.kernels.dense_lists import ListsByCandidates
from vecstore.kernels.numba_rows import NO_NORMS, NO_WORDS, as_typed, padded_queries
from vecstore.kernels.numba_threads import LAST_ROW, NumbaThreads, slices
from vecstore.kernels.row_bytes import RowBytes
from vecstore.kernels.rows_checks import (
    check_hamming_list_scan,
    check_hamming_scan,
    check_inverse_norms,
    check_mih_search,
    check_nearest,
    check_rerank,
    check_scan,
)
from vecstore.kernels.stop import check_stop
from vecstore.kernels.stop_alarm import watched
from vecstore.schema import Metric


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


class NumbaRows(NumbaThreads, ListsByCandidates):
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
        check_scan(metric, queries, rows, inverse_norms, allowed, out_rows, out_distances)
        prepared = padded_queries(metric, queries, 4)
        norms = inverse_norms if inverse_norms is not None and metric is Metric.COSINE else NO_NORMS
        typed = as_typed(rows)
        passes = -(-len(queries) // 4)

        def part(listed: Int64Array, begin: int, end: int, heap_rows: Int64Array, heap: Float32Array) -> None:
            args = (listed, allowed is None, begin, end, heap_rows, heap)
            loops.scan_rows(metric is Metric.L2, prepared, typed, norms, *args)

        self._top_k(part, len(rows), rows.shape[1] * rows.itemsize * passes, allowed, out_rows, out_distances)

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
        prepared = padded_queries(metric, queries, 1)
        norms = inverse_norms if inverse_norms is not None and metric is Metric.COSINE else NO_NORMS
        typed = as_typed(rows)
        for q in range(len(queries)):
            for part in slices(candidates.shape[1], rows.shape[1] * rows.itemsize):
                own = candidates[q, part], out_distances[q, part]
                loops.rerank_rows(metric is Metric.L2, prepared[q], typed, norms, *own)

    def inverse_norms(self, rows: DenseRows, out: Float32Array) -> None:
        check_inverse_norms(rows, out)
        loops.inverse_norms_of(as_typed(rows), rows.shape[1], out)

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
        """By a scan, without looking at bounds."""
        check_nearest(queries, rows, query_bounds, row_bounds, base, out_rows, out_distances)
        self.scan(metric, queries, rows, None, None, out_rows[:, None], out_distances[:, None])
        return len(queries) * len(rows)

    def round_rows(self, metric: Metric, rows: DenseRows, inverse_norms: Float32Array | None) -> RowBytes | None:
        return None

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
        mask = NO_WORDS if allowed is None else allowed
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
        mask = NO_WORDS if allowed is None else allowed

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
