"""The compiled loops of the Numba backend. Importing this file imports Numba; each loop compiles at its first call and
is cached on disk after that.

Row arrays carry their element type in their dtype: float32, int16 (the bits of a float16), uint16 (the bits of a
bfloat16); packed bits are the widest unsigned integers that divide a row.
"""

# mypy: ignore-errors
# The bodies are in Numba's language: its compiler types them, a checker of Python misreads scalars and intrinsics.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Sums may be reordered (so that they become SIMD) and fused; infinities, NaN and division keep their meaning.
_SUMS = {"reassoc", "contract", "nsz"}
_BLOCK_ROWS = 64  # rows whose distances to a tile of queries are held at once
_QUERY_TILE = 4


@intrinsic
def _widen(_context: Any, value: Any) -> Any:
    """A stored element as float32."""

    def same(_context: Any, _builder: Any, _signature: Any, args: Any) -> Any:
        return args[0]

    def half(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    def bfloat(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        high = builder.shl(builder.zext(args[0], ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
        return builder.bitcast(high, ir.FloatType())

    code = {types.float32: same, types.int16: half, types.uint16: bfloat}[value]
    return types.float32(value), code


@intrinsic
def _popcount(_context: Any, word: Any) -> Any:
    """Set bits of an unsigned integer, as int64."""

    def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        count = builder.ctpop(args[0])
        return count if word.bitwidth == 64 else builder.zext(count, ir.IntType(64))

    return types.int64(word), code


@njit(nogil=True, cache=True)
def stopped(flag: Any) -> bool:
    """Whether a loop should end: its caller then finds out by `check_stop`, and what it wrote counts for nothing."""
    left = flag[0]
    if left > 0:
        flag[0] = left - 1 if left > 1 else -1
        return left == 1
    return left < 0


@njit(nogil=True, cache=True)
def list_allowed(allowed: Any, begin: int, end: int) -> Any:
    """Rows in begin..end-1 whose bit is set, ascending; words without bits are skipped."""
    listed = np.empty(end - begin, np.int64)
    count = 0
    row = begin
    while row < end:
        word = allowed[row >> 6] >> np.uint64(row & 63)
        if word == 0:
            row = (row | 63) + 1
            continue
        if word & np.uint64(1):
            listed[count] = row
            count += 1
        row += 1
    return listed[:count]


@njit(nogil=True, cache=True)
def _sift_down(distances: Any, rows: Any, size: int, distance: float, row: int) -> None:
    """Replace the worst of a heap (worst first, by distance then row)."""
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
        distances[at] = distances[child]
        rows[at] = rows[child]
        at = child
    distances[at] = distance
    rows[at] = row


@njit(nogil=True, cache=True)
def _offer(distances: Any, rows: Any, distance: float, row: int) -> None:
    """Keep a candidate if it is among the best. Places start as (+inf, largest row), which anything beats; NaN ranks
    as +inf."""
    if not distance <= np.inf:
        distance = np.float32(np.inf)
    if distance < distances[0] or (distance == distances[0] and row < rows[0]):
        _sift_down(distances, rows, len(rows), distance, row)


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _l2(query: Any, row: Any) -> Any:
    total = np.float32(0)
    for d in range(len(query)):
        difference = query[d] - _widen(row[d])
        total += difference * difference
    return total


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _dot(query: Any, row: Any) -> Any:
    total = np.float32(0)
    for d in range(len(query)):
        total += query[d] * _widen(row[d])
    return total


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _l2_tile(queries: Any, row: Any, out: Any) -> None:
    """One row against four queries: the row is loaded and widened once."""
    q0, q1, q2, q3 = queries[0], queries[1], queries[2], queries[3]
    s0 = s1 = s2 = s3 = np.float32(0)
    for d in range(len(q0)):
        x = _widen(row[d])
        d0, d1, d2, d3 = q0[d] - x, q1[d] - x, q2[d] - x, q3[d] - x
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
    out[0], out[1], out[2], out[3] = s0, s1, s2, s3


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _dot_tile(queries: Any, row: Any, out: Any) -> None:
    q0, q1, q2, q3 = queries[0], queries[1], queries[2], queries[3]
    s0 = s1 = s2 = s3 = np.float32(0)
    for d in range(len(q0)):
        x = _widen(row[d])
        s0 += q0[d] * x
        s1 += q1[d] * x
        s2 += q2[d] * x
        s3 += q3[d] * x
    out[0], out[1], out[2], out[3] = s0, s1, s2, s3


@njit(nogil=True, cache=True)
def _finish(is_l2: bool, total: float, inverse_norms: Any, row: int) -> Any:
    """A sum as a distance; `inverse_norms` is empty unless the metric is cosine."""
    if is_l2:
        return total
    if len(inverse_norms) != 0:
        return np.float32(1) - total * inverse_norms[row]
    return -total


@njit(nogil=True, cache=True)
def scan_rows(
    is_l2: bool,
    queries: Any,
    rows: Any,
    inverse_norms: Any,
    listed: Any,
    every_row: bool,
    begin: int,
    end: int,
    heap_rows: Any,
    heap_distances: Any,
) -> None:
    """Offer rows begin..end-1 (of `listed` unless every_row) to each query's heap. `queries` is padded to tiles."""
    nq = len(heap_rows)
    if nq == 1:
        query = queries[0]
        for i in range(begin, end):
            row = i if every_row else listed[i]
            total = _l2(query, rows[row]) if is_l2 else _dot(query, rows[row])
            _offer(heap_distances[0], heap_rows[0], _finish(is_l2, total, inverse_norms, row), row)
        return
    sums = np.empty(_QUERY_TILE, np.float32)
    for first in range(begin, end, _BLOCK_ROWS):
        for q in range(0, nq, _QUERY_TILE):
            tile = queries[q : q + _QUERY_TILE]
            for i in range(first, min(end, first + _BLOCK_ROWS)):
                row = i if every_row else listed[i]
                if is_l2:
                    _l2_tile(tile, rows[row], sums)
                else:
                    _dot_tile(tile, rows[row], sums)
                for t in range(min(_QUERY_TILE, nq - q)):
                    distance = _finish(is_l2, sums[t], inverse_norms, row)
                    _offer(heap_distances[q + t], heap_rows[q + t], distance, row)


@njit(nogil=True, cache=True)
def _hamming_in_order(query: Any, rows: Any, begin: int, end: int, heap_rows: Any, heap: Any) -> None:
    """One query over rows begin..end-1: without the steps that a mask and further queries need between rows."""
    i = begin
    while i + 4 <= end:
        b0, b1, b2, b3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        n0 = n1 = n2 = n3 = 0
        for w in range(len(query)):
            word = query[w]
            n0 += _popcount(word ^ b0[w])
            n1 += _popcount(word ^ b1[w])
            n2 += _popcount(word ^ b2[w])
            n3 += _popcount(word ^ b3[w])
        if min(n0, n1, n2, n3) <= heap[0]:
            _offer(heap, heap_rows, np.float32(n0), i)
            _offer(heap, heap_rows, np.float32(n1), i + 1)
            _offer(heap, heap_rows, np.float32(n2), i + 2)
            _offer(heap, heap_rows, np.float32(n3), i + 3)
        i += 4
    for last in range(i, end):
        count = 0
        for w in range(len(query)):
            count += _popcount(query[w] ^ rows[last, w])
        _offer(heap, heap_rows, np.float32(count), last)


@njit(nogil=True, cache=True)
def hamming_rows(
    queries: Any,
    rows: Any,
    listed: Any,
    every_row: bool,
    begin: int,
    end: int,
    heap_rows: Any,
    heap_distances: Any,
) -> None:
    if every_row and len(queries) == 1:
        _hamming_in_order(queries[0], rows, begin, end, heap_rows[0], heap_distances[0])
        return
    last = end - 1
    for i in range(begin, end, 4):
        # Four rows at a time, the last one repeated at the end: short rows are bound by the loop's own cost.
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        if not every_row:
            r0, r1, r2, r3 = listed[i], listed[i1], listed[i2], listed[i3]
        else:
            r0, r1, r2, r3 = i, i1, i2, i3
        b0, b1, b2, b3 = rows[r0], rows[r1], rows[r2], rows[r3]
        for q in range(len(queries)):
            query = queries[q]
            n0 = n1 = n2 = n3 = 0
            for w in range(len(query)):
                word = query[w]
                n0 += _popcount(word ^ b0[w])
                n1 += _popcount(word ^ b1[w])
                n2 += _popcount(word ^ b2[w])
                n3 += _popcount(word ^ b3[w])
            if min(n0, n1, n2, n3) > heap_distances[q, 0]:
                continue
            _offer(heap_distances[q], heap_rows[q], np.float32(n0), r0)
            if i1 > i:
                _offer(heap_distances[q], heap_rows[q], np.float32(n1), r1)
            if i2 > i1:
                _offer(heap_distances[q], heap_rows[q], np.float32(n2), r2)
            if i3 > i2:
                _offer(heap_distances[q], heap_rows[q], np.float32(n3), r3)


@njit(nogil=True, cache=True)
def rerank_rows(is_l2: bool, query: Any, rows: Any, inverse_norms: Any, candidates: Any, out: Any) -> None:
    for i in range(len(candidates)):
        row = candidates[i]
        if row < 0:
            out[i] = np.inf
            continue
        total = _l2(query, rows[row]) if is_l2 else _dot(query, rows[row])
        distance = _finish(is_l2, total, inverse_norms, row)
        out[i] = distance if distance <= np.inf else np.float32(np.inf)


@njit(nogil=True, cache=True)
def inverse_norms_of(rows: Any, dim: int, out: Any) -> None:
    """Of the first dim elements. Sums in float64: squares of large or tiny elements leave float32's range."""
    for i in range(len(rows)):
        row = rows[i]
        square = 0.0
        for d in range(dim):
            value = np.float64(_widen(row[d]))
            square += value * value
        out[i] = 0.0 if square == 0.0 else min(1.0 / np.sqrt(square), 3.4028234663852886e38)
