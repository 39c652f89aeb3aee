"""Leading directions of many-dimensional vectors without their covariance: the randomised range finder of Halko,
Martinsson and Tropp (2011), section 4.5, with subspace iteration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Float32Array

OVERSAMPLE = 10
POWER_ITERATIONS = 2
_BATCH = 4096


def leading_directions(rows: Float32Array, k: int, seed: int = 0) -> tuple[NDArray[np.float64], float]:
    """Orthonormal columns (dim, k) by falling energy, and the share of the rows' energy that they capture."""
    dim = rows.shape[1]
    width = min(k + OVERSAMPLE, dim)
    start = np.random.Generator(np.random.PCG64(seed)).standard_normal((dim, width), np.float32)
    range_basis, _ = np.linalg.qr(start)
    for _ in range(1 + POWER_ITERATIONS):
        range_basis, _ = np.linalg.qr(_gram_times(rows, range_basis))
    values, vectors = np.linalg.eigh(range_basis.T @ _gram_times(rows, range_basis))
    leading = slice(None, -k - 1, -1)
    total = float(np.einsum("nd,nd->", rows, rows, dtype=np.float64))
    energy = float(values[leading].sum()) / total if total > 0 else 1.0
    return range_basis @ vectors[:, leading], energy


def _gram_times(rows: Float32Array, basis: NDArray[np.floating]) -> NDArray[np.float64]:
    """X^T X B, float32 products of batches added up in float64."""
    narrow = basis.astype(np.float32)
    total = np.zeros(basis.shape)
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        total += batch.T @ (batch @ narrow)
    return total
