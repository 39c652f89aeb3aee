"""The indices that sparse rows hold, and how often: counted a part at a time, rows may be mapped and many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Int64Array
from vecstore.kernels.graph import UInt32Array
from vecstore.sparse import SparseRows

_ENTRIES = 1 << 22  # of one part


def count_terms(rows: SparseRows) -> tuple[UInt32Array, Int64Array]:
    """The distinct indices, ascending, and how many entries each has."""
    terms, counts = np.empty(0, np.uint32), np.empty(0, np.int64)
    for low in range(0, rows.nnz, _ENTRIES):
        found, times = np.unique(rows.indices[low : low + _ENTRIES], return_counts=True)
        both, place = np.unique(np.concatenate((terms, found)), return_inverse=True)
        counts = np.bincount(place, np.concatenate((counts, times)), len(both)).astype(np.int64)
        terms = both
    return terms, counts


def places_of(terms: UInt32Array, indices: UInt32Array) -> Int64Array:
    """Where each index stands among `terms`, which hold them all."""
    if len(terms) and int(terms[-1]) < max(1 << 16, 16 * len(terms)):
        table = np.empty(int(terms[-1]) + 1, np.int64)
        table[terms] = np.arange(len(terms))
        return table[indices]
    return np.searchsorted(terms, indices)


def least_kept(rows: SparseRows, entries: int) -> float:
    """About the value such that `entries` values are at least as large; 0 where there are no more."""
    if rows.nnz <= entries:
        return 0.0
    shift = 12  # the first bits of a positive float order as it does
    counts = np.zeros(1 << (32 - shift), np.int64)
    for low in range(0, rows.nnz, _ENTRIES):
        bits: NDArray[np.uint32] = rows.values[low : low + _ENTRIES].astype(np.float32).view(np.uint32)
        counts += np.bincount(bits >> np.uint32(shift), minlength=len(counts))
    reaching = np.cumsum(counts[::-1])
    bucket = len(counts) - 1 - int(np.searchsorted(reaching, entries))
    return float(np.array(bucket << shift, np.uint32).view(np.float32))
