"""The m smallest of (distance, row) pairs.

A pair travels as one 64-bit integer, the distance's bits (made to sort as integers) above the row's, so that numpy's
partition and sort of integers order by distance, then row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, Int64Array

_LOW = np.int64(0xFFFFFFFF)  # also the row of an unused place: -1 in 32 bits
_MAGNITUDE = np.int32(0x7FFFFFFF)


def smallest(rows: Int64Array, distances: Float32Array, m: int) -> tuple[Int64Array, Float32Array]:
    """The m smallest pairs of each query, ascending by (distance, row); places of row -1 hold +inf and come last."""
    if len(rows) == 1 and rows.shape[1] >= m:  # fewer calls, where calls are what costs
        order = np.lexsort((rows[0].view(np.uint64), distances[0]))[:m]
        return rows[:, order], distances[:, order]
    pairs = _pairs(rows, distances)
    nq, n = pairs.shape
    if n > m:
        pairs = np.partition(pairs, m - 1, axis=1)[:, :m]
    pairs.sort(axis=1)
    found = pairs & _LOW
    found[found == _LOW] = -1
    kept = _floats((pairs >> 32).astype(np.int32))
    if n >= m:
        return found, kept
    out = np.full((nq, m), -1, np.int64), np.full((nq, m), np.inf, np.float32)
    out[0][:, :n], out[1][:, :n] = found, kept
    return out


def _pairs(rows: Int64Array, distances: Float32Array) -> Int64Array:
    bits = (distances + np.float32(0)).view(np.int32)  # adding zero makes -0.0 the same as 0.0
    bits = bits ^ ((bits >> 31) & _MAGNITUDE)
    return (bits.astype(np.int64) << 32) | (rows & _LOW)


def _floats(bits: NDArray[np.int32]) -> Float32Array:
    return (bits ^ ((bits >> 31) & _MAGNITUDE)).view(np.float32)
