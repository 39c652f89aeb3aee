"""The compiled loop of `graph_search` for the Numba backend: a whole walk, then its rescoring.

Stored rows carry their element type as in numba_loops; bitmaps are int64.
"""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.graph_codes_numba import estimates
from vecstore.kernels.graph_numpy import BRIDGE_EVERY, STARTS
from vecstore.kernels.graph_pool_numba import estimate_of, insert, is_set, key_of, mark, prefetch, row_of
from vecstore.kernels.numba_loops import rerank_rows, stopped

_INF = np.float32(np.inf)
_STOP_HOPS = 64  # between two looks at whether to stop


@njit(nogil=True, cache=True)
def _take_detours(neighbours: Any, found: Any, count: int, refused: Any, allowed: Any, seen: Any) -> Any:
    """In place of found rows that are not allowed, allowed ones next to them, up to a list's length; and some bridges.
    Returns how many there are."""
    degree = neighbours.shape[1]
    nrefused = kept = 0
    for i in range(count):
        row = found[i]
        if is_set(allowed, row):
            found[kept] = row
            kept += 1
        else:
            refused[nrefused] = row
            nrefused += 1
    for i in range(nrefused):
        for j in range(degree):
            if kept == degree:
                break
            row = np.int64(neighbours[refused[i], j])
            if is_set(allowed, row) and not is_set(seen, row):
                mark(seen, row)
                found[kept] = row
                kept += 1
    for i in range(0, nrefused, BRIDGE_EVERY):
        found[kept] = refused[i]
        kept += 1
    return kept


@njit(nogil=True, cache=True)
def _bound(narrow: Any, base: float, keys: Any, place: int) -> Any:
    """How far a candidate at this place, from 1, may be."""
    reach, least, near, _ = narrow
    nearest = estimate_of(keys[near - 1])
    over = np.float32(reach * max(np.float32(base + nearest), least))
    return np.float32(nearest + np.float32(over / np.sqrt(np.float32(place))))


@njit(nogil=True, cache=True)
def _begin(codes: Any, entries: Any, query: Any, seen: Any, keys: Any) -> Any:
    """Of the nearest entries, those that are not seen become the first candidates; returns how many."""
    starts, scores = np.empty(min(STARTS, len(keys), len(entries)), np.int64), np.empty(len(entries), np.float32)
    estimates(codes, query, entries, scores)
    size = 0
    for place in range(len(entries)):
        insert(starts, size, key_of(scores[place], place))
        size = min(size + 1, len(starts))
    kept = 0
    for start in starts[:size]:
        row = np.int64(entries[row_of(start)])
        if not is_set(seen, row):  # an entry may be listed twice
            insert(keys, kept, key_of(estimate_of(start), row))
            kept += 1
            mark(seen, row)
    return kept


@njit(nogil=True, cache=True)
def _walk(
    codes: Any,
    neighbours: Any,
    entries: Any,
    query: Any,
    base: float,
    detours: bool,
    narrow: Any,
    allowed: Any,
    seen: Any,
    found: Any,
    refused: Any,
    scores: Any,
    keys: Any,
    counters: Any,
    flag: Any,
) -> Any:
    """Fill `keys` with the nearest rows met; returns how many."""
    size, cursor = _begin(codes, entries, query, seen, keys), 0
    hops, scored, inserted = 0, len(entries), 0
    reach, kept = narrow[0], narrow[3]
    while True:
        while cursor < size and keys[cursor] & 1 != 0:
            cursor += 1
        if cursor == size or (hops % _STOP_HOPS == 0 and stopped(flag)):
            break
        listed = neighbours[row_of(keys[cursor])]
        keys[cursor] |= 1
        count = 0
        for j in range(len(listed)):
            row = np.int64(listed[j])
            found[count] = row
            count += not is_set(seen, row)
            mark(seen, row)
        if detours:
            count = _take_detours(neighbours, found, count, refused, allowed, seen)
        for i in range(count):
            prefetch(codes[0], found[i])
        hops += 1
        scored += count
        estimates(codes, query, found, scores[:count])
        most = _INF
        if reach > 0 and size >= kept:
            most = max(estimate_of(keys[size - 1]), _bound(narrow, base, keys, size + 1))
        for i in range(count):
            if scores[i] > most:
                continue
            if size == len(keys) and not scores[i] < estimate_of(keys[size - 1]):
                continue
            cursor = min(cursor, insert(keys, size, key_of(scores[i], found[i])))
            size = min(size + 1, len(keys))
            inserted += 1
        while reach > 0 and size > kept and estimate_of(keys[size - 1]) > _bound(narrow, base, keys, size):
            size -= 1
        cursor = min(cursor, size)
    counters[0], counters[1], counters[2] = hops, scored, inserted
    return size


@njit(nogil=True, cache=True)
def search_queries(
    graph: Any,  # the arrays of an open graph
    is_l2: bool,
    prepared: Any,
    queries: Any,  # as rescoring wants them
    add_unit: float,
    ef: int,
    rescored: int,
    detours: bool,
    narrow: Any,
    every_row: bool,
    allowed: Any,
    skipped: Any,  # (nq,)
    out_rows: Any,
    out_distances: Any,
    out_counters: Any,
    flag: Any,
) -> None:
    codes, neighbours, entries, rows, inverse_norms = graph
    weights, biases, scales, bases = prepared
    k, degree = out_rows.shape[1], neighbours.shape[1]
    most = rescored if rescored != 0 else k
    seen = np.empty((len(rows) + 63) // 64, np.int64)
    found, refused = np.empty(2 * degree + 1, np.int64), np.empty(degree, np.int64)
    scores = np.empty(2 * degree + 1, np.float32)
    keys, best = np.empty(ef, np.int64), np.empty(k, np.int64)
    candidates, distances = np.empty(min(most, ef), np.int64), np.empty(min(most, ef), np.float32)
    for q in range(len(queries)):
        query = (weights[q], biases[q], scales[q], np.float32(add_unit))
        seen[:] = 0
        if skipped[q] >= 0:
            mark(seen, skipped[q])
        buffers = (seen, found, refused, scores, keys, out_counters[q], flag)
        how = (bases[q], detours and not every_row, narrow, allowed)
        size = _walk(codes, neighbours, entries, query, *how, *buffers)
        count = 0
        for i in range(size):
            row = row_of(keys[i])
            if count < len(candidates) and (every_row or is_set(allowed, row)):
                candidates[count] = row
                distances[count] = bases[q] + estimate_of(keys[i])
                count += 1
        if rescored != 0:
            rerank_rows(is_l2, queries[q], rows, inverse_norms, candidates[:count], distances[:count])
        out_counters[q, 3] = count if rescored != 0 else 0
        size = 0
        for i in range(count):
            insert(best, size, key_of(distances[i] + np.float32(0), candidates[i]))
            size = min(size + 1, k)
        for i in range(k):
            out_rows[q, i] = row_of(best[i]) if i < size else -1
            out_distances[q, i] = estimate_of(best[i]) if i < size else _INF
