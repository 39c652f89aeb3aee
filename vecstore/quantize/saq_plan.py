"""SAQ's plan: which principal directions get how many bits.

A direction's share of an inner product's error is its variance times the queries' second moment along it times what
the grid leaves of N(0, 1). Bits go one at a time, to a few directions together, where they lower the sum most. The
paper (arXiv 2509.12086) cuts the axis into segments of 64 with a rotation each, by dynamic programming, with two
factors a row for each segment; single directions need neither, and follow the spectrum more closely.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.quantize.codebooks import BITS_MAX, grid_error, prefix_error

Int32Array = NDArray[np.int32]
Float64Array = NDArray[np.float64]


def plan(shares: Float64Array, budget: int, group: int, allowed: tuple[int, ...] | None = None) -> Int32Array:
    """Bits (dims,) that sum to at most `budget`, equal within each `group` of consecutive dimensions; `shares` (dims,)
    are each dimension's error without bits, `allowed` the bits that a dimension may get (any, ascending from 0, where
    not given). What is left of the budget is less than a group's next step."""
    allowed = allowed or tuple(range(BITS_MAX + 1))
    errors = np.full(allowed[-1] + 1, np.inf)
    errors[list(allowed)] = [grid_error(bits) for bits in allowed]
    left, sizes = _grouped(shares, group)
    chosen = _spend(left[:, None] * errors, sizes, budget)
    return np.repeat(chosen, sizes).astype(np.int32)


def first_stage(shares: Float64Array, bits: Int32Array, budget: int, group: int) -> Int32Array:
    """How many top bits of each dimension stage one holds, `budget` in all. A prefix of a fine grid is worse than a
    coarse grid of its own, at one bit sometimes worse than none, so several bits may have to be taken at once."""
    errors = np.full((BITS_MAX + 1, BITS_MAX + 1), np.inf)
    for whole in range(BITS_MAX + 1):
        errors[whole, : whole + 1] = [prefix_error(whole, top) for top in range(whole + 1)]
    left, sizes = _grouped(shares, group)
    return np.repeat(_spend(left[:, None] * errors[bits[::group]], sizes, budget), sizes).astype(np.int32)


def _grouped(shares: Float64Array, group: int) -> tuple[Float64Array, NDArray[np.int64]]:
    starts = np.arange(0, len(shares), group)
    return np.add.reduceat(shares, starts), np.diff(np.append(starts, len(shares)))


def _spend(errors: Float64Array, sizes: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Choose a column of each row of `errors` (error with so many bits) so that the sum is small and sum of column *
    size is at most `budget`: the step with the largest gain for each bit, again and again."""
    rows, columns = errors.shape
    chosen = np.zeros(rows, np.int64)
    gains, jumps = np.full(rows, -np.inf), np.zeros(rows, np.int64)

    def look(row: int) -> None:
        at = chosen[row]
        ahead = np.arange(1, columns - at)
        costs = ahead * sizes[row]
        rates = np.where(costs <= budget, (errors[row, at] - errors[row, at + 1 :]) / costs, -np.inf)
        jumps[row] = 0 if not len(rates) else int(rates.argmax()) + 1
        gains[row] = -np.inf if not len(rates) else rates[jumps[row] - 1]

    for row in range(rows):
        look(row)
    while rows:
        row = int(gains.argmax())
        if not gains[row] > 0:
            break
        cost = int(jumps[row] * sizes[row])
        if cost > budget:  # the budget has shrunk since the row was looked at
            look(row)
            continue
        budget -= cost
        chosen[row] += jumps[row]
        look(row)
    return chosen
