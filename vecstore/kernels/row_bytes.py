"""Rows once more, as bytes: what `Kernels.scan` then reads of most of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vecstore.schema import Metric

BLOCK = 32
_ROWS_MIN = 256  # of fewer, all distances are soon there
_SHARE = 2  # of the rows one in so many may be asked for: of more, most are compared in full anyway


def bytes_pay(n: int, k: int) -> bool:
    """Whether the k nearest of n rows are found sooner where most are only read as bytes."""
    return n >= _ROWS_MIN and k * _SHARE <= n


@dataclass(frozen=True, slots=True)
class RowBytes:
    """Of the first n rows of what is scanned; under cosine of rows of unit length. A row is about its scale times its
    bytes, which are stored with 128 added."""

    blocks: NDArray[np.uint8]  # (ceil(n / 32), width / 4, 32, 4); width is dim, filled up to a multiple of 8
    scales: NDArray[np.float32]  # (n,)
    squares: NDArray[np.float32]  # (n,), |row|^2, under l2; else (0,)
    errors: NDArray[np.float32]  # of each block, the largest |row - what its bytes stand for|; inf: they say nothing
    lengths: NDArray[np.float32]  # of each block, the largest length of what bytes stand for

    @classmethod
    def empty(cls, metric: Metric, n: int, dim: int) -> Self:
        """Room to round n rows in."""
        nblocks = -(-n // BLOCK)
        blocks = np.empty((nblocks, -(-dim // 8) * 2, BLOCK, 4), np.uint8)
        lengths = (n, n if metric is Metric.L2 else 0, nblocks, nblocks)
        return cls(blocks, *(np.empty(length, np.float32) for length in lengths))

    def __len__(self) -> int:
        return len(self.scales)

    @property
    def arrays(self) -> tuple[Any, ...]:
        return self.blocks, self.scales, self.squares, self.errors, self.lengths

    @property
    def nbytes(self) -> int:
        return int(sum(array.nbytes for array in self.arrays))

    @property
    def whole(self) -> int:
        """Rows in whole blocks, which stay as they are when more follow."""
        return len(self) // BLOCK * BLOCK

    def first(self, n: int) -> Self:
        """Of the first n rows, where there are more."""
        if n >= len(self):
            return self
        blocks = -(-n // BLOCK)
        ends = (blocks, n, n, blocks, blocks)
        return type(self)(*(array[:end] for array, end in zip(self.arrays, ends, strict=True)))

    def then(self, more: Self) -> Self:
        """Of the rows of whole blocks, and those of `more` after them."""
        n, blocks = self.whole, self.whole // BLOCK
        ends = (blocks, n, n, blocks, blocks)
        pairs = zip(self.arrays, ends, more.arrays, strict=True)
        return type(self)(*(np.concatenate((ours[:end], theirs)) for ours, end, theirs in pairs))
