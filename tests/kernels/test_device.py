"""What is kept on a device, and who answers a batch."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vecstore.errors import DeadlineExceeded
from vecstore.kernels.device import devices
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import LIMIT, Always, Choice, Large, Trial, Work, work_of
from vecstore.kernels.device.codes import lists_of
from vecstore.kernels.device.resident import Resident, Transient
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.stop import Stop, Stopped, check_stop
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


class Threads(ArrayDevice):
    """Knows who asked it for products."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def products(self, rows: Any, queries: Any) -> Any:
        self.threads.add(threading.get_ident())
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


WORK = Work("scan", "<f4", (8,), 9, False)


def _trial(monkeypatch: pytest.MonkeyPatch, device: float, host: float) -> tuple[Trial, list[tuple[str, int]]]:
    """Of 3 queries, by a clock of its own: so many seconds a batch, and so many a query."""
    clock, asked = [0.0], []
    monkeypatch.setattr("vecstore.kernels.device.choice.time.perf_counter", lambda: clock[0])

    def take(name: str, a_batch: float, a_query: float) -> Any:
        def answer(some: np.ndarray) -> None:
            assert set(some) <= {0, 1, 2}
            asked.append((name, len(some)))
            clock[0] += a_batch + a_query * len(some)

        return answer

    return Trial(3, take("device", device, 0), take("host", 0, host)), asked


def test_the_sooner_of_both_is_measured_once_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = Choice()
    trial, asked = _trial(monkeypatch, 0.005, 0.001)
    assert choice.by_device(WORK, 1) is None
    for _ in range(2):
        choice.measure(WORK, trial)
        choice.wait()
    assert choice.sooner == {WORK: {1: False, 4: False, 16: True, 64: True, 256: True}}
    assert asked == [one for n in (1, 4, 16, 64, 256) for one in [("device", n)] * 4 + [("host", n)]]
    assert [choice.by_device(WORK, nq) for nq in (1, 15, 16, 1_000)] == [False, False, True, True]
    assert choice.by_device(replace(WORK, scale=10), 1) is None
    choice.close()
    choice.measure(replace(WORK, scale=10), trial)
    choice.wait()
    assert len(asked) == 25


def test_a_measurement_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either side has half of the limit, and what is slow is not tried with more queries."""
    choice = Choice()
    trial, asked = _trial(monkeypatch, LIMIT, LIMIT / 4)
    choice.measure(WORK, trial)
    choice.wait()
    assert asked == [("device", 1), ("device", 1), ("host", 1)]
    assert choice.by_device(WORK, 256) is False

    def endless(some: np.ndarray) -> None:
        while True:
            check_stop()

    more = replace(WORK, filtered=True)
    trial, _ = _trial(monkeypatch, 0.001, 0)
    choice.measure(more, replace(trial, host=endless))
    choice.wait()
    assert set(choice.sooner[more].values()) == {True}


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_what_cannot_be_tried_is_the_host_s(error: type[Exception]) -> None:
    def fail(some: np.ndarray) -> None:
        raise error

    choice = Choice()
    choice.measure(WORK, Trial(1, fail, fail))
    choice.wait()
    assert choice.by_device(WORK, 256) is False


def test_no_query_waits_for_a_measurement_and_columns_alike_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "vecstore.kernels.device.choice._compared", lambda trial, some: (trial.device(some) is None, False)
    )
    device = Threads()
    resident = Resident(device, 1 << 20)
    kernels = DeviceKernels(NumpyKernels(), resident)
    columns, queries = [_column(500, seed=seed) for seed in range(2)], _column(3, seed=7)
    wanted, found = ((np.empty((3, 5), np.int64), np.empty((3, 5), np.float32)) for _ in range(2))
    own = threading.get_ident()
    for column, by_device in zip(columns, (False, True), strict=True):
        NumpyKernels().scan(Metric.L2, queries, column, None, None, *wanted)
        kernels.scan(Metric.L2, queries, column, None, None, *found)
        assert (own in device.threads) == by_device
        kernels.choice.wait()
        for some, right in zip(found, wanted, strict=True):  # nor does it write into an answer
            np.testing.assert_array_equal(some, right)
        assert resident.holds(column, "dense")
    assert len(device.threads) == 2
    candidates = np.arange(12).reshape(3, 4)
    for by_device in (None, True):  # of what is there; its kind of work is another
        distances = np.empty((2, 3, 4), np.float32)
        assert kernels.choice.by_device(work_of("rerank", columns[0], 4, None), 3) is by_device
        kernels.rerank(Metric.L2, queries, columns[0], None, candidates, distances[0])
        kernels.choice.wait()
        NumpyKernels().rerank(Metric.L2, queries, columns[0], None, candidates, distances[1])
        np.testing.assert_array_equal(*distances)
    monkeypatch.setattr(kernels.choice, "by_device", lambda *_: False)
    other = _column(500, seed=9)
    kernels.scan(Metric.L2, queries, other, None, None, *found)
    assert not resident.holds(other, "dense")  # what the host answers is not uploaded


def test_a_host_that_is_too_late_is_not_asked_again() -> None:
    class Late(NumpyKernels):
        def scan(self, *arguments: Any) -> None:
            raise Stopped

    kernels = DeviceKernels(Late(), Resident(LAW, 1 << 20))
    column, found = _column(500), (np.empty((3, 5), np.int64), np.empty((3, 5), np.float32))
    with pytest.raises(DeadlineExceeded), Stop():
        kernels.scan(Metric.L2, column[:3], column, None, None, *found)
    kernels.choice.wait()
    kernels.scan(Metric.L2, column[:3], column, None, None, *found)
    assert found[0][:, 0].tolist() == [0, 1, 2]


def test_lists_of_rows_that_are_on_the_device_are_scanned_there() -> None:
    by_host: list[int] = []

    class Host(NumpyKernels):
        def dense_list_scan(self, *arguments: Any) -> None:
            by_host.append(1)
            super().dense_list_scan(*arguments)

    kernels = DeviceKernels(Host(), Resident(LAW, 1 << 20), Always)
    column, queries = _column(500), _column(3, seed=7)
    lists = (np.arange(500, dtype=np.uint32), np.array([0, 200, 500]), np.array([[0, -1], [1, 0], [-1, -1]], np.int32))
    answers = []
    for _ in range(2):
        outputs = np.empty((3, 5), np.int64), np.empty((3, 5), np.float32), np.empty(3, np.int64)
        kernels.dense_list_scan(Metric.L2, queries, column, None, *lists, None, *outputs)
        answers.append(outputs)
        kernels.scan(Metric.L2, queries, column, None, None, *(output.copy() for output in outputs[:2]))
    assert len(by_host) == 1
    for mine, expected in zip(answers[1], answers[0], strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_lists_of_queries_that_come_again_are_others() -> None:
    probes = np.array([[0, 2], [1, -1]], np.int32)
    assert lists_of(probes, slice(1, 2), 4).tolist() == [[1, -1]]
    assert lists_of(probes, np.array([0, 1, 0, 1]), 4).tolist() == [[0, 2], [1, -1], [2, 0], [3, -1]]


def test_an_upload_keeps_only_those_waiting_who_want_it() -> None:
    resident, columns = Resident(LAW, 1 << 20), [_column(100, seed=seed) for seed in range(2)]
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Mapping[str, Any]:
        begun.set()
        assert go_on.wait(60)
        return {"rows": columns[0]}

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(resident.of, columns[0], "dense", slowly)
        assert begun.wait(60)
        second = pool.submit(resident.of, columns[0], "dense", slowly)
        try:
            assert _uploads(resident, columns[1]) == 1
            assert not resident.holds(columns[0], "dense")
        finally:
            go_on.set()
        assert second.result() is first.result()
    assert resident.uploads == 2
    assert resident._making == {}


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
