"""Candidates by a graph's codes: a walk or a scan, as a plan says, and what is done where a walk finds too few."""

from __future__ import annotations

import numpy as np

from vecstore.index.base import EXACT_SCAN, Candidates
from vecstore.index.graph_plan import SCAN_DEPTH, Plan, without_end
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.graph import COUNTERS, OpenGraph, Walk

STRATEGIES = {"walk": "", "detours": "graph_detours", "scan": "graph_scan", "exact": EXACT_SCAN}
_RESCORED = COUNTERS.index("rows_rescored")


def candidates(
    kernels: Kernels, graph: OpenGraph, n: int, queries: Float32Array, k: int, how: Plan, rescored: int,
    allowed: Bitmap | None,
) -> Candidates:  # fmt: skip
    """k candidates for each query among n rows, the best `rescored` by their stored values. Plan "exact" is not for
    codes."""
    nq = len(queries)
    rows, distances = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)
    counters = np.empty((nq, len(COUNTERS)), np.int64)
    if how.how == "scan":
        kernels.graph_scan(graph, queries, rescored, allowed, rows, distances, counters)
        return Candidates(rows, distances, _counted(counters, how.how), how.recall, STRATEGIES["scan"])
    walk = Walk(how.ef, rescored, how.how == "detours", how.narrow)
    kernels.graph_search(graph, queries, walk, allowed, rows, distances, counters)
    found = Candidates(rows, distances, _counted(counters, how.how), how.recall, STRATEGIES[how.how])
    thin = rows[:, -1] < 0
    if allowed is not None and rescored:
        thin |= counters[:, _RESCORED] < rescored
    which = np.flatnonzero(thin)
    if not len(which):
        return found
    asked = np.ascontiguousarray(queries[which])
    if allowed is not None and how.narrow.reach:
        again = candidates(kernels, graph, n, asked, k, without_end(how), rescored, allowed)
    else:
        again = _scanned(kernels, graph, min(SCAN_DEPTH * rescored, n), asked, k, allowed)
    _replace(found, which, again)
    return found


def _scanned(
    kernels: Kernels, graph: OpenGraph, rescored: int, queries: Float32Array, k: int, allowed: Bitmap | None
) -> Candidates:
    """For queries whose walk met too few allowed rows: these lie away from the query, and the nearest of them may be
    anywhere."""
    rows, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    counters = np.empty((len(queries), len(COUNTERS)), np.int64)
    kernels.graph_scan(graph, queries, rescored, allowed, rows, distances, counters)
    return Candidates(rows, distances, _counted(counters, "scan"))


def _replace(found: Candidates, which: Int64Array, again: Candidates) -> None:
    """Some queries' answers by those of another search."""
    found.rows[which], found.distances[which] = again.rows, again.distances
    for name, count in again.counters.items():
        found.counters[name] = found.counters.get(name, 0) + count


def _counted(counters: Int64Array, how: str) -> dict[str, int]:
    hops, scored, kept, rescored = (counters[0] if len(counters) == 1 else counters.sum(axis=0)).tolist()
    return {
        "hops": hops, "codes_scored": scored, "candidates_kept": kept, "rows_rescored": rescored,
        "rows_scanned": scored, f"by_{how}": len(counters),
    }  # fmt: skip
