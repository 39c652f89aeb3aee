"""Shape, dtype and layout checks for the backends written in Python; the native backend checks for itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import ByteCodes, MihTables, TableCodes
from vecstore.schema import Metric

_Any = NDArray[Any]
_DENSE_DTYPES = (np.float32, np.float16, np.uint16)


def _check(name: str, array: _Any, dtype: type, shape: tuple[int | None, ...]) -> None:
    if array.dtype != dtype:
        raise ValueError(f"{name} must have dtype {np.dtype(dtype)}, not {array.dtype}")
    _check_shape(name, array, shape)


def _check_lengths(name: str, array: _Any, shape: tuple[int | None, ...]) -> None:
    if array.ndim != len(shape) or any(b is not None and a != b for a, b in zip(array.shape, shape, strict=True)):
        expected = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} has shape {array.shape}, expected ({expected})")


def _check_shape(name: str, array: _Any, shape: tuple[int | None, ...]) -> None:
    _check_lengths(name, array, shape)
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")


def _check_rows(rows: _Any, dim: int | None) -> None:
    if rows.dtype not in _DENSE_DTYPES:
        raise ValueError(f"rows must have dtype float32, float16 or uint16 (bfloat16), not {rows.dtype}")
    _check_lengths("rows", rows, (None, dim))
    n, dim = rows.shape
    if n > 0 and dim > 1 and rows.strides[1] != rows.itemsize:
        raise ValueError("rows must be C-contiguous, but for a stride between them")
    if n > 1 and rows.strides[0] < dim * rows.itemsize:
        raise ValueError("rows must not overlap")


def _check_metric(metric: Metric, inverse_norms: _Any | None, n: int) -> None:
    if metric not in (Metric.L2, Metric.DOT, Metric.COSINE):
        raise ValueError(f"metric {metric} is not one of l2, dot, cosine")
    if metric is Metric.COSINE:
        if inverse_norms is None:
            raise ValueError("cosine needs inverse_norms")
        _check("inverse_norms", inverse_norms, np.float32, (n,))


def _check_top_k(nq: int, n: int, allowed: _Any | None, out_rows: _Any, out_distances: _Any) -> None:
    if allowed is not None:
        _check("allowed", allowed, np.uint64, ((n + 63) // 64,))
    _check("out_rows", out_rows, np.int64, (nq, None))
    _check("out_distances", out_distances, np.float32, (nq, out_rows.shape[1]))


def check_nearest(
    queries: _Any, rows: _Any, query_bounds: _Any, row_bounds: _Any, base: _Any, out_rows: _Any, out_distances: _Any
) -> None:
    nq, n = len(queries), len(rows)
    _check("rows", rows, np.float32, (None, None))
    if n == 0:
        raise ValueError("rows must be 1 to 2^32 - 1, not 0")
    _check("query_bounds", query_bounds, np.float32, (nq, None))
    _check("row_bounds", row_bounds, np.float32, (n, query_bounds.shape[1]))
    _check("base", base, np.float32, (nq,))
    _check("out_rows", out_rows, np.int64, (nq,))
    _check("out_distances", out_distances, np.float32, (nq,))


def check_scan(
    metric: Metric,
    queries: _Any,
    rows: _Any,
    inverse_norms: _Any | None,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
) -> None:
    _check("queries", queries, np.float32, (None, None))
    _check_rows(rows, queries.shape[1])
    _check_metric(metric, inverse_norms, len(rows))
    _check_top_k(len(queries), len(rows), allowed, out_rows, out_distances)


def check_hamming_scan(queries: _Any, rows: _Any, allowed: _Any | None, out_rows: _Any, out_distances: _Any) -> None:
    _check("queries", queries, np.uint8, (None, None))
    _check("rows", rows, np.uint8, (None, queries.shape[1]))
    _check_top_k(len(queries), len(rows), allowed, out_rows, out_distances)


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
    _check("rows", rows, np.uint32, (len(codes),))
    _check("offsets", offsets, np.int64, (None,))
    if len(offsets) and (offsets[0] < 0 or offsets[-1] > len(codes) or (np.diff(offsets) < 0).any()):
        raise ValueError(f"offsets must ascend within 0 and the {len(codes)} codes")
    _check("probes", probes, np.int32, (len(queries), None))
    _check_range("probes", probes, -1, len(offsets) - 2)
    _check("out_scanned", out_scanned, np.int64, (len(queries),))


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
    _check("starts", tables.starts, np.int32, (None,))
    bits = np.diff(tables.starts.astype(np.int64))
    if len(bits) == 0 or bits.min() < 1 or bits.max() > 24:
        raise ValueError("starts must ascend by 1 to 24 bits")
    if tables.starts[0] != 0 or tables.starts[-1] != rows.shape[1] * 8:
        raise ValueError("starts must run from 0 to the bits of a row")
    _check("buckets", tables.buckets, np.uint32, (sum((1 << width) + 1 for width in bits.tolist()),))
    _check("table_rows", tables.rows, np.uint32, (len(bits), len(rows)))
    _check("out_counters", out_counters, np.int64, (len(queries), 3))


def check_rerank(
    metric: Metric, queries: _Any, rows: _Any, inverse_norms: _Any | None, candidates: _Any, out_distances: _Any
) -> None:
    _check("queries", queries, np.float32, (None, None))
    _check_rows(rows, queries.shape[1])
    _check_metric(metric, inverse_norms, len(rows))
    _check("candidates", candidates, np.int64, (len(queries), None))
    _check("out_distances", out_distances, np.float32, candidates.shape)
    _check_range("candidates", candidates, -1, len(rows) - 1)


def check_inverse_norms(rows: _Any, out: _Any) -> None:
    _check_rows(rows, None)
    _check("out", out, np.float32, (len(rows),))


def check_table_scan(
    codes: TableCodes,
    queries: _Any,
    probes: _Any,
    list_add: _Any,
    list_radius: _Any,
    k: int,
    eps: float,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
    out_counters: _Any,
) -> None:
    _check("queries", queries, np.float32, (None, None))
    nq, dim = queries.shape
    _check_table_codes(codes, dim)
    _check("probes", probes, np.int32, (nq, None))
    _check_range("probes", probes, -1, len(codes.counts) - 1)
    _check("list_add", list_add, np.float32, probes.shape)
    _check("list_radius", list_radius, np.float32, probes.shape)
    if allowed is not None:
        _check("allowed", allowed, np.uint64, (None,))
    _check("out_rows", out_rows, np.int64, (nq, None))
    _check("out_distances", out_distances, np.float32, out_rows.shape)
    _check("out_counters", out_counters, np.int64, (nq, 3))
    if not 1 <= k <= out_rows.shape[1]:
        raise ValueError(f"k is {k}, expected 1 to the {out_rows.shape[1]} places of out_rows")
    if not 0 <= eps < np.inf:
        raise ValueError(f"eps is {eps}, expected a finite number of at least 0")


def _check_table_codes(codes: TableCodes, dim: int) -> None:
    m = len(codes.table_dims)
    _check("blocks", codes.blocks, np.uint8, (None, (m + 7) // 8, 32, 4))
    nblocks = len(codes.blocks)
    _check_lists(codes, nblocks)
    _check_factors("factors", codes.factors, 1, (nblocks, None, 32))
    _check_tables(codes, m, dim, 16)
    parts = (codes.extra, codes.extra_factors, codes.extra_runs, codes.extra_dims, codes.extra_steps)
    if all(part is None for part in parts):
        return
    if codes.extra is None or codes.extra_factors is None or codes.extra_runs is None:
        raise ValueError("extra needs extra_factors, extra_runs, extra_dims and extra_steps")
    if codes.extra_dims is None or codes.extra_steps is None:
        raise ValueError("extra needs extra_dims and extra_steps")
    _check("extra_runs", codes.extra_runs, np.int32, (None, 2))
    bits, counts = codes.extra_runs.T.astype(np.int64)
    if not np.isin(bits, (1, 2, 4, 8)).all() or (counts < 0).any() or (counts % 8).any():
        raise ValueError("extra_runs must hold bits of 1, 2, 4 or 8 and counts that are multiples of 8")
    _check("extra", codes.extra, np.uint8, (nblocks * 32, int((bits * counts).sum()) // 8))
    _check_factors("extra_factors", codes.extra_factors, 1, (nblocks * 32, None))
    _check("extra_dims", codes.extra_dims, np.int32, (int(counts.sum()),))
    _check_range("extra_dims", codes.extra_dims, -1, dim - 1)
    _check("extra_steps", codes.extra_steps, np.float32, codes.extra_dims.shape)


def _check_lists(codes: TableCodes | ByteCodes, nblocks: int) -> None:
    _check("counts", codes.counts, np.int64, (None,))
    _check("offsets", codes.offsets, np.int64, (len(codes.counts) + 1,))
    _check("rows", codes.rows, np.uint32, (nblocks * 32,))
    lengths = np.diff(codes.offsets)
    if codes.offsets[0] < 0 or codes.offsets[-1] > nblocks or (lengths < 0).any():
        raise ValueError(f"offsets must ascend within 0 and the {nblocks} blocks")
    if (codes.counts < 0).any() or (codes.counts > lengths * 32).any():
        raise ValueError("counts of rows do not fit the blocks of their lists")


def _check_tables(codes: TableCodes | ByteCodes, m: int, dim: int, entries: int) -> None:
    _check("table_dims", codes.table_dims, np.int32, (m, None))
    _check_range("table_dims", codes.table_dims, -1, dim - 1)
    _check("table_values", codes.table_values, np.float32, (*codes.table_dims.shape, entries))


def check_byte_scan(
    codes: ByteCodes,
    queries: _Any,
    probes: _Any,
    list_add: _Any,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
    out_counters: _Any,
) -> None:
    _check("queries", queries, np.float32, (None, None))
    nq, dim = queries.shape
    _check("codes", codes.codes, np.uint8, (None, None))
    places, m = codes.codes.shape
    _check_lists(codes, places // 32)
    _check("codes", codes.codes, np.uint8, (places // 32 * 32, m))
    _check("factors", codes.factors, np.float32, (places, 2))
    _check_tables(codes, m, dim, 256)
    _check("probes", probes, np.int32, (nq, None))
    _check_range("probes", probes, -1, len(codes.counts) - 1)
    _check("list_add", list_add, np.float32, probes.shape)
    if allowed is not None:
        _check("allowed", allowed, np.uint64, (None,))
    _check("out_rows", out_rows, np.int64, (nq, None))
    if out_rows.shape[1] == 0:
        raise ValueError("out_rows must have room for at least one row")
    _check("out_distances", out_distances, np.float32, out_rows.shape)
    _check("out_counters", out_counters, np.int64, (nq, 3))


def _check_factors(name: str, array: _Any, columns_axis: int, shape: tuple[int | None, ...]) -> None:
    if array.dtype not in (np.float32, np.float16):
        raise ValueError(f"{name} must have dtype float32 or float16, not {array.dtype}")
    _check_shape(name, array, shape)
    if not 1 <= array.shape[columns_axis] <= 3:
        raise ValueError(f"{name} has {array.shape[columns_axis]} columns, expected 1 to 3")


def _check_range(name: str, array: _Any, least: int, most: int) -> None:
    if array.size and not (array.min() >= least and array.max() <= most):
        bad = array[(array < least) | (array > most)].flat[0]
        raise ValueError(f"{name} holds {bad}, which is not in {least}..{most}")
