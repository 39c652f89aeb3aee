"""Arithmetic of encoding whose results have the same bits on every backend, in any batch and with any threads.

Codes are stored and compared byte for byte, so unlike the scans these calls leave no tolerance: sums have a fixed order
and nothing is fused. The native extension serves them, or numpy where it is absent; arrays on a device that a build has
entered (`places`) are encoded there, with the same bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import encode_numpy
from vecstore.kernels.base import Float32Array, UInt8Array
from vecstore.kernels.places import like, place_of
from vecstore.kernels.select import get_kernels

UInt16Array = NDArray[np.uint16]
Float64Array = NDArray[np.float64]
BitFields = NDArray[np.int32]  # (fields, 5): byte, dim, shift, mask, position


def _native() -> bool:
    return get_kernels().name == "native"


def project(rows: Float32Array, matrix: Float32Array) -> Float32Array:
    """rows (n, dim) times matrix (dim, columns); each element is summed in float32 over dim in ascending order."""
    if (place := place_of(rows)) is not None:
        return place.device.project(rows, like(rows, matrix))
    out = np.empty((len(rows), matrix.shape[1]), np.float32)
    if _native():
        from vecstore.kernels import _native as native

        native.project(np.ascontiguousarray(rows), matrix, out)
    else:
        encode_numpy.project(rows, matrix, out)
    return out


def row_dots(a: Float32Array, b: Float32Array) -> Float64Array:
    """Inner products of rows, (n, dim) and (n, dim) to float64 (n,)."""
    if (place := place_of(a)) is not None:
        return place.device.row_dots(a, like(a, b))
    out = np.empty(len(a), np.float64)
    if _native():
        from vecstore.kernels import _native as native

        native.row_dots(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    else:
        encode_numpy.row_dots(a, b, out)
    return out


def grid_steps(rows: Float32Array, half: int, normal_step: float) -> Float32Array:
    """1 / step (n,) of the uniform grid, `half` levels of each sign at +-1/2, +-3/2, ... steps, whose code has the
    largest cosine with the row among 9 steps (17 from 6 bits on) around what suits N(0, 1) (`normal_step`) and what
    suits the row's largest value.

    RaBitQ's multi-scale encoder; loses 0.1 % (2 bits) to 3 % (8 bits) of 1 - cos^2 against the best step of all."""
    if (place := place_of(rows)) is not None:
        return place.device.grid_steps(rows, half, normal_step)
    out = np.empty(len(rows), np.float32)
    if _native():
        from vecstore.kernels import _native as native

        native.grid_steps(rows, half, normal_step, out)
    else:
        encode_numpy.grid_steps(rows, half, normal_step, out)
    return out


def grid_codes(
    rows: Float32Array, inverse_rows: Float32Array, inverse_dims: Float32Array, halves: Float32Array
) -> UInt16Array:
    """Cells 0..2 * halves[j] - 1 of rows[i, j] * inverse_dims[j] * inverse_rows[i] on a grid of unit step."""
    if (place := place_of(rows)) is not None:
        return place.device.grid_codes(rows, *(like(rows, one) for one in (inverse_rows, inverse_dims, halves)))
    codes = np.empty(rows.shape, np.uint16)
    if _native():
        from vecstore.kernels import _native as native

        native.grid_codes(rows, inverse_rows, inverse_dims, halves, codes)
    else:
        encode_numpy.grid_codes(rows, inverse_rows, inverse_dims, halves, codes)
    return codes


def level_codes(rows: Float32Array, inverse_rows: Float32Array, bounds: Float32Array) -> UInt16Array:
    """How many of the ascending `bounds` lie below each rows[i, j] * inverse_rows[i]."""
    if (place := place_of(rows)) is not None:
        return place.device.level_codes(rows, inverse_rows, like(rows, bounds))
    codes = np.empty(rows.shape, np.uint16)
    if _native():
        from vecstore.kernels import _native as native

        native.level_codes(rows, inverse_rows, bounds, codes)
    else:
        encode_numpy.level_codes(rows, inverse_rows, bounds, codes)
    return codes


def nearest_codes(rows: Float32Array, columns: Float32Array, half_squares: Float32Array) -> UInt8Array:
    """For part j of each row (n, m * subdim), the v with the least half_squares[j, v] - <part, columns[j, :, v]>, that
    is the nearest centroid; equal ones by number. `columns` is (m, subdim, 16 * any up to 256), the result (n, m)."""
    if (place := place_of(rows)) is not None:
        return place.device.nearest_codes(rows, like(rows, columns), like(rows, half_squares))
    codes = np.empty((len(rows), len(columns)), np.uint8)
    if _native():
        from vecstore.kernels import _native as native

        native.nearest_codes(np.ascontiguousarray(rows), columns, half_squares, codes)
    else:
        encode_numpy.nearest_codes(rows, columns, half_squares, codes)
    return codes


def shaped_codes(cells: Float32Array, feedback: Float32Array) -> UInt8Array:
    """Bytes (n, dim) of cells (n, dim), the last one first: each is rounded, and what that added or took away is given
    the cells before it, cell j by the factor feedback[i * (i - 1) / 2 + j]. Errors of over 4 steps count as 4."""
    if (place := place_of(cells)) is not None:
        return place.device.shaped_codes(cells, like(cells, feedback))
    codes = np.empty(cells.shape, np.uint8)
    if _native():
        from vecstore.kernels import _native as native

        native.shaped_codes(np.ascontiguousarray(cells), feedback, codes)
    else:
        encode_numpy.shaped_codes(cells, feedback, codes)
    return codes


def gather_bits(codes: UInt16Array, fields: BitFields, nbytes: int) -> UInt8Array:
    """Bytes (n, nbytes) put together from bits of codes: byte |= (code[dim] >> shift & mask) << position."""
    if (place := place_of(codes)) is not None:
        return place.device.gather_bits(codes, *(place.put(one) for one in _by_byte(fields, nbytes)))
    out = np.zeros((len(codes), nbytes), np.uint8)
    if _native():
        from vecstore.kernels import _native as native

        native.gather_bits(codes, fields, out)
    else:
        encode_numpy.gather_bits(codes, fields, out)
    return out


def to_half(values: Float64Array) -> NDArray[np.float16]:
    """Rounded to the nearest, ties to even."""
    if place_of(values) is None:
        return values.astype(np.float16)
    # A device goes by way of float32; rounded there to the odd one of the two numbers beside it, nothing is lost.
    narrow = values.astype(np.float32)
    back = narrow.astype(np.float64)
    bits = narrow.view(np.uint32)
    odd = np.where(np.abs(back) > np.abs(values), bits - np.uint32(1), bits) | (back != values).astype(np.uint32)
    halves: NDArray[np.float16] = odd.view(np.float32).astype(np.float16)
    return halves


def _by_byte(fields: BitFields, nbytes: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Fields without their byte, those of byte b from starts[b] on."""
    order = np.argsort(fields[:, 0], kind="stable")
    starts = np.searchsorted(fields[order, 0], np.arange(nbytes + 1)).astype(np.int32)
    return np.ascontiguousarray(fields[order, 1:]), starts
