"""Work that is recorded once and replayed answers every later batch as if it were new."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from table_support import random_codes

from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Always
from vecstore.kernels.device.resident import Resident
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.schema import Metric

Found = tuple[np.ndarray, ...]
HOST = NumpyKernels()


def kept(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def outputs(nq: int, k: int) -> Found:
    return np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)


def recorded(resident: Resident) -> int:
    """Plans that are recorded, over all that is on the device."""
    held = [part for part, _ in resident._held.values()]
    return sum(hasattr(plan, "nbytes") for part in held for plan in part.get("plans", {}).values())


@pytest.fixture
def beside(device: Device) -> tuple[Any, Resident]:
    resident = Resident(device, 1 << 28)
    return DeviceKernels(HOST, resident, Always), resident


@pytest.mark.parametrize("metric", list(Metric)[:3])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_dense_scans(beside: tuple[Any, Resident], dtype: type, metric: Metric) -> None:
    rng = np.random.default_rng(7)
    rows = kept(rng.standard_normal((3000, 24)).astype(dtype))
    norms = kept((1 / np.linalg.norm(rows.astype(np.float32), axis=1)).astype(np.float32))
    for nq in (3, 4, 1, 3, 4, 1, 4, 2, 1):
        queries = rng.standard_normal((nq, 24)).astype(np.float32)
        found, wanted = outputs(nq, 7), outputs(nq, 7)
        for kernels, out in ((beside[0], found), (HOST, wanted)):
            kernels.scan(metric, queries, rows, norms if metric is Metric.COSINE else None, None, *out)
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-6, atol=1e-6)
    assert_recorded(beside, 3)  # batches of 1, 2 and 4, 3 being padded; that of 2 came once


def assert_recorded(beside: tuple[Any, Resident], batches: int) -> None:
    if not isinstance(beside[1].device, ArrayDevice):
        assert 0 < recorded(beside[1]) <= batches


def test_hamming_scans(beside: tuple[Any, Resident]) -> None:
    rng = np.random.default_rng(8)
    rows = kept(rng.integers(0, 256, (3000, 5), np.uint8))
    for nq in (2, 2, 2, 40, 40, 40):
        queries = rng.integers(0, 256, (nq, 5), np.uint8)
        found, wanted = outputs(nq, 9), outputs(nq, 9)
        for kernels, out in ((beside[0], found), (HOST, wanted)):
            kernels.hamming_scan(queries, rows, None, *out)
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])
    assert_recorded(beside, 2)


@pytest.mark.parametrize("eps", [0.0, 1.5])
def test_code_scans(beside: tuple[Any, Resident], eps: float) -> None:
    rng = np.random.default_rng(9)
    codes = random_codes(rng, [100, 700, 400], 8, 16, width=2, error=0.02, runs=[(2, 16)])
    kept(codes.blocks)
    for nq in (3, 3, 3, 20, 20, 20):
        queries = rng.standard_normal((nq, 16)).astype(np.float32)
        probes = np.stack([rng.permutation(3)[:2] for _ in range(nq)]).astype(np.int32)
        probes[0], probes[1] = (0, 2), (1, 0)  # all lists, by somebody
        add = rng.standard_normal(probes.shape).astype(np.float32)
        radius = rng.uniform(0.5, 1, probes.shape).astype(np.float32)
        found, wanted = outputs(nq, 30), outputs(nq, 30)
        for kernels, out in ((beside[0], found), (HOST, wanted)):
            counters = np.empty((nq, 3), np.int64)
            kernels.table_scan(codes, queries, probes, add, radius, 5, eps, None, *out, counters)
        np.testing.assert_array_equal(found[0][:, :5], wanted[0][:, :5])
        np.testing.assert_allclose(found[1][:, :5], wanted[1][:, :5], rtol=1e-4, atol=1e-4)
    assert_recorded(beside, 2)


def test_recorded_work_ends_with_its_array(beside: tuple[Any, Resident]) -> None:
    kernels, resident = beside
    rows = kept(np.random.default_rng(1).standard_normal((500, 8)).astype(np.float32))
    for _ in range(3):
        kernels.scan(Metric.L2, rows[:2].copy(), rows, None, None, *outputs(2, 3))
    recorder = getattr(resident.device, "_recorder", None)
    if recorder is None:
        pytest.skip("numpy records nothing")
    gc.collect()  # of other tests
    before = recorder._used
    assert recorded(resident) == 1
    del rows
    gc.collect()
    assert recorded(resident) == 0
    assert recorder._used < before
    assert len(recorder._kept) == sum(1 for owner, _, _ in recorder._kept.values() if owner() is not None)
