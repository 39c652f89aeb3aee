"""Batches that are brought over while the one before is worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.places import ahead, at, by_batches, in_parts

SIZE = 20_000  # numbers of a batch: large enough to go over through a staging buffer


def batches(count: int) -> Iterator[tuple[int, np.ndarray]]:
    for number in range(count):
        yield number, np.full((4, SIZE // 4), number, np.float32)


def doubled(rows: Any, _: Any) -> dict[str, Any]:
    return {"of": rows * np.float32(2)}


def worked(device: Device | None, count: int) -> list[float]:
    """Of each batch, in order, the number that fills twice its rows."""

    def work() -> Iterator[float]:
        for number, rows in ahead(batches(count)):
            ((_, found),) = in_parts(rows, None, doubled)
            assert type(found["of"]) is np.ndarray
            assert (found["of"] == 2 * number).all()
            yield float(found["of"][0, 0])

    if device is None:
        return list(work())
    with at(device):
        return list(work())


@pytest.mark.parametrize("count", [0, 1, 7])
def test_batches_come_whole_and_in_order(device: Device, count: int) -> None:
    assert worked(device, count) == worked(None, count) == [2 * number for number in range(count)]


def test_the_next_comes_over_while_one_is_worked_on() -> None:
    second = threading.Event()

    class Watched(ArrayDevice):
        def put(self, host: Any) -> Any:
            if host.flat[0] == 1:
                second.set()
            return super().put(host)

    with at(Watched()):
        for number, _ in ahead(batches(2)):
            assert second.wait(60), number  # without another being asked for


class Full(ArrayDevice):
    def put(self, host: Any) -> Any:
        raise MemoryError


def test_what_does_not_fit_is_the_host_s() -> None:
    assert worked(Full(), 3) == [0, 2, 4]


def test_work_that_does_not_fit_is_the_host_s_though_its_rows_are_there(device: Device) -> None:
    def work(rows: Any, _: Any) -> dict[str, Any]:
        if type(rows) is not np.ndarray:
            raise MemoryError
        return doubled(rows, None)

    if isinstance(device, ArrayDevice):
        pytest.skip("numpy's arrays are the host's")
    with at(device):
        for number, rows in ahead(batches(2)):
            ((part, found),) = in_parts(rows, None, work)
            assert part == slice(0, 4)
            assert (found["of"] == 2 * number).all()


def test_errors_of_reading_come_to_who_works(device: Device) -> None:
    def broken() -> Iterator[tuple[int, np.ndarray]]:
        yield from batches(1)
        raise OSError("gone")

    with at(device), pytest.raises(OSError, match="gone"):
        for _ in ahead(broken()):
            pass


def test_rows_by_batches(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.kernels.places._BATCH", 5)
    rows = np.random.default_rng(0).standard_normal((17, 6)).astype(np.float32)
    with at(device):
        np.testing.assert_array_equal(by_batches(rows, lambda some: some * np.float32(2)), 2 * rows)
