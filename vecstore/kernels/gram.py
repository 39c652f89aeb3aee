"""Products of many rows with themselves: what covariances are made of."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.parts import in_parts
from vecstore.kernels.places import entered

_LEAST = 1 << 20  # numbers that are worth a device
log = logging.getLogger("vecstore.device")


def gram(rows: Float32Array) -> NDArray[Any]:
    """X^T X (dim, dim) of float32 rows (n, dim), in float32 or better; on the device that the build has entered."""
    place = entered()
    if place is not None and rows.size >= _LEAST:
        try:
            return _on_device(place.device, rows)
        except MemoryError:
            log.warning("a covariance of %d dimensions does not fit into %s", rows.shape[1], place.device.name)
    product: NDArray[Any] = rows.T @ rows
    return product


def _on_device(device: Device, rows: Float32Array) -> NDArray[np.float64]:
    """Columns as sums of two float16 ones, so that tensor cores lose none of 22 bits."""
    dim = rows.shape[1]
    columns = device.xp.ascontiguousarray(device.put(rows).T)
    halves, scales = in_parts(device.xp, columns, np.float16)
    products = device.products(halves, halves) * scales[:, None] * scales
    blocks = device.get(products).astype(np.float64).reshape(2, dim, 2, dim)
    total: NDArray[np.float64] = blocks.sum(axis=(0, 2))
    return total
