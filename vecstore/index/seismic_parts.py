"""The parts of terms in blocks: codes and records (vecstore/kernels/seismic.py), a group of terms at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import Progress
from vecstore.index.resident import aligned_empty
from vecstore.kernels.base import Float32Array, Int64Array, UInt8Array
from vecstore.kernels.graph import UInt32Array
from vecstore.kernels.seismic import BLOCK, DENSE_SHARE, PADDING, SeismicArrays
from vecstore.kernels.seismic_records import counts_of, encoded, placed
from vecstore.packed_sparse import StoredRows, places_of

Summary = Literal["mean", "max"]
POWER = 4  # of the power mean that stands for a block: between a mean, which misses its best rows, and the largest
_ENTRIES = 1 << 24  # of a group of terms
_TERMS = 1 << 16
_BATCH = 1 << 14  # rows


@dataclass(frozen=True, slots=True)
class Kept:
    """Which entries get a code: values of at least `least`, of one term at most `most`, the largest."""

    least: float
    most: int


@dataclass(frozen=True, slots=True)
class Entries:
    """Of some terms, by term, then place."""

    terms: NDArray[np.int64]
    places: NDArray[np.int64]
    values: Float32Array


@dataclass(frozen=True, slots=True)
class Parts:
    terms: UInt32Array
    scales: Float32Array
    counts: Int64Array  # (terms,) parts of each
    blocks: UInt32Array
    codes: UInt8Array
    words: NDArray[np.uint16]  # (parts,) as `encoded` gives them, with these
    sizes: Int64Array
    records: UInt8Array


@dataclass(frozen=True, slots=True)
class Placed:
    """Which blocks the parts are of, as an index holds it: a dense term's in a bit for each block."""

    block_bits: NDArray[np.uint64]
    part_blocks: NDArray[Any]


def build_parts(
    rows: StoredRows, order: UInt32Array, terms: UInt32Array, counts: Int64Array, kept: Kept, summary: Summary,
    progress: Progress,
) -> SeismicArrays:  # fmt: skip
    """`order` is the row at each place; `terms` and `counts` as `count_terms` gives them."""
    groups = []
    for low, high in _groups(counts):
        progress("blocks", low, len(terms))
        entries = _largest(_entries(rows, order, terms, low, high, kept.least), kept.most)
        if len(entries.terms):
            groups.append(_parts(entries, terms, summary))
    counted = np.concatenate([np.empty(0, np.int64), *(group.counts for group in groups)])
    term_parts = np.concatenate((np.zeros(1, np.int64), np.cumsum(counted)))
    sizes = np.concatenate([np.empty(0, np.int64), *(group.sizes for group in groups)])
    words = np.concatenate([np.empty(0, np.uint16), *(group.words for group in groups)])
    part_records, record_bases = placed(words, sizes)
    blocks = np.concatenate([np.empty(0, np.uint32), *(group.blocks for group in groups)])
    of_parts = placed_blocks(blocks, term_parts, len(order))
    return SeismicArrays(
        rows=order,
        terms=np.concatenate([np.empty(0, np.uint32), *(group.terms for group in groups)]),
        scales=np.concatenate([np.empty(0, np.float32), *(group.scales for group in groups)]),
        term_parts=term_parts,
        block_bits=of_parts.block_bits,
        part_blocks=of_parts.part_blocks,
        part_codes=np.concatenate([np.empty(0, np.uint8), *(group.codes for group in groups)]),
        part_records=part_records,
        record_bases=record_bases,
        records=padded([group.records for group in groups]),
    )


def padded(records: list[UInt8Array]) -> UInt8Array:
    """One after another, and the spare bytes."""
    joined = aligned_empty((sum(len(one) for one in records) + PADDING,), np.uint8)
    at = 0
    for one in records:
        joined[at : at + len(one)] = one
        at += len(one)
    joined[at:] = 0
    return joined


def placed_blocks(blocks: NDArray[np.integer], term_parts: Int64Array, n: int) -> Placed:
    """Of parts of terms over n rows, from the block of each."""
    counts, every = np.diff(term_parts), -(-n // BLOCK)
    dense = np.flatnonzero(counts * DENSE_SHARE > every)
    bits = np.empty((len(dense), -(-every // 64)), np.uint64)
    for at, term in enumerate(dense.tolist()):
        flags = np.zeros(64 * bits.shape[1], np.bool_)
        flags[blocks[term_parts[term] : term_parts[term + 1]]] = True
        bits[at] = np.packbits(flags, bitorder="little").view("<u8")
    others = np.ones(len(counts), np.bool_)
    others[dense] = False
    rest = blocks[np.repeat(others, counts)]
    return Placed(bits, rest.astype(np.uint16 if n <= BLOCK << 16 else np.uint32))


def _groups(counts: Int64Array) -> Iterator[tuple[int, int]]:
    """Runs of terms that together have few enough entries to sort in memory."""
    ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    low = 0
    while low < len(counts):
        high = int(np.searchsorted(ends, ends[low] + _ENTRIES, side="right")) - 1
        high = min(max(high, low + 1), low + _TERMS, len(counts))
        yield low, high
        low = high


def _entries(rows: StoredRows, order: UInt32Array, terms: UInt32Array, low: int, high: int, least: float) -> Entries:
    """Of terms low..high-1, values of at least `least`."""
    first, last = terms[low], terms[high - 1]
    parts = []
    for begin in range(0, len(order), _BATCH):
        part = rows.take(order[begin : begin + _BATCH].astype(np.int64))
        values = part.values.astype(np.float32)
        held = np.flatnonzero((part.indices >= first) & (part.indices <= last) & (values >= least))
        place_of = np.repeat(np.arange(begin, begin + len(part)), np.diff(part.offsets))
        local = (places_of(terms[low:high], part.indices[held]) if len(held) else held).astype(np.uint16)
        parts.append((local, place_of[held], values[held]))
    local = np.concatenate([part[0] for part in parts])
    by_term = np.argsort(local, kind="stable")  # 16 bits: a radix sort
    places, values = (np.concatenate([part[i] for part in parts])[by_term] for i in (1, 2))
    return Entries(local[by_term].astype(np.int64) + low, places, values)


def _largest(entries: Entries, most: int) -> Entries:
    """Of each term the `most` largest values."""
    counts = np.bincount(entries.terms)
    if not len(counts) or counts.max() <= most:
        return entries
    order = np.lexsort((entries.places, -entries.values, entries.terms))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.sort(order[rank < most])
    return Entries(entries.terms[kept], entries.places[kept], entries.values[kept])


def _parts(entries: Entries, terms: UInt32Array, summary: Summary) -> Parts:
    blocks, bits = entries.places // BLOCK, entries.places % BLOCK
    new_term = np.concatenate(([True], np.diff(entries.terms) > 0))
    starts = np.flatnonzero(new_term | np.concatenate(([True], np.diff(blocks) != 0)))
    firsts = np.flatnonzero(new_term)
    with np.errstate(under="ignore"):
        scales = np.nextafter(np.maximum.reduceat(entries.values, firsts) / np.float32(255), np.float32(np.inf))
    scale = np.repeat(scales.astype(np.float64), np.diff(np.append(firsts, len(entries.terms))))
    steps = entries.values / scale
    codes = np.clip(np.ceil(steps), 1, 255).astype(np.uint8)
    if summary == "max":
        standing = np.maximum.reduceat(codes, starts)
    else:
        mean = (np.add.reduceat(steps**POWER, starts) / BLOCK) ** (1 / POWER)
        standing = np.clip(np.ceil(mean), 1, 255).astype(np.uint8)
    held = np.diff(np.append(starts, len(codes)))
    made = encoded(bits.astype(np.uint8), codes, held)
    counts = np.diff(np.append(np.searchsorted(starts, firsts), len(starts)))
    named = terms[entries.terms[firsts]]
    numbers = blocks[starts].astype(np.uint32)
    return Parts(named, scales, counts, numbers, standing, made.words, made.sizes, made.records)


def coded_entries(arrays: SeismicArrays) -> int:
    """Entries that have a code."""
    words, step = arrays.part_records, 1 << 20
    every = (np.arange(low, min(low + step, len(words))) for low in range(0, len(words), step))
    return sum(int(counts_of(arrays, some).sum()) for some in every)
