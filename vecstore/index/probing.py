"""Which of the ranked lists a query visits: a fixed number, those nearly as near as the nearest, or as many as hold
the wanted share of a query's neighbours (adaptive partition scanning, APS). Source: specs, ivf section 3.

APS sees the k-th nearest distance rho so far as a ball around the query. The share of the ball beyond the plane that
bisects the nearest centroid and another is how likely neighbours stand in the other's list:

    h_j = (d_j^2 - d_0^2) / (2 |c_j - c_0|),   v_j = 1/2 I_{1 - (h_j / rho)^2}((D + 1) / 2, 1/2)

with I the regularised incomplete beta function and D the intrinsic dimension of the data (Quake, section 5).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vecstore.index.coarse import Coarse, Ranked
from vecstore.kernels.base import Float32Array, Kernels
from vecstore.schema import Metric

Keep = NDArray[np.bool_]
_POINTS = 1000  # of the table over h / rho
_FINER = 16  # steps of the integral for each point


def nearly_nearest(gaps: Float32Array, slack: float) -> Keep:
    """Lists whose squared distance (nq, n) is at most 1 + slack times that of the nearest."""
    keep: Keep = gaps <= gaps[:, :1] * np.float32(1.0 + slack)
    keep[:, 0] = True
    return keep


def enough_mass(mass: Float32Array, wanted: float) -> Keep:
    """Lists (nq, n), in order, until those before hold the wanted share of the mass."""
    before = np.cumsum(mass, axis=1)
    keep = np.empty(mass.shape, np.bool_)
    keep[:, 0] = True
    keep[:, 1:] = before[:, :-1] < wanted
    keep &= mass > 0
    keep[:, 0] = True
    return keep


def mass(coarse: Coarse, ranked: Ranked, rho: Float32Array, dim: float, kernels: Kernels) -> Float32Array:
    """The share of each query's neighbours in each ranked list (nq, n), by APS; `rho` (nq,) is the k-th distance so
    far, as length, +inf where k rows have not been found."""
    gaps = ranked.gaps(coarse.metric)
    between = np.empty(gaps.shape, np.float32)
    nearest = coarse.centroids[ranked.lists[:, 0]]
    kernels.rerank(Metric.L2, nearest, coarse.centroids, None, ranked.lists, between)
    heights = (gaps - gaps[:, :1]) / np.maximum(2 * np.sqrt(np.maximum(between, 0)), np.float32(1e-20))
    shares = beyond(heights / np.maximum(rho, np.float32(1e-20))[:, None], dim)
    shares[:, 0] = 2 * shares[:, 1:2].max(axis=1, initial=0)
    shares[:, 0][shares[:, 0] == 0] = 1
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


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
