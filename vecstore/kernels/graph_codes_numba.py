"""Estimates of the Numba backend from short codes, and the scan of a graph's codes.

Headers of codes are float16 in int16.
"""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.graph import LINE
from vecstore.kernels.numba_loops import _offer, _widen, stopped

_CHUNK = 256  # rows of a scan that are estimated together
_STOP_CHUNKS = 32  # between two looks at whether to stop


@njit(nogil=True, cache=True)
def products(queries: Any, rows: Any) -> Any:
    """Exact products of bytes (nq, dim) with bytes (d, dim), rounded once to float32."""
    out = np.empty((len(queries), len(rows)), np.float32)
    for q in range(len(queries)):
        query = queries[q]
        for j in range(len(rows)):
            row = rows[j]
            total = np.int32(0)
            for d in range(len(query)):
                total = np.int32(total + np.int32(query[d]) * np.int32(row[d]))
            out[q, j] = np.float32(total)
    return out


def _line_sums(passes: int) -> Any:
    """A loop for so many passes, which the compiler unrolls and turns into SIMD because it knows how many."""
    step = 8 // passes

    @njit(nogil=True, cache=True)
    def add_line_sums(lines: Any, line: int, mask: Any, weights: Any, rows: Any, sums: Any) -> None:
        for i in range(len(sums)):
            row = rows[i]
            total = np.int32(0)
            for b in range(LINE):
                value, kept = np.int32(lines[row, line, b]), np.int32(mask[b])
                part = np.int32(0)
                for p in range(passes):
                    part = np.int32(part + np.int32((value >> (step * p)) & kept) * np.int32(weights[p, b]))
                total = np.int32(total + part)
            sums[i] += total

    return add_line_sums


_add_of_8, _add_of_4, _add_of_2 = _line_sums(8), _line_sums(4), _line_sums(2)


@njit(nogil=True, cache=True)
def estimates(codes: Any, query: Any, rows: Any, out: Any) -> None:
    """Of the first rows, as many as `out` holds. Many at once: to unpack the tuples costs more than a row."""
    headers, lines, masks, passes = codes
    weights, bias, scale, add_unit = query
    sums = np.zeros(len(out), np.int32)
    first = 0
    for line in range(len(passes)):
        own = weights[first : first + passes[line]]
        if passes[line] == 8:
            _add_of_8(lines, line, masks[line], own, rows, sums)
        elif passes[line] == 4:
            _add_of_4(lines, line, masks[line], own, rows, sums)
        elif passes[line] == 2:
            _add_of_2(lines, line, masks[line], own, rows, sums)
        first += passes[line]
    for i in range(len(out)):
        along = scale * (np.float32(sums[i]) - bias)
        estimate = add_unit * _widen(headers[rows[i], 0]) + _widen(headers[rows[i], 1]) * along
        out[i] = estimate + np.float32(0)  # -0 becomes 0


@njit(nogil=True, cache=True)
def scan_query(
    codes: Any, query: Any, n: int, every_row: bool, listed: Any, heap: Any, heap_rows: Any, flag: Any
) -> None:
    """Offer rows 0..n-1, or those listed, to a heap by their estimates."""
    rows, scores = np.empty(_CHUNK, np.int64), np.empty(_CHUNK, np.float32)
    total = n if every_row else len(listed)
    for begin in range(0, total, _CHUNK):
        if begin // _CHUNK % _STOP_CHUNKS == 0 and stopped(flag):
            return
        count = min(_CHUNK, total - begin)
        for i in range(count):
            rows[i] = begin + i if every_row else listed[begin + i]
        estimates(codes, query, rows, scores[:count])
        for i in range(count):
            _offer(heap, heap_rows, scores[i], rows[i])
