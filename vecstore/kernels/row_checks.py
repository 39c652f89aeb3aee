"""Checks of `row_scan` for the backends written in Python."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import CodeKind, RowCodes
from vecstore.kernels.checks import _check, _check_factors, _check_range

_BLOCK = 32
_DTYPES = {"float16": np.float16, "bfloat16": np.uint16}


def check_row_scan(
    codes: RowCodes,
    queries: NDArray[Any],
    probes: NDArray[Any],
    list_add: NDArray[Any],
    allowed: NDArray[Any] | None,
    out_rows: NDArray[Any],
    out_distances: NDArray[Any],
    out_counters: NDArray[Any],
) -> None:
    _check("queries", queries, np.float32, (None, None))
    nq, dim = queries.shape
    _check_row_codes(codes, dim)
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


def _check_row_codes(codes: RowCodes, dim: int) -> None:
    if codes.kind not in get_args(CodeKind):
        raise ValueError(f"kind of codes is {codes.kind}, expected one of {', '.join(get_args(CodeKind))}")
    groups = -(-dim // 8) * (2 if codes.kind == "int8" else 1)
    shape = (None, groups, _BLOCK, 4) if codes.kind in ("int8", "nibble") else (None, _BLOCK, dim)
    _check("blocks", codes.blocks, _DTYPES.get(codes.kind, np.uint8), shape)
    nblocks = len(codes.blocks)
    _check("counts", codes.counts, np.int64, (None,))
    _check("offsets", codes.offsets, np.int64, (len(codes.counts) + 1,))
    _check("rows", codes.rows, np.uint32, (nblocks * _BLOCK,))
    lengths = np.diff(codes.offsets)
    if codes.offsets[0] < 0 or codes.offsets[-1] > nblocks or (lengths < 0).any():
        raise ValueError(f"offsets must ascend within 0 and the {nblocks} blocks")
    if (codes.counts < 0).any() or (codes.counts > lengths * _BLOCK).any():
        raise ValueError("counts of rows do not fit the blocks of their lists")
    if codes.factors.shape[1:2] == (0,):
        _check("factors", codes.factors, np.float32, (nblocks, 0, _BLOCK))
    else:
        _check_factors("factors", codes.factors, 1, (nblocks, None, _BLOCK))
    if codes.query_bytes not in (1, 2) or (codes.query_bytes == 2 and codes.kind != "int8"):
        raise ValueError(f"query_bytes is {codes.query_bytes}, expected 1, or 2 for int8 codes")
    if codes.kind == "nibble":
        if codes.levels is None:
            raise ValueError("nibble codes need levels")
        _check("levels", codes.levels, np.int8, (16,))
