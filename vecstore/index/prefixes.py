"""Stored vectors seen by their first components (Matryoshka prefixes), without a copy."""

from __future__ import annotations

import numpy as np

from vecstore.errors import InvalidArgument
from vecstore.kernels.base import DenseRows, Float32Array, Kernels
from vecstore.schema import Metric

_HELD = 4  # dimensions whose norms are kept: queries choose them, memory must not grow with their whims


class Prefixes:
    """Kernels read columns of wider rows, so a prefix costs the cache lines that it covers and no memory. Under cosine
    a prefix is a vector of its own: its length, not the whole vector's, divides its inner products."""

    def __init__(self, metric: Metric, rows: DenseRows) -> None:
        self._metric = metric
        self._rows = rows
        self._norms: dict[int, Float32Array] = {}

    def cut(
        self, kernels: Kernels, queries: Float32Array, dim: int
    ) -> tuple[Float32Array, DenseRows, Float32Array | None]:
        """Queries (nq, dim), rows (n, dim) and, under cosine, the inverse norms of these (n,), taken at first use.
        Raises InvalidArgument for a prefix longer than the vectors."""
        width = self._rows.shape[1]
        if not 1 <= dim <= width:
            raise InvalidArgument(f"truncate_dim={dim} is not in 1..{width}, the dimension of the vectors")
        rows = self._rows[:, :dim]
        norms = None
        if self._metric is Metric.COSINE:
            norms = self._norms.get(dim)
            if norms is None:
                norms = np.empty(len(rows), np.float32)
                kernels.inverse_norms(rows, norms)
                # Replaced whole: searches in other threads see the old ones or the new.
                self._norms = dict([*self._norms.items(), (dim, norms)][-_HELD:])
        return np.ascontiguousarray(queries[:, :dim]), rows, norms
