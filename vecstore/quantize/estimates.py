"""From a row's code to the numbers its estimated distance is made of (RaBitQ, section 4; arXiv 2409.09913).

With r = x - c the residual, y what its code stands for, and `ratio` the unbiased scale |r|^2 / <r, y>:

    DOT  -<q, x>    = -<q, c> + (ratio <y, c> - <r, c>) - ratio <y, q>
    L2   |q - x|^2  = |q - c|^2 + (|r|^2 + 2 ratio <y, c>) - 2 ratio <y, q>

so the error is that of <r, q - c>, and <y, q> depends on neither list nor centroid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecstore.kernels import encode
from vecstore.kernels.base import Factors, Float32Array
from vecstore.kernels.encode import Float64Array
from vecstore.kernels.places import like, quotients
from vecstore.schema import Metric

HALF_MAX = float(np.finfo(np.float16).max)
FLOAT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Residuals:
    """A batch of residuals after projection, and their centroids' projections (None: all zero)."""

    projected: Float32Array  # (n, dims)
    centroids: Float32Array | None  # (n, dims)
    squares: Float64Array  # (n,) |r|^2, of the part that was projected away too
    centroid_dots: Float64Array  # (n,) <r, c>


def ratios(residuals: Residuals, values: Float32Array, weights: Float32Array | None = None) -> Float64Array:
    """|z|^2 / <z, y>, 0 for a zero residual: what y must be stretched by for an unbiased inner product. `weights`
    (dims,) multiply the terms of both."""
    weighted = residuals.projected
    if weights is not None:
        weighted = weighted * like(weighted, weights)
    squares = encode.row_dots(weighted, residuals.projected)
    dots = encode.row_dots(weighted, values)
    return quotients(squares, dots, dots > 0, 0)


def scale_and_add(
    metric: Metric, residuals: Residuals, values: Float32Array, ratio: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The factors by which, and beside which, <y, q> makes the estimate."""
    crossing = np.zeros_like(ratio)
    if residuals.centroids is not None:
        crossing = ratio * encode.row_dots(values, residuals.centroids)
    if metric is Metric.L2:
        return -2 * ratio, residuals.squares + 2 * crossing
    return -ratio, crossing - residuals.centroid_dots


def decoded(metric: Metric, values: Float32Array, factors: Factors) -> Float32Array:
    """Residuals (n, dims) from `values`, which their codes stand for, and the first of their factors, the scale."""
    return values * (factors[:, :1].astype(np.float32) / np.float32(-2 if metric is Metric.L2 else -1))


def rotated_error(metric: Metric, residuals: Residuals, values: Float32Array, ratio: Float64Array) -> Float64Array:
    """Standard deviation of the estimate over random rotations, for |q - c| = 1: |r| sqrt((1 / a^2 - 1) / (D - 1))
    where a is the cosine of residual and code; twice that for L2."""
    squares = encode.row_dots(residuals.projected, residuals.projected)
    lengths = encode.row_dots(values, values)
    missing = np.maximum(ratio * ratio * lengths - squares, 0) / max(1, values.shape[1] - 1)
    error: Float64Array = np.sqrt(missing) * (2 if metric is Metric.L2 else 1)
    return error


def stored(columns: list[Float64Array], half: bool) -> Factors:
    """Columns (n,) as factors (n, columns); errors (the third) are rounded up. What half floats cannot hold becomes
    their largest number."""
    if len(columns) == 3:
        columns = [*columns[:2], columns[2] * (1 + 2.0**-10)]
    together = np.stack(columns, axis=1)
    if half:
        return encode.to_half(np.clip(together, -HALF_MAX, HALF_MAX))
    return np.clip(together, -FLOAT_MAX, FLOAT_MAX).astype(np.float32)


def halves_suffice(metric: Metric, sample: Float32Array) -> bool:
    """Whether factors of rows like these fit half floats with room to spare: inner products of vectors of a length
    near 1. The factors of L2 hold |x - c|^2, which wants more digits."""
    if metric is not Metric.DOT or not len(sample):
        return False
    lengths = np.sqrt(encode.row_dots(sample, sample))
    return bool(np.median(lengths) >= 1 / 16 and lengths.max() <= 16)
