"""Bitmaps of allowed rows, unpacked for the backends written in Python: bit i % 64 of word i / 64 is row i's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, Int64Array


def allowed_mask(allowed: Bitmap | None, n: int) -> NDArray[np.bool_]:
    """(n,) whether each row is allowed."""
    if allowed is None:
        return np.ones(n, bool)
    words = allowed.astype("<u8", copy=False)
    return np.unpackbits(words.view(np.uint8), count=n, bitorder="little").view(bool)


def allowed_rows(allowed: Bitmap | None, n: int) -> Int64Array:
    """The numbers of the allowed rows, ascending."""
    if allowed is None:
        return np.arange(n, dtype=np.int64)
    return np.flatnonzero(allowed_mask(allowed, n)).astype(np.int64, copy=False)
