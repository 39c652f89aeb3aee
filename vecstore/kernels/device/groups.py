"""Which lists meet which queries together, where queries of one batch visit lists of their own.

One pass over all visited lists costs a score for every pair of row and query, most of them for nobody where lists are
many. A group of neighbouring lists meets only the queries that visit one of them, for the price of a few more calls.
Source: specs, gpu section 4.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.arrays import LANES, Device
from vecstore.kernels.device.blocks import Blocks

PRICE = 8 << 20  # scores that cost about what the calls of one more group do (not measured: 1e11 scores/s, 80 us)


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbours among the visited lists, and who visits one of them."""

    lists: NDArray[np.int64]
    queries: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Part:
    """What meets in one product, as a device has it."""

    blocks: Blocks
    queries: Any | None = None  # (s,) int32; left out: all


def groups_of(sizes: NDArray[np.int64], visited: NDArray[np.bool_], price: int) -> list[Group]:
    """Lists of `sizes` places and who visits them, (m, nlist): as many groups as pay their price; none where one pass
    for all queries costs no more."""
    lists = np.flatnonzero(visited.any(axis=0) & (sizes > 0))
    places = sizes[lists].tolist()
    who = [int.from_bytes(bits.tobytes(), "big") for bits in np.packbits(visited[:, lists], axis=0).T]
    starts, cost = [], 0
    rows = asked = needed = 0  # of the group so far: places, its queries' bits, scores that somebody wants
    for at, (own, bits) in enumerate(zip(places, who, strict=True)):
        wanted = own * bits.bit_count()
        if at == 0 or (rows + own) * (asked | bits).bit_count() - needed - wanted > price:
            cost += rows * asked.bit_count() + price
            starts.append(at)
            rows = asked = needed = 0
        rows, asked, needed = rows + own, asked | bits, needed + wanted
    cost += rows * asked.bit_count()
    if cost >= sum(places) * len(visited):
        return []
    return [Group(some, _visitors(visited, some)) for some in np.split(lists, starts[1:])]


def _visitors(visited: NDArray[np.bool_], lists: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.flatnonzero(visited[:, lists].any(axis=1)).astype(np.int32)


def parts_of(device: Device, offsets: NDArray[np.int64], groups: list[Group]) -> list[Part]:
    """Of blocks offsets[list] to the next; two uploads, whatever the number of groups."""
    blocks = [_blocks(offsets, group.lists) for group in groups]
    listed = device.put(np.concatenate(blocks))
    queries = device.put(np.concatenate([group.queries for group in groups]))
    parts, block, query = [], 0, 0
    for own, group in zip(blocks, groups, strict=True):
        run = int(own[-1]) - int(own[0]) + 1 == len(own)
        some = Blocks(int(own[0]), len(own)) if run else Blocks(0, len(own), listed[block : block + len(own)])
        parts.append(Part(some, queries[query : query + len(group.queries)]))
        block, query = block + len(own), query + len(group.queries)
    return parts


def all_visited(device: Device, offsets: NDArray[np.int64], visited: NDArray[np.bool_]) -> Part:
    """The lists that some query visits, for all queries."""
    blocks = _blocks(offsets, np.flatnonzero(visited.any(axis=0)))
    if not len(blocks):
        return Part(Blocks(0, 0))
    if int(blocks[-1]) - int(blocks[0]) + 1 == len(blocks):
        return Part(Blocks(int(blocks[0]), len(blocks)))
    return Part(Blocks(0, len(blocks), device.put(blocks)))


def _blocks(offsets: NDArray[np.int64], lists: NDArray[np.int64]) -> NDArray[np.int64]:
    sizes = offsets[lists + 1] - offsets[lists]
    blocks: NDArray[np.int64] = np.repeat(offsets[lists] - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
    return blocks


def places_of(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    sizes: NDArray[np.int64] = LANES * np.diff(offsets)
    return sizes
