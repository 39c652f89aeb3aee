"""Plain float64 answers, written without the library, and the tolerances that backends are held to.

Tolerance of a float32 sum over `dim` products, relative to the sum of the products' magnitudes S (for l2, S is the
distance itself): a chain of additions may lose one rounding, 2^-24, each. Sixteen or more chains run side by side and
errors mostly cancel, so the bound used is a quarter of the worst case with a floor for the last few operations.

| quantity             | allowed error                                    |
| -------------------- | ------------------------------------------------ |
| l2                   | (8 + dim / 4) * 2^-24 * distance                 |
| dot                  | (8 + dim / 4) * 2^-24 * sum |q_i x_i|            |
| cosine               | the same over |q| |x|, plus 4 * 2^-24            |
| hamming              | 0                                                |
| inverse norm         | (8 + dim / 4) * 2^-24 * value                    |
Each with an absolute floor of the smallest denormal float32 per term, 2^-149 * dim.
"""

from __future__ import annotations

import numpy as np

from vecstore.schema import Metric

EPS = 2.0**-24


def to_storage(rows: np.ndarray, dtype: str) -> np.ndarray:
    """float32 rows as float32, float16 or bfloat16 (in uint16)."""
    if dtype == "bfloat16":
        return np.ascontiguousarray((rows.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16))
    return rows.astype(dtype)


def wide(rows: np.ndarray) -> np.ndarray:
    if rows.dtype == np.uint16:
        return (rows.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return rows.astype(np.float64)


def inverse_norms(rows: np.ndarray) -> np.ndarray:
    norms = np.sqrt((wide(rows) ** 2).sum(axis=1))
    with np.errstate(divide="ignore", over="ignore"):
        inverses = np.where(norms > 0, 1 / norms, 0)
    return np.minimum(inverses, np.finfo(np.float32).max).astype(np.float32)


def distances(metric: Metric, queries: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact (nq, n) distances and the error that is allowed for each."""
    q, x = queries.astype(np.float64)[:, None, :], wide(rows)[None, :, :]
    dim = queries.shape[1]
    relative = (8 + dim / 4) * EPS
    floor = 2.0**-149 * dim
    if metric is Metric.L2:
        exact = ((q - x) ** 2).sum(axis=2)
        return exact, relative * exact + floor
    products = (q * x).sum(axis=2)
    magnitudes = np.abs(q * x).sum(axis=2)
    if metric is Metric.DOT:
        return -products, relative * magnitudes + floor
    scale = 1 / np.linalg.norm(q, axis=2) * inverse_norms(rows).astype(np.float64)
    return 1 - products * scale, relative * magnitudes * scale + 4 * EPS


def outputs(nq: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((nq, k), -7, np.int64), np.full((nq, k), np.nan, np.float32)


def check_top_k(
    rows: np.ndarray, found: np.ndarray, exact: np.ndarray, allowed_error: np.ndarray, mask: np.ndarray
) -> None:
    """One query's answer: right distances, in order, ties by row, and nothing nearer left out."""
    count = min(len(rows), int(mask.sum()))
    assert (rows[count:] == -1).all()
    assert np.isposinf(found[count:]).all()
    rows, found = rows[:count], found[:count]
    assert len(set(rows.tolist())) == count
    assert mask[rows].all()
    assert (np.abs(found - exact[rows]) <= allowed_error[rows]).all()
    assert all((a, i) < (b, j) for a, i, b, j in zip(found, rows, found[1:], rows[1:], strict=False))
    left_out = mask.copy()
    left_out[rows] = False
    if count and left_out.any():
        assert found[-1] <= (exact + allowed_error)[left_out].min() + allowed_error[rows[-1]]
