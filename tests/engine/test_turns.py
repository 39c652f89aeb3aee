"""Builds take a device one after another; who waits can be cancelled, or is built by the host in the end."""

from __future__ import annotations

import pytest

from vecstore.engine import placement, turns
from vecstore.engine.placement import building
from vecstore.errors import Cancelled
from vecstore.kernels.device import devices
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.places import entered
from vecstore.kernels.select import get_kernels


class Gpu(ArrayDevice):
    name = "cuda:0"
    released = 0

    def release(self) -> None:
        self.released += 1


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Gpu:
    made = Gpu()
    monkeypatch.setattr(devices, "open_device", {"cuda:0": made}.get)
    monkeypatch.setattr(turns.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(turns, "_PAUSE", 0.001)
    return made


def test_a_build_enters_its_device_and_leaves_it(gpu: Gpu) -> None:
    host = get_kernels()
    for device in (None, "cpu", "cuda:1"):
        with building(device, host, lambda *_: None) as kernels:
            assert kernels is host
            assert entered() is None
    for device in ("cuda:0", "auto"):
        with building(device, host, lambda *_: None) as kernels:
            assert kernels.name.endswith("cuda:0")
            place = entered()
            assert place is not None
            assert place.device is gpu
        assert entered() is None
    assert gpu.released == 2


def test_another_waits_can_be_cancelled_and_then_goes_to_the_host(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(placement.log, "warning", lambda message, *args: said.append(message % args))
    host, phases = get_kernels(), []  # type: ignore[var-annotated]

    def cancelled(phase: str, done: int, total: int) -> None:
        phases.append(phase)
        if len(phases) > 3:
            raise Cancelled("enough")

    with building("cuda:0", host, lambda *_: None):
        with pytest.raises(Cancelled), building("cuda:0", host, cancelled):
            pass
        assert set(phases) == {"wait for cuda:0"}
        monkeypatch.setattr(turns, "PATIENCE", 0.02)
        with building("cuda:0", host, lambda *_: None) as kernels:
            assert kernels is host
    assert said == ["cuda:0 has been building for others for long: the processor builds this index"]
    with building("cuda:0", host, lambda *_: None) as kernels:
        assert kernels is not host
