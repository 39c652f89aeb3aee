"""A thread that does one piece of work after another while there is any, then sleeps until it is woken."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("vecstore.maintenance")
RETRY_S = 5.0  # after a failure, such as a full disk


class Stepper:
    def __init__(self, name: str, step: Callable[[], bool]) -> None:
        """`step` does the most urgent piece of work; False when there is none."""
        self._step = step
        self._wake = threading.Condition()
        self._signalled = False
        self._closing = False
        self._retry_at = self._due_at = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        with self._wake:
            self._signalled = True
            self._wake.notify()

    def wake_in(self, seconds: float) -> None:
        """Step again by then, if nothing wakes it before. Called from the step."""
        at = time.monotonic() + seconds
        self._due_at = min(self._due_at, at) if self._due_at else at

    def hold_off(self) -> None:
        """Leave work that nobody waits for alone for a while."""
        self._retry_at = time.monotonic() + RETRY_S

    @property
    def held(self) -> bool:
        if time.monotonic() < self._retry_at:
            return True
        self._retry_at = 0.0
        return False

    def close(self) -> None:
        """Stop after the piece of work in progress."""
        self._closing = True
        self.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            with self._wake:
                self._wake.wait_for(lambda: self._signalled or self._closing, timeout=self._timeout())
                self._signalled = False
            self._due_at = 0.0
            try:
                while not self._closing and self._step():
                    pass
            except Exception:  # one bad collection must not end maintenance for all
                log.exception("maintenance failed; trying again in %s s", RETRY_S)
                self.hold_off()

    def _timeout(self) -> float | None:
        times = [at for at in (self._retry_at, self._due_at) if at]
        return max(0.0, min(times) - time.monotonic()) if times else None
