"""Made-up embeddings with the traits that matter to transforms: a decaying spectrum and a common mean."""

from __future__ import annotations

import numpy as np


def embeddings(n: int, dim: int, seed: int, mean: float = 0.0, decay: float = 0.7) -> np.ndarray:
    """Clustered float32 (n, dim): standard deviations fall as rank ** -decay in random directions."""
    world = np.random.default_rng(dim)  # one world for a dimension, so that queries share it
    scales = np.arange(1, dim + 1) ** -decay
    directions, _ = np.linalg.qr(world.standard_normal((dim, dim)))
    common = world.standard_normal(dim)
    rng = np.random.default_rng(seed)
    centers = world.standard_normal((64, dim))
    points = 0.8 * centers[rng.integers(0, 64, n)] + rng.standard_normal((n, dim))
    shift = mean * common / np.linalg.norm(common) * np.linalg.norm(scales)
    return ((points * scales) @ directions.T + shift).astype(np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def nearest(scores: np.ndarray, k: int) -> np.ndarray:
    """Rows of the k largest scores for each query."""
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]


def recall(truth: np.ndarray, found: np.ndarray) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(truth, found, strict=True)]))


def principal_angle(a: np.ndarray, b: np.ndarray) -> float:
    """The largest angle between the spans of orthonormal columns, in radians. From the sine: cosines of small angles
    are all 1."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    outside = a - b @ (b.T @ a)
    return float(np.arcsin(min(1.0, np.linalg.norm(outside, 2))))
