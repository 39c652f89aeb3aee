"""Products of row codes for the Numba backend; the rest of `row_scan` is numpy's."""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.base import RowCodes
from vecstore.kernels.numba_loops import _SUMS, _widen
from vecstore.kernels.row_numpy import _FLOAT8

_BLOCK = 32


def products(codes: RowCodes, query: Any, blocks: Any) -> Any:
    """The product of a query with every row of the listed blocks (blocks, 32)."""
    out = np.empty((len(blocks), _BLOCK), np.float32)
    stored = codes.blocks
    if codes.kind in _FLOAT8:
        _float8_products(stored, blocks, query, _FLOAT8[codes.kind], out)
    elif codes.kind in ("float16", "bfloat16"):
        _half_products(stored.view(np.int16) if codes.kind == "float16" else stored, blocks, query, out)
    else:
        padded = np.zeros(-(-len(query) // 8) * 8, np.int32)
        padded[: len(query)] = query
        if codes.kind == "int8":
            _byte_products(stored, blocks, padded, out)
        else:
            _nibble_products(stored, blocks, padded, codes.levels.astype(np.int32), out)
    return out


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _half_products(stored: Any, blocks: Any, query: Any, out: Any) -> None:
    for b in range(len(blocks)):
        for r in range(_BLOCK):
            row = stored[blocks[b], r]
            total = np.float32(0)
            for d in range(len(query)):
                total += query[d] * _widen(row[d])
            out[b, r] = total


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _float8_products(stored: Any, blocks: Any, query: Any, values: Any, out: Any) -> None:
    for b in range(len(blocks)):
        for r in range(_BLOCK):
            row = stored[blocks[b], r]
            total = np.float32(0)
            for d in range(len(query)):
                total += query[d] * values[row[d]]
            out[b, r] = total


@njit(nogil=True, cache=True)
def _byte_products(stored: Any, blocks: Any, query: Any, out: Any) -> None:
    sums = np.empty(_BLOCK, np.int32)
    for b in range(len(blocks)):
        sums[:] = 0
        for g in range(len(query) // 4):
            four = stored[blocks[b], g]
            q0, q1, q2, q3 = query[4 * g], query[4 * g + 1], query[4 * g + 2], query[4 * g + 3]
            offset = 128 * (q0 + q1 + q2 + q3)
            for r in range(_BLOCK):
                sums[r] += q0 * four[r, 0] + q1 * four[r, 1] + q2 * four[r, 2] + q3 * four[r, 3] - offset
        for r in range(_BLOCK):
            out[b, r] = np.float32(sums[r])


@njit(nogil=True, cache=True)
def _nibble_products(stored: Any, blocks: Any, query: Any, levels: Any, out: Any) -> None:
    sums = np.empty(_BLOCK, np.int32)
    for b in range(len(blocks)):
        sums[:] = 0
        for g in range(len(query) // 8):
            four = stored[blocks[b], g]
            for i in range(4):
                low, high = query[8 * g + 2 * i], query[8 * g + 2 * i + 1]
                for r in range(_BLOCK):
                    sums[r] += low * levels[four[r, i] & 15] + high * levels[four[r, i] >> 4]
        for r in range(_BLOCK):
            out[b, r] = np.float32(sums[r])
