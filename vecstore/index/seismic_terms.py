"""The indices that sparse rows hold, and how often: counted a part at a time, rows may be mapped and many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Int64Array
from vecstore.kernels.graph import UInt32Array
from vecstore.packed_sparse import StoredRows
from vecstore.sparse import SparseRows

_ENTRIES = 1 << 22  # of one part


def parts_of(rows: StoredRows) -> Iterator[SparseRows]:
    """All rows, one part after another."""
    step = max(1, _ENTRIES * len(rows) // max(1, rows.nnz))
    for low in range(0, len(rows), step):
        yield rows[low : low + step]


def smallest_value(rows: StoredRows) -> float:
    """0 where there are none."""
    return min((float(part.values.min()) for part in parts_of(rows) if part.nnz), default=0.0)


def count_terms(rows: StoredRows) -> tuple[UInt32Array, Int64Array]:
    """The distinct indices, ascending, and how many entries each has."""
    terms, counts = np.empty(0, np.uint32), np.empty(0, np.int64)
    for part in parts_of(rows):
        found, times = np.unique(part.indices, return_counts=True)
        both, place = np.unique(np.concatenate((terms, found)), return_inverse=True)
        counts = np.bincount(place, np.concatenate((counts, times)), len(both)).astype(np.int64)
        terms = both
    return terms, counts


def least_kept(rows: StoredRows, entries: int) -> float:
    """About the value such that `entries` values are at least as large; 0 where there are no more."""
    if rows.nnz <= entries:
        return 0.0
    shift = 12  # the first bits of a positive float order as it does
    counts = np.zeros(1 << (32 - shift), np.int64)
    for part in parts_of(rows):
        bits: NDArray[np.uint32] = part.values.astype(np.float32).view(np.uint32)
        counts += np.bincount(bits >> np.uint32(shift), minlength=len(counts))
    reaching = np.cumsum(counts[::-1])
    bucket = len(counts) - 1 - int(np.searchsorted(reaching, entries))
    return float(np.array(bucket << shift, np.uint32).view(np.float32))
