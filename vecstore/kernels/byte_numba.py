"""The compiled loop of `byte_scan` for the Numba backend: one query, list after list, four chains of look-ups a row."""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.numba_loops import _offer, stopped

_LANES = 32
_LAST_ROW = np.iinfo(np.int64).max
_STOP_ROWS = 4096  # scored between two looks at whether to stop


@njit(nogil=True, cache=True)
def _tables(query: Any, table_dims: Any, table_values: Any, out: Any) -> None:
    for j in range(len(table_dims)):
        table = out[j]
        table[:] = 0
        for w in range(table_dims.shape[1]):
            if table_dims[j, w] >= 0:
                x, values = query[table_dims[j, w]], table_values[j, w]
                for v in range(256):
                    table[v] += x * values[v]


@njit(nogil=True, cache=True)
def _row_sum(tables: Any, code: Any) -> Any:
    a = b = c = d = np.float32(0)
    whole = len(code) // 4 * 4
    for j in range(0, whole, 4):
        a += tables[j, code[j]]
        b += tables[j + 1, code[j + 1]]
        c += tables[j + 2, code[j + 2]]
        d += tables[j + 3, code[j + 3]]
    for j in range(whole, len(code)):
        a += tables[j, code[j]]
    return (a + b) + (c + d)


@njit(nogil=True, cache=True)
def scan_query(
    codes: Any,  # the arrays of ByteCodes
    query: Any,
    probes: Any,
    list_add: Any,
    every_row: bool,
    allowed: Any,
    heap: Any,
    heap_rows: Any,
    flag: Any,
) -> int:
    """Fill the heap of the m nearest; returns how many rows were scored."""
    offsets, counts, rows, stored, factors, table_dims, table_values = codes
    tables = np.empty((len(table_dims), 256), np.float32)
    _tables(query, table_dims, table_values, tables)
    heap[:], heap_rows[:] = np.float32(np.inf), _LAST_ROW
    scored = 0
    for p in range(len(probes)):
        if probes[p] < 0:
            continue
        first = offsets[probes[p]] * _LANES
        for place in range(first, first + counts[probes[p]]):
            if (place - first) % _STOP_ROWS == 0 and stopped(flag):
                return scored
            row = rows[place]
            word = np.int64(row >> 6)
            if not every_row and (word >= len(allowed) or (allowed[word] >> np.uint64(row & 63)) & np.uint64(1) == 0):
                continue
            scored += 1
            distance = (list_add[p] + factors[place, 1]) + factors[place, 0] * _row_sum(tables, stored[place])
            _offer(heap, heap_rows, distance, np.int64(row))
    return scored
