"""SAQ's directions: principal axes, after the mean's own where queries lie along the mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array
from vecstore.kernels.encode import Float64Array

HELD_OUT_FROM = 1024  # fewer rows are most likely all there are
HELD_OUT_SHARE = 4
_BATCH = 8192  # rows widened to float64 at once


def directions(residuals: Float32Array, mean: Float64Array | None) -> Float64Array:
    """Orthonormal columns (dim, dim) by descending variance of the residuals (n, dim) about zero; with `mean` (dim,),
    its direction is the first column and the rest are the principal axes of what is orthogonal to it."""
    covariance = np.zeros((residuals.shape[1],) * 2)
    for start in range(0, len(residuals), _BATCH):
        wide = residuals[start : start + _BATCH].astype(np.float64)
        covariance += wide.T @ wide
    covariance /= len(residuals)
    length = 0.0 if mean is None else float(np.linalg.norm(mean))
    if mean is not None and length > 0:
        along = mean / length
        beside = np.eye(len(along)) - np.outer(along, along)
        covariance = beside @ covariance @ beside
        # Far more than any variance: eigh then gives one clean orthonormal basis with the mean's direction first.
        covariance += 10 * (np.trace(covariance) + 1e-30) * np.outer(along, along)
    _, axes = np.linalg.eigh(covariance)
    return np.ascontiguousarray(axes[:, ::-1])


def moments(rows: Float32Array, basis: Float64Array) -> Float64Array:
    """Mean square of rows (n, dim) along each column of the basis."""
    total = np.zeros(basis.shape[1])
    for start in range(0, len(rows), _BATCH):
        total += np.square(rows[start : start + _BATCH].astype(np.float64) @ basis).sum(axis=0)
    return total / len(rows)


def split(n: int) -> tuple[slice | NDArray[np.bool_], slice | NDArray[np.bool_]]:
    """Rows to find directions in, and rows to measure variances with. Along directions found in the same rows variances
    come out too far apart, by as much as the dimension is large beside the number of rows."""
    if n < HELD_OUT_FROM:
        return slice(None), slice(None)
    held_out = np.arange(n) % HELD_OUT_SHARE == 0
    return ~held_out, held_out
