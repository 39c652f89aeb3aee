"""The law of `graph_search` and `graph_scan`: a walk written as it is described, one neighbour list at a time."""

from __future__ import annotations

import math
from bisect import bisect, insort
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import DenseRows, Float32Array, Int64Array
from vecstore.kernels.graph import HEADER, LINE, GraphArrays, Walk
from vecstore.kernels.graph_queries import CodeQueries, Prepared
from vecstore.kernels.stop import check_stop
from vecstore.schema import Metric

STARTS = 4  # entries, the nearest, that a walk begins at
BRIDGE_EVERY = 8  # of refused neighbours, one in so many is walked through where others are replaced
_STOP_ROWS = 1 << 14  # of a scan, between two looks at whether to stop

# Distances of the stored rows to one query.
Rescore = Callable[[Int64Array], Float32Array]


@dataclass(frozen=True, slots=True)
class PythonGraph:
    """A graph opened by a backend that is written in Python."""

    metric: Metric
    rows: DenseRows
    inverse_norms: Float32Array | None
    arrays: GraphArrays
    queries: CodeQueries

    def rescore(self, rerank: Callable[..., None], query: Float32Array) -> Rescore:
        """By the stored rows, for one query (1, dim), with the `rerank` of some kernels."""

        def distances_of(rows: Int64Array) -> Float32Array:
            distances = np.empty(len(rows), np.float32)
            arrays = self.rows, self.inverse_norms, rows[None], distances[None]
            rerank(self.metric, query, *arrays)
            return distances

        return distances_of


class CodeQuery:
    """One query against short codes."""

    def __init__(self, graph: PythonGraph, prepared: Prepared, number: int) -> None:
        passes = graph.queries.passes
        self._graph = graph
        self._lines = np.repeat(np.arange(len(passes)), passes)
        shifts = [8 // of_line * p for of_line in passes.tolist() for p in range(of_line)]
        self._shifts = np.array(shifts, np.uint8)[:, None]
        self._weights = prepared.weights[number].astype(np.int32)
        self._bias, self._scale = prepared.bias[number], prepared.scale[number]
        self.base = prepared.base[number]

    def estimates(self, rows: NDArray[np.integer]) -> Float32Array:
        """What codes say of the rows' distances, less `base`."""
        codes = self._graph.arrays.codes[rows]
        lines = codes.reshape(len(rows), codes.shape[1] // LINE, LINE)[:, self._lines]
        fields = lines >> self._shifts & self._graph.queries.masks[self._lines]
        sums = np.einsum("rpb,pb->r", fields.astype(np.int32), self._weights)
        header = codes[:, :HEADER].copy().view(np.float16).astype(np.float32)
        along = self._scale * (sums.astype(np.float32) - self._bias)
        estimates: Float32Array = np.float32(self._graph.arrays.add_unit) * header[:, 0] + header[:, 1] * along
        return estimates


class _Walk:
    """One query's candidates: (estimate, row), nearest first, at most ef."""

    def __init__(self, graph: PythonGraph, code: CodeQuery, walk: Walk, skipped: int, mask: NDArray[np.bool_]) -> None:
        self._neighbours, self._code, self._mask = graph.arrays.neighbours, code, mask
        self._ef, self._detours, self._narrow = min(walk.ef, len(mask)), walk.detours, walk.narrow
        self._seen = np.zeros(len(mask), bool)
        if skipped >= 0:
            self._seen[skipped] = True
        self._expanded: set[int] = set()
        self.pool: list[tuple[float, int]] = []
        entries = graph.arrays.entries
        self.hops, self.scored, self.kept = 0, len(entries), 0
        nearest = sorted(zip((code.estimates(entries) + 0).tolist(), range(len(entries)), strict=True))
        for estimate, place in nearest[: min(STARTS, self._ef)]:
            if not self._seen[entries[place]]:
                insort(self.pool, (estimate, int(entries[place])))
                self._seen[entries[place]] = True

    def run(self) -> None:
        cursor = 0  # no candidate before it is left to expand
        while cursor < len(self.pool):
            row = self.pool[cursor][1]
            cursor += 1
            if row in self._expanded:
                continue
            check_stop()
            self._expanded.add(row)
            self.hops += 1
            found = self._unseen(self._neighbours[row])
            if self._detours:
                found = self._with_detours(found)
            self.scored += len(found)
            estimates = self._code.estimates(np.array(found, np.int64)) + 0  # -0 becomes 0
            most = self._most()
            for estimate, neighbour in zip(estimates.tolist(), found, strict=True):
                if estimate > most:
                    continue
                if len(self.pool) < self._ef or estimate < self.pool[-1][0]:
                    place = bisect(self.pool, (estimate, neighbour))
                    self.pool.insert(place, (estimate, neighbour))
                    del self.pool[self._ef :]
                    cursor = min(cursor, place)
                    self.kept += 1
            while self._narrow.reach and len(self.pool) > self._narrow.kept:
                if not self.pool[-1][0] > self._bound(len(self.pool)):
                    break
                self.pool.pop()

    def _most(self) -> float:
        """What is farther would come last, and too far for that."""
        if not self._narrow.reach or len(self.pool) < self._narrow.kept:
            return math.inf
        return max(self.pool[-1][0], self._bound(len(self.pool) + 1))

    def _bound(self, place: int) -> float:
        """How far a candidate at this place, from 1, may be."""
        near = np.float32(self.pool[self._narrow.near - 1][0])
        over = np.float32(self._narrow.reach) * max(self._code.base + near, np.float32(self._narrow.least))
        return float(near + over / np.sqrt(np.float32(place)))

    def _unseen(self, rows: NDArray[np.uint32]) -> list[int]:
        """Those met for the first time, in order."""
        found = []
        for row in rows.tolist():
            if not self._seen[row]:
                found.append(row)
                self._seen[row] = True
        return found

    def _with_detours(self, found: list[int]) -> list[int]:
        """In place of rows that are not allowed, allowed ones next to them, up to a list's length; and some bridges."""
        degree = self._neighbours.shape[1]
        allowed = [row for row in found if self._mask[row]]
        refused = [row for row in found if not self._mask[row]]
        for row in refused:
            for other in self._neighbours[row].tolist():
                if len(allowed) < degree and self._mask[other] and not self._seen[other]:
                    allowed.append(other)
                    self._seen[other] = True
        return allowed + refused[::BRIDGE_EVERY]


def search_query(
    graph: PythonGraph,
    code: CodeQuery,
    walk: Walk,
    skipped: int,  # a row that counts as met, -1 for none
    mask: NDArray[np.bool_],
    rescore: Rescore,
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_counters: Int64Array,
) -> None:
    """One query of `graph_search`; `mask` (n,) holds which rows are allowed."""
    walked = _Walk(graph, code, walk, skipped, mask)
    walked.run()
    candidates = [(estimate, row) for estimate, row in walked.pool if mask[row]][: walk.rescored or len(out_rows)]
    rows = np.array([row for _, row in candidates], np.int64)
    estimates = np.array([estimate for estimate, _ in candidates], np.float32)
    counters = walked.hops, walked.scored, walked.kept
    answer(code.base, rows, estimates, walk.rescored, rescore, counters, out_rows, out_distances, out_counters)


def scan_query(
    code: CodeQuery,
    allowed_rows: Int64Array,
    rescored: int,
    rescore: Rescore,
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_counters: Int64Array,
) -> None:
    """One query of `graph_scan`."""
    estimates = np.empty(len(allowed_rows), np.float32)
    for first in range(0, len(allowed_rows), _STOP_ROWS):
        check_stop()
        estimates[first : first + _STOP_ROWS] = code.estimates(allowed_rows[first : first + _STOP_ROWS])
    nearest = np.lexsort((allowed_rows, estimates))[: rescored or len(out_rows)]
    rows, counters = allowed_rows[nearest], (0, len(allowed_rows), 0)
    answer(code.base, rows, estimates[nearest], rescored, rescore, counters, out_rows, out_distances, out_counters)


def answer(
    base: np.float32,
    rows: Int64Array,
    estimates: Float32Array,
    rescored: int,
    rescore: Rescore,
    counters: tuple[int, int, int],
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_counters: Int64Array,
) -> None:
    """Write a query's candidates, rescored unless that is 0, in order of (distance, row)."""
    distances = rescore(rows) if rescored else base + estimates
    best = np.lexsort((rows, distances))[: len(out_rows)]
    out_rows.fill(-1)
    out_distances.fill(np.inf)
    out_rows[: len(best)], out_distances[: len(best)] = rows[best], distances[best]
    out_counters[:] = *counters, len(rows) if rescored else 0
