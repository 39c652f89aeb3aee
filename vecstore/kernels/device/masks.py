"""Bitmaps of allowed rows on a device."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.kernels.base import Bitmap
from vecstore.kernels.device.arrays import Device

FEW = 4  # fewer allowed rows than this part of all are gathered; more are masked


def listed(device: Device, allowed: Bitmap | None, n: int) -> Any | None:
    """The allowed rows, int32, where they are few enough to be gathered; None where all are scanned."""
    if allowed is None or FEW * int(np.bitwise_count(allowed).sum()) > n:
        return None
    bits = np.unpackbits(np.ascontiguousarray(allowed).view(np.uint8), bitorder="little", count=n)
    return device.put(np.flatnonzero(bits).astype(np.int32))
