"""Sums that PCA needs of a set of vectors: they add up over batches and segments, and subtract when one goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.kernels.base import Float32Array
from vecstore.kernels.gram import gram
from vecstore.transform.arrays import take

_BATCH = 8192


class Moments:
    """`n` vectors, their sum (dim,) and the sum of x x^T (dim, dim), in float64.

    Products are taken of float32 batches about each batch's own mean and put back in float64, so that a mean far from
    zero costs no digits."""

    def __init__(self, dim: int) -> None:
        self.n = 0
        self.sum: NDArray[np.float64] = np.zeros(dim)
        self.second: NDArray[np.float64] = np.zeros((dim, dim))

    def add(self, rows: Float32Array) -> None:
        """Take float32 rows (n, dim) in."""
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            mean = batch.mean(axis=0, dtype=np.float64).astype(np.float32)
            centered = batch - mean
            wide = mean.astype(np.float64)
            rest = centered.sum(axis=0, dtype=np.float64)
            cross = np.outer(rest, wide)
            self.second += gram(centered)
            self.second += cross + cross.T + len(batch) * np.outer(wide, wide)
            self.sum += rest + len(batch) * wide
            self.n += len(batch)

    def merge(self, other: Moments) -> None:
        """Take the vectors of another set in."""
        self.n += other.n
        self.sum += other.sum
        self.second += other.second

    def subtract(self, other: Moments) -> None:
        """Take out vectors that were added before. Raises ValueError for more than there are."""
        if other.n > self.n:
            raise ValueError(f"cannot take {other.n} vectors out of {self.n}")
        self.n -= other.n
        self.sum -= other.sum
        self.second -= other.second

    @property
    def mean(self) -> NDArray[np.float64]:
        return self.sum / max(self.n, 1)

    def about(self, center: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of (x - center)(x - center)^T: the covariance for `mean`, the second moment for zero."""
        cross = np.outer(self.mean, center)
        return self.second / max(self.n, 1) - cross - cross.T + np.outer(center, center)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"n": np.array([self.n], np.int64), "sum": self.sum, "second": self.second}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Raises Corruption when the arrays do not fit together."""
        total = take(arrays, "sum", np.float64, (None,))
        moments = cls(len(total))
        moments.n = int(take(arrays, "n", np.int64, (1,))[0])
        moments.sum = total.copy()
        moments.second = take(arrays, "second", np.float64, (len(total), len(total))).copy()
        if moments.n < 0 or (moments.second.diagonal() < 0).any():
            raise Corruption(f"moments of {moments.n} vectors with a negative count or square")
        return moments
