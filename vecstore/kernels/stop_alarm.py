"""Marks Stops whose time is up, for compiled loops that see a flag but no clock (Numba's)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from vecstore.kernels.stop import EXPIRED, Flag, Stop, current_stop

LOOK_S = 0.005

_NEVER: Flag = np.zeros(1, np.int32)


class _Alarm:
    """One thread for all Stops under watch, asleep while there are none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[Stop] = set()
        self._thread: threading.Thread | None = None

    def add(self, stop: Stop) -> None:
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="vecstore-alarm", daemon=True)
                self._thread.start()
            self._watched.add(stop)
            self._changed.notify()

    def discard(self, stop: Stop) -> None:
        with self._changed:
            self._watched.discard(stop)

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._watched)
                now = time.monotonic()
                for stop in self._watched:
                    if now >= stop.deadline:
                        stop.flag[0] = EXPIRED
            time.sleep(LOOK_S)


_alarm = _Alarm()


def _start_over() -> None:
    global _alarm
    _alarm = _Alarm()  # a forked child has no thread, and maybe a locked lock


os.register_at_fork(after_in_child=_start_over)


@contextmanager
def watched() -> Iterator[Flag]:
    """The flag of this thread's Stop, which is set as well when its time is up; one that never is where there is none.
    Who has passed it to a loop looks with `check_stop` whether the loop went to its end."""
    stop, alarm = current_stop(), _alarm
    if stop is None:
        yield _NEVER
        return
    alarm.add(stop)
    try:
        yield stop.flag
    finally:
        alarm.discard(stop)
