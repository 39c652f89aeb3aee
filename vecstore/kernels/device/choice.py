"""Who answers a batch, the device or the host.

A device has a price for every call and a low one for every row; a host the other way round. Where they cross depends on
both machines and on the array, and nothing but a measurement tells: the first batch of each size is answered by both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

SIZES = (1, 4, 16, 64, 256)  # batches are told apart by the largest of these that they reach
LARGE = 256
ROUNDS = 3  # the first run of a kind compiles, the second records (replay.py)

Answer = Callable[[], None]


class Choice:
    """Of one array. Threads may share one object: at worst two of them measure."""

    least: ClassVar[int] = 0  # numbers of an array; a smaller one is the host's

    def __init__(self) -> None:
        self.sooner: dict[int, bool] = {}  # by size: whether the device answered sooner

    def answer(self, nq: int, device: Answer, host: Answer) -> None:
        size = max(size for size in SIZES if size <= nq)
        sooner = self.sooner.get(size)
        if sooner is None:
            by_host = _seconds(host)
            by_device = min(_seconds(device) for _ in range(ROUNDS))
            self.sooner[size] = by_device < by_host
        elif sooner:
            device()
        else:
            host()


class Always(Choice):
    """The device, without a measurement."""

    def answer(self, nq: int, device: Answer, host: Answer) -> None:
        device()


class Large(Choice):
    """The device for large batches, without a measurement: for builds, which scan other arrays in each step. The two
    halves of a list, met thousands of times, are not worth a call."""

    least = 1 << 16

    def answer(self, nq: int, device: Answer, host: Answer) -> None:
        if nq >= LARGE:
            device()
        else:
            host()


def _seconds(answer: Answer) -> float:
    started = time.perf_counter()
    answer()
    return time.perf_counter() - started
