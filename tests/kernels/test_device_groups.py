"""Lists that meet only the queries that visit them: the host's answers, and no product that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import row_codes_support
import table_support
from masks import bitmap
from test_byte_scan import _codes as byte_codes

from vecstore.kernels.base import Kernels
from vecstore.kernels.device import choice
from vecstore.kernels.device import codes as scans
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Always
from vecstore.kernels.device.groups import groups_of
from vecstore.kernels.device.resident import Transient
from vecstore.kernels.numpy_backend import NumpyKernels

COUNTS = [70, 0, 33, 100, 1, 64, 40, 90, 32, 10]
DIM = 16
Scan = Callable[[Kernels], tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture(params=["numpy", "device"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    device: Device = ArrayDevice() if request.param == "numpy" else request.getfixturevalue("device")
    monkeypatch.setattr(device, "few_tables", 3)
    return device


@pytest.fixture
def made(either: Device, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each chunk the scores that were made, over all parts of a query together."""
    sizes: list[int] = []
    take = either.take

    def counted(short: Any, products: Any, terms: Any) -> None:
        asked = len(short.counts) if terms.queries is None else len(terms.queries)
        sizes.append(asked * products.shape[1])
        take(short, products, terms)

    monkeypatch.setattr(either, "take", counted)
    return sizes


def visits(nq: int, nprobe: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probes, neighbouring queries' near each other, and terms of lists."""
    rng = np.random.default_rng(nq)
    probes = np.stack([rng.permutation(len(COUNTS))[:nprobe] for _ in range(nq)]).astype(np.int32)
    probes[nq // 2, 1:] = -1
    return probes, rng.standard_normal(probes.shape).astype(np.float32), rng.random(probes.shape).astype(np.float32)


def scans_of(kind: Any, nq: int, nprobe: int, mask: np.ndarray | None, eps: float) -> Scan:
    rng = np.random.default_rng(5)
    probes, add, radius = visits(nq, nprobe)
    queries = rng.integers(-4, 5, (nq, DIM)).astype(np.float32)
    allowed, k = None if mask is None else bitmap(mask), 12

    def scan(kernels: Kernels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32), np.empty((nq, 3), np.int64)
        if kind == "bytes":
            kernels.byte_scan(
                byte_codes(np.random.default_rng(1), COUNTS, 5, 2, DIM), queries, probes, add, allowed, *found
            )
        elif kind in ("table", "stages"):
            runs = [(2, 16)] if kind == "stages" else None
            codes = table_support.random_codes(np.random.default_rng(1), COUNTS, 8, DIM, width=2, runs=runs, error=0.5)
            kernels.table_scan(codes, queries, probes, add, radius, 4, eps, allowed, *found)
        else:
            stored = row_codes_support.random_codes(np.random.default_rng(1), kind, DIM, COUNTS, 2)
            numbers = np.arange(len(stored.rows), dtype=np.uint32)[::-1].copy()
            kernels.row_scan(replace(stored, rows=numbers), queries, probes, add, allowed, *found)
        return found

    return scan


@pytest.mark.parametrize("kind", ["table", "bytes", "float16"])
def test_a_batch_is_tried_on_both_and_its_answers_stay(
    either: Device, made: list[int], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "SIZES", (1, 30))
    failed: list[str] = []
    monkeypatch.setattr(choice.log, "exception", lambda message, *args: failed.append(message))
    kernels, scan = DeviceKernels(NumpyKernels(), Transient(either)), scans_of(kind, 9, 2, None, 0.5)
    found = scan(kernels)
    kernels.choice.wait()
    for some, wanted in zip(found, scan(NumpyKernels()), strict=True):
        np.testing.assert_array_equal(some, wanted)
    assert failed == []
    assert [set(sizes) for sizes in kernels.choice.sooner.values()] == [{1, 30}]
    assert made


@pytest.mark.parametrize("price", [0, 2000])
@pytest.mark.parametrize("kind", ["table", "stages", "bytes", "float16", "bfloat16", "e4m3", "int8", "nibble"])
def test_answers_are_the_host_s(
    either: Device, made: list[int], kind: str, price: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "PRICE", price)
    places = np.array([-(-count // 32) * 32 for count in COUNTS])
    rng, total = np.random.default_rng(3), 32 * len(places) * 4
    for nq, mask, eps in ((9, None, 0.0), (70, rng.random(total) < 0.6, 0.0), (9, None, 1.0)):
        scan = scans_of(kind, nq, 2, mask, eps)
        wanted = scan(NumpyKernels())
        made.clear()
        found = scan(DeviceKernels(NumpyKernels(), Transient(either), Always))
        probes = visits(nq, 2)[0]
        asked = int(places[probes[probes >= 0]].sum())
        assert asked < nq * places.sum() / 2
        assert sum(made) == asked if price == 0 else asked < sum(made) < nq * int(places.sum())
        if eps:
            kept = np.isfinite(wanted[1]) & (np.arange(12) < 4)  # stage two may skip others
            np.testing.assert_array_equal(found[0][kept], wanted[0][kept])
            continue
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(found[2][:, 0], wanted[2][:, 0])
        assert (found[0] == wanted[0]).mean() >= (1 if kind in ("int8", "nibble") else 0.98)


def test_groups_cost_no_more_than_their_waste() -> None:
    rng = np.random.default_rng(8)
    sizes = 32 * rng.integers(0, 9, 400)
    visited = rng.random((90, 400)) < 0.03
    visited[7] = False
    costs = []
    for price in (0, 500, 5_000, 50_000):
        groups = groups_of(sizes, visited, price)
        lists = np.concatenate([group.lists for group in groups])
        np.testing.assert_array_equal(lists, np.flatnonzero(visited.any(axis=0) & (sizes > 0)))
        for group in groups:
            np.testing.assert_array_equal(group.queries, np.flatnonzero(visited[:, group.lists].any(axis=1)))
            waste = (sizes[group.lists] * (len(group.queries) - visited[:, group.lists].sum(axis=0))).sum()
            assert waste <= price
        costs.append(sum(int(sizes[group.lists].sum()) * len(group.queries) for group in groups))
    needed = int((visited * sizes).sum())
    assert costs[0] == needed
    assert sorted(costs) == costs
    assert costs[-1] < sizes.sum() * len(visited)
    assert groups_of(sizes, visited, 10_000_000) == []  # one pass for all costs less
    assert groups_of(sizes, np.zeros((90, 400), bool), 0) == []
    assert groups_of(sizes, np.ones((3, 400), bool), 1) == []
