"""OPQ: product quantization errs less under the learned rotation."""

from __future__ import annotations

import numpy as np
from transform_support import embeddings

from vecstore import index_spec
from vecstore.schema import Metric
from vecstore.transform.opq import OPQ, balanced_directions, nearest, quantization_error, subspaces_of, update


def error_of(train: np.ndarray, test: np.ndarray, basis: np.ndarray, m: int) -> float:
    """Mean squared error of 16 centroids in each of m subspaces under a basis, by plain Lloyd."""
    parts = subspaces_of(train, basis, m)
    centroids = parts[:, :16].copy()
    for _ in range(15):
        update(centroids, parts, nearest(parts, centroids))
    return quantization_error(subspaces_of(test, basis, m), centroids) / len(test)


def hidden_subspaces(n: int, seed: int) -> np.ndarray:
    """Four subspaces of eight dimensions with 16 clusters each, turned so that no coordinate shows them."""
    world = np.random.default_rng(9)
    turn, _ = np.linalg.qr(world.standard_normal((32, 32)))
    centers = world.standard_normal((4, 16, 8)) * np.arange(1, 5)[:, None, None] ** -0.5
    rng = np.random.default_rng(seed)
    parts = [center[rng.integers(0, 16, n)] for center in centers]
    return ((np.concatenate(parts, axis=1) + 0.1 * rng.standard_normal((n, 32))) @ turn).astype(np.float32)


def test_errs_less_than_no_rotation_and_than_its_start() -> None:
    train, test = hidden_subspaces(3000, 1), hidden_subspaces(1000, 2)
    opq = OPQ.fit(index_spec.OPQ(m=4), train, Metric.L2, False)
    plain = error_of(train, test, np.eye(32, dtype=np.float32), 4)
    balanced = error_of(train, test, balanced_directions(train, 4, 32), 4)
    learned = error_of(train, test, opq.basis, 4)
    assert learned < 0.7 * plain, (learned, balanced, plain)
    assert learned < 0.9 * balanced, (learned, balanced, plain)


def test_never_much_worse_than_its_start() -> None:
    train, test = embeddings(600, 64, 1, decay=1.0), embeddings(1000, 64, 2, decay=1.0)
    opq = OPQ.fit(index_spec.OPQ(m=8), train, Metric.L2, False)
    learned, balanced = (error_of(train, test, basis, 8) for basis in (opq.basis, balanced_directions(train, 8, 64)))
    assert learned < 1.02 * balanced, (learned, balanced)


def test_balanced_directions_deal_each_direction_once() -> None:
    rows = embeddings(1000, 48, 3, decay=1.0)
    start = balanced_directions(rows, 6, 48)
    np.testing.assert_allclose(start.T @ start, np.eye(48), atol=1e-5)
    variances = np.log((rows @ start).var(axis=0)).reshape(6, 8).sum(axis=1)
    assert np.ptp(variances) < 3.0, "the subspaces' products of variances are alike"


def test_fewer_dimensions_keep_the_leading_ones() -> None:
    rows = embeddings(1000, 64, 4, decay=1.5)
    opq = OPQ.fit(index_spec.OPQ(m=4, dim=32), rows, Metric.L2, False)
    assert opq.basis.shape == (64, 32)
    np.testing.assert_allclose(opq.basis.T @ opq.basis, np.eye(32), atol=1e-5)
    kept = (opq.apply(rows) ** 2).sum() / (rows**2).sum()
    assert kept > 0.95


def test_a_centroid_without_rows_stays() -> None:
    rows = np.zeros((1, 4, 2), np.float32)
    centroids = np.array([[[0, 0], [5, 5]]], np.float32)
    update(centroids, rows, nearest(rows, centroids))
    assert centroids.tolist() == [[[0, 0], [5, 5]]]
