"""Checks of what scans stored rows, for the backends written in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.array_checks import (
    check,
    check_metric,
    check_range,
    check_rows,
    check_top_k,
)
from vecstore.kernels.base import MihTables
from vecstore.schema import Metric

_Any = NDArray[Any]


def check_nearest(
    queries: _Any, rows: _Any, query_bounds: _Any, row_bounds: _Any, base: _Any, out_rows: _Any, out_distances: _Any
) -> None:
    nq, n = len(queries), len(rows)
    check("rows", rows, np.float32, (None, None))
    if n == 0:
        raise ValueError("rows must be 1 to 2^32 - 1, not 0")
    check("query_bounds", query_bounds, np.float32, (nq, None))
    check("row_bounds", row_bounds, np.float32, (n, query_bounds.shape[1]))
    check("base", base, np.float32, (nq,))
    check("out_rows", out_rows, np.int64, (nq,))
    check("out_distances", out_distances, np.float32, (nq,))


def check_scan(
    metric: Metric,
    queries: _Any,
    rows: _Any,
    inverse_norms: _Any | None,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
) -> None:
    check("queries", queries, np.float32, (None, None))
    check_rows(rows, queries.shape[1])
    check_metric(metric, inverse_norms, len(rows))
    check_top_k(len(queries), len(rows), allowed, out_rows, out_distances)


def check_hamming_scan(queries: _Any, rows: _Any, allowed: _Any | None, out_rows: _Any, out_distances: _Any) -> None:
    check("queries", queries, np.uint8, (None, None))
    check("rows", rows, np.uint8, (None, queries.shape[1]))
    check_top_k(len(queries), len(rows), allowed, out_rows, out_distances)


def check_hamming_list_scan(
    queries: _Any,
    codes: _Any,
    rows: _Any,
    offsets: _Any,
    probes: _Any,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
    out_scanned: _Any,
) -> None:
    check_hamming_scan(queries, codes, allowed, out_rows, out_distances)
    check("rows", rows, np.uint32, (len(codes),))
    _check_probed(len(queries), len(codes), offsets, probes, out_scanned)


def check_dense_list_scan(
    metric: Metric,
    queries: _Any,
    rows: _Any,
    inverse_norms: _Any | None,
    list_rows: _Any,
    offsets: _Any,
    probes: _Any,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
    out_scanned: _Any,
) -> None:
    check_scan(metric, queries, rows, inverse_norms, allowed, out_rows, out_distances)
    check("list_rows", list_rows, np.uint32, (None,))
    check_range("list_rows", list_rows, 0, len(rows) - 1)
    _check_probed(len(queries), len(list_rows), offsets, probes, out_scanned)


def _check_probed(nq: int, places: int, offsets: _Any, probes: _Any, out_scanned: _Any) -> None:
    check("offsets", offsets, np.int64, (None,))
    if len(offsets) and (offsets[0] < 0 or offsets[-1] > places or (np.diff(offsets) < 0).any()):
        raise ValueError(f"offsets must ascend within 0 and the {places} places of lists")
    check("probes", probes, np.int32, (nq, None))
    check_range("probes", probes, -1, len(offsets) - 2)
    check("out_scanned", out_scanned, np.int64, (nq,))


def check_mih_search(
    queries: _Any,
    rows: _Any,
    tables: MihTables,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
    out_counters: _Any,
) -> None:
    check_hamming_scan(queries, rows, allowed, out_rows, out_distances)
    check("starts", tables.starts, np.int32, (None,))
    bits = np.diff(tables.starts.astype(np.int64))
    if len(bits) == 0 or bits.min() < 1 or bits.max() > 24:
        raise ValueError("starts must ascend by 1 to 24 bits")
    if tables.starts[0] != 0 or tables.starts[-1] != rows.shape[1] * 8:
        raise ValueError("starts must run from 0 to the bits of a row")
    check("buckets", tables.buckets, np.uint32, (sum((1 << width) + 1 for width in bits.tolist()),))
    check("table_rows", tables.rows, np.uint32, (len(bits), len(rows)))
    check("out_counters", out_counters, np.int64, (len(queries), 3))


def check_rerank(
    metric: Metric, queries: _Any, rows: _Any, inverse_norms: _Any | None, candidates: _Any, out_distances: _Any
) -> None:
    check("queries", queries, np.float32, (None, None))
    check_rows(rows, queries.shape[1])
    check_metric(metric, inverse_norms, len(rows))
    check("candidates", candidates, np.int64, (len(queries), None))
    check("out_distances", out_distances, np.float32, candidates.shape)
    check_range("candidates", candidates, -1, len(rows) - 1)


def check_inverse_norms(rows: _Any, out: _Any) -> None:
    check_rows(rows, None)
    check("out", out, np.float32, (len(rows),))
