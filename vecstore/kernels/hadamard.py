"""Rounds of permutation, signs and Walsh-Hadamard transform, the steps of a random rotation.

Only additions in a fixed order and one product per round: the native extension and numpy give the same bits, on every
machine and for any batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array
from vecstore.kernels.places import like, place_of
from vecstore.kernels.select import get_kernels

_BATCH = 128  # rows whose coordinates stay in the second-level cache


def hadamard_rounds(
    rows: Float32Array,  # (n, dim), dim <= width
    permutations: NDArray[np.int32],  # (rounds, width)
    factors: Float32Array,  # (rounds, width)
    block: int,  # a power of two that divides width
) -> Float32Array:
    """Rows (n, width): padded with zeros, then in each round coordinate i comes from permutations[i], is multiplied by
    factors[i], and each run of `block` coordinates is transformed, unscaled."""
    if (place := place_of(rows)) is not None:
        return place.device.hadamard(rows, like(rows, permutations), like(rows, factors), block)
    out = np.empty((len(rows), permutations.shape[1]), np.float32)
    if get_kernels().name == "native":
        from vecstore.kernels import _native

        _native.hadamard(np.ascontiguousarray(rows), permutations, factors, block, out)
    else:
        numpy_rounds(rows, permutations, factors, block, out)
    return out


def numpy_rounds(
    rows: Float32Array, permutations: NDArray[np.int32], factors: Float32Array, block: int, out: Float32Array
) -> None:
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        # One coordinate of all rows lies together: each step is a few long vector operations.
        coordinates = np.zeros((out.shape[1], len(batch)), np.float32)
        coordinates[: batch.shape[1]] = batch.T
        for permutation, factor in zip(permutations, factors, strict=True):
            coordinates = coordinates[permutation]
            coordinates *= factor[:, None]
            _transform(coordinates, block)
        out[start : start + len(batch)] = coordinates.T


def _transform(coordinates: Float32Array, block: int) -> None:
    """Each run of `block` coordinates (width, n), in place."""
    n = coordinates.shape[1]
    difference = np.empty(coordinates.size // 2, np.float32)
    half = 1
    while half < block:
        pairs = coordinates.reshape(-1, 2, half * n)
        low, high = pairs[:, 0], pairs[:, 1]
        apart = np.subtract(low, high, out=difference.reshape(low.shape))
        low += high
        high[...] = apart
        half *= 2
