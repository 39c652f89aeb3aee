"""The rows of parts as `vecstore.kernels.seismic` describes them, written and read by numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.seismic import BLOCK, GROUP, OCTETS, ONE, SeismicArrays

Int64Array = NDArray[np.int64]
UInt8Array = NDArray[np.uint8]
UInt16Array = NDArray[np.uint16]

_ENTRIES = 1 << 20  # that are written at a time


@dataclass(frozen=True, slots=True)
class Entries:
    """Of some parts, not in their order."""

    parts: Int64Array  # each entry's, counted from the first of these
    places: Int64Array  # in the block
    codes: UInt8Array


@dataclass(frozen=True, slots=True)
class Encoded:
    words: UInt16Array  # (parts,) `part_records` but for where records begin
    sizes: Int64Array  # (parts,) bytes of each record, 0 for none
    records: UInt8Array


def encoded(places: UInt8Array, codes: UInt8Array, held: Int64Array) -> Encoded:
    """Parts of so many entries each, whose places ascend."""
    none = Encoded(np.empty(0, np.uint16), np.empty(0, np.int64), np.empty(0, np.uint8))
    ends = np.cumsum(held)
    made = [none]
    for low, high in _runs(ends):
        few = slice(int(ends[low] - held[low]), int(ends[high - 1]))
        made.append(_encoded(places[few], codes[few], held[low:high]))
    return Encoded(*(np.concatenate([getattr(one, name) for one in made]) for name in ("words", "sizes", "records")))


def _runs(ends: Int64Array) -> Iterator[tuple[int, int]]:
    """Parts of not too many entries together."""
    low = 0
    while low < len(ends):
        reach = (ends[low - 1] if low else 0) + _ENTRIES
        high = max(low + 1, int(np.searchsorted(ends, reach, side="right")))
        yield low, high
        low = high


def _encoded(places: UInt8Array, codes: UInt8Array, held: Int64Array) -> Encoded:
    words, single = np.zeros(len(held), np.uint16), held == 1
    first = np.cumsum(held) - held
    words[single] = ONE | places[first[single]].astype(np.uint16) << 8 | codes[first[single]]
    several = ~np.repeat(single, held)
    places, codes, counts = places[several], codes[several], held[~single]
    sizes = np.zeros(len(held), np.int64)
    if not len(places):
        return Encoded(words, sizes, np.empty(0, np.uint8))
    part = np.repeat(np.arange(len(counts)), counts)
    octet = part * OCTETS + places // 8
    octets = np.flatnonzero(np.concatenate(([True], octet[1:] != octet[:-1])))  # the first entry of each
    bits = np.bitwise_or.reduceat(np.left_shift(np.uint8(1), places % 8), octets)
    used = np.bincount(part[octets], minlength=len(counts))
    before = np.cumsum(used) - used
    tops = np.bitwise_or.reduceat(np.left_shift(np.uint8(1), places[octets] // 8), before)
    sizes[~single] = 1 + used + counts
    begins = np.cumsum(1 + used + counts) - (1 + used + counts)
    records = np.empty(int(sizes.sum()), np.uint8)
    records[begins] = tops
    records[np.arange(len(octets)) + np.repeat(begins + 1 - before, used)] = bits
    records[np.arange(len(codes)) + np.repeat(begins + 1 + used - (np.cumsum(counts) - counts), counts)] = codes
    return Encoded(words, sizes, records)


def placed(words: UInt16Array, sizes: Int64Array) -> tuple[UInt16Array, Int64Array]:
    """`part_records` and `record_bases` of records one after another."""
    starts = np.cumsum(sizes) - sizes
    bases = np.ascontiguousarray(starts[::GROUP])
    within = (starts - np.repeat(bases, GROUP)[: len(starts)]).astype(np.uint16)
    return np.where(words & ONE, words, within), bases


def rows_of(records: UInt8Array, starts: Int64Array) -> tuple[UInt8Array, Int64Array]:
    """(m, OCTETS) which rows the records that begin there have, and (m,) where their codes begin."""
    flags = np.unpackbits(records[starts][:, None], axis=1, bitorder="little")
    at = starts[:, None] + np.cumsum(flags, axis=1, dtype=np.int64)
    return np.where(flags == 1, records[at], 0), at[:, -1] + 1


def counts_of(a: SeismicArrays, parts: Int64Array) -> Int64Array:
    """How many entries each of these parts has."""
    counts = np.ones(len(parts), np.int64)
    several = np.flatnonzero(a.part_records[parts] & ONE == 0)
    octets, _ = rows_of(a.records, a.starts(parts[several]))
    counts[several] = np.bitwise_count(octets).sum(axis=1, dtype=np.int64)
    return counts


def decoded(a: SeismicArrays, parts: Int64Array) -> Entries:
    """The entries of these parts."""
    words = a.part_records[parts]
    ones, several = np.flatnonzero(words & ONE), np.flatnonzero(words & ONE == 0)
    octets, codes = rows_of(a.records, a.starts(parts[several]))
    bits = np.unpackbits(octets, axis=1, bitorder="little").reshape(-1, BLOCK)
    record, places = np.nonzero(bits)
    at = codes[record] - 1 + np.cumsum(bits, axis=1, dtype=np.int64)[record, places]
    return Entries(
        np.concatenate((ones, several[record])),
        np.concatenate(((words[ones] >> 8 & 63).astype(np.int64), places)),
        np.concatenate(((words[ones] & 255).astype(np.uint8), a.records[at])),
    )
