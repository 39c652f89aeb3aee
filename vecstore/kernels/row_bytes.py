"""Rows once more, as bytes: what `Kernels.rank` reads of most of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
_LARGEST = 127
_ROWS_MIN = 256  # of fewer, all distances are soon there
_SHARE = 2  # of the rows one in so many may be asked for: of more, most are compared in full anyway


def bytes_pay(n: int, k: int) -> bool:
    """Whether `rank` finds the k nearest of n rows sooner than `scan`."""
    return n >= _ROWS_MIN and k * _SHARE <= n


@dataclass(frozen=True, slots=True)
class RowBytes:
    """Row r is about scales[r] * (its bytes - 128); |row - that| is at most `error`."""

    blocks: NDArray[np.uint8]  # (ceil(n / 32), width / 4, 32, 4); width is dim, filled up to a multiple of 8
    scales: NDArray[np.float32]  # (n,)
    squares: NDArray[np.float32]  # (n,), |row|^2
    error: float
    length: float  # the largest of what bytes stand for

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> Self:
        """Of rows (n, dim), all finite; where they are too large to be squared, `error` is not."""
        n, dim = rows.shape
        nblocks, width = -(-n // BLOCK), -(-dim // 8) * 8
        scales = (np.abs(rows).max(axis=1, initial=0) / np.float32(_LARGEST)).astype(np.float32)
        inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 1e-36)
        rounded = np.rint(rows * inverse[:, None])
        with np.errstate(over="ignore", invalid="ignore"):
            stands = rounded.astype(np.float64) * scales[:, None]
            error = float(np.sqrt(np.square(rows - stands).sum(axis=1).max(initial=0)))
            length = float(np.sqrt(np.square(stands).sum(axis=1).max(initial=0)))
            squares = np.vecdot(rows, rows)
        padded = np.full((nblocks * BLOCK, width), 128, np.uint8)
        padded[:n, :dim] = (rounded + 128).astype(np.uint8)
        blocks = np.ascontiguousarray(padded.reshape(nblocks, BLOCK, width // 4, 4).transpose(0, 2, 1, 3))
        return cls(blocks, scales, squares, error, length)
