"""Scans of quantized codes: a chunk of codes is unpacked to the numbers it stands for, and meets all queries in one
product. One way for every layout, since all of them are linear in the query: S = <numbers of a code, spread query>.

A query visits lists of its own. A chunk is of lists that some query of the batch visits, and is scored for the queries
that visit one of them; pairs that were not asked for are masked. Source: specs, gpu sections 4.3 to 4.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.masks import mask_of
from vecstore.kernels.device.nearest import Nearest, write_answers

LANES = 32
UNPACKED_BYTES = 64 << 20  # of the numbers of one chunk


class Layout(Protocol):
    """How blocks of codes become numbers."""

    width: int  # numbers of a code

    def spread(self, queries: Float32Array) -> tuple[NDArray[Any], Float32Array]:
        """Queries as they meet the numbers (m, width), and the step (m, 1) that products are multiplied by."""

    def numbers(self, blocks: Any) -> Any:
        """Of the listed blocks (b,), or a slice of them: (b * 32, width)."""

    def factors(self, blocks: Any) -> tuple[Any, Any | None, Any | None]:
        """Scale, add and error of each place (b * 32,), float32."""


@dataclass(frozen=True, slots=True)
class Outputs:
    rows: Int64Array
    distances: Float32Array
    counters: Int64Array

    def of(self, queries: slice) -> Outputs:
        return Outputs(self.rows[queries], self.distances[queries], self.counters[queries])


@dataclass(frozen=True, slots=True)
class Asked:
    """A scan; lists to visit as in `Kernels.table_scan`."""

    offsets: Int64Array
    queries: Float32Array
    probes: NDArray[np.int32]
    list_add: Float32Array
    list_radius: Float32Array | None
    k: int
    eps: float
    allowed: Bitmap | None

    def of(self, part: slice) -> Asked:
        radius = None if self.list_radius is None else self.list_radius[part]
        return Asked(
            self.offsets, self.queries[part], self.probes[part], self.list_add[part], radius, self.k, self.eps,
            self.allowed,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visits:
    """The lists that each query visits, with what their estimates start from; of the lists some query visits."""

    lists: Int64Array  # (l,), ascending
    visited: NDArray[np.bool_]  # (m, l)
    start: Float32Array  # (m, l)
    radius: Float32Array | None  # (m, l)


def visits_of(probes: NDArray[np.int32], list_add: Float32Array, list_radius: Float32Array | None) -> Visits:
    asked, places = np.nonzero(probes >= 0)
    lists, column = np.unique(probes[asked, places], return_inverse=True)
    visited = np.zeros((len(probes), len(lists)), bool)
    start = np.zeros(visited.shape, np.float32)
    visited[asked, column] = True
    start[asked, column] = list_add[asked, places]
    radius = None
    if list_radius is not None:
        radius = np.zeros(visited.shape, np.float32)
        radius[asked, column] = list_radius[asked, places]
    return Visits(lists.astype(np.int64), visited, start, radius)


def upload_lists(device: Device, offsets: Int64Array, counts: Int64Array, rows: NDArray[np.uint32]) -> dict[str, Any]:
    """The row of each place, -1 in padding."""
    numbers = rows.astype(np.int64)
    ends = np.repeat(offsets[:-1] * LANES + counts, np.diff(offsets) * LANES)
    first, last = int(offsets[0]) * LANES, int(offsets[-1]) * LANES
    numbers[:first] = -1
    numbers[last:] = -1
    numbers[first:last][np.arange(first, last) >= ends] = -1
    return {"numbers": device.put(numbers)}


def scan(device: Device, layout: Layout, held: Mapping[str, Any], asked: Asked, outputs: Outputs) -> None:
    queries, allowed, eps = asked.queries, asked.allowed, np.float32(asked.eps)
    visits = visits_of(asked.probes, asked.list_add, asked.list_radius)
    xp = device.xp
    spread, step = layout.spread(queries)
    spread_queries, steps = device.put(spread), device.put(step)
    nearest: Nearest | None = None
    scanned = np.zeros(len(queries), np.int64)
    permitted = None
    if allowed is not None:
        permitted = mask_of(device, allowed, len(allowed) * 64)
    for chunk in _chunks(asked.offsets, visits, layout.width):
        which = np.flatnonzero(visits.visited[:, chunk.lists].any(axis=1))
        blocks = device.put(chunk.blocks)
        numbers = held["numbers"].reshape(-1, LANES)[blocks].ravel()
        usable = numbers >= 0
        if permitted is not None:
            inside = usable & (numbers < len(permitted))
            usable = inside & permitted[xp.where(inside, numbers, 0)] if len(permitted) else inside & False
        scale, add, error = layout.factors(blocks)
        column = device.put(np.repeat(chunk.column, LANES))
        own = device.put(which)
        start = device.put(np.ascontiguousarray(visits.start[which][:, chunk.lists]))[:, column]
        estimates = _estimates(
            start, add, scale, device.products(layout.numbers(blocks), spread_queries[own]) * steps[own]
        )
        estimates = xp.where(xp.isnan(estimates), np.float32(np.inf), estimates)
        seen = device.put(np.ascontiguousarray(visits.visited[which][:, chunk.lists]))[:, column] & usable
        slack = None
        if eps > 0 and error is not None and visits.radius is not None:
            radius = device.put(np.ascontiguousarray(visits.radius[which][:, chunk.lists]))[:, column]
            slack = eps * error * radius
        if nearest is None:
            nearest = Nearest(device, len(queries), asked.k if slack is not None else outputs.rows.shape[1])
        scanned[which] += device.get(seen.sum(axis=1))
        nearest.add(xp.where(seen, estimates, np.float32(np.nan)), numbers, slack, own)
    if nearest is None:
        none = np.empty(0, np.int64)
        write_answers(none, none, none.astype(np.float32), outputs.rows, outputs.distances)
        outputs.counters.fill(0)
        return
    found = [device.get(part) for part in nearest.kept()]
    write_answers(found[0], found[1], found[2], outputs.rows, outputs.distances)
    outputs.counters[:, 0] = scanned
    outputs.counters[:, 1] = 0
    outputs.counters[:, 2] = np.bincount(found[0], minlength=len(queries))


def _estimates(start: Any, add: Any | None, scale: Any, sums: Any) -> Any:
    """In this order, so that every backend gives the same bits where sums are exact."""
    with np.errstate(over="ignore", invalid="ignore"):
        return (start if add is None else start + add) + scale * sums


@dataclass(frozen=True, slots=True)
class _Chunk:
    lists: slice  # of Visits.lists
    blocks: Int64Array
    column: Int64Array  # (b,) the place in `lists` of each block


def _chunks(offsets: Int64Array, visits: Visits, width: int) -> Iterator[_Chunk]:
    """Whole lists, as many as UNPACKED_BYTES hold; a longer list by itself comes in parts."""
    bound = max(1, UNPACKED_BYTES // (4 * LANES * max(1, width)))
    first = offsets[visits.lists]
    sizes = offsets[visits.lists + 1] - first
    ends = np.cumsum(sizes)
    low = 0
    while low < len(sizes):
        before = ends[low] - sizes[low]
        high = max(low + 1, int(np.searchsorted(ends, before + bound, side="right")))
        column = np.repeat(np.arange(high - low), sizes[low:high])
        within = np.arange(len(column)) - np.repeat(np.cumsum(sizes[low:high]) - sizes[low:high], sizes[low:high])
        blocks = first[low:high][column] + within
        for part in range(0, len(blocks), bound):
            some = slice(part, part + bound)
            yield _Chunk(slice(low, high), blocks[some], column[some])
        low = high
