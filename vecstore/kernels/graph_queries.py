"""Queries of a graph walk as byte weights, for the backends written in Python, which bring products of their own.

The fields of a code are read in passes: pass p of a line takes the bits from 8 / passes * p up of each of its bytes, so
that a line whose narrowest field is of 1 bit has eight passes, of 2 bits four, of 4 bits two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array
from vecstore.kernels.graph import LINE, GraphArrays
from vecstore.schema import Metric

_TOP = np.float32(127)

# Exact products of bytes (nq, dim) with bytes (d, dim), rounded once to float32: (nq, d).
Products = Callable[[NDArray[np.int8], NDArray[np.int8]], Float32Array]


class Prepared(NamedTuple):
    """What walks read of queries."""

    weights: NDArray[np.int8]  # (nq, passes, 64)
    bias: Float32Array  # (nq,)
    scale: Float32Array  # (nq,)
    base: Float32Array  # (nq,): a distance is base + estimate


def products(queries: NDArray[np.int8], rows: NDArray[np.int8]) -> Float32Array:
    """float64 holds every sum of 2^39 byte products: the order of a matrix product's additions does not matter."""
    wide: NDArray[np.float64] = queries.astype(np.float64) @ rows.astype(np.float64).T
    return wide.astype(np.float32)


def to_bytes(values: Float32Array) -> tuple[NDArray[np.int8], Float32Array]:
    """Rows (n, m) rounded to bytes of which each row's largest is 127, and what one unit stands for (n,)."""
    top = np.abs(values).max(axis=1, initial=0)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = _TOP / top
    usable = (inverse > 0) & (inverse < np.inf)  # else all zero, too small to divide by, or not finite
    inverse[~usable] = 0
    rounded = np.rint(np.where(usable[:, None], values, 0) * inverse[:, None]).astype(np.int8)
    return rounded, np.where(usable, top / _TOP, np.float32(0)).astype(np.float32)


def _in_order(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of rows, term after term (a plain sum of numpy adds in another order)."""
    sums: NDArray[np.float64] = np.cumsum(terms, axis=1)[:, -1]
    return sums


class CodeQueries:
    """How the codes of a graph are read, and what turns queries into weights for that."""

    def __init__(self, metric: Metric, arrays: GraphArrays) -> None:
        self._metric, self._arrays = metric, arrays
        byte, shift, width, self._directions = arrays.fields.T.astype(np.int64)
        lines = arrays.codes.shape[1] // LINE
        self.passes = np.zeros(lines, np.int64)
        np.maximum.at(self.passes, byte // LINE, 8 // width)
        self.masks = np.zeros((lines, LINE), np.uint8)  # the bits of a byte's fields, shifted down
        self.masks.reshape(-1)[byte] = (1 << width) - 1
        self._twice_means = (1 << width) - 1
        first = np.cumsum(self.passes) - self.passes
        within = shift * self.passes[byte // LINE] // 8
        self._places = (first[byte // LINE] + within) * LINE + byte % LINE
        mean = arrays.mean.astype(np.float64)
        self._mean_square = np.float32(_in_order((mean * mean)[None])[0])

    def prepare(self, queries: Float32Array, products: Products) -> Prepared:
        a = self._arrays
        centred, base = self._centred(queries)
        values, units = to_bytes(centred)
        scaled = units[:, None] * a.direction_scales
        with np.errstate(over="ignore", invalid="ignore"):
            weights = a.field_weights * (products(values, a.directions) * scaled)[:, self._directions]
        rounded, steps = to_bytes(weights)
        shape = len(queries), int(self.passes.sum()), LINE
        placed = np.zeros((shape[0], shape[1] * LINE), np.int8)
        placed[:, self._places] = rounded
        bias = (rounded.astype(np.int64) @ self._twice_means).astype(np.float32) * np.float32(0.5)
        return Prepared(placed.reshape(shape), bias, steps * np.float32(a.scale_unit), base)

    def _centred(self, queries: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Queries as they are rotated, and what estimates leave out."""
        wide = queries.astype(np.float64)
        along = _in_order(wide * self._arrays.mean)
        square = _in_order(wide * wide)
        if self._metric is Metric.L2:
            return queries - self._arrays.mean, (square - 2 * along + self._mean_square).astype(np.float32)
        if self._metric is Metric.DOT:
            return queries, (-along).astype(np.float32)
        norms = np.sqrt(square)
        scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
        return (wide * scale[:, None]).astype(np.float32), (-along * scale).astype(np.float32) + np.float32(1)
