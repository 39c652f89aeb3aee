"""The bytes of some rows of a column that holds them one after the other, as the payloads of what a query found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from vecstore.kernels.base import Int64Array
from vecstore.kernels.select import get_kernels

Cut = Callable[[np.ndarray, np.ndarray, Int64Array, bytes | None], list[bytes | None]]


def cut_rows(content: np.ndarray, offsets: np.ndarray, rows: Int64Array, empty: bytes | None) -> list[bytes | None]:
    """content[offsets[row] : offsets[row + 1]] of uint8 `content`, for each of `rows` (n,); `empty` where that is
    nothing. `offsets` is uint64 and ascends within `content`, `rows` is contiguous. Raises ValueError for a row that
    there is not, and for its offsets where they do not."""
    return _cut()(content, offsets, rows, empty)


@cache
def _cut() -> Cut:
    if get_kernels().name != "native":
        return in_python
    from vecstore.kernels import _native

    found: Cut = _native.cut_rows
    return found


def in_python(content: np.ndarray, offsets: np.ndarray, rows: Int64Array, empty: bytes | None) -> list[bytes | None]:
    wrong = rows[(rows < 0) | (rows >= len(offsets) - 1)]
    if len(wrong):
        raise ValueError(f"row {wrong[0]} is not in 0..{len(offsets) - 2}")
    held, lows, highs = content.data, offsets[rows], offsets[rows + 1]
    if (lows > highs).any() or (highs > len(content)).any():
        raise ValueError("offsets do not rise within the bytes")
    return [bytes(held[low:high]) or empty for low, high in zip(lows.tolist(), highs.tolist(), strict=True)]
