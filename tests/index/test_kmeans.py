"""Coarse centroids: as good as faiss's, balanced, deterministic, and no list left empty."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from ivf_support import clustered, silent

from vecstore.errors import Cancelled
from vecstore.index.balance import balanced
from vecstore.index.kmeans import assign_all, imbalance, inertia, kmeans, row_weights, update
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT]


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_seed_gives_the_same_centroids_by_few_and_many_threads(metric: Metric) -> None:
    sample = clustered(np.random.default_rng(1), 2000, 24)
    kernels = get_kernels()
    first = kmeans(metric, sample, 50, kernels, silent, seed=7)
    kernels.set_threads(1)
    try:
        again = kmeans(metric, sample, 50, kernels, silent, seed=7)
    finally:
        kernels.set_threads(0)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != kmeans(metric, sample, 50, kernels, silent, seed=8).tobytes()


@pytest.mark.parametrize("metric", METRICS)
def test_each_step_is_the_mean_of_its_rows_and_lowers_inertia(metric: Metric) -> None:
    sample = clustered(np.random.default_rng(2), 1500, 16)
    kernels = get_kernels()
    before = kmeans(metric, sample, 20, kernels, silent, iterations=1)
    homes = assign_all(metric, sample, before, kernels)
    after = update(metric, sample, row_weights(metric, sample), homes, 20)
    counted = sample / np.linalg.norm(sample, axis=1, keepdims=True) if metric is Metric.DOT else sample
    means = np.stack([counted[homes == number].mean(axis=0, dtype=np.float64) for number in range(20)])
    if metric is Metric.DOT:
        means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(after, means, atol=1e-5)
    assert inertia(metric, sample, after, kernels) < inertia(metric, sample, before, kernels)


def test_a_row_s_length_does_not_matter_for_directions() -> None:
    rng = np.random.default_rng(3)
    sample = clustered(rng, 1000, 16)
    scaled = sample * rng.uniform(0.1, 10, (1000, 1)).astype(np.float32)
    one, other = (kmeans(Metric.DOT, rows, 12, get_kernels(), silent) for rows in (sample, scaled))
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_empty_lists_take_half_of_the_widest(metric: Metric) -> None:
    rng = np.random.default_rng(4)
    sample = np.concatenate([clustered(rng, 300, 8), rng.standard_normal(8) * 9 + np.zeros((300, 8))]).astype(
        np.float32
    )
    centroids = kmeans(metric, sample, 60, get_kernels(), silent)  # half of the first centroids are equal
    assert len(np.unique(centroids, axis=0)) > 55
    homes = assign_all(metric, sample, centroids, get_kernels())
    assert len(np.unique(homes)) > 40  # equal rows cannot fill more than one list

    crowded = np.repeat(np.eye(8, dtype=np.float32), 5, axis=0)
    assert np.isfinite(kmeans(metric, crowded, 30, get_kernels(), silent)).all()


@pytest.mark.parametrize("metric", METRICS)
def test_balanced_lists_cost_little_inertia(metric: Metric) -> None:
    sample = clustered(np.random.default_rng(5), 8000, 24, clusters=60, spread=1.0)
    kernels = get_kernels()
    centroids = kmeans(metric, sample, 100, kernels, silent)
    even = balanced(metric, sample, centroids, kernels, silent)
    counts = np.bincount(assign_all(metric, sample, even, kernels), minlength=100)
    assert imbalance(counts) <= 1.3
    assert imbalance(counts) < imbalance(np.bincount(assign_all(metric, sample, centroids, kernels), minlength=100))
    assert inertia(metric, sample, even, kernels) <= 1.03 * inertia(metric, sample, centroids, kernels)


def test_imbalance() -> None:
    assert imbalance(np.array([5, 5, 5])) == 1
    assert imbalance(np.array([9, 0, 0])) == 3


def test_progress_may_cancel() -> None:
    def cancel(phase: str, done: int, total: int) -> None:
        if phase == "train lists" and done == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        kmeans(Metric.L2, clustered(np.random.default_rng(6), 500, 8), 10, get_kernels(), cancel)


@pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="faiss-cpu is not installed")
@pytest.mark.parametrize("metric", METRICS)
def test_inertia_is_that_of_faiss(metric: Metric) -> None:
    import faiss

    sample = clustered(np.random.default_rng(7), 6000, 32, clusters=200)
    theirs = faiss.Kmeans(32, 64, niter=10, seed=3, spherical=metric is Metric.DOT, nredo=1)
    unit = sample / np.linalg.norm(sample, axis=1, keepdims=True) if metric is Metric.DOT else sample
    theirs.train(np.ascontiguousarray(unit))
    ours = kmeans(metric, sample, 64, get_kernels(), silent, iterations=10)
    kernels = get_kernels()
    ratio = inertia(metric, sample, ours, kernels) / inertia(metric, sample, theirs.centroids, kernels)
    assert ratio < 1.03  # 1.00 on real data; these starts differ
