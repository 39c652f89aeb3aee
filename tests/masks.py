"""Which rows a test allows."""

from __future__ import annotations

import numpy as np


def bitmap(mask: np.ndarray) -> np.ndarray:
    """A boolean mask as uint64 words, least significant bit first."""
    padded = np.zeros(-(-len(mask) // 64) * 64, np.uint8)
    padded[: len(mask)] = mask
    return np.packbits(padded, bitorder="little").view(np.uint64)
