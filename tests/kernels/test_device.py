"""What is kept on a device, and who answers a batch."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from vecstore.kernels.device import devices
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Always, Choice, Large
from vecstore.kernels.device.resident import Resident, Transient
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.schema import Metric

LAW = ArrayDevice()


def test_put_and_get_large_arrays(device: Device) -> None:
    """Of several staging buffers each time, which are used again before anybody waits."""
    array = np.random.default_rng(5).standard_normal((1 << 17, 80)).astype(np.float32)
    with device.working():
        there = [device.put(part) for part in (array, array[::2, 1:7], -array)]
        for found, wanted in zip(there, (array, array[::2, 1:7], -array), strict=True):
            np.testing.assert_array_equal(device.get(found), wanted)


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
    assert asked[4:] == ["host", "host"]
    choice.answer(70, take("device", 5), take("host", 70))
    assert choice.sooner == {1: False, 64: True}
    asked.clear()
    choice.answer(200, take("device", 5), take("host", 200))
    assert asked == ["device"]


@pytest.mark.parametrize(("rows", "queries", "calls"), [(9000, 300, True), (2, 300, False), (9000, 2, False)])
def test_builds_leave_small_batches_and_small_arrays_to_the_host(rows: int, queries: int, calls: bool) -> None:
    device = Small(1 << 20)
    kernels = DeviceKernels(NumpyKernels(), Transient(device), Large)
    found = np.empty((queries, 1), np.int64), np.empty((queries, 1), np.float32)
    kernels.scan(Metric.L2, _column(queries), _column(rows), None, None, *found)
    assert (device.calls > 0) == calls


def test_devices_that_are_not_there() -> None:
    assert devices.open_device("cuda:999") is None
    assert devices.open_device("cpu") is None
