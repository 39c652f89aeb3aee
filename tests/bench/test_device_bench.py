"""The check of builds on a device runs without one, and ends where codes differ."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.device import building
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.select import get_kernels


def once(call: Callable[[], object], rounds: int = 1) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(building, "seconds", once)
    rows: np.ndarray = np.random.default_rng(0).standard_normal((700, 48)).astype(np.float32)
    return rows


def test_builds_are_measured_beside_the_host(rows: np.ndarray) -> None:
    lines = {line["what"]: line for line in building.building(ArrayDevice(), get_kernels(), rows)}
    assert {"k-means, 10 lists", "covariance", "encode SAQ(bits=4)", "nearest 64 of all rows"} <= lines.keys()
    assert all(line["rows/s"] > 0 for line in lines.values())


def test_codes_that_differ_end_the_run(rows: np.ndarray) -> None:
    class Wrong(ArrayDevice):
        def grid_codes(self, *arguments: Any) -> Any:
            codes = super().grid_codes(*arguments)
            codes[0] ^= 1
            return codes

    with pytest.raises(SystemExit, match=r"of RaBitQ\(bits=1\): .* are the host's"):
        list(building.building(Wrong(), get_kernels(), rows))
