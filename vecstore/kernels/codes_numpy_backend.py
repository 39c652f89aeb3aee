"""The law for quantizers' codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import (
    byte_numpy,
    row_numpy,
    table_numpy,
)
from vecstore.kernels.base import (
    Bitmap,
    ByteCodes,
    Float32Array,
    Int64Array,
    RowCodes,
    TableCodes,
)
from vecstore.kernels.codes_checks import check_byte_scan, check_row_scan, check_table_scan


class NumpyCodes:
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
