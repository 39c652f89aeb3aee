"""The compiled loops of the Numba backend over blocks of sparse rows."""

# mypy: ignore-errors
# The bodies are in Numba's language: its compiler types them, a checker of Python misreads scalars and intrinsics.

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.seismic import GROUP, ONE


@njit(nogil=True, cache=True)
def estimates(terms: Any, weights: Any, term_parts: Any, part_blocks: Any, part_codes: Any, sums: Any) -> None:
    for t in range(len(terms)):
        weight = weights[t]
        for part in range(term_parts[terms[t]], term_parts[terms[t] + 1]):
            sums[part_blocks[part]] += ((np.int64(part_codes[part]) * weight) >> 8) + 1


@njit(nogil=True, cache=True)
def read_blocks(
    terms: Any, weights: Any, term_parts: Any, part_blocks: Any, part_records: Any, record_bases: Any, records: Any,
    blocks: Any, sums: Any,
) -> Any:  # fmt: skip
    """Adds to `sums` (m, 64) for ascending blocks; returns how many parts were read."""
    read = 0
    for t in range(len(terms)):
        weight = weights[t]
        low, end = term_parts[terms[t]], term_parts[terms[t] + 1]
        for slot in range(len(blocks)):
            block = blocks[slot]
            high = end
            while low < high:  # the first part at or past the block
                middle = (low + high) // 2
                if part_blocks[middle] < block:
                    low = middle + 1
                else:
                    high = middle
            if low == end:
                break
            if part_blocks[low] != block:
                continue
            word = np.int64(part_records[low])
            word = np.int64(part_records[low])
            if word & ONE:
                sums[slot, word >> 8 & 63] += (((word & 255) * weight) >> 8) + 1
                read += 1
                continue
            at = record_bases[low // GROUP] + word
            octets, code = records[at], at + 1
            for octet in range(8):
                code += octets >> octet & 1
            for octet in range(8):
                if octets >> octet & 1:
                    at += 1
                    for bit in range(8):
                        if records[at] >> bit & 1:
                            sums[slot, octet * 8 + bit] += ((np.int64(records[code]) * weight) >> 8) + 1
                            code += 1
            read += 1
    return read


@njit(nogil=True, cache=True)
def sketch_nearest(ids: Any, weights: Any, members: Any, centroids: Any, begin: int, end: int, out: Any) -> None:
    count = centroids.shape[1]
    sums = np.empty(count, np.float32)
    for i in range(begin, end):
        sums[:] = 0
        for column in range(ids.shape[1]):
            weight, term = weights[members[i], column], ids[members[i], column]
            if weight == 0:
                continue
            for c in range(count):
                sums[c] += weight * centroids[term, c]
        best = 0
        for c in range(1, count):
            if sums[c] > sums[best]:
                best = c
        out[i] = best
