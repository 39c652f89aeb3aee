"""The nearest centroid by bounds: that of a scan, whatever rows look like."""

from __future__ import annotations

import numpy as np
import pytest
from ivf_support import clustered, silent

from vecstore.index import kmeans as k_means
from vecstore.index import nearest as by_bounds
from vecstore.index.kmeans import Members, assign, assign_all, kmeans
from vecstore.index.nearest import View, nearest, see
from vecstore.kernels.base import Float32Array
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT]


def leaning(rng: np.random.Generator, n: int, dim: int) -> Float32Array:
    """Rows that vary much along few directions, as embeddings do."""
    scales = 1 / (1 + np.arange(dim)) ** 0.7
    directions, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
    return ((clustered(rng, n, dim, 60) * scales) @ directions).astype(np.float32)


def shapes(rng: np.random.Generator) -> dict[str, Float32Array]:
    rows = leaning(rng, 3000, 96)
    apart = np.repeat(leaning(rng, 300, 96), 10, axis=0)
    far, lengths = rows.copy(), 10 ** rng.uniform(-6, 6, (3000, 1)).astype(np.float32)
    far += 30
    return {
        "embeddings": rows,
        "a common mean": far,
        "lengths from 1e-6 to 1e6": rows * lengths,
        "equal rows": apart,
        "tiny": rows * np.float32(1e-21),
        "zeros": np.zeros_like(rows),
        "in a plane": np.outer(rows[:, 0], rows[0]) + np.outer(rows[:, 1], rows[1]),
    }


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", shapes(np.random.default_rng(0)))
def test_the_answer_is_that_of_a_scan(metric: Metric, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_bounds, "_OPEN", 1)  # also where most pairs are compared
    rng = np.random.default_rng(1)
    rows, kernels = shapes(rng)[shape], get_kernels()
    view = View.fit(rows)
    assert view is not None
    for nlist in (1, 17, 200):
        centroids = rows[np.sort(rng.choice(len(rows), nlist, replace=False))]
        if metric is Metric.DOT:
            k_means.normalize(centroids)
        expected = assign(metric, rows, centroids, kernels)[0][:, 0]
        for seen in (None, see(view, metric, rows)):
            np.testing.assert_array_equal(nearest(metric, rows, centroids, kernels, view, seen), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_too_large_to_be_squared_are_left_to_a_scan(metric: Metric) -> None:
    rng = np.random.default_rng(2)
    rows = leaning(rng, 200, 64)
    view = View.fit(rows)
    assert view is not None
    huge = rows * np.float32(1e25)
    assert View.fit(huge) is None
    assert nearest(metric, huge, rows[:9], get_kernels(), view) is None
    assert nearest(metric, rows, huge[:9], get_kernels(), view) is None


def test_rows_without_directions_are_left_to_a_scan() -> None:
    rows = np.random.default_rng(3).standard_normal((3000, 256)).astype(np.float32)
    view = View.fit(rows)
    assert view is not None
    assert nearest(Metric.L2, rows, rows[:300], get_kernels(), view) is None


@pytest.mark.parametrize("metric", METRICS)
def test_lists_are_the_same_as_by_scans(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, kernels = leaning(np.random.default_rng(4), 4000, 96), get_kernels()
    by_scan = kmeans(metric, rows, 80, kernels, silent)
    homes = assign_all(metric, rows, by_scan, kernels)
    monkeypatch.setattr(by_bounds, "WORTH", 1)
    monkeypatch.setattr(by_bounds, "_OPEN", 1)
    assert kmeans(metric, rows, 80, kernels, silent).tobytes() == by_scan.tobytes()
    assert assign_all(metric, rows, by_scan, kernels).tobytes() == homes.tobytes()
    assert Members(metric, rows, kernels).homes(by_scan).tobytes() == homes.tobytes()
