"""SOAR: a second list for each row, chosen so that the two lists rarely miss the row for the same queries.

A query misses a row when the residual r to the row's list points along the query's own; the second list is therefore
the one whose residual is small and nearly orthogonal to r. Source: Sun et al., "SOAR: improved indexing for approximate
nearest neighbor search", NeurIPS 2023.
"""

from __future__ import annotations

import numpy as np

from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.places import like, quotients, xp_of

LAMBDA = 1.0
_CELLS = 1 << 22  # (row, list) pairs weighed at once


def soar_assignments(rows: Float32Array, centroids: Float32Array, first: Int64Array, lam: float = LAMBDA) -> Int64Array:
    """The second list (n,) of rows (n, dim): the j other than `first` that minimises |s|^2 + lam * <r, s>^2 / |r|^2,
    where r = x - centroids[first] and s = x - centroids[j]; -1 where there is one list only.

    `centroids` (nlist, dim) are what residuals are taken from; equal losses go to the lower list."""
    second, centroids = np.full_like(first, -1), like(rows, centroids)
    if len(centroids) < 2:
        return second
    half_squares = 0.5 * np.einsum("cd,cd->c", centroids, centroids)
    step = max(1, _CELLS // len(centroids))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        x, home = rows[part], first[part]
        r = x - centroids[home]
        squares = np.einsum("nd,nd->n", r, r)
        # |s|^2 less |x|^2, which is the same for every list; and <r, s>
        losses = 2 * (half_squares - x @ centroids.T)
        along = np.einsum("nd,nd->n", r, x)[:, None] - r @ centroids.T
        losses += quotients(np.float32(lam), squares, squares > 0, 0)[:, None] * along * along
        losses[xp_of(x).arange(len(x)), home] = np.inf
        second[part] = losses.argmin(axis=1)
    return second
