"""Uniform grid codes of any bits per dimension, cut into the two stages of `TableCodes`.

Dimension j has a mid-rise grid of bits[j] bits: code u in 0..2**bits - 1 stands for (u - (2**bits - 1) / 2) * step.
Such a value is a sum over its bits, so any split is exact: the top bits go, four (dimension, bit) pairs to a nibble,
into stage one, the low bits into runs of 8, 4, 2 and 1 bits of stage two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import encode
from vecstore.kernels.base import Float32Array, UInt8Array
from vecstore.kernels.encode import BitFields, UInt16Array
from vecstore.kernels.places import like
from vecstore.quantize.table_codes import Tables

Int32Array = NDArray[np.int32]
PLANES = 4  # bits of a nibble


def _offset(bits: Int32Array) -> Float32Array:
    """What centres a code: half of the largest."""
    centred: Float32Array = ((np.int64(1) << bits.astype(np.int64)) - 1).astype(np.float32) / np.float32(2)
    return centred


@dataclass(frozen=True, slots=True)
class Grid:
    """`weights` tell how strongly a query's tables depend on a dimension: heavy bits go to different nibbles, so that
    no table has a much larger range than the rest (their entries are rounded with one step)."""

    bits: Int32Array  # (dims,) 1 to 12
    top: Int32Array  # (dims,) how many of them stage one holds
    steps: Float32Array  # (dims,)
    weights: Float32Array  # (dims,)

    def values(self, codes: UInt16Array) -> Float32Array:
        """What codes (n, dims) stand for."""
        return (codes.astype(np.float32) - like(codes, _offset(self.bits))) * like(codes, self.steps)

    def top_values(self, codes: UInt16Array) -> Float32Array:
        """What their top bits stand for: the centre of the cells that share them."""
        low = (self.bits - self.top).astype(np.uint16)
        steps = self.steps * (np.int64(1) << low.astype(np.int64)).astype(np.float32)
        cells = (codes >> like(codes, low)).astype(np.float32)
        return (cells - like(codes, _offset(self.top))) * like(codes, steps)

    def nibbles(self, codes: UInt16Array) -> UInt8Array:
        return encode.gather_bits(codes, self._nibble_fields(), len(self._planes()))

    def low_bits(self, codes: UInt16Array) -> UInt8Array:
        fields, nbytes = self._extra_fields()
        return encode.gather_bits(codes, fields, nbytes)

    def codes(self, nibbles: UInt8Array, extra: UInt8Array | None) -> UInt16Array:
        """The codes of `nibbles` and `extra`."""
        out = np.zeros((len(nibbles), len(self.bits)), np.uint16)
        _scatter(nibbles, self._nibble_fields(), out)
        if extra is not None:
            _scatter(extra, self._extra_fields()[0], out)
        return out

    @property
    def staged(self) -> bool:
        return bool((self.top < self.bits).any())

    def tables(self) -> Tables:
        planes = self._planes()
        dims, shifts = np.ascontiguousarray(planes[:, :, 0]), np.maximum(planes[:, :, 1], 0)
        used = dims >= 0
        weights = np.where(used, self.steps[dims] * (np.int64(1) << shifts.astype(np.int64)), 0)
        signs = (np.arange(16) >> np.arange(PLANES)[:, None] & 1) - 0.5
        values = (weights[:, :, None] * signs).astype(np.float32)
        if not self.staged:
            return Tables(dims, values)
        runs = self._runs()
        return Tables(
            dims,
            values,
            np.array([(bits, len(dims)) for bits, dims, _ in runs], np.int32),
            np.concatenate([dims for _, dims, _ in runs]),
            np.concatenate(
                [
                    np.where(dims >= 0, self.steps[dims] * (np.int64(1) << shifts.astype(np.int64)), 0)
                    for _, dims, shifts in runs
                ]
            ).astype(np.float32),
        )

    def _planes(self) -> Int32Array:
        """(nibbles, 4, 2): dimension and bit of each plane, -1 for none, the heaviest planes one to a nibble."""
        dims = np.repeat(np.arange(len(self.bits), dtype=np.int32), self.top)
        ends = np.cumsum(self.top)
        shifts = (
            np.repeat(ends, self.top) - np.arange(len(dims)) - 1 + np.repeat(self.bits - self.top, self.top)
        ).astype(np.int32)
        heavy = self.weights[dims].astype(np.float64) * self.steps[dims] * 2.0**shifts
        order = np.argsort(-heavy, kind="stable")
        count = -(-len(dims) // PLANES)
        planes = np.full((PLANES * count, 2), -1, np.int32)
        planes[: len(dims)] = np.stack([dims, shifts], axis=1)[order]
        return np.ascontiguousarray(planes.reshape(PLANES, count, 2).transpose(1, 0, 2))

    def _nibble_fields(self) -> BitFields:
        planes = self._planes()
        nibble, place = np.nonzero(planes[:, :, 0] >= 0)
        dim, shift = planes[nibble, place].T
        return np.stack([nibble, dim, shift, np.ones_like(dim), place], axis=1).astype(np.int32)

    def _runs(self) -> list[tuple[int, Int32Array, Int32Array]]:
        """Bits, dimensions (a multiple of 8, padded with -1) and shifts of stage two's runs."""
        low = self.bits - self.top
        runs = []
        for bits in (8, 4, 2, 1):
            dims = np.flatnonzero(low & bits).astype(np.int32)
            if len(dims):
                padded = np.full(-(-len(dims) // 8) * 8, -1, np.int32)
                padded[: len(dims)] = dims
                # Wider runs hold the lower bits.
                runs.append((bits, padded, (low[padded] & ~(2 * bits - 1)).astype(np.int32)))
        return runs

    def _extra_fields(self) -> tuple[BitFields, int]:
        fields, start = [], 0
        for bits, dims, shifts in self._runs():
            width = len(dims) * bits // 8
            at = np.arange(len(dims))
            mask = np.full(len(dims), (1 << bits) - 1)
            run = np.stack([start + at % width, dims, shifts, mask, at // width * bits], axis=1)
            fields.append(run[dims >= 0])
            start += width
        return np.concatenate([np.empty((0, 5)), *fields]).astype(np.int32), start


def _scatter(stored: UInt8Array, fields: BitFields, codes: UInt16Array) -> None:
    """Undo `gather_bits`."""
    for byte, dim, shift, mask, position in fields.tolist():
        codes[:, dim] |= (stored[:, byte] >> position & mask).astype(np.uint16) << shift
