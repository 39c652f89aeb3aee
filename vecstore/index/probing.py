"""Which of the ranked lists a query visits. Source: specs, ivf section 3; figures in bench/ivf_rows.py.

By slack: those whose squared distance is at most a constant over that of the nearest. On text embeddings this takes as
few lists as a fixed number does or fewer, and serves queries unlike the data better; a factor of the nearest distance
in place of the constant (SPANN) takes more.

By mass (adaptive partition scanning, APS; Quake, 2506.03437, section 5), for a wanted recall. The k-th nearest
distance rho so far makes a ball around the query. The share of the ball beyond the plane that bisects the nearest
centroid and another says how likely neighbours stand in the other's list:

    h_j = (d_j^2 - d_0^2) / (2 g),   v_j = 1/2 I_{1 - (h_j / rho)^2}((D + 1) / 2, 1/2)

with I the regularised incomplete beta function. Two departures, both measured: D is the data's intrinsic dimension, and
g, which is |c_j - c_0| in the paper, is one constant, the mean distance to the nearest centroid. With it as few lists
are visited at equal recall, queries unlike the data get more of them, and no distances between centroids are needed.
How much mass is enough for which recall is calibrated, not assumed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array

_POINTS = 1000  # of the table over h / rho
_FINER = 16  # steps of the integral for each point


def mass_before(gaps: Float32Array, rho: Float32Array, spacing: float, dim: float) -> Float32Array:
    """The share of a query's neighbours in the lists ranked before each list, 2 where the list can hold none.

    `gaps` (nq, n) are squared distances to the ranked centroids, `rho` (nq,) k-th distances as lengths, +inf where k
    rows have not been found."""
    scale = np.float32(0.5 / spacing) / np.maximum(rho, np.float32(1e-20))
    heights: Float32Array = np.multiply(gaps - gaps[:, :1], scale[:, None], dtype=np.float32)
    shares = beyond(heights, dim)
    before = np.cumsum(shares, axis=1)
    before += shares[:, :1]  # the nearest list counts twice: most of the ball lies on its side of every plane
    before /= before[:, -1:]
    before[:, 1:] = before[:, :-1].copy()
    before[:, 0] = 0
    before[shares == 0] = 2
    return before


def beyond(heights: Float32Array, dim: float) -> Float32Array:
    """The share of a ball's volume beyond a plane at `heights` radii from its centre (0 = through the centre: 1/2)."""
    places = np.minimum(np.maximum(heights, 0) * np.float32(_POINTS), np.float32(_POINTS)).astype(np.int64)
    shares: Float32Array = _cap_table(dim)[places]
    return shares


@lru_cache(maxsize=64)
def _cap_table(dim: float) -> Float32Array:
    """1/2 I_{1 - t^2}((D + 1) / 2, 1/2) at t = 0, 1/1000, ..., 1, as the integral of (1 - t^2)^((D - 1) / 2)."""
    steps = np.linspace(0.0, 1.0, _POINTS * _FINER + 1)
    slices = (1.0 - steps * steps) ** ((dim - 1.0) / 2.0)
    areas = np.concatenate(([0.0], np.cumsum((slices[1:] + slices[:-1]) / 2)))
    table: Float32Array = (0.5 * (1.0 - areas[::_FINER] / areas[-1])).astype(np.float32)
    table[-1] = 0
    return table


def intrinsic_dim(distances: NDArray[np.floating]) -> float:
    """How fast balls around the data's points fill with rows: the maximum likelihood estimate from each point's
    ascending distances (n, k), as lengths (Levina and Bickel 2004). Within 1..1000."""
    last = distances[:, -1:]
    valid = (distances[:, :-1] > 0) & np.isfinite(last)
    ratios = np.log(np.divide(last, distances[:, :-1], out=np.ones_like(distances[:, :-1]), where=valid))
    total = float(ratios[valid].mean()) if valid.any() else 0.0
    return float(np.clip(1.0 / max(total, 1e-3), 1.0, 1000.0))
