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
    released = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def release(self) -> None:
        self.released += 1


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> list[Gpu]:
    made = [Gpu("cuda:0")]
    monkeypatch.setattr(devices, "open_device", lambda name: {one.name: one for one in made}.get(name))
    monkeypatch.setattr(devices, "count", lambda: len(made))
    monkeypatch.setattr(turns.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(turns, "_PAUSE", 0.001)
    return made


@pytest.fixture
def gpu(gpus: list[Gpu]) -> Gpu:
    return gpus[0]


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
    assert said == ["cuda:0: building for others for long; the processor builds this index"]
    with building("cuda:0", host, lambda *_: None) as kernels:
        assert kernels is not host


def test_any_device_means_the_first_that_is_free(gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus.append(Gpu("cuda:1"))
    monkeypatch.setattr(turns, "PATIENCE", 0.02)
    host, asked = get_kernels(), []  # type: ignore[var-annotated]
    with building("auto", host, lambda *_: None) as first:
        with building("auto", host, lambda *_: None) as second:
            assert [kernels.name.split("+")[1] for kernels in (first, second)] == ["cuda:0", "cuda:1"]
            place = entered()
            assert place is not None
            assert place.device is gpus[1]
            with building("auto", host, lambda phase, *_: asked.append(phase)) as third:
                assert third is host
        with building("auto", host, lambda *_: None) as again:
            assert again.name.endswith("cuda:1")
    assert set(asked) == {"wait for cuda:0 or cuda:1"}
