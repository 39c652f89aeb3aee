"""The compiled loops of the Numba backend over sparse rows."""

# mypy: ignore-errors
# The bodies are in Numba's language: its compiler types them, a checker of Python misreads scalars and intrinsics.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.numba_loops import _offer, _widen

_MULTIPLIER = np.uint64(0x9E3779B1)
_LOW = np.uint64(0xFFFFFFFF)


@njit(nogil=True, cache=True)
def index_table(indices: Any) -> Any:
    """Slots of an open-addressed table: the index, and its rank or -1; and the shift of its hash."""
    bits = 6
    while (1 << bits) < 8 * len(indices):
        bits += 1
    shift = np.uint64(32 - bits)
    keys, ranks = np.zeros(1 << bits, np.uint32), np.full(1 << bits, -1, np.int64)
    for rank in range(len(indices)):
        at = np.int64(((np.uint64(indices[rank]) * _MULTIPLIER) & _LOW) >> shift)
        while ranks[at] >= 0:
            at = (at + 1) & (len(keys) - 1)
        keys[at], ranks[at] = indices[rank], rank
    return keys, ranks, shift


@njit(nogil=True, cache=True)
def _rank(keys: Any, ranks: Any, shift: Any, index: Any) -> Any:
    at = np.int64(((np.uint64(index) * _MULTIPLIER) & _LOW) >> shift)
    while ranks[at] >= 0 and keys[at] != index:
        at = (at + 1) & (len(keys) - 1)
    return ranks[at]


@njit(nogil=True, cache=True)
def row_distance(
    keys: Any, ranks: Any, shift: Any, weights: Any, indices: Any, values: Any, norm: Any, normed: bool, products: Any,
    held: Any,
) -> Any:  # fmt: skip
    """Minus the score of one row, and whether it shares an index. `held` is all False, and is left so."""
    matched = False
    for i in range(len(indices)):
        rank = _rank(keys, ranks, shift, indices[i])
        if rank < 0:
            continue
        value = _widen(values[i])
        if normed:
            value = value / (value + norm)
        products[rank] = weights[rank] * value
        held[rank] = True
        matched = True
    total = np.float32(0)
    if matched:
        for rank in range(len(weights)):
            if held[rank]:
                total += products[rank]
                held[rank] = False
    distance = np.float32(0) - total
    if not distance <= np.inf:
        distance = np.float32(np.inf)
    return distance, matched


@njit(nogil=True, cache=True)
def scan(
    indices: Any, weights: Any, row_offsets: Any, row_indices: Any, row_values: Any, normed: bool, norms: Any,
    use_list: bool, listed: Any, begin: int, end: int, heap_rows: Any, heap: Any,
) -> None:  # fmt: skip
    """The nearest of rows begin..end-1, or of those listed, to one query whose terms come by weight."""
    keys, ranks, shift = index_table(indices)
    products, held = np.empty(len(weights), np.float32), np.zeros(len(weights), np.bool_)
    for place in range(begin, end):
        row = listed[place] if use_list else place
        low, high = row_offsets[row], row_offsets[row + 1]
        norm = norms[row] if normed else np.float32(0)
        distance, matched = row_distance(
            keys, ranks, shift, weights, row_indices[low:high], row_values[low:high], norm, normed, products, held
        )
        if matched:
            _offer(heap, heap_rows, distance, row)


@njit(nogil=True, cache=True)
def scan_block(
    indices: Any, weights: Any, row_offsets: Any, row_indices: Any, row_values: Any, normed: bool, norms: Any,
    numbers: Any, heap_rows: Any, heap: Any,
) -> None:  # fmt: skip
    """The same of all rows, whose numbers are listed."""
    keys, ranks, shift = index_table(indices)
    products, held = np.empty(len(weights), np.float32), np.zeros(len(weights), np.bool_)
    for row in range(len(numbers)):
        low, high = row_offsets[row], row_offsets[row + 1]
        norm = norms[row] if normed else np.float32(0)
        distance, matched = row_distance(
            keys, ranks, shift, weights, row_indices[low:high], row_values[low:high], norm, normed, products, held
        )
        if matched:
            _offer(heap, heap_rows, distance, numbers[row])


@njit(nogil=True, cache=True)
def unpack(
    row_offsets: Any, flags: Any, lows: Any, starts: Any, highs: Any, listed: Any, offsets: Any, out: Any
) -> None:
    """The places of packed rows (vecstore/packed_sparse.py)."""
    for i in range(len(listed)):
        row = listed[i]
        high, at, following = np.int64(starts[row]), offsets[i], np.uint32(0)
        for entry in range(row_offsets[row], row_offsets[row + 1]):
            gap = np.uint32(lows[entry])
            if flags[entry >> 3] >> (entry & 7) & 1:
                gap |= np.uint32(highs[high]) << np.uint32(8)
                high += 1
            out[at] = following + gap
            following = np.uint32(out[at] + np.uint32(1))
            at += 1


@njit(nogil=True, cache=True)
def rerank(
    indices: Any, weights: Any, row_offsets: Any, row_indices: Any, row_values: Any, normed: bool, norms: Any,
    candidates: Any, out_distances: Any,
) -> None:  # fmt: skip
    keys, ranks, shift = index_table(indices)
    products, held = np.empty(len(weights), np.float32), np.zeros(len(weights), np.bool_)
    for place in range(len(candidates)):
        row = candidates[place]
        out_distances[place] = np.inf
        if row < 0:
            continue
        low, high = row_offsets[row], row_offsets[row + 1]
        norm = norms[row] if normed else np.float32(0)
        distance, matched = row_distance(
            keys, ranks, shift, weights, row_indices[low:high], row_values[low:high], norm, normed, products, held
        )
        if matched:
            out_distances[place] = distance


@njit(nogil=True, cache=True)
def add_list(sums: Any, ids: Any, codes: Any, weight: int, sign: int) -> None:
    for i in range(len(ids)):
        sums[ids[i]] += np.int32(sign * (((weight * np.int32(codes[i])) >> 8) + 1))


@njit(nogil=True, cache=True)
def add_dense(sums: Any, codes: Any, weight: int, sign: int) -> None:
    for i in range(len(codes)):
        sums[i] += np.int32(sign * (((weight * np.int32(codes[i])) >> 8) + np.int32(codes[i] != 0)))


@njit(nogil=True, cache=True)
def kth_sum(sums: Any, flags: Any, above: int, k: int, counts: Any) -> Any:
    """`counts` has a place for every sum."""
    counts[:] = 0
    for i in range(len(sums)):
        if flags[i]:
            counts[sums[i]] += 1
    found = 0
    for value in range(len(counts) - 1, above, -1):
        found += counts[value]
        if found >= k:
            return value
    return above
