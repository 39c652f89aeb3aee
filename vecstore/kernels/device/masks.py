"""Bitmaps of allowed rows on a device."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.kernels.base import Bitmap
from vecstore.kernels.device.arrays import Device

FEW = 4  # fewer allowed rows than this part of all are gathered; more are masked


def mask_of(device: Device, allowed: Bitmap, n: int) -> Any:
    """bool (n,); rows past the bitmap's end are not allowed."""
    xp = device.xp
    words = device.put(np.ascontiguousarray(allowed).view(np.uint8))
    bits = xp.unpackbits(words, bitorder="little")[:n].view(bool)
    return bits if len(bits) == n else xp.concatenate((bits, xp.zeros(n - len(bits), bool)))


def listed(device: Device, allowed: Bitmap | None, n: int) -> Any | None:
    """The allowed rows, int64, where they are few enough to be gathered; None where all are scanned."""
    if allowed is None or FEW * int(np.bitwise_count(allowed).sum()) > n:
        return None
    return device.xp.nonzero(mask_of(device, allowed, n))[0].astype(np.int64)
