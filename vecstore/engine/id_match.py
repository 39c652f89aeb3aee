"""Where the rows of one sealed segment stand in another, by their ids: what a merge kept of a segment, and where.

Numbers are merged as sorted runs; UUIDs and strings meet by their hashes, and keys that share one are compared.
"""

from __future__ import annotations

import numpy as np

from vecstore.engine.ids import KEY_OF_NUMBER_BYTES, IdColumn
from vecstore.errors import Corruption
from vecstore.kernels.base import Int64Array

CHUNK_ROWS = 16_384  # keys that are compared at a time


def rows_in(old: IdColumn, new: IdColumn) -> Int64Array:
    """For each row of `old` the row of `new` with the same id, -1 where there is none: (len(old),), ascending but for
    the -1. Raises Corruption for keys that are none."""
    found = np.full(len(old), -1, dtype=np.int64)
    numbers, others = _numbers(old), _numbers(new)
    if len(numbers) and len(others):
        at = np.minimum(np.searchsorted(others, numbers), len(others) - 1)
        found[: len(numbers)] = np.where(others[at] == numbers, at, -1)
    if len(numbers) < len(old) and len(others) < len(new):
        _by_hash(old, new, len(numbers), found)
    return found


def _numbers(ids: IdColumn) -> np.ndarray:
    """The ids that are numbers, uint64 ascending: the first rows."""
    if "ids.num" in ids.arrays:
        return ids.arrays["ids.num"]
    data, offsets = ids.arrays["ids.bytes"], ids.arrays["ids.offsets"]
    if (offsets[1:] == offsets[:-1]).any():
        raise Corruption("an id is empty")
    count = int(np.searchsorted(data[offsets[:-1].astype(np.int64)], 1))  # the tag of numbers is 0
    keys = data[: count * KEY_OF_NUMBER_BYTES]
    if int(offsets[count]) != len(keys):
        raise Corruption("an id that is a number has not the length of one")
    return np.ascontiguousarray(keys.reshape(count, KEY_OF_NUMBER_BYTES)[:, 1:]).view(">u8").ravel().astype(np.uint64)


def _by_hash(old: IdColumn, new: IdColumn, first: int, found: Int64Array) -> None:
    """Fill in the rows of `old` from `first` on."""
    old_rows = old.arrays["ids.hash_row"].astype(np.int64)
    wanted = np.flatnonzero(old_rows >= first)
    old_rows, hashes = old_rows[wanted], old.arrays["ids.hash"][wanted]
    new_hashes, new_rows = new.arrays["ids.hash"], new.arrays["ids.hash_row"]
    at = np.searchsorted(new_hashes, hashes)
    while len(at):  # again only for keys that share a hash with another
        here = np.flatnonzero(at < len(new_hashes))
        here = here[new_hashes[at[here]] == hashes[here]]
        old_rows, hashes, at = old_rows[here], hashes[here], at[here]
        candidates = new_rows[at].astype(np.int64)
        same = _same_keys(old, old_rows, new, candidates)
        found[old_rows[same]] = candidates[same]
        old_rows, hashes, at = old_rows[~same], hashes[~same], at[~same] + 1


def _same_keys(a: IdColumn, a_rows: Int64Array, b: IdColumn, b_rows: Int64Array) -> np.ndarray:
    """For each pair of rows, whether their keys are equal (bool)."""
    same = np.zeros(len(a_rows), dtype=bool)
    for start in range(0, len(a_rows), CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        a_starts, a_lengths = _spans(a, a_rows[part])
        b_starts, b_lengths = _spans(b, b_rows[part])
        long = np.flatnonzero(a_lengths == b_lengths)
        lengths = a_lengths[long]
        if not len(lengths):
            continue
        firsts = np.cumsum(lengths) - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(firsts, lengths)
        left = a.arrays["ids.bytes"][within + np.repeat(a_starts[long], lengths)]
        right = b.arrays["ids.bytes"][within + np.repeat(b_starts[long], lengths)]
        same[start + long] = np.logical_and.reduceat(left == right, firsts)
    return same


def _spans(ids: IdColumn, rows: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Where the keys of rows begin in `ids.bytes`, and their lengths."""
    offsets = ids.arrays["ids.offsets"]
    starts = offsets[rows].astype(np.int64)
    return starts, offsets[rows + 1].astype(np.int64) - starts
