"""A float32 matrix as the sum of narrow ones, each with a scale a row: what tensor cores take without losing bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.kernels.device.arrays import to_bfloat16, widened

PARTS = {np.dtype(np.float16): 2, np.dtype(np.uint16): 3}  # 11 bits each, 8 each: at least 22 of 24


def in_parts(xp: Any, array: Any, dtype: Any) -> tuple[Any, Any]:
    """(p * m, d) of float16 or bfloat16 (uint16), and the scales (p * m,) float32 by which its parts add up to float32
    `array` (m, d)."""
    found, scales, rest = [], [], array
    for _ in range(PARTS[np.dtype(dtype)]):
        scale = xp.abs(rest).max(axis=1)
        scale = xp.where(scale > 0, scale, np.float32(1))
        units = rest / scale[:, None]
        narrow = to_bfloat16(units) if np.dtype(dtype) == np.uint16 else units.astype(np.float16)
        found.append(narrow)
        scales.append(scale)
        rest = rest - widened(xp, narrow) * scale[:, None]
    return xp.concatenate(found), xp.concatenate(scales).astype(np.float32)
