"""The part of the Numba backend that reads quantizers' codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import (
    byte_numba,
    row_numba,
    row_numpy,
    table_numba,
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
from vecstore.kernels.numba_rows import NO_NORMS, NO_WORDS, as_typed
from vecstore.kernels.numba_threads import LAST_ROW, NumbaThreads
from vecstore.kernels.stop import check_stop
from vecstore.kernels.stop_alarm import watched

_NO_BYTES = np.empty((0, 0), np.uint8)
_NO_RUNS = np.empty((0, 2), np.int32)
_NO_DIMS = np.empty(0, np.int32)


def _table_arguments(codes: TableCodes) -> tuple[Any, ...]:
    """The arrays of TableCodes in the order of the loop, empty where a code has none."""
    first = (codes.offsets, codes.counts, codes.rows, codes.blocks, as_typed(codes.factors))
    extra = codes.extra, codes.extra_factors, codes.extra_runs, codes.extra_dims, codes.extra_steps
    none: tuple[NDArray[Any], ...] = (_NO_BYTES, as_typed(codes.factors)[:0, 0], _NO_RUNS, _NO_DIMS, NO_NORMS)
    arrays = [absent if array is None else as_typed(array) for array, absent in zip(extra, none, strict=True)]
    return (*first, codes.table_dims, codes.table_values, codes.extra is not None, *arrays)


class NumbaCodes(NumbaThreads):
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
        words = NO_WORDS if allowed is None else allowed

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
        words = NO_WORDS if allowed is None else allowed

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
