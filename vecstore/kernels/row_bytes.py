"""Rows once more, as bytes: what `Kernels.rank` reads of most of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
_LARGEST = np.float32(127)
_LEAST = np.float32(1e-17)  # of smaller scales the squares of what bytes miss would be lost
_BATCH = 512  # rows, whose temporary arrays stay in the second-level cache
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
        """Of rows (n, dim), all finite; where they are too large or too small to be squared, `error` is not."""
        n, dim = rows.shape
        nblocks, width = -(-n // BLOCK), -(-dim // 8) * 8
        scales, squares = np.empty(n, np.float32), np.empty(n, np.float32)
        padded = np.full((nblocks * BLOCK, width), 128, np.uint8)
        error = length = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for low in range(0, n, _BATCH):
                part = slice(low, min(low + _BATCH, n))
                batch, scale = rows[part], scales[part]
                np.divide(np.abs(batch).max(axis=1, initial=0), _LARGEST, out=scale)
                inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 1e-36)
                numbers = np.rint(batch * inverse[:, None])
                padded[part, :dim] = (numbers + 128).astype(np.uint8)
                missed = batch - numbers * scale[:, None]
                squares[part] = np.vecdot(batch, batch)
                error = max(error, float(np.sqrt(np.vecdot(missed, missed).max())))
                if ((scale > 0) & (scale < _LEAST)).any():
                    error = np.inf
                length = max(length, float((scale * np.sqrt(np.vecdot(numbers, numbers))).max()))
        # What float32 may have lost of either, and more.
        error, length = 1.0001 * error + 1e-6 * length, 1.0001 * length
        blocks = np.ascontiguousarray(padded.reshape(nblocks, BLOCK, width // 4, 4).transpose(0, 2, 1, 3))
        return cls(blocks, scales, squares, error, length)
