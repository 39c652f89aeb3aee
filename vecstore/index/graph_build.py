"""The neighbour lists of a graph: carve, join, prune (native/src/graph_builder.h), a part at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vecstore.index.base import Progress
from vecstore.index.graph_resume import JOIN, LISTS, PRUNE, Edges, Resumable
from vecstore.index.graph_rows import byte_rows, distinct, taken
from vecstore.index.resident import aligned_empty
from vecstore.index.stored_rows import StoredRows
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.kernels.device.neighbours import ASKED, NearestRows
from vecstore.kernels.graph import BuildParams, ByteRows, GraphBuilder, UInt32Array
from vecstore.kernels.places import entered

DEGREE = 48
MERGE_FANOUT = (6, 2, 1)  # where most edges are known
KNOWN_SHARE = 0.5  # of the rows
LEAF_ROWS, LEAF_ROWS_MIN = 2048, 256
LEAVES_MIN = 16  # in fewer, the nearest of every leaf are the same rows, and lists do not fill
BRANCHES = 4  # edges from a row to others that equal it
_LEAVES, _ROWS = 64, 8192  # of one step
ON_DEVICE = 16384, 1 << 22  # rows, from and to: below they are few for a device, above their products too many
log = logging.getLogger("vecstore.index")


def neighbours_of(
    source: StoredRows,
    mean: Float32Array,
    degree: int,
    known: tuple[UInt32Array, Int64Array] | None,
    kernels: Kernels,
    progress: Progress,
) -> UInt32Array:
    """(n, degree). `known` has the lists of another graph, (m, degree), and where its rows stand here (m,), or -1."""
    rows = byte_rows(source, mean, progress)
    kept = distinct(rows)
    rows = taken(rows, kept.rows)
    n = len(rows.bytes)
    lists = aligned_empty((n, degree), np.uint32)
    params = BuildParams(leaf_rows=min(LEAF_ROWS, max(LEAF_ROWS_MIN, n // LEAVES_MIN)))
    edges = None
    if known is not None:
        edges = _translated(*known, kept.rows, len(source))
        if len(edges[0]) >= KNOWN_SHARE * n:
            params = replace(params, fanout=MERGE_FANOUT)
    builder = kernels.graph_builder(rows, params, lists)
    _fill(builder, rows, params, edges, lists, progress)
    del builder, rows, edges  # what is left to do takes memory, too
    return _with_equals(lists, kept.rows, kept.again, kept.first, len(source))


def _fill(
    builder: GraphBuilder, rows: ByteRows, params: BuildParams, edges: Edges | None, lists: UInt32Array,
    progress: Progress,
) -> None:  # fmt: skip
    """From the start, or from where a build of the same graph was interrupted."""
    n = len(lists)
    work = Resumable(builder, rows, params, edges, lists)
    phase, done = work.restored(progress)
    if phase == LISTS:
        return
    if phase == JOIN:
        if edges is not None or done or not _nearest_on_device(builder, rows, params, progress):
            progress("carve", 0, 1)
            leaves = builder.carve()
            if edges is not None and not done:
                builder.seed(*edges)
            _steps("join", builder.join, done, leaves, _LEAVES, progress, lambda joined: work.passed(JOIN, joined))
        done = 0
        work.passed(PRUNE, done)
    _steps("prune", builder.prune, done, n, _ROWS, progress, lambda pruned: work.passed(PRUNE, pruned))
    work.passed(PRUNE, n)
    builder.reverse()
    _steps("finish", builder.finish, 0, n, _ROWS, progress)
    work.passed(LISTS, n)


def _nearest_on_device(builder: GraphBuilder, rows: ByteRows, params: BuildParams, progress: Progress) -> bool:
    """Each row's nearest of all, from the device that the build has entered: what carving and joining leaves is for.
    False: there is none, or they do not fit."""
    place, n = entered(), len(rows.bytes)
    if place is None or not ON_DEVICE[0] <= n <= ON_DEVICE[1]:
        return False
    try:
        nearest = NearestRows(place.device, rows)
        for low in range(0, n, ASKED):
            progress("nearest rows", low, n)
            asked = np.arange(low, min(n, low + ASKED), dtype=np.uint32)
            builder.seed(asked, nearest.of(low, low + len(asked), min(n, params.reservoir + 1)))
    except MemoryError:
        log.warning("the nearest of %d rows do not fit into %s: the host joins leaves", n, place.device.name)
        return False
    return True


def _steps(
    phase: str, step: Callable[[int, int], None], begin: int, total: int, size: int, progress: Progress,
    passed: Callable[[int], None] | None = None,
) -> None:  # fmt: skip
    for low in range(begin, total, size):
        progress(phase, low, total)
        high = min(total, low + size)
        step(low, high)
        if passed is not None and high < total:  # what comes next keeps the end
            passed(high)
    progress(phase, total, total)


def _translated(lists: UInt32Array, where: Int64Array, kept: Int64Array, n: int) -> tuple[UInt32Array, UInt32Array]:
    """Rows that are still here and their edges, numbered as in `kept`; own numbers for none. The first neighbour that
    is gone is replaced by its own neighbours (FreshDiskANN, arXiv 2105.09613, section 5)."""
    number = np.full(n, -1, np.int64)
    number[kept] = np.arange(len(kept))
    now = np.where(where >= 0, number[np.maximum(where, 0)], -1)
    old = np.flatnonzero(now >= 0)
    own = now[old]
    targets = now[lists[old]]
    gone = np.argmax(targets < 0, axis=1)  # the first one that is gone
    around = now[lists[lists[old, gone]]]
    around[targets[np.arange(len(old)), gone] >= 0] = -1
    both = np.concatenate([targets, around], axis=1)
    both = np.where(both < 0, own[:, None], both)
    return own.astype(np.uint32), np.ascontiguousarray(both.astype(np.uint32))


def _with_equals(lists: UInt32Array, kept: Int64Array, again: Int64Array, first: Int64Array, n: int) -> UInt32Array:
    """Lists of all rows. Equal rows form a tree of BRANCHES edges each, below the first of them; the rest of a list is
    the first row's, so that a walk finds all of a large group and is never caught in it."""
    if not len(again):
        return lists
    degree = lists.shape[1]
    out = aligned_empty((n, degree), np.uint32)
    for low in range(0, len(kept), _ROWS):
        part = slice(low, low + _ROWS)
        out[kept[part]] = kept[lists[part]]
    order = np.argsort(first, kind="stable")
    again, first = again[order], first[order]
    starts = np.flatnonzero(np.append(True, first[1:] != first[:-1]))
    sizes = np.diff(np.append(starts, len(first)))
    place = np.arange(len(first)) - np.repeat(starts, sizes) + 1  # in its group, the first row being 0
    size = np.repeat(sizes, sizes) + 1
    root = kept[first]
    out[again] = out[root]
    out[again, 0] = root
    group_start = np.repeat(starts, sizes)
    for branch in range(BRANCHES):
        child = BRANCHES * place + 1 + branch
        has = child < size
        out[again[has], degree - 1 - branch] = again[group_start[has] + child[has] - 1]
        roots = starts[sizes > branch]
        out[kept[first[roots]], degree - 1 - branch] = again[roots + branch]
    return out
