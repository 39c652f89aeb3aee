"""numpy's answer to what scans of bits and codes ask of a device."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.arrays import LANES
from vecstore.kernels.device.blocks import Blocks


class ArrayCodes:
    def differing(self, tiles: NDArray[np.uint32], queries: NDArray[np.uint32], rows: Any) -> NDArray[np.int32]:
        own = _rows_of(tiles, rows)
        out = np.empty((len(queries), len(own)), np.int32)
        for place, query in enumerate(queries):
            out[place] = np.bitwise_count(own ^ query).sum(axis=(1, 2), dtype=np.int64)
        return out

    def signs(self, tiles: NDArray[np.uint32], rows: Any) -> NDArray[np.float16]:
        own = np.ascontiguousarray(_rows_of(tiles, rows)).view(np.uint8).reshape(-1, tiles.shape[1] * 16)
        return 2 * np.unpackbits(own, axis=1, bitorder="little").astype(np.float16) - np.float16(1)

    def unpack_tables(self, words: Any, blocks: Blocks, values: Any, out: Any, at: int) -> None:
        nibbles = _nibbles(blocks.of(words))[:, : len(values)]
        numbers = values[np.arange(len(values)), nibbles].reshape(len(out), -1)
        out[:, at : at + numbers.shape[1]] = numbers

    def unpack_run(self, extra: Any, blocks: Blocks, begin: int, bits: int, count: int, out: Any, at: int) -> None:
        out[:, at : at + count] = _fields(extra, blocks, begin, bits, count)

    def unpack_bytes(self, codes: Any, blocks: Blocks, values: Any, out: Any, at: int) -> None:
        m = codes.shape[1]
        own = blocks.of(codes.reshape(-1, LANES, m)).reshape(-1, m)
        numbers = values[np.arange(m), own].reshape(len(own), -1)
        out[:, at : at + numbers.shape[1]] = numbers

    def unpack_words(self, words: Any, blocks: Blocks, levels: Any | None, dim: int, stride: int) -> NDArray[np.int8]:
        own = blocks.of(words)
        numbers = (_bytes(own) ^ 128).view(np.int8) if levels is None else levels[_nibbles(own)]
        out = np.zeros((len(own) * LANES, stride), np.int8)
        out[:, :dim] = numbers[:, :dim]
        return out

    def table_sums(self, words: Any, blocks: Blocks, tables: NDArray[np.float32]) -> NDArray[np.float32]:
        m = tables.shape[1]
        nibbles = _nibbles(blocks.of(words))[:, :m]
        out: NDArray[np.float32] = np.stack([table[np.arange(m), nibbles].sum(axis=1) for table in tables])
        return out

    def add_run_sums(self, extra: Any, blocks: Blocks, begin: int, bits: int, queries: Any, out: Any) -> None:
        out += queries @ _fields(extra, blocks, begin, bits, queries.shape[1]).T

    def largest_sums(
        self, values: Any, step: Any, lines: NDArray[np.int64], starts: NDArray[np.int64], base: int
    ) -> NDArray[np.float32]:
        best = np.maximum.reduceat(values, starts[:-1] - base, axis=1) * step[:, None]
        out = np.zeros((len(lines) - 1, best.shape[1]), np.float32)
        for q in range(len(out)):
            out[q] = best[lines[q] : lines[q + 1]].sum(axis=0)
        return out


def _rows_of(tiles: NDArray[np.uint32], rows: Any) -> NDArray[np.uint32]:
    """(n, groups, 4) of the rows (first, n), or of numbers."""
    numbers = np.arange(rows[0], rows[0] + rows[1]) if isinstance(rows, tuple) else rows
    return tiles[numbers // LANES, :, numbers % LANES]


def _bytes(words: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words.transpose(0, 2, 1, 3)).reshape(len(words) * LANES, -1)


def _nibbles(words: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows = _bytes(words)
    return np.stack((rows & 15, rows >> 4), axis=2).reshape(len(rows), -1)


def _fields(extra: Any, blocks: Blocks, begin: int, bits: int, count: int) -> NDArray[np.float32]:
    own = blocks.of(extra.reshape(-1, LANES, extra.shape[1])).reshape(-1, extra.shape[1])
    run = own[:, begin : begin + count * bits // 8]
    parts = [(run >> shift & (1 << bits) - 1).astype(np.float32) for shift in range(0, 8, bits)]
    return np.concatenate(parts, axis=1) - np.float32(((1 << bits) - 1) / 2)
