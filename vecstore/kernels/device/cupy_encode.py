"""Arithmetic of encoding on a GPU: `cuda/encode.cu`."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from vecstore.kernels.device.launch import Module, contiguous

TILE = 64  # as in encode.cu
SHARED = 48 << 10  # bytes of a block without asking for more


class CupyEncode:
    module: Module

    def project(self, rows: Any, matrix: Any) -> Any:
        n, (dim, columns) = len(rows), matrix.shape
        out = cupy.empty((n, columns), np.float32)
        grid = (-(-n // TILE), -(-columns // TILE))
        self.module.launch(
            "project", grid, contiguous(rows), contiguous(matrix), out, n, np.int32(dim), np.int32(columns)
        )
        return out

    def hadamard(self, rows: Any, permutations: Any, factors: Any, block: int) -> Any:
        (n, dim), (rounds, width) = rows.shape, permutations.shape
        out, shared = cupy.empty((n, width), np.float32), 8 * width
        spare = cupy.empty((n, width), np.float32) if shared > SHARED else None
        self.module.launch(
            "hadamard", (n,), contiguous(rows), permutations, factors, out, spare,
            *(np.int32(number) for number in (dim, width, rounds, block)), shared=0 if shared > SHARED else shared,
        )  # fmt: skip
        return out

    def row_dots(self, a: Any, b: Any) -> Any:
        out = cupy.empty(len(a), np.float64)
        self.module.each("row_dots", len(a), contiguous(a), contiguous(b), out, len(a), np.int32(a.shape[1]))
        return out

    def grid_steps(self, rows: Any, half: int, normal_step: float) -> Any:
        (n, dim), out = rows.shape, cupy.empty(len(rows), np.float32)
        arguments = (contiguous(rows), out, n, np.int32(dim), np.int32(half), np.float64(normal_step))
        self.module.each("grid_steps", n, *arguments)
        return out

    def grid_codes(self, rows: Any, inverse_rows: Any, inverse_dims: Any, halves: Any) -> Any:
        out, size = cupy.empty(rows.shape, np.uint16), int(rows.size)
        arguments = (contiguous(rows), inverse_rows, inverse_dims, halves, out, size, np.int32(rows.shape[1]))
        self.module.each("grid_codes", size, *arguments)
        return out

    def level_codes(self, rows: Any, inverse_rows: Any, bounds: Any) -> Any:
        out, size, ints = cupy.empty(rows.shape, np.uint16), int(rows.size), (rows.shape[1], len(bounds))
        self.module.each("level_codes", size, contiguous(rows), inverse_rows, bounds, out, size, *map(np.int32, ints))
        return out

    def nearest_codes(self, rows: Any, columns: Any, half_squares: Any) -> Any:
        n, (m, subdim, size) = len(rows), columns.shape
        out = cupy.empty((n, m), np.uint8)
        arguments = (contiguous(rows), columns, half_squares, out, n, *map(np.int32, (m, subdim, size)))
        self.module.each("nearest_codes", n * m, *arguments)
        return out

    def shaped_codes(self, cells: Any, feedback: Any) -> Any:
        (n, dim), shared = cells.shape, 4 * cells.shape[1]
        spare = cupy.empty((n, dim), np.float32) if shared > SHARED else None
        out = cupy.empty((n, dim), np.uint8)
        arguments = (contiguous(cells), feedback, out, spare, np.int32(dim))
        self.module.launch("shaped_codes", (n,), *arguments, shared=0 if shared > SHARED else shared)
        return out

    def gather_bits(self, codes: Any, fields: Any, starts: Any) -> Any:
        (n, dim), nbytes = codes.shape, len(starts) - 1
        out = cupy.empty((n, nbytes), np.uint8)
        arguments = (contiguous(codes), fields, starts, out, n, np.int32(dim), np.int32(nbytes))
        self.module.each("gather_bits", n * nbytes, *arguments)
        return out
