"""Scans of quantized codes: every layout is linear in the query, S = <numbers of a code, spread query>, so that a batch
meets a chunk of unpacked codes in one product; a few queries look their sums up in tables instead.

A query visits lists of its own. What is scanned is the lists that some query of the batch visits, for all of them, or
group by group for those that visit one of the group (`groups.py`): a query's terms of a list it does not visit are not
numbers. Source: specs, gpu sections 4.3 to 4.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array
from vecstore.kernels.device.arrays import LANES, Device
from vecstore.kernels.device.blocks import Blocks
from vecstore.kernels.device.groups import PRICE, Part, all_visited, groups_of, parts_of, places_of
from vecstore.kernels.device.nearest import Nearest, chunk_rows, padded, write_answers
from vecstore.kernels.device.shortlist import Terms

UNPACKED_BYTES = 64 << 20  # of the numbers of one chunk


class Asked(Protocol):
    """A batch as it meets the codes of a layout."""

    lines: int  # of products of all queries, at most
    unpacked: int  # bytes of a place while its products are made

    def products(self, blocks: Blocks, queries: Any | None) -> tuple[Any, Any]:
        """Of some queries, (s,) int32, or of all: (p * s, places) float32 or int32, and the steps (p * m,) float32 of
        all queries by which they are multiplied."""


@dataclass(frozen=True, slots=True)
class Outputs:
    rows: Int64Array
    distances: Float32Array
    counters: Int64Array

    def of(self, queries: slice | Int64Array) -> Outputs:
        return Outputs(self.rows[queries], self.distances[queries], self.counters[queries])


@dataclass(frozen=True, slots=True)
class Visits:
    """Lists to visit, as in `Kernels.table_scan`."""

    probes: NDArray[np.int32]
    add: Float32Array
    radius: Float32Array | None
    k: int
    eps: float
    allowed: Bitmap | None
    way: int = 0  # tells batches apart that are alike but for how the codes are asked

    def of(self, part: slice | Int64Array, nlist: int) -> Visits:
        radius = None if self.radius is None else self.radius[part]
        probes = lists_of(self.probes, part, nlist)
        return Visits(probes, self.add[part], radius, self.k, self.eps, self.allowed, self.way)

    def by_list(self, values: Float32Array, nlist: int, rest: float) -> Float32Array:
        """(m, nlist): a value of each visited list, `rest` elsewhere."""
        out = np.full((len(self.probes), nlist), rest, np.float32)
        asked, places = np.nonzero(self.probes >= 0)
        out[asked, self.probes[asked, places]] = values[asked, places]
        return out


def lists_of(probes: NDArray[np.int32], part: slice | Int64Array, nlist: int) -> NDArray[np.int32]:
    """The lists (m, nprobe) that a run of queries visits. Where they are listed, for a trial, a query that comes again
    visits other lists, as another query would."""
    own = probes[part]
    if isinstance(part, slice):
        return own
    again = np.arange(len(own), dtype=np.int32)[:, None] // max(1, len(probes))
    moved: NDArray[np.int32] = np.where(own >= 0, (own + again * own.shape[1]) % max(1, nlist), own).astype(np.int32)
    return moved


def scan(
    device: Device,
    held: Mapping[str, Any],
    offsets: Int64Array,
    counts: Int64Array,
    queries: Float32Array,
    ask: Callable[[Any], Asked],
    visits: Visits,
    outputs: Outputs,
) -> Int64Array:
    """The queries left to the host; `ask` readies queries that are on the device."""
    places, nlist = outputs.rows.shape[1], len(counts)
    starts = visits.by_list(visits.add, nlist, np.nan)
    visited = ~np.isnan(starts)
    groups = groups_of(places_of(offsets), visited, PRICE)
    parts = parts_of(device, offsets, groups) if groups else [all_visited(device, offsets, visited)]
    inputs: tuple[NDArray[Any], ...] = (queries, starts)
    if visits.eps > 0 and visits.radius is not None and "error" in held:
        inputs = (*inputs, visits.by_list(np.float32(visits.eps) * visits.radius, nlist, 0.0))
    blocks = parts[0].blocks
    if visits.allowed is None and not groups and blocks.listed is None:

        def queue(*asked: Any) -> tuple[Any, Any]:
            return _queued(device, held, ask, asked, parts, None, places, visits.k)[:2]

        inputs = tuple(map(padded, inputs))
        key = (places, visits.k, visits.way, len(inputs[0]), len(inputs), blocks.first, blocks.count)
        found, within = device.replayed(held["plans"], key, inputs, queue)
        of_lists: NDArray[Any] = counts
    else:
        permitted = None if visits.allowed is None else device.put(np.ascontiguousarray(visits.allowed))
        asked = tuple(map(device.put, inputs))
        *answers, scanned = _queued(device, held, ask, asked, parts, permitted, places, visits.k)
        found, within = map(device.get, answers)
        of_lists = counts if permitted is None else device.get(scanned)
    lost = write_answers(found, outputs.rows, outputs.distances)
    outputs.counters[:, 0] = visited.astype(np.float64) @ of_lists.astype(np.float64)
    outputs.counters[:, 1] = 0
    outputs.counters[:, 2] = within[: len(queries)]
    return lost


def _queued(
    device: Device,
    held: Mapping[str, Any],
    ask: Callable[[Any], Asked],
    inputs: tuple[Any, ...],
    parts: list[Part],
    permitted: Any | None,
    places: int,
    k: int,
) -> tuple[Any, Any, Any]:
    """The answers, how many candidates each query had, and the permitted rows of each list. Waits for nothing."""
    xp, (queries, start), spread = device.xp, inputs[:2], inputs[2] if len(inputs) > 2 else None
    asked, nlist = ask(queries), start.shape[1]
    step = min(chunk_rows(device, asked.lines), max(1, UNPACKED_BYTES // max(1, asked.unpacked)))
    step = max(LANES, step // LANES * LANES)
    nearest = Nearest(device, len(queries), places if spread is None else k, step, spread is not None)
    scanned = xp.zeros(nlist, np.int64)
    for some, who in _chunks(parts, nearest, step):
        numbers, column = _of_places(held, "numbers", some), _of_places(held, "column", some)
        products, steps = asked.products(some, who)
        terms = Terms(
            steps,
            start,
            spread,
            column if nlist > 1 else None,
            _of_places(held, "add", some),
            _of_places(held, "scale", some),
            _of_places(held, "error", some) if spread is not None else None,
            numbers,
            allowed=permitted,
            queries=who,
        )
        nearest.take(products, terms)
        if permitted is not None:
            scanned += xp.bincount(column[_usable(xp, numbers, permitted)], minlength=nlist)
    within = nearest.close().counts.copy()
    if spread is not None:
        device.settle(nearest.short)
    return nearest.answer(places), within, scanned


def _chunks(parts: list[Part], nearest: Nearest, step: int) -> Iterator[tuple[Blocks, Any | None]]:
    """At most `step` places of a part at a time, the first few of a single one; and its queries."""
    for part in parts:
        n = part.blocks.count * LANES
        whole = (slice(low, min(n, low + step)) for low in range(0, n, step))
        for some in nearest.chunks(n, step) if len(parts) == 1 else whole:
            yield part.blocks.part(some.start // LANES, some.stop // LANES), part.queries


def _of_places(held: Mapping[str, Any], name: str, blocks: Blocks) -> Any:
    """What is held of each place of the blocks; None where it is not."""
    return blocks.of(held[name].reshape(-1, LANES)).ravel() if name in held else None


def _usable(xp: Any, numbers: Any, permitted: Any) -> Any:
    inside = (numbers >= 0) & (numbers < 64 * len(permitted))
    if not len(permitted):
        return inside
    safe = xp.where(inside, numbers, 0)
    return inside & ((permitted[safe >> 6] >> (safe & 63).astype(np.uint64)) & np.uint64(1)).astype(bool)
