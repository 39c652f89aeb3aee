"""k-means and covariances on a device: what the host finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore.index.balance import balanced
from vecstore.index.kmeans import Members, kmeans
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.clusters import Clusters, closest
from vecstore.kernels.device.dense import upload
from vecstore.kernels.gram import gram
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.places import at
from vecstore.kernels.segment_sums import segment_sums
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT]


def _rows(n: int, dim: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows: np.ndarray = (rng.standard_normal((12, dim))[rng.integers(0, 12, n)] + rng.standard_normal((n, dim))).astype(
        np.float32
    )
    return rows


@pytest.mark.parametrize("metric", METRICS)
def test_the_nearest_centroid_is_the_reference_s_ties_included(device: Device, metric: Metric) -> None:
    rows, centroids = _rows(300, 40, 1), _rows(90, 40, 2)
    centroids[50:60] = centroids[20:30]  # the lower number wins
    centroids[60:70] = np.nextafter(centroids[30:40], np.float32(9))  # told apart by the last bit only
    rows[:10] *= np.float32(1e19)  # products overflow: every centroid is scored
    with device.working():
        found = device.get(closest(device, upload(device, centroids), metric, device.put(rows)))
    wide, others = rows.astype(np.float64), centroids.astype(np.float64)
    if metric is Metric.L2:
        distances = ((wide[:, None] - others) ** 2).sum(axis=2)
    else:
        distances = -np.einsum("nd,cd->nc", wide, others)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, distances.astype(np.float32).argmin(axis=1))


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_lists_have_the_host_s_bits(device: Device, weighted: bool) -> None:
    rng = np.random.default_rng(3)
    rows, lists = _rows(20_000, 5, 4), rng.integers(0, 9, 20_000)
    lists[lists == 4] = 3  # an empty list, and one that a batch of rows ends in
    weights = rng.uniform(0.5, 2, len(rows)).astype(np.float32) if weighted else None
    with device.working():
        found = Clusters(device, Metric.L2, rows, weights).sums(lists, 9)
    np.testing.assert_array_equal(found, segment_sums(rows, weights, lists, 9))


@pytest.mark.parametrize("metric", METRICS)
def test_a_build_on_a_device_trains_the_host_s_lists(monkeypatch: pytest.MonkeyPatch, metric: Metric) -> None:
    monkeypatch.setattr("vecstore.index.kmeans.ON_DEVICE", 100)
    rows, kernels = _rows(800, 24, 5), NumpyKernels()

    def train() -> np.ndarray:
        centroids = kmeans(metric, rows, 20, kernels, lambda *_: None, seed=1, iterations=3)
        return balanced(metric, rows, centroids, kernels, lambda *_: None)

    with at(ArrayDevice()):
        found = train()
    wanted = train()
    assert (np.abs(found - wanted).max(axis=1) < 1e-4).mean() >= 0.9  # a row on the border moves its two lists


def test_k_means_that_does_not_fit_goes_on_on_the_host(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecstore.index.kmeans.ON_DEVICE", 100)

    class Full(ArrayDevice):
        def segment_sums(self, *arguments: Any) -> Any:
            raise MemoryError

    rows, kernels = _rows(500, 8, 6), NumpyKernels()
    with at(Full()):
        members = Members(Metric.L2, rows, kernels)
        lists = members.homes(rows[:10])
        found = members.means(lists, 10)
    np.testing.assert_array_equal(found, Members(Metric.L2, rows, kernels).means(lists, 10))
    assert "does not fit" in caplog.text


def test_covariances_keep_the_digits_of_float32(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.kernels.gram._LEAST", 1)
    rows = _rows(2000, 70, 7) * np.geomspace(1, 1e-3, 70, dtype=np.float32)
    with at(device):
        found = gram(rows)
    wide = rows.astype(np.float64)
    wanted = wide.T @ wide
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert (np.abs(found - wanted) / scale).max() < 2e-6
