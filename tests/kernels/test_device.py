"""A device's own operations against numpy's, what is kept on it, and who answers a batch."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from vecstore.kernels.device import devices
from vecstore.kernels.device.arrays import ArrayDevice, Device
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Always, Choice
from vecstore.kernels.device.dense import lower, to_bfloat16
from vecstore.kernels.device.nearest import Nearest, write_answers
from vecstore.kernels.device.resident import Resident
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.schema import Metric

LAW = ArrayDevice()


@pytest.mark.parametrize("words", [1, 3, 12])
@pytest.mark.parametrize("nq", [1, 4, 9, 17])
def test_differing_bits(device: Device, nq: int, words: int) -> None:
    rng = np.random.default_rng(nq)
    rows, queries = (rng.integers(0, 2**32, (n, words), dtype=np.uint32) for n in (700, nq))
    with device.working():
        found = device.get(device.differing(device.put(rows), device.put(queries)))
    np.testing.assert_array_equal(found, LAW.differing(rows, queries))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
@pytest.mark.parametrize("dim", [1, 16, 33])
def test_products(device: Device, dtype: str, dim: int) -> None:
    rng = np.random.default_rng(dim)
    rows, queries = ((9 * rng.standard_normal((n, dim))).astype(np.float32) for n in (130, 7))
    if dtype == "bfloat16":
        rows, queries = to_bfloat16(rows), to_bfloat16(queries)
    else:
        rows, queries = rows.astype(dtype), queries.astype(dtype)
    with device.working():
        found = device.get(device.products(device.put(rows), device.put(queries)))
    law = LAW.products(rows, queries)
    assert found.dtype == np.float32
    if dtype == "int8":
        np.testing.assert_array_equal(found, law)
    else:
        np.testing.assert_allclose(found, law, rtol=1e-4, atol=1e-3)


def test_within_bounds(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((5, 400)).astype(np.float32)
    values[1, ::3] = np.nan
    bounds = np.array([-1, 0, np.inf, -np.inf, 0.5], np.float32)
    wanted = set(zip(*(part.tolist() for part in LAW.within(values, bounds)), strict=True))
    for _ in range(2):
        with device.working():
            rows, columns = device.within(device.put(values), device.put(bounds))
            found = set(zip(device.get(rows).tolist(), device.get(columns).tolist(), strict=True))
        assert found == wanted
        if not isinstance(device, ArrayDevice):  # once more with too little room for all of them
            monkeypatch.setitem(type(device).within.__globals__, "WITHIN_ROOM", 10)


def test_largest_of_runs(device: Device) -> None:
    values = np.random.default_rng(4).standard_normal((6, 500)).astype(np.float32)
    starts = np.array([0, 1, 2, 60, 499, 500])
    with device.working():
        found = device.get(device.largest_of_runs(device.put(values), device.put(starts)))
    np.testing.assert_array_equal(found, LAW.largest_of_runs(values, starts))


def test_put_and_get_large_arrays(device: Device) -> None:
    array = np.random.default_rng(5).standard_normal((1 << 16, 80)).astype(np.float32)  # more than a staging buffer
    with device.working():
        np.testing.assert_array_equal(device.get(device.put(array)), array)
        np.testing.assert_array_equal(device.get(device.put(array[::2, 1:7])), array[::2, 1:7])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint16])
def test_lowered_queries_know_what_they_lost(dtype: type) -> None:
    rng = np.random.default_rng(6)
    queries = (rng.standard_normal((20, 64)) * 10.0 ** rng.integers(-6, 7, (20, 1))).astype(np.float32)
    queries[3] = 0
    lowered = lower(queries, np.dtype(dtype))
    back = LAW.products(np.eye(64, dtype=np.float32), lowered.array.astype(np.float32)) * lowered.scale
    if dtype == np.uint16:
        back = (lowered.array.astype(np.uint32) << 16).view(np.float32) * lowered.scale
    lost = np.linalg.norm(queries.astype(np.float64) - back, axis=1)
    np.testing.assert_allclose(lowered.lost, lost, rtol=1e-3, atol=1e-12 * np.abs(queries).max())
    assert (lowered.lost <= lowered.lengths * (2**-8 if dtype == np.uint16 else 2**-10)).all()


@pytest.mark.parametrize("slack", [0.0, 0.3])
@pytest.mark.parametrize("k", [1, 10, 500])
def test_nearest_keeps_the_k_nearest_of_all_chunks(k: int, slack: float) -> None:
    rng = np.random.default_rng(k)
    exact = rng.standard_normal((9, 3000)).astype(np.float32).round(2)  # with ties
    noisy = exact + rng.uniform(-slack, slack, exact.shape).astype(np.float32)
    out = rng.random(exact.shape) < 0.2
    noisy[out] = np.nan
    nearest = Nearest(LAW, 9, k)
    width = np.full((9, 1), slack * 1.001, np.float32)
    for low in range(0, 3000, 170):
        which = rng.permutation(9)  # in any order, a few at a time
        for some in (which[:4], which[4:]):
            part = slice(low, low + 170)
            nearest.add(noisy[some][:, part], np.arange(3000)[part], width[some], some)
    queries, rows, _ = nearest.kept()
    found = np.empty((9, k), np.int64), np.empty((9, k), np.float32)
    write_answers(queries, rows, exact[queries, rows], *found)
    for q in range(9):
        order = np.lexsort((np.arange(3000), np.where(out[q], np.inf, exact[q])))[:k]
        np.testing.assert_array_equal(found[0][q], order)
    assert len(queries) < 9 * 3000 / 2 or k == 500


def _column(n: int, dim: int = 8, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    rows.flags.writeable = False
    return rows


def _uploads(resident: Resident, array: np.ndarray) -> int:
    before = resident.uploads
    resident.of(array, "dense", lambda: {"rows": array.copy()})
    return resident.uploads - before


def test_what_cannot_change_is_uploaded_once_and_the_least_used_makes_room() -> None:
    resident = Resident(LAW, 3 * 3200)
    columns = [_column(100, seed=seed) for seed in range(4)]
    assert [_uploads(resident, column) for column in columns[:3]] == [1, 1, 1]
    assert _uploads(resident, columns[0]) == 0
    assert _uploads(resident, columns[3]) == 1  # the second goes
    assert [resident.holds(column, "dense") for column in columns] == [True, False, True, True]
    assert resident.bytes == 3 * 3200
    assert resident.evictions == 1
    assert _uploads(resident, _column(1000)) == 1  # too large to keep
    assert resident.bytes == 3 * 3200


def test_views_are_told_apart_and_forgotten_with_their_array() -> None:
    resident = Resident(LAW, 1 << 20)
    column = _column(100)
    assert _uploads(resident, column) == 1
    assert _uploads(resident, column[:, :4]) == 1
    assert _uploads(resident, column[:, :4]) == 0  # another view of the same
    assert _uploads(resident, column[50:]) == 1
    assert resident.bytes == 3200 + 1600 + 1600
    del column
    gc.collect()
    assert resident.bytes == 0


def test_only_what_nobody_can_write_to_is_kept() -> None:
    resident = Resident(LAW, 1 << 20)
    column = np.zeros((10, 4), np.float32)
    view = column[:5]
    view.flags.writeable = False
    assert not resident.keeps(column)
    assert not resident.keeps(view)  # its array can be
    column.flags.writeable = False
    assert resident.keeps(view)


class Small(ArrayDevice):
    """Fails when asked for products of more than some queries, as a GPU out of memory does."""

    def __init__(self, most: int) -> None:
        self.most, self.calls = most, 0

    def products(self, rows: Any, queries: Any) -> Any:
        self.calls += 1
        if len(queries) > self.most:
            raise MemoryError("out of device memory")
        return super().products(rows, queries)


@pytest.mark.parametrize("most", [0, 1, 3, 100])
def test_a_batch_that_does_not_fit_is_answered_in_parts(most: int) -> None:
    rows, queries = _column(500), _column(7, seed=1)
    device = Small(most)
    kernels = DeviceKernels(NumpyKernels(), Resident(device, 1 << 20), Always)
    wanted, found = ((np.empty((7, 5), np.int64), np.empty((7, 5), np.float32)) for _ in range(2))
    NumpyKernels().scan(Metric.L2, queries, rows, None, None, *wanted)
    kernels.scan(Metric.L2, queries, rows, None, None, *found)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])
    assert device.calls >= 7 / max(1, most)


def test_uploads_that_do_not_fit_evict_what_is_kept_then_leave_it_to_the_host() -> None:
    resident = Resident(LAW, 1 << 20)
    columns = [_column(100, seed=seed) for seed in range(2)]
    _uploads(resident, columns[0])
    room = [False, True]

    def make() -> Mapping[str, Any]:
        if not room.pop(0):
            raise MemoryError
        return {"rows": columns[1]}

    resident.of(columns[1], "dense", make)
    assert not resident.holds(columns[0], "dense")
    resident.drop_all()
    room.append(False)
    with pytest.raises(MemoryError):
        resident.of(columns[0], "dense", make)


def test_the_sooner_of_both_answers_batches_of_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("vecstore.kernels.device.choice.time.perf_counter", lambda: clock[0])
    asked: list[str] = []

    def take(name: str, seconds: float) -> Any:
        def answer() -> None:
            asked.append(name)
            clock[0] += seconds

        return answer

    choice = Choice()
    for nq in (1, 2, 3):  # 5 against 1 a query
        choice.answer(nq, take("device", 5), take("host", nq))
    assert choice.sooner == {1: False}
    assert asked[3:] == ["host", "host"]
    choice.answer(70, take("device", 5), take("host", 70))
    assert choice.sooner == {1: False, 64: True}
    asked.clear()
    choice.answer(200, take("device", 5), take("host", 200))
    assert asked == ["device"]


def test_devices_that_are_not_there() -> None:
    assert devices.open_device("cuda:999") is None
    assert devices.open_device("cpu") is None
