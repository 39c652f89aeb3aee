"""Searches over packed bits in numpy: probed lists, and multi-index hashing. The law for the other backends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, MihTables, UInt8Array
from vecstore.kernels.stop import check_stop

_STOP_ROWS = 1 << 14  # compared between two looks at whether to stop
_BIT_COUNTS = np.array([byte.bit_count() for byte in range(256)], np.uint8)


def _is_allowed(allowed: Bitmap | None, rows: Int64Array) -> NDArray[np.bool_]:
    if allowed is None:
        return np.ones(len(rows), np.bool_)
    mask: NDArray[np.bool_] = (allowed[rows >> 6] >> (rows & 63).astype(np.uint64)) & np.uint64(1) != 0
    return mask


def _differing(query: UInt8Array, rows: UInt8Array) -> Int64Array:
    counts: Int64Array = _BIT_COUNTS[rows ^ query].sum(axis=1, dtype=np.int64)
    return counts


def _write(out_rows: Int64Array, out_distances: Float32Array, rows: Int64Array, distances: Int64Array) -> None:
    """The nearest candidates by (distance, row) to one query's places."""
    best = np.lexsort((rows, distances))[: len(out_rows)]
    out_rows.fill(-1)
    out_distances.fill(np.inf)
    out_rows[: len(best)] = rows[best]
    out_distances[: len(best)] = distances[best]


def list_scan(
    queries: UInt8Array,
    codes: UInt8Array,
    rows: NDArray[np.uint32],
    offsets: Int64Array,
    probes: NDArray[np.int32],
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_scanned: Int64Array,
) -> None:
    for q, query in enumerate(queries):
        parts = [np.arange(offsets[i], offsets[i + 1]) for i in probes[q] if i >= 0]
        places = np.concatenate(parts) if parts else np.empty(0, np.int64)
        out_scanned[q] = len(places)
        places = places[_is_allowed(allowed, rows[places].astype(np.int64))]
        differing = np.empty(len(places), np.int64)
        for first in range(0, len(places), _STOP_ROWS):
            check_stop()
            part = slice(first, first + _STOP_ROWS)
            differing[part] = _differing(query, codes[places[part]])
        _write(out_rows[q], out_distances[q], rows[places].astype(np.int64), differing)


def chunk_values(packed: UInt8Array, begin: int, end: int) -> NDArray[np.uint32]:
    """Bits begin..end-1 (at most 24) of each packed row as a number, the first bit lowest."""
    values = np.zeros(len(packed), np.uint32)
    for byte in range(begin // 8, -(-end // 8)):
        values |= packed[:, byte].astype(np.uint32) << np.uint32((byte - begin // 8) * 8)
    chunk: NDArray[np.uint32] = (values >> np.uint32(begin % 8)) & np.uint32((1 << (end - begin)) - 1)
    return chunk


def _words_around(word: int, bits: int, radius: int) -> Iterator[int]:
    """Words that differ from `word` in `radius` of `bits` bits; the numbers of the flipped bits ascend."""
    flips = sorted(sum(1 << bit for bit in chosen) for chosen in combinations(range(bits), radius))
    return (word ^ flip for flip in flips)


class _Probe:
    """One query's walk over the tables."""

    def __init__(self, query: UInt8Array, rows: UInt8Array, tables: MihTables, allowed: Bitmap | None) -> None:
        self.query, self.rows, self.tables, self.allowed = query, rows, tables, allowed
        self.bits = np.diff(tables.starts).tolist()
        self.firsts = np.concatenate(([0], np.cumsum([(1 << bits) + 1 for bits in self.bits]))).tolist()
        self.seen = np.zeros(len(rows), np.bool_)
        self.candidates = np.empty(0, np.int64)
        self.distances = np.empty(0, np.int64)
        self.looked_up = 0

    def look_up(self, chunk: int, radius: int, budget: int) -> bool:
        """Take in all rows whose chunk is at `radius` bits from the query's. False when over the budget."""
        tables = self.tables
        if self.looked_up + len(self.candidates) + comb(self.bits[chunk], radius) > budget:
            return False
        word = int(chunk_values(self.query[None], int(tables.starts[chunk]), int(tables.starts[chunk + 1]))[0])
        found = []
        taken = len(self.candidates)
        within_budget = True
        for bucket in _words_around(word, self.bits[chunk], radius):
            check_stop()
            at = self.firsts[chunk] + bucket
            first, last = int(tables.buckets[at]), int(tables.buckets[at + 1])
            self.looked_up += 1
            if self.looked_up + taken + (last - first) > budget:
                within_budget = False
                break
            listed = tables.rows[chunk, first:last].astype(np.int64)
            new = listed[~self.seen[listed] & _is_allowed(self.allowed, listed)]
            self.seen[new] = True
            found.append(new)
            taken += len(new)
        new = np.concatenate(found) if found else np.empty(0, np.int64)
        self.candidates = np.concatenate((self.candidates, new))
        self.distances = np.concatenate((self.distances, _differing(self.query, self.rows[new])))
        return within_budget

    def search(self, k: int, max_distance: int, budget: int) -> bool:
        """Whether the answer is proven: what is unseen once chunks 0..j are done with radius r differs in more than
        chunks * r + j bits."""
        chunks = len(self.bits)
        for radius in range(max(self.bits) + 1):
            for chunk in range(chunks):
                if radius <= self.bits[chunk] and not self.look_up(chunk, radius, budget):
                    return False
                needed = max_distance
                if len(self.distances) >= k:
                    needed = min(needed, int(np.partition(self.distances, k - 1)[k - 1]))
                if needed <= chunks * radius + chunk:
                    return True
        return True


def mih_search(
    queries: UInt8Array,
    rows: UInt8Array,
    tables: MihTables,
    max_distance: int,
    budget: int,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_counters: Int64Array,
) -> None:
    if out_rows.size == 0:
        return
    for q, query in enumerate(queries):
        probe = _Probe(query, rows, tables, allowed)
        exact = probe.search(out_rows.shape[1], max_distance, budget)
        near = probe.distances <= max_distance
        _write(out_rows[q], out_distances[q], probe.candidates[near], probe.distances[near])
        out_counters[q] = probe.looked_up, len(probe.candidates), exact
