"""Scalar quantizers of N(0, 1), computed once: Lloyd-Max levels (TurboQuant, section 2) and mid-rise uniform grids.

A mid-rise grid of `bits` bits has 2**bits levels (v + 1/2) * step, none at zero, the outer cells open. Its coarser
prefixes (the top bits alone, at their cells' centres) are what a first stage reads.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

BITS_MAX = 12  # of a grid


def _below(x: Float64Array) -> Float64Array:
    """P(N(0, 1) < x)."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x.tolist()])


def _density(x: Float64Array) -> Float64Array:
    result: Float64Array = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return result


def _cells(edges: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Integrals of 1, x and x^2 over the cells between ascending edges, the first at 0 and the last at infinity."""
    inner, tail = edges[:-1], edges[1:]
    density = np.append(_density(inner), 0.0)
    mass = -np.diff(1 - _below(np.append(inner, np.inf)))
    first = -np.diff(density)
    second = mass - np.diff(np.append(inner, 0.0) * density)
    assert np.isinf(tail[-1])
    return mass, first, second


def _error(edges: Float64Array, levels: Float64Array) -> float:
    """E (x - level)^2, both signs counted."""
    mass, first, second = _cells(edges)
    return float(2 * (second - 2 * levels * first + levels * levels * mass).sum())


def _grid_edges(half: int, step: float) -> Float64Array:
    return np.append(np.arange(half) * step, np.inf)


def _grid_error(bits: int, step: float) -> float:
    half = 1 << bits - 1
    levels: Float64Array = (np.arange(half, dtype=np.float64) + 0.5) * step
    return _error(_grid_edges(half, step), levels)


@cache
def grid_step(bits: int) -> float:
    """The step with the least mean squared error, by golden section (relative precision 1e-8)."""
    half = 1 << bits - 1
    low, high = 0.5 / half, 2 * math.sqrt(1 + 2 * bits) / half  # a range of half a deviation to far in the tail
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-8 * high:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _grid_error(bits, left) < _grid_error(bits, right):
            high = right
        else:
            low = left
    return (low + high) / 2


@cache
def grid_error(bits: int) -> float:
    """E (x - level)^2 at that step; 1 for no bits."""
    return 1.0 if bits == 0 else _grid_error(bits, grid_step(bits))


@cache
def prefix_error(bits: int, top: int) -> float:
    """E (x - c)^2 where c is the centre of the cell that the top `top` bits of a grid code of `bits` bits tell."""
    return 1.0 if top == 0 else _grid_error(top, grid_step(bits) * (1 << bits - top))


@cache
def lloyd_max(bits: int) -> tuple[tuple[float, ...], float]:
    """The positive half of the 2**bits levels, ascending, and E (x - level)^2.

    Levels are their cells' centroids. Newton's method from the companding optimum, the quantiles of N(0, 3): Lloyd's
    plain iteration needs thousands of steps at 7 bits and more, and stops early at twice the error."""
    levels = math.sqrt(3) * _quantiles(1 << bits - 1)
    while True:
        edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [np.inf]])
        mass, first, _ = _cells(edges)
        centres = first / mass
        # How a cell's centroid follows its edges, half of each edge's move being a level's.
        left = 0.5 * (_density(edges[:-1]) * (centres - edges[:-1]) / mass)[1:]
        right = 0.5 * (_density(edges[1:-1]) * (edges[1:-1] - centres[:-1]) / mass[:-1])
        slope = np.diag(left, -1) + np.diag(right, 1) - np.eye(len(levels))
        slope += np.diag(np.append(0.0, left) + np.append(right, 0.0))
        move = np.linalg.solve(slope, centres - levels)
        levels = levels - move
        if np.abs(move).max() < 1e-11:
            return tuple(levels.tolist()), _error(edges, levels)


def _quantiles(half: int) -> Float64Array:
    """N(0, 1) at (half + i + 1/2) / (2 half), by bisection."""
    wanted = 0.5 + (np.arange(half) + 0.5) / (2 * half)
    low, high = np.zeros(half), np.full(half, 9.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = _below(middle) > wanted
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return low
