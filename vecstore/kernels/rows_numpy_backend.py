"""The law for stored rows: dense and binary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import (
    hamming_numpy,
)
from vecstore.kernels.allowed import allowed_rows
from vecstore.kernels.base import (
    Bitmap,
    DenseRows,
    Float32Array,
    Int64Array,
    MihTables,
    UInt8Array,
)
from vecstore.kernels.dense_lists import ListsByCandidates
from vecstore.kernels.numpy_rows import blocks_of, distances_of, merge_into, prepared_queries, widen
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
from vecstore.schema import Metric

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class NumpyRows(ListsByCandidates):
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
        out_rows.fill(-1)
        out_distances.fill(np.inf)
        if out_rows.size == 0:
            return
        prepared = prepared_queries(metric, queries)
        scales = inverse_norms if metric is Metric.COSINE else None
        for block in blocks_of(allowed_rows(allowed, len(rows)), rows.shape[1]):
            wide = widen(rows[block])
            for q, query in enumerate(prepared):
                check_stop()
                distances = distances_of(metric, query, wide, None if scales is None else scales[block])
                merge_into(out_rows[q], out_distances[q], block, distances)

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
        for q, query in enumerate(prepared_queries(metric, queries)):
            check_stop()
            places = np.flatnonzero(candidates[q] >= 0)
            listed = candidates[q, places]
            distances = distances_of(metric, query, widen(rows[listed]), None if scales is None else scales[listed])
            out_distances[q, places] = distances

    def inverse_norms(self, rows: DenseRows, out: Float32Array) -> None:
        check_inverse_norms(rows, out)
        for block in blocks_of(np.arange(len(rows)), rows.shape[1]):
            norms = np.linalg.norm(widen(rows[block]), axis=1)
            inverses = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
            out[block] = np.minimum(inverses, _FLOAT32_MAX)

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
        out_rows.fill(-1)
        out_distances.fill(np.inf)
        if out_rows.size == 0:
            return
        bit_counts = np.array([byte.bit_count() for byte in range(256)], np.uint8)
        for block in blocks_of(allowed_rows(allowed, len(rows)), rows.shape[1]):
            part = rows[block]
            for q, query in enumerate(queries):
                differing = bit_counts[part ^ query].sum(axis=1, dtype=np.int64)
                merge_into(out_rows[q], out_distances[q], block, differing.astype(np.float32))

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
