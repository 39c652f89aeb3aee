"""The law of `encode.py` in numpy: the same sums in the same order as the native routines, to the last bit.

A reduction over an axis other than the last adds whole slices one after the other, which is how lanes are stated here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array, UInt8Array

_BATCH = 256  # rows at once: what a row takes stays in the cache
SUM_LANES = 16  # chains of a row's float sums
DOT_LANES = 8  # chains of a row's double sums


def _in_lanes(rows: np.ndarray, lanes: int) -> np.ndarray:
    """(n, dim) padded with zeros to (n, chunks, lanes)."""
    n, dim = rows.shape
    chunks = -(-dim // lanes)
    padded = np.zeros((n, chunks * lanes), rows.dtype)
    padded[:, :dim] = rows
    return padded.reshape(n, chunks, lanes)


def _in_order(lanes: np.ndarray) -> np.ndarray:
    """(n, lanes) summed lane after lane in float64."""
    total = lanes[:, 0].astype(np.float64)
    for lane in range(1, lanes.shape[1]):
        total = total + lanes[:, lane]
    return total


def project(rows: Float32Array, matrix: Float32Array, out: Float32Array) -> None:
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        total = np.zeros((len(part), matrix.shape[1]), np.float32)
        for dim in range(matrix.shape[0]):
            total += part[:, dim, None] * matrix[dim]
        out[start : start + _BATCH] = total


def row_dots(a: Float32Array, b: Float32Array, out: NDArray[np.float64]) -> None:
    for start in range(0, len(a), _BATCH):
        part = slice(start, start + _BATCH)
        out[part] = _in_order(_in_lanes(a[part].astype(np.float64) * b[part], DOT_LANES).sum(axis=1))


def _scores(magnitudes: Float32Array, dim: int, inverses: Float32Array, half: int) -> NDArray[np.float64]:
    """Squared cosines, up to the rows' lengths, of rows and their codes; magnitudes (n, chunks, lanes)."""
    levels = np.minimum(magnitudes * inverses[:, None, None], np.float32(half - 1)).astype(np.int32)
    products = ((levels.astype(np.float32) + np.float32(0.5)) * magnitudes).sum(axis=1, dtype=np.float32)
    squares = (levels * levels + levels).sum(axis=1, dtype=np.int64).sum(axis=1)
    product = _in_order(products)
    scores: NDArray[np.float64] = product * product / (squares.astype(np.float64) + 0.25 * dim)
    return scores


def grid_steps(rows: Float32Array, half: int, normal_step: float, out: Float32Array) -> None:
    dim = rows.shape[1]
    for start in range(0, len(rows), _BATCH):
        part = np.abs(rows[start : start + _BATCH])
        largest = part.max(axis=1)
        has_direction = largest >= np.float32(1e-30)
        part = part[has_direction]
        squares = np.empty(len(part), np.float64)
        row_dots(part, part, squares)
        by_length = normal_step * np.sqrt(squares / dim)
        by_largest = largest[has_direction].astype(np.float64) / half
        low = np.minimum(0.9 * by_length, 0.8 * by_largest)
        high = np.maximum(1.1 * by_length, 1.02 * by_largest)
        count, ratio = 9, np.sqrt(np.sqrt(np.sqrt(high / low)))
        if half >= 32:
            count, ratio = 17, np.sqrt(ratio)
        magnitudes = _in_lanes(part, SUM_LANES)
        step, best, chosen = low, np.full(len(part), -1.0), np.ones(len(part), np.float32)
        for _ in range(count):
            inverses = (1 / step).astype(np.float32)
            scores = _scores(magnitudes, dim, inverses, half)
            better = scores > best
            best[better], chosen[better] = scores[better], inverses[better]
            step = step * ratio
        picked = np.ones(len(has_direction), np.float32)
        picked[has_direction] = chosen
        out[start : start + _BATCH] = picked


def grid_codes(
    rows: Float32Array,
    inverse_rows: Float32Array,
    inverse_dims: Float32Array,
    halves: Float32Array,
    codes: NDArray[np.uint16],
) -> None:
    half = halves.astype(np.int32)
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        scaled = np.abs(part) * inverse_dims * inverse_rows[start : start + _BATCH, None]
        cell = np.minimum(scaled, halves - 1).astype(np.int32)
        codes[start : start + _BATCH] = np.where(part >= 0, half + cell, half - 1 - cell)


def level_codes(
    rows: Float32Array, inverse_rows: Float32Array, bounds: Float32Array, codes: NDArray[np.uint16]
) -> None:
    for start in range(0, len(rows), _BATCH):
        part = slice(start, start + _BATCH)
        codes[part] = np.searchsorted(bounds, rows[part] * inverse_rows[part, None])


def nearest_codes(rows: Float32Array, columns: Float32Array, half_squares: Float32Array, codes: UInt8Array) -> None:
    _, subdim, size = columns.shape
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        products = np.empty((len(part), size), np.float32)
        for j, matrix in enumerate(columns):
            project(part[:, j * subdim : (j + 1) * subdim], matrix, products)
            codes[start : start + _BATCH, j] = np.argmin(half_squares[j] - products, axis=1)


def shaped_codes(cells: Float32Array, feedback: Float32Array, codes: UInt8Array) -> None:
    dim = cells.shape[1]
    for start in range(0, len(cells), _BATCH):
        asked = np.ascontiguousarray(cells[start : start + _BATCH].T)
        wanted = asked.copy()
        for i in reversed(range(dim)):
            code = np.rint(np.clip(wanted[i], 0, 255))
            codes[start : start + _BATCH, i] = code
            missing = np.clip(asked[i] - code, -4, 4).astype(np.float32)
            wanted[:i] += feedback[i * (i - 1) // 2 : i * (i + 1) // 2, None] * missing


def gather_bits(codes: NDArray[np.uint16], fields: NDArray[np.int32], out: UInt8Array) -> None:
    for byte, dim, shift, mask, position in fields.tolist():
        out[:, byte] |= ((codes[:, dim] >> shift & mask) << position).astype(np.uint8)
