"""How many bytes of columns that are read by rows may stay in memory, all of them together."""

from __future__ import annotations

import threading


class Allowance:
    """Threads may share one object."""

    def __init__(self, total: int) -> None:
        self._left = self._total = total
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        return self._total - self._left

    def take(self, nbytes: int) -> bool:
        if nbytes > self._left:
            return False
        with self._lock:
            granted = nbytes <= self._left
            self._left -= nbytes if granted else 0
            return granted

    def give_back(self, nbytes: int) -> None:
        with self._lock:
            self._left += nbytes
