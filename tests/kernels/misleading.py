"""Rows whose bytes mislead as far as they can: by rounding, all numbers of a row lose, or gain, along the query."""

from __future__ import annotations

import numpy as np


def misleading(rng: np.random.Generator, n: int, dim: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """A query (1, dim) of ones of both signs, exact as bytes, and rows (n, dim) of scale 1 (the first number is 127).
    By bytes all have nearly the same product with it; that of a few rows is `share` of the utmost larger, of the others
    as much smaller."""
    query = rng.choice([-1.0, 1.0], (1, dim))
    query[0, 0] = 1
    rows = rng.integers(-3, 4, (n, dim)).astype(np.float64)
    rows[:, 0] = 127
    rows[:, 1] -= (rows[:, 1:] @ query[0, 1:] + rng.integers(-2, 3, n)) * query[
        0, 1
    ]  # the same product, give or take 2
    rows[:, 1] = np.clip(rows[:, 1], -126, 126)
    towards = np.where(rng.random((n, 1)) < 0.01, 0.499 * share, -0.499 * share)
    rows[:, 1:] += towards * query[:, 1:]
    return query, rows
