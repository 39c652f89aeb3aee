"""The nearest of all rows to each row, for graphs: products of bytes with all rows, chunk by chunk (`nearest.py`).

A product of n x n on tensor cores costs less up to millions of rows than to cut them into leaves, and finds all.
"""

from __future__ import annotations

import numpy as np

from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.nearest import Nearest, chunk_rows, write_answers
from vecstore.kernels.device.shortlist import Terms
from vecstore.kernels.graph import ByteRows, UInt32Array

ASKED = 1024  # rows that meet the others at once
_MULTIPLE = 16  # bytes of a row, for tensor cores
_PUT = 1 << 18  # rows brought over at once


class NearestRows:
    """Methods raise MemoryError where the device is too small."""

    def __init__(self, device: Device, rows: ByteRows) -> None:
        """`rows` as graphs are built from them; all are brought over."""
        n, width = rows.bytes.shape
        self._device = device
        self._bytes = device.xp.zeros((n, -(-width // _MULTIPLE) * _MULTIPLE), np.int8)
        for low in range(0, n, _PUT):
            self._bytes[low : low + _PUT, :width] = device.put(rows.bytes[low : low + _PUT])
        self._scales, self._squares = device.put(rows.scales), device.put(rows.squares)

    def of(self, low: int, high: int, k: int) -> UInt32Array:
        """The k nearest to each row from `low` to `high`, itself among them, (high - low, k): exact up to the last bits
        of distances, as |s x - t y|^2 of bytes x and scales s. Where thousands are equally near, any of them."""
        asked, nq = slice(low, high), high - low
        step = chunk_rows(self._device, nq)
        nearest = Nearest(self._device, nq, k, step, slack=False)
        own_scale, start = -2 * self._scales[asked], self._squares[asked][:, None]
        for part in nearest.chunks(len(self._bytes), step):
            products = self._device.products(self._bytes[part], self._bytes[asked])
            near = Terms(own_scale, start, add=self._squares[part], scale=self._scales[part], first=part.start)
            nearest.take(products, near)
        rows, distances = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)
        write_answers(self._device.get(nearest.answer(k)), rows, distances)
        themselves = np.arange(low, high)[:, None]
        found: UInt32Array = np.where(rows < 0, themselves, rows).astype(np.uint32)
        return found
