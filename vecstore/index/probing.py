"""Which of the ranked lists a query visits: those before the first that stands too far behind the nearest for its rank.

    excess_j = (d_j^2 / d_0^2 - 1) sqrt(j + 1),   j = 0, 1, ... along the squared distances d_j^2 to the centroids

A list is visited while its excess is at most `stop`. Distances alone (SPANN's factor of the nearest, a constant above
it, the mass of a ball beyond bisecting planes as in Quake, 2506.03437) let a query in a crowded place visit a tenth of
all lists; a fixed number gives the same to every query. Their geometric mean takes fewer lists than either at equal
recall, and sees before any list is read that a query is unlike the data (bench/ivf_rows.py). It rises along the ranks,
so that what is visited is a prefix; it asks for nothing but the distances that ranked the lists, so that threads,
batches, filters and what is deleted change nothing about it. How much is enough for which recall is calibrated.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vecstore.kernels.base import Float32Array

NEAR_SHARE = 0.25  # of the mean squared distance to the nearest centroid: queries nearer to theirs count as this near


def excess(gaps: Float32Array, near: float) -> Float32Array:
    """(nq, n), from squared distances to the ranked centroids (nq, n); never falls along a row. `near` > 0 is the least
    squared distance to the nearest one that counts."""
    over: Float32Array = np.divide(gaps - gaps[:, :1], np.maximum(gaps[:, :1], near), dtype=np.float32)
    over /= falling(gaps.shape[1])
    return over


@lru_cache(maxsize=64)
def falling(n: int) -> Float32Array:
    """1 / sqrt(rank), ranks from 1 to n: what a list's distance beyond the nearest may be, as shares of the first's."""
    shares: Float32Array = (1 / np.sqrt(np.arange(1, n + 1))).astype(np.float32)
    shares.flags.writeable = False
    return shares
