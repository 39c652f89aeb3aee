"""The compiled loops of the Numba backend over packed bits: probed lists, and multi-index hashing.

Each query's places are a heap, worst first, that the caller puts in order.
"""

# mypy: ignore-errors
# The bodies are in Numba's language: its compiler types them, a checker of Python misreads scalars and intrinsics.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.numba_loops import _offer, _popcount, stopped

_LAST_ROW = np.iinfo(np.int64).max
_STOP_ROWS = 4096  # compared between two looks at whether to stop
_STOP_BUCKETS = 1024  # looked up


@njit(nogil=True, cache=True)
def _differing(query: Any, row: Any) -> int:
    total = 0
    for w in range(len(query)):
        total += _popcount(query[w] ^ row[w])
    return total


@njit(nogil=True, cache=True)
def _is_allowed(masked: bool, mask: Any, row: int) -> bool:
    return not masked or (mask[row >> 6] >> np.uint64(row & 63)) & np.uint64(1) != 0


@njit(nogil=True, cache=True)
def list_scan(
    queries: Any,
    codes: Any,
    rows: Any,
    offsets: Any,
    probes: Any,
    masked: bool,
    mask: Any,
    heap_rows: Any,
    heap_distances: Any,
    scanned: Any,
    flag: Any,
) -> None:
    for q in range(len(queries)):
        query = queries[q]
        heap_rows[q] = _LAST_ROW
        heap_distances[q] = np.inf
        scanned[q] = 0
        for p in range(probes.shape[1]):
            if probes[q, p] < 0:
                continue
            first, last = offsets[probes[q, p]], offsets[probes[q, p] + 1]
            scanned[q] += last - first
            for place in range(first, last):
                if (place - first) % _STOP_ROWS == 0 and stopped(flag):
                    return
                distance = _differing(query, codes[place])
                row = np.int64(rows[place])
                if distance <= heap_distances[q, 0] and _is_allowed(masked, mask, row):
                    _offer(heap_distances[q], heap_rows[q], np.float32(distance), row)


@njit(nogil=True, cache=True)
def _chunk_of(packed: Any, begin: int, end: int) -> int:
    word = 0
    for byte in range(begin // 8, (end + 7) // 8):
        word |= np.int64(packed[byte]) << ((byte - begin // 8) * 8)
    return (word >> (begin % 8)) & ((1 << (end - begin)) - 1)


@njit(nogil=True, cache=True)
def _next_of_same_weight(flips: int) -> int:
    """The next larger number with as many bits (Gosper)."""
    lowest = flips & -flips
    ripple = flips + lowest
    return ripple | (((flips ^ ripple) >> 2) // lowest)


@njit(nogil=True, cache=True)
def _words_at(bits: int, radius: int) -> int:
    """How many words of `bits` bits have `radius` of them set."""
    words = 1
    for i in range(radius):
        words = words * (bits - i) // (i + 1)
    return words


@njit(nogil=True, cache=True)
def mih_search(
    packed_queries: Any,
    queries: Any,
    codes: Any,
    starts: Any,
    buckets: Any,
    rows: Any,
    max_distance: int,
    budget: int,
    masked: bool,
    mask: Any,
    heap_rows: Any,
    heap_distances: Any,
    counters: Any,
    flag: Any,
) -> None:
    chunks = len(starts) - 1
    seen = np.zeros((len(codes) + 63) // 64, np.uint64)
    touched = np.empty(min(len(codes), budget + 1), np.int64)
    for q in range(len(queries)):
        query = queries[q]
        heap_rows[q] = _LAST_ROW
        heap_distances[q] = np.inf
        looked_up = compared = radius = chunk = base = 0
        proven = over = False
        while not proven and not over:
            bits = starts[chunk + 1] - starts[chunk]
            own = _chunk_of(packed_queries[q], starts[chunk], starts[chunk + 1])
            flips = (1 << radius) - 1 if radius <= bits else 1 << bits
            over = flips < 1 << bits and looked_up + compared + _words_at(bits, radius) > budget
            while not over and flips < 1 << bits:
                bucket = base + (own ^ flips)
                first, last = np.int64(buckets[bucket]), np.int64(buckets[bucket + 1])
                looked_up += 1
                if looked_up % _STOP_BUCKETS == 0 and stopped(flag):
                    return
                if looked_up + compared + (last - first) > budget:
                    over = True
                    break
                for i in range(first, last):
                    row = np.int64(rows[chunk, i])
                    bit = np.uint64(1) << np.uint64(row & 63)
                    if seen[row >> 6] & bit or not _is_allowed(masked, mask, row):
                        continue
                    seen[row >> 6] |= bit
                    touched[compared] = row
                    compared += 1
                    distance = _differing(query, codes[row])
                    if distance <= max_distance:
                        _offer(heap_distances[q], heap_rows[q], np.float32(distance), row)
                if flips == 0:
                    break
                flips = _next_of_same_weight(flips)
            # What is unseen now differs in more than chunks * radius + chunk bits.
            if min(heap_distances[q, 0], max_distance) <= chunks * radius + chunk:
                proven = not over
            base += (1 << bits) + 1
            chunk += 1
            if chunk == chunks:
                chunk, base, radius = 0, 0, radius + 1
        for i in range(compared):
            seen[touched[i] >> 6] = 0
        counters[q, 0] = looked_up
        counters[q, 1] = compared
        counters[q, 2] = proven
