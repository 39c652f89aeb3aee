"""The quickest setting is chosen, and the first where none is clearly quicker. Time is made up: none is measured."""

from __future__ import annotations

import pytest

from vecstore.kernels import graph_tuning
from vecstore.kernels.graph_tuning import SETTINGS, tuned


class Clock:
    def __init__(self, seconds: dict[tuple[int, int, int], float]) -> None:
        self.now, self.seconds = 0.0, seconds

    def perf_counter(self) -> float:
        return self.now

    def search(self, setting: tuple[int, int, int]) -> None:
        self.now += self.seconds[setting]


@pytest.mark.parametrize(("factor", "chosen"), [(0.5, SETTINGS[2]), (0.99, SETTINGS[0]), (2.0, SETTINGS[0])])
def test_the_clearly_quickest_setting(
    factor: float, chosen: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(dict.fromkeys(SETTINGS, 1.0) | {SETTINGS[2]: factor})
    monkeypatch.setattr(graph_tuning, "time", clock)
    assert tuned(clock.search) == chosen
