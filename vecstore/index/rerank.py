"""From candidates to answers: distinct rows among them, and finer distances for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import DenseRows, Float32Array, Int64Array, Kernels
from vecstore.kernels.smallest import smallest
from vecstore.quantize.base import Encoded, Quantizer
from vecstore.schema import Metric


def distinct(rows: Int64Array, distances: Float32Array, m: int) -> tuple[Int64Array, Float32Array]:
    """The m smallest pairs of distinct rows, each with its least distance, as `smallest` orders them."""
    order = np.lexsort((distances, rows), axis=1)
    rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
    again = rows[:, 1:] == rows[:, :-1]
    rows[:, 1:][again], distances[:, 1:][again] = -1, np.inf
    return smallest(rows, distances, m)


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
