"""Many users or one owner: RocksDB is closed and reopened only while nobody is inside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """A waiting owner keeps new users out, so it cannot starve. Not reentrant in either direction."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._users = 0
        self._owned = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._condition:
            while self._owned:
                self._condition.wait()
            self._users += 1
        try:
            yield
        finally:
            with self._condition:
                self._users -= 1
                if self._users == 0:
                    self._condition.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._condition:
            while self._owned:
                self._condition.wait()
            self._owned = True
            while self._users:
                self._condition.wait()
        try:
            yield
        finally:
            with self._condition:
                self._owned = False
                self._condition.notify_all()
