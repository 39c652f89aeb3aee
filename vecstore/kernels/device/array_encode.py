"""numpy's answer to what encoding asks of a device: `kernels.encode_numpy`, the law of its bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecstore.kernels import encode_numpy
from vecstore.kernels.hadamard import numpy_rounds


class ArrayEncode:
    def project(self, rows: Any, matrix: Any) -> Any:
        out = np.empty((len(rows), matrix.shape[1]), np.float32)
        encode_numpy.project(rows, matrix, out)
        return out

    def hadamard(self, rows: Any, permutations: Any, factors: Any, block: int) -> Any:
        out = np.empty((len(rows), permutations.shape[1]), np.float32)
        numpy_rounds(rows, permutations, factors, block, out)
        return out

    def row_dots(self, a: Any, b: Any) -> Any:
        out = np.empty(len(a), np.float64)
        encode_numpy.row_dots(a, b, out)
        return out

    def grid_steps(self, rows: Any, half: int, normal_step: float) -> Any:
        out = np.empty(len(rows), np.float32)
        encode_numpy.grid_steps(rows, half, normal_step, out)
        return out

    def grid_codes(self, rows: Any, inverse_rows: Any, inverse_dims: Any, halves: Any) -> Any:
        out = np.empty(rows.shape, np.uint16)
        encode_numpy.grid_codes(rows, inverse_rows, inverse_dims, halves, out)
        return out

    def level_codes(self, rows: Any, inverse_rows: Any, bounds: Any) -> Any:
        out = np.empty(rows.shape, np.uint16)
        encode_numpy.level_codes(rows, inverse_rows, bounds, out)
        return out

    def nearest_codes(self, rows: Any, columns: Any, half_squares: Any) -> Any:
        out = np.empty((len(rows), len(columns)), np.uint8)
        encode_numpy.nearest_codes(rows, columns, half_squares, out)
        return out

    def shaped_codes(self, cells: Any, feedback: Any) -> Any:
        out = np.empty(cells.shape, np.uint8)
        encode_numpy.shaped_codes(cells, feedback, out)
        return out

    def gather_bits(self, codes: Any, fields: Any, starts: Any) -> Any:
        out = np.zeros((len(codes), len(starts) - 1), np.uint8)
        bytes_ = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        encode_numpy.gather_bits(codes, np.column_stack((bytes_, fields)), out)
        return out
