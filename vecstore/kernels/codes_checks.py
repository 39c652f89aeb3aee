"""Checks of what scans codes in lists, for the backends written in Python."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.array_checks import (
    check,
    check_range,
    check_shape,
)
from vecstore.kernels.base import ByteCodes, CodeKind, RowCodes, TableCodes

_Any = NDArray[Any]
_InLists = TableCodes | ByteCodes | RowCodes
_BLOCK = 32
_DTYPES = {"float16": np.float16, "bfloat16": np.uint16}


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
    check("queries", queries, np.float32, (None, None))
    _check_table_codes(codes, queries.shape[1])
    _check_visit(codes, queries, probes, list_add, allowed, out_rows, out_distances, out_counters)
    check("list_radius", list_radius, np.float32, probes.shape)
    if not 1 <= k <= out_rows.shape[1]:
        raise ValueError(f"k is {k}, expected 1 to the {out_rows.shape[1]} places of out_rows")
    if not 0 <= eps < np.inf:
        raise ValueError(f"eps is {eps}, expected a finite number of at least 0")


def _check_table_codes(codes: TableCodes, dim: int) -> None:
    m = len(codes.table_dims)
    check("blocks", codes.blocks, np.uint8, (None, (m + 7) // 8, 32, 4))
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
    check("extra_runs", codes.extra_runs, np.int32, (None, 2))
    bits, counts = codes.extra_runs.T.astype(np.int64)
    if not np.isin(bits, (1, 2, 4, 8)).all() or (counts < 0).any() or (counts % 8).any():
        raise ValueError("extra_runs must hold bits of 1, 2, 4 or 8 and counts that are multiples of 8")
    check("extra", codes.extra, np.uint8, (nblocks * 32, int((bits * counts).sum()) // 8))
    _check_factors("extra_factors", codes.extra_factors, 1, (nblocks * 32, None))
    check("extra_dims", codes.extra_dims, np.int32, (int(counts.sum()),))
    check_range("extra_dims", codes.extra_dims, -1, dim - 1)
    check("extra_steps", codes.extra_steps, np.float32, codes.extra_dims.shape)


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
    check("queries", queries, np.float32, (None, None))
    dim = queries.shape[1]
    check("codes", codes.codes, np.uint8, (None, None))
    places, m = codes.codes.shape
    _check_lists(codes, places // 32)
    check("codes", codes.codes, np.uint8, (places // 32 * 32, m))
    check("factors", codes.factors, np.float32, (places, 2))
    _check_tables(codes, m, dim, 256)
    _check_visit(codes, queries, probes, list_add, allowed, out_rows, out_distances, out_counters)


def check_row_scan(
    codes: RowCodes,
    queries: _Any,
    probes: _Any,
    list_add: _Any,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
    out_counters: _Any,
) -> None:
    check("queries", queries, np.float32, (None, None))
    _check_row_codes(codes, queries.shape[1])
    _check_visit(codes, queries, probes, list_add, allowed, out_rows, out_distances, out_counters)


def _check_row_codes(codes: RowCodes, dim: int) -> None:
    if codes.kind not in get_args(CodeKind):
        raise ValueError(f"kind of codes is {codes.kind}, expected one of {', '.join(get_args(CodeKind))}")
    groups = -(-dim // 8) * (2 if codes.kind == "int8" else 1)
    shape = (None, groups, _BLOCK, 4) if codes.kind in ("int8", "nibble") else (None, _BLOCK, dim)
    check("blocks", codes.blocks, _DTYPES.get(codes.kind, np.uint8), shape)
    nblocks = len(codes.blocks)
    _check_lists(codes, nblocks)
    if codes.factors.shape[1:2] == (0,):
        check("factors", codes.factors, np.float32, (nblocks, 0, _BLOCK))
    else:
        _check_factors("factors", codes.factors, 1, (nblocks, None, _BLOCK))
    if codes.query_bytes not in (1, 2) or (codes.query_bytes == 2 and codes.kind != "int8"):
        raise ValueError(f"query_bytes is {codes.query_bytes}, expected 1, or 2 for int8 codes")
    if codes.kind == "nibble":
        if codes.levels is None:
            raise ValueError("nibble codes need levels")
        check("levels", codes.levels, np.int8, (16,))


def _check_visit(
    codes: _InLists, queries: _Any, probes: _Any, list_add: _Any, allowed: _Any | None, out_rows: _Any,
    out_distances: _Any, out_counters: _Any,
) -> None:  # fmt: skip
    """Which lists are visited, and where answers go."""
    nq = len(queries)
    check("probes", probes, np.int32, (nq, None))
    check_range("probes", probes, -1, len(codes.counts) - 1)
    check("list_add", list_add, np.float32, probes.shape)
    if allowed is not None:
        check("allowed", allowed, np.uint64, (None,))
    check("out_rows", out_rows, np.int64, (nq, None))
    if out_rows.shape[1] == 0:
        raise ValueError("out_rows must have room for at least one row")
    check("out_distances", out_distances, np.float32, out_rows.shape)
    check("out_counters", out_counters, np.int64, (nq, 3))


def _check_lists(codes: _InLists, nblocks: int) -> None:
    check("counts", codes.counts, np.int64, (None,))
    check("offsets", codes.offsets, np.int64, (len(codes.counts) + 1,))
    check("rows", codes.rows, np.uint32, (nblocks * _BLOCK,))
    lengths = np.diff(codes.offsets)
    if codes.offsets[0] < 0 or codes.offsets[-1] > nblocks or (lengths < 0).any():
        raise ValueError(f"offsets must ascend within 0 and the {nblocks} blocks")
    if (codes.counts < 0).any() or (codes.counts > lengths * _BLOCK).any():
        raise ValueError("counts of rows do not fit the blocks of their lists")


def _check_tables(codes: TableCodes | ByteCodes, m: int, dim: int, entries: int) -> None:
    check("table_dims", codes.table_dims, np.int32, (m, None))
    check_range("table_dims", codes.table_dims, -1, dim - 1)
    check("table_values", codes.table_values, np.float32, (*codes.table_dims.shape, entries))


def _check_factors(name: str, array: _Any, columns_axis: int, shape: tuple[int | None, ...]) -> None:
    if array.dtype not in (np.float32, np.float16):
        raise ValueError(f"{name} must have dtype float32 or float16, not {array.dtype}")
    check_shape(name, array, shape)
    if not 1 <= array.shape[columns_axis] <= 3:
        raise ValueError(f"{name} has {array.shape[columns_axis]} columns, expected 1 to 3")
