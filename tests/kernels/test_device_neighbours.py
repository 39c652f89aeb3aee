"""The nearest rows of all rows on a device, and the graphs that are built from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore.index import graph_build
from vecstore.index.graph_rows import byte_rows
from vecstore.index.stored_rows import StoredRows
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.neighbours import NearestRows
from vecstore.kernels.graph import BuildParams
from vecstore.kernels.places import at
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind


def _source(n: int, dim: int, metric: Metric = Metric.L2) -> StoredRows:
    rng = np.random.default_rng(n)
    rows = (rng.standard_normal((9, dim))[rng.integers(0, 9, n)] + rng.standard_normal((n, dim))).astype(np.float32)
    return StoredRows(VectorField(VectorKind.DENSE, dim=dim, metric=metric), rows, None)


def _lists(source: StoredRows) -> np.ndarray:
    mean = source.rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    return graph_build.neighbours_of(source, mean, 12, None, get_kernels(), lambda *_: None)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
def test_the_nearest_of_all_rows(device: Device, metric: Metric) -> None:
    source = _source(700, 21, metric)
    rows = byte_rows(source, np.zeros(21, np.float32), lambda *_: None)
    with device.working():
        nearest = NearestRows(device, rows)
        found = np.concatenate([nearest.of(0, 24, 9), nearest.of(690, 700, 9)])
        few = NearestRows(device, byte_rows(_source(5, 21), np.zeros(21, np.float32), lambda *_: None)).of(0, 5, 8)
    asked = np.r_[0:24, 690:700]
    wide = rows.bytes.astype(np.float64) * rows.scales[:, None].astype(np.float64)
    distances = ((wide[asked, None] - wide) ** 2).sum(axis=2)
    own = np.take_along_axis(distances, found.astype(np.int64), axis=1)
    np.testing.assert_array_equal(found[:, 0], asked)  # itself
    np.testing.assert_allclose(own, np.sort(distances, axis=1)[:, :9], rtol=1e-5, atol=1e-3)
    assert all(len(set(listed)) == 9 for listed in found.tolist())
    np.testing.assert_array_equal(np.sort(few[:, :5], axis=1), np.tile(np.arange(5), (5, 1)))
    np.testing.assert_array_equal(few[:, 5:], np.arange(5)[:, None].repeat(3, axis=1))  # its own number: none


def test_graphs_are_those_that_the_host_builds_from_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    source = _source(900, 16)
    rows = byte_rows(source, source.rows.mean(axis=0, dtype=np.float64).astype(np.float32), lambda *_: None)
    wide = rows.bytes.astype(np.float64) * rows.scales[:, None].astype(np.float64)
    nearest = ((wide[:, None] - wide) ** 2).sum(axis=2).argsort(axis=1)[:, :65].astype(np.uint32)
    wanted = np.empty((900, 12), np.uint32)
    builder = get_kernels().graph_builder(rows, BuildParams(), wanted)
    builder.seed(np.arange(900, dtype=np.uint32), nearest)
    builder.prune(0, 900)
    builder.reverse()
    builder.finish(0, 900)
    monkeypatch.setattr(graph_build, "ON_DEVICE", (1, 1 << 20))
    with at(ArrayDevice()):
        found = _lists(source)
    assert (found == wanted).mean() >= 0.999


def test_what_does_not_fit_the_host_joins(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class Full(ArrayDevice):
        def products(self, rows: Any, queries: Any) -> Any:
            raise MemoryError

    source = _source(400, 16)
    wanted = _lists(source)
    monkeypatch.setattr(graph_build, "ON_DEVICE", (1, 1 << 20))
    with at(Full()):
        np.testing.assert_array_equal(_lists(source), wanted)
    assert "do not fit into numpy" in caplog.text
