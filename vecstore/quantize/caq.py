"""Reference encoders for grid codes: the exact search of RaBitQ and the coordinate descent of CAQ.

They tell how much the one-shot encoder (`kernels.encode.grid_steps`) loses, and give the same kind of codes: cells of a
mid-rise grid, so their codes may be stored in its place. Both maximise the cosine of a row and its code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array
from vecstore.kernels.encode import Float64Array, UInt16Array

ROUNDS = 6
MIN_GAIN = 1e-8  # of the initial squared length: a move must pay, or rounding could swing it back and forth
Watch = Callable[[Float64Array, Float64Array, NDArray[np.int64]], None]


def exact_codes(rows: Float32Array, bits: int) -> UInt16Array:
    """Codes (n, dim) with the largest cosine of all, 0 to 2**bits - 1. O(2**bits dim log) a row.

    Every optimum is floor(t |x|), cut off at the outermost cell, for some t > 0 (arXiv 2409.09913): sweep t over the
    points where a coordinate changes its cell."""
    half = 1 << bits - 1
    codes = np.empty(rows.shape, np.uint16)
    cells = np.arange(1, half)
    for i, row in enumerate(np.abs(rows.astype(np.float64))):
        level = np.zeros(len(row), np.int64)
        moving = np.flatnonzero(row)
        if len(moving) and half > 1:
            points = (cells / row[moving, None]).ravel()
            order = np.argsort(points, kind="stable")
            dims, steps = moving[order // len(cells)], cells[order % len(cells)]
            products = np.cumsum(np.append(0.5 * row.sum(), row[dims]))
            squares = np.cumsum(np.append(0.25 * len(row), 2.0 * steps))
            taken = int((products * products / squares).argmax())
            level = np.bincount(dims[:taken], minlength=len(row))
        codes[i] = np.where(rows[i] >= 0, half + level, half - 1 - level)
    return codes


def caq_codes(
    rows: Float32Array,
    bits: int,
    rounds: int = ROUNDS,
    watch: Watch | None = None,
    steps: Float64Array | None = None,
) -> UInt16Array:
    """Code adjustment (arXiv 2509.12086): a grid with each row's step, then `rounds` of moving one coordinate at a
    time while the cosine grows. Rows go in lockstep. `watch` sees <row, code>, |code|^2 (code in the rows' units) and
    the codes after each coordinate. Without `steps` (n,) a grid spans the row's range, as in the paper; the step
    decides more than the rounds do, and the one-shot encoder's (`kernels.encode.grid_steps`) is a better one."""
    wide = rows.astype(np.float64)
    cells = 1 << bits
    largest = np.abs(wide).max(axis=1)
    step = np.where(largest > 0, 2 * largest / cells, 1.0) if steps is None else steps
    codes = np.clip(np.floor(wide / step[:, None]) + cells // 2, 0, cells - 1).astype(np.int64)
    least = None
    for _ in range(rounds):
        values = (codes + 0.5) * step[:, None] - (cells // 2) * step[:, None]
        # Summed anew in each round: rounding does not pile up.
        product, square = (wide * values).sum(axis=1), (values * values).sum(axis=1)
        least = MIN_GAIN * square if least is None else least
        before = codes.copy()
        for dim in range(rows.shape[1]):
            for direction in (1, -1):
                _move(wide[:, dim], step, cells, direction, least, product, square, values, codes, dim)
            if watch is not None:
                watch(product, square, codes)
        if (codes == before).all():
            break
    adjusted: UInt16Array = codes.astype(np.uint16)
    return adjusted


def _move(
    column: Float64Array,
    step: Float64Array,
    cells: int,
    direction: int,
    least: Float64Array,
    product: Float64Array,
    square: Float64Array,
    values: Float64Array,
    codes: NDArray[np.int64],
    dim: int,
) -> None:
    """Move one coordinate of the rows where that pays, in place, cell by cell."""
    while True:
        code, value = codes[:, dim], values[:, dim]
        moved = value + direction * step
        new_product = product + direction * step * column
        new_square = square - value * value + moved * moved
        better = new_product * new_product * square > (product * product + least) * new_square
        better &= (code + direction >= 0) & (code + direction < cells)
        if not better.any():
            return
        product[better], square[better] = new_product[better], new_square[better]
        codes[better, dim] += direction
        values[better, dim] = moved[better]
