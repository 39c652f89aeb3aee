"""One stage of a funnel: some components of every row, in a matrix of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vecstore.index.base import Candidates, allowed_count
from vecstore.kernels.base import Bitmap, DenseRows, Float32Array, Int64Array, Kernels
from vecstore.schema import Metric


@dataclass(frozen=True, slots=True)
class Stage:
    """Components `low` to `high` of every row, and under cosine the inverse norms of components 0 to `high`."""

    low: int
    high: int
    rows: DenseRows  # (n, high - low)
    inverse_norms: Float32Array | None  # (n,)

    def scan(
        self, metric: Metric, kernels: Kernels, queries: Float32Array, size: int, allowed: Bitmap | None
    ) -> Candidates:
        """So many rows, of the first stage."""
        found = Candidates(np.empty((len(queries), size), np.int64), np.empty((len(queries), size), np.float32))
        short = np.ascontiguousarray(queries[:, : self.high])
        kernels.scan(metric, short, self.rows, self.inverse_norms, allowed, found.rows, found.distances)
        found.counters["rows_scanned"] = len(queries) * allowed_count(len(self.rows), allowed)
        return found

    def sums(self, metric: Metric, kernels: Kernels, queries: Float32Array, rows: Int64Array) -> Float32Array:
        """What these components add to squared distances, or to negated inner products."""
        out = np.empty(rows.shape, np.float32)
        part = np.ascontiguousarray(queries[:, self.low : self.high])
        additive = Metric.L2 if metric is Metric.L2 else Metric.DOT
        kernels.rerank(additive, part, self.rows, None, np.ascontiguousarray(rows), out)
        return out

    def distances(self, queries: Float32Array, rows: Int64Array, sums: Float32Array) -> Float32Array:
        """Sums up to here as distances between prefixes; +inf for row -1."""
        if self.inverse_norms is None:
            return sums
        lengths = np.linalg.norm(queries[:, : self.high], axis=1).astype(np.float32)[:, None]
        inverse = np.divide(np.float32(1), lengths, out=np.zeros_like(lengths), where=lengths > 0)
        cosines = np.where(rows >= 0, sums, np.float32(0)) * self.inverse_norms[np.maximum(rows, 0)] * inverse
        return np.where(rows >= 0, np.float32(1) + cosines, np.float32(np.inf))


def sizes_of(stages: Sequence[Stage], last: int, n: int) -> list[int]:
    """How many of n rows each stage leaves, where the last one leaves so many."""
    return [min(last << (len(stages) - 1 - place), n) for place in range(len(stages))]
