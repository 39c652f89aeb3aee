"""The compiled loops of `table_scan` for the Numba backend: float32 tables for pairs of nibbles, one query at a time.

Factors come as float32 or as the bits of float16 in int16. Optional arrays come empty where a code has none.
"""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.numba_loops import _SUMS, _sift_down, _widen, stopped

_LANES = 32
_LAST_ROW = np.iinfo(np.int64).max
_INF = np.float32(np.inf)
_STOP_BLOCKS = 128  # scored between two looks at whether to stop


@njit(nogil=True, cache=True)
def _pair_tables(query: Any, table_dims: Any, table_values: Any, out: Any) -> None:
    """A table of 256 for each byte of codes: the sum of its two nibbles' entries; past the last they add nothing."""
    m = len(table_dims)
    tables = np.zeros((2 * len(out), 16), np.float32)
    for j in range(m):
        for w in range(table_dims.shape[1]):
            dim = table_dims[j, w]
            if dim >= 0:
                for v in range(16):
                    tables[j, v] += query[dim] * table_values[j, w, v]
    for byte in range(len(out)):
        low = tables[2 * byte]
        for high in range(16):
            for v in range(16):
                out[byte, 16 * high + v] = low[v] + tables[2 * byte + 1, high]


@njit(nogil=True, cache=True)
def _weights(query: Any, runs: Any, dims: Any, steps: Any, out: Any) -> Any:
    """What one in each dim's low bits adds to S; returns what their means take away."""
    means = np.float32(0)
    d = 0
    for run in range(len(runs)):
        mean = np.float32(((1 << runs[run, 0]) - 1) / 2)
        for _ in range(runs[run, 1]):
            out[d] = query[dims[d]] * steps[d] if dims[d] >= 0 else np.float32(0)
            means += out[d] * mean
            d += 1
    return means


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _first_sums(pairs: Any, block: Any, sums: Any) -> None:
    """S of the block's 32 rows: a table at a time, so that the compiler gathers for many rows at once."""
    sums[:] = 0
    for group in range(len(block)):
        codes = block[group]
        for byte in range(4):
            table = pairs[4 * group + byte]
            for lane in range(_LANES):
                sums[lane] += table[codes[lane, byte]]


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _low_sum(stored: Any, runs: Any, weights: Any) -> Any:
    """The sum of weight and low bits over a row's runs."""
    total = np.float32(0)
    byte = dim = 0
    for run in range(len(runs)):
        bits, count = runs[run]
        width = count * bits // 8
        mask, codes = np.int32((1 << bits) - 1), stored[byte : byte + width]
        for first in range(0, 8, bits):
            shift, part = np.int32(first), weights[dim : dim + width]
            for i in range(len(part)):
                total += part[i] * np.float32((np.int32(codes[i]) >> shift) & mask)
            dim += width
        byte += width
    return total


@njit(nogil=True, cache=True)
def _keep(distances: Any, rows: Any, lowers: Any, distance: float, row: int, lower: float) -> None:
    """Replace the worst of a heap (worst first, by distance then row) whose entries carry their lower bounds."""
    size = len(rows)
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            distances[other] > distances[child] or (distances[other] == distances[child] and rows[other] > rows[child])
        ):
            child = other
        if distances[child] < distance or (distances[child] == distance and rows[child] < row):
            break
        distances[at], rows[at], lowers[at] = distances[child], rows[child], lowers[child]
        at = child
    distances[at], rows[at], lowers[at] = distance, row, lower


@njit(nogil=True, cache=True)
def scan_query(
    codes: Any,  # codes_numba_backend._table_arguments
    query: Any,
    probes: Any,
    list_add: Any,
    list_radius: Any,
    k: int,
    eps: float,
    every_row: bool,
    allowed: Any,
    heap: Any,
    heap_rows: Any,
    lowers: Any,
    counters: Any,
    flag: Any,
) -> Any:
    """Fill the heap of the m nearest; returns the k-th smallest upper bound, or +inf where there are no bounds."""
    offsets, counts, places_rows, blocks, factors, table_dims, table_values = codes[:7]
    has_extra, extra, extra_factors, runs, extra_dims, extra_steps = codes[7:]
    columns = factors.shape[1]
    last_columns = extra_factors.shape[1] if has_extra else columns
    bounded = eps > 0 and last_columns == 3
    prunes = eps > 0 and columns == 3 and has_extra
    pairs, sums = np.empty((4 * blocks.shape[1], 256), np.float32), np.empty(_LANES, np.float32)
    _pair_tables(query, table_dims, table_values, pairs)
    weights = np.empty(len(extra_dims), np.float32)
    means = _weights(query, runs, extra_dims, extra_steps, weights)
    uppers, upper_rows = np.full(k, _INF), np.full(k, _LAST_ROW)
    heap[:], heap_rows[:], lowers[:] = _INF, _LAST_ROW, _INF
    keep = np.empty(_LANES, np.bool_)
    for p in range(len(probes)):
        if probes[p] < 0:
            continue
        add, radius = list_add[p], np.float32(eps) * list_radius[p]
        left = counts[probes[p]]
        for block in range(offsets[probes[p]], offsets[probes[p] + 1]):
            if block % _STOP_BLOCKS == 0 and stopped(flag):
                return _INF
            lanes = min(_LANES, left)
            left -= lanes
            listed = 0
            for lane in range(lanes):
                row = places_rows[block * _LANES + lane]
                word = np.int64(row >> 6)
                keep[lane] = every_row or (
                    word < len(allowed) and (allowed[word] >> np.uint64(row & 63)) & np.uint64(1) != 0
                )
                listed += keep[lane]
            if listed == 0:
                continue
            counters[0] += listed
            _first_sums(pairs, blocks[block], sums)
            for lane in range(lanes):
                if not keep[lane]:
                    continue
                place = block * _LANES + lane
                total = sums[lane]
                slack = np.float32(0)
                if not has_extra or prunes:
                    distance = add + _widen(factors[block, 0, lane]) * total
                    if columns > 1:
                        distance += _widen(factors[block, 1, lane])
                    if columns > 2:
                        slack = radius * _widen(factors[block, 2, lane])
                    if prunes and distance - slack > min(uppers[0], heap[0]):
                        continue
                if has_extra:
                    counters[1] += 1
                    total += _low_sum(extra[place], runs, weights) - means
                    distance = add + _widen(extra_factors[place, 0]) * total
                    if last_columns > 1:
                        distance += _widen(extra_factors[place, 1])
                    slack = radius * _widen(extra_factors[place, 2]) if last_columns > 2 else np.float32(0)
                if not distance <= _INF:
                    distance = _INF
                row = np.int64(places_rows[place])
                if bounded:
                    if distance - slack > uppers[0]:
                        continue
                    if distance + slack < uppers[0]:
                        _sift_down(uppers, upper_rows, k, distance + slack, row)
                if distance < heap[0] or (distance == heap[0] and row < heap_rows[0]):
                    _keep(heap, heap_rows, lowers, distance, row, distance - slack)
    return uppers[0] if bounded else _INF
