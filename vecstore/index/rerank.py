"""From candidates to answers: the m smallest of (distance, row) pairs, and finer distances for them.

A pair travels as one 64-bit integer, the distance's bits (made to sort as integers) above the row's, so that numpy's
partition and sort of integers order by distance, then row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import DenseRows, Float32Array, Int64Array, Kernels
from vecstore.quantize.base import Encoded, Quantizer
from vecstore.schema import Metric

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


def distinct(rows: Int64Array, distances: Float32Array, m: int) -> tuple[Int64Array, Float32Array]:
    """The m smallest pairs of distinct rows, each with its least distance, as `smallest` orders them."""
    order = np.lexsort((distances, rows), axis=1)
    rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
    again = rows[:, 1:] == rows[:, :-1]
    rows[:, 1:][again], distances[:, 1:][again] = -1, np.inf
    return smallest(rows, distances, m)


def _pairs(rows: Int64Array, distances: Float32Array) -> Int64Array:
    bits = (distances + np.float32(0)).view(np.int32)  # adding zero makes -0.0 the same as 0.0
    bits = bits ^ ((bits >> 31) & _MAGNITUDE)
    return (bits.astype(np.int64) << 32) | (rows & _LOW)


def _floats(bits: NDArray[np.int32]) -> Float32Array:
    return (bits ^ ((bits >> 31) & _MAGNITUDE)).view(np.float32)


class Rescorer(Protocol):
    def distances(self, queries: Float32Array, candidates: Int64Array, kernels: Kernels) -> Float32Array:
        """Finer distances by the field's metric to candidate rows (nq, m), +inf for row -1."""


@dataclass(frozen=True, slots=True)
class RowRescorer:
    """By the stored rows, or by a copy in fewer bits."""

    metric: Metric
    rows: DenseRows
    inverse_norms: Float32Array | None

    def distances(self, queries: Float32Array, candidates: Int64Array, kernels: Kernels) -> Float32Array:
        out = np.empty(candidates.shape, np.float32)
        kernels.rerank(self.metric, queries, self.rows, self.inverse_norms, candidates, out)
        return out


@dataclass(frozen=True, slots=True)
class CodeRescorer:
    """By codes, decoded for the candidates only; they hold rows of unit length under cosine."""

    metric: Metric
    quantizer: Quantizer
    encoded: Encoded  # in row order

    def distances(self, queries: Float32Array, candidates: Int64Array, kernels: Kernels) -> Float32Array:
        nq, m = candidates.shape
        listed = np.maximum(candidates, 0).ravel()
        rows = self.quantizer.decode({name: array[listed] for name, array in self.encoded.items()}, None)
        ones = np.ones(nq * m, np.float32) if self.metric is Metric.COSINE else None
        places = np.where(candidates >= 0, np.arange(nq * m).reshape(nq, m), -1)
        return RowRescorer(self.metric, rows, ones).distances(queries, places, kernels)


def narrow(rows: NDArray[Any], dtype: str) -> DenseRows:
    """A float32 batch in 2 bytes a component: float16 (beyond its range, the largest) or bfloat16 as uint16, both
    rounded to nearest, ties to even."""
    if dtype == "float16":
        limit = np.float32(np.finfo(np.float16).max)
        half: NDArray[np.float16] = np.clip(rows, -limit, limit).astype(np.float16)
        return half
    bits = np.ascontiguousarray(rows, np.float32).view(np.uint32)
    rounded: NDArray[np.uint16] = ((bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16).astype(np.uint16)
    return rounded
