"""Scans of bits and codes on a GPU: `cuda/binary.cu` and `cuda/codes.cu`."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from vecstore.kernels.device.arrays import LANES
from vecstore.kernels.device.blocks import Blocks
from vecstore.kernels.device.launch import THREADS, Module, contiguous

QUERY_TILE = 8
SLAB = 128  # as in codes.cu
SUM_BLOCKS = 1024  # at most, a query: a block reads its tables once


class CupyCodes:
    module: Module

    def differing(self, tiles: Any, queries: Any, rows: Any) -> Any:
        numbers, first, n = _numbered(rows)
        nq, queries = len(queries), contiguous(queries)
        out = cupy.empty((nq, n), np.int32)
        tile = 1 if nq == 1 else QUERY_TILE
        grid = (-(-n // THREADS), -(-nq // tile))
        arguments = (tiles, queries, numbers, first, out, n, np.int32(tiles.shape[1]), np.int32(nq))
        self.module.launch(f"differing_{tile}", grid, *arguments)
        return out

    def signs(self, tiles: Any, rows: Any) -> Any:
        numbers, first, n = _numbered(rows)
        groups = int(tiles.shape[1])
        out = cupy.empty((n, groups * 128), np.float16)
        self.module.each("signs", n * groups * 4, tiles, numbers, first, out, n, np.int32(groups))
        return out

    def unpack_tables(self, words: Any, blocks: Blocks, values: Any, out: Any, at: int) -> None:
        m, _, width = values.shape
        nwords = words.shape[1]
        self.module.launch(
            "unpack_tables", (blocks.count, -(-nwords // SLAB)), words, blocks.listed, blocks.first, values, out,
            *_ints(nwords, m, width, out.shape[1], at),
        )  # fmt: skip

    def unpack_run(self, extra: Any, blocks: Blocks, begin: int, bits: int, count: int, out: Any, at: int) -> None:
        self.module.each(
            "unpack_run", blocks.count * LANES * (count * bits // 8), extra, blocks.listed, blocks.first, out,
            blocks.count, *_ints(extra.shape[1], begin, bits, count, out.shape[1], at),
        )  # fmt: skip

    def unpack_bytes(self, codes: Any, blocks: Blocks, values: Any, out: Any, at: int) -> None:
        m, _, width = values.shape
        self.module.each(
            "unpack_bytes", blocks.count * LANES * m, codes, blocks.listed, blocks.first, values, out, blocks.count,
            *_ints(m, width, out.shape[1], at),
        )  # fmt: skip

    def unpack_words(self, words: Any, blocks: Blocks, levels: Any | None, dim: int, stride: int) -> Any:
        out = cupy.empty((blocks.count * LANES, stride), np.int8)
        nwords = words.shape[1]
        if nwords * (4 if levels is None else 8) < stride:
            out.fill(0)
        self.module.launch(
            "unpack_words", (blocks.count, -(-nwords // SLAB)), words, blocks.listed, blocks.first, levels, out,
            *_ints(nwords, dim, stride),
        )  # fmt: skip
        return out

    def table_sums(self, words: Any, blocks: Blocks, tables: Any) -> Any:
        nq, m, _ = tables.shape
        out = cupy.empty((nq, blocks.count * LANES), np.float32)
        grid = (min(SUM_BLOCKS, -(-blocks.count * LANES // THREADS)), nq)
        arguments = (
            words,
            blocks.listed,
            blocks.first,
            contiguous(tables),
            out,
            blocks.count,
            *_ints(words.shape[1], m),
        )
        self.module.launch("table_sums", grid, *arguments, shared=m * 64)
        return out

    def add_run_sums(self, extra: Any, blocks: Blocks, begin: int, bits: int, queries: Any, out: Any) -> None:
        nq, count = queries.shape
        grid = (min(SUM_BLOCKS, -(-blocks.count * LANES * LANES // THREADS)), nq)
        self.module.launch(
            "run_sums", grid, extra, blocks.listed, blocks.first, queries, out, blocks.count,
            *_ints(extra.shape[1], begin, bits, count), shared=count * 4,
        )  # fmt: skip

    def largest_sums(self, values: Any, step: Any, lines: Any, starts: Any, base: int) -> Any:
        runs, nq = len(starts) - 1, len(lines) - 1
        out = cupy.empty((nq, runs), np.float32)
        grid = (-(-runs * LANES // THREADS), nq)
        arguments = (contiguous(values), step, lines, contiguous(starts), base, out, values.shape[1], runs)
        self.module.launch("largest_sums", grid, *arguments)
        return out


def _numbered(rows: Any) -> tuple[Any | None, int, int]:
    """Numbers, first and how many."""
    return (None, *rows) if isinstance(rows, tuple) else (rows, 0, len(rows))


def _ints(*values: int) -> tuple[np.int32, ...]:
    return tuple(np.int32(value) for value in values)
