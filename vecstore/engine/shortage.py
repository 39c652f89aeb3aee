"""How short of processor time the thread of an event loop is."""

from __future__ import annotations

import time

LOOK_S = 0.05  # how often the system is asked
NONE_BELOW, FULL_FROM = 0.05, 0.2  # of the time, that the thread could have run and waited for a core instead
SCHEDSTAT = "/proc/thread-self/schedstat"  # of Linux; elsewhere nothing is known of a shortage


class Shortage:
    """Of the thread that asks, always the same one."""

    def __init__(self) -> None:
        self._looked_at = time.perf_counter()
        self._waited_ns: int | None = None
        self._share = 0.0

    def now(self) -> float:
        """From 0, where the thread has a core whenever it can run, to 1, where it waits for one a fifth of the time or
        longer: of late, some tenths of a second."""
        since = time.perf_counter() - self._looked_at
        if since >= LOOK_S:
            self._look(since)
        return min(1.0, max(0.0, (self._share - NONE_BELOW) / (FULL_FROM - NONE_BELOW)))

    def _look(self, since: float) -> None:
        before, self._waited_ns = self._waited_ns, _waited_ns()
        waited_ns = 0 if before is None or self._waited_ns is None else self._waited_ns - before
        self._share += 0.5 * (min(1.0, 1e-9 * waited_ns / since) - self._share)
        self._looked_at += since


def _waited_ns() -> int | None:
    """What this thread has waited for a core in its life; None where the system does not say."""
    try:
        with open(SCHEDSTAT, "rb", buffering=0) as file:
            return int(file.read(100).split()[1])
    except (OSError, ValueError, IndexError):
        return None
