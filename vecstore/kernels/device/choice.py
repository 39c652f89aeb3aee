"""Who answers a batch, the device or the host.

A device has a price for every call and a low one for every row; a host the other way round. Where they cross depends on
both machines and on the work, and nothing but a measurement tells. The first batch of a class of work is the host's;
then, on a thread of its own, its column is uploaded, and its queries, repeated to each size, are given to both. So no
query waits for a measurement, segments alike share one, and what the host answers sooner is not uploaded again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vecstore.errors import DeadlineExceeded
from vecstore.kernels.base import Bitmap, Int64Array
from vecstore.kernels.stop import Stop

SIZES = (1, 4, 16, 64, 256)  # batches are told apart by the largest of these that they reach
LARGE = 256
ROUNDS = 3  # of a device, after one that compiles: the first of them may record, the others replay (replay.py)
LIMIT = 0.1  # seconds for a size, half of them for either side; a call of the device is not cut short
log = logging.getLogger("vecstore.device")
_measuring = threading.Lock()  # two at a time would slow each other down


@dataclass(frozen=True, slots=True)
class Work:
    """What costs about the same, query by query."""

    name: str
    dtype: str
    row: tuple[int, ...]  # shape
    scale: int  # of the rows that a query meets: each twice the one before
    filtered: bool


def work_of(name: str, array: np.ndarray, met: int, allowed: Bitmap | None) -> Work:
    return Work(name, array.dtype.str, array.shape[1:], met.bit_length(), allowed is not None)


@dataclass(frozen=True, slots=True)
class Trial:
    """Both answers to the queries that are listed, of `count`, to be thrown away."""

    count: int
    device: Callable[[Int64Array], None]
    host: Callable[[Int64Array], None]


class Choice:
    """Of one device. Threads may share one object."""

    least: ClassVar[int] = 0  # numbers of an array; a smaller one is the host's

    def __init__(self) -> None:
        self.sooner: dict[Work, dict[int, bool]] = {}  # by size: whether the device answers sooner
        self._lock = threading.Lock()
        self._threads: dict[Work, threading.Thread] = {}
        self._closed = False

    def by_device(self, work: Work, nq: int) -> bool | None:
        """Whether the device answers a batch of nq > 0; None: not known yet."""
        found = self.sooner.get(work)
        return None if found is None else found[max(size for size in SIZES if size <= nq)]

    def measure(self, work: Work, trial: Trial) -> None:
        """Once for each work, and not now."""
        with self._lock:
            if self._closed or work in self._threads:
                return
            thread = threading.Thread(target=self._measure, args=(work, trial), name="vecstore-choice")
            self._threads[work] = thread
            thread.start()

    def close(self) -> None:
        """No more measurements; waits for those under way."""
        with self._lock:
            self._closed = True
        self.wait()

    def wait(self) -> None:
        """Until what was to be measured is."""
        for thread in list(self._threads.values()):
            thread.join()

    def _measure(self, work: Work, trial: Trial) -> None:
        with _measuring:
            sooner: dict[int, bool] = {}
            try:
                for size in SIZES:
                    if self._closed or not threading.main_thread().is_alive():
                        return  # the process ends, and waits for us
                    sooner[size], slow = _compared(trial, np.resize(np.arange(trial.count), size))
                    if slow:
                        break
            except MemoryError:
                log.warning("%s of rows %s %s does not fit into the device's memory", work.name, work.dtype, work.row)
            except Exception:
                log.exception("%s cannot be tried on the device: the host answers it", work.name)
                sooner.clear()
        last = False
        for size in SIZES:  # what was not measured is as batches of the size before
            last = sooner.setdefault(size, last)
        self.sooner[work] = sooner


class Always(Choice):
    """The device, without a measurement."""

    def by_device(self, work: Work, nq: int) -> bool:
        return True


class Large(Choice):
    """The device for large batches, without a measurement: for builds, which scan other arrays in each step. The two
    halves of a list, met thousands of times, are not worth a call."""

    least = 1 << 16

    def by_device(self, work: Work, nq: int) -> bool:
        return nq >= LARGE


def _compared(trial: Trial, some: Int64Array) -> tuple[bool, bool]:
    """Whether the device is sooner, and whether it is too slow for a larger batch to be tried. The host has the time
    that the device took and no more: that it did not end tells enough."""
    trial.device(some)
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < LIMIT / 2:
        started = time.perf_counter()
        trial.device(some)
        times.append(time.perf_counter() - started)
    try:
        started = time.perf_counter()
        with Stop(min(*times, LIMIT / 2)):
            trial.host(some)
    except DeadlineExceeded:
        return True, min(times) > LIMIT / 2
    return min(times) < time.perf_counter() - started, min(times) > LIMIT / 2
