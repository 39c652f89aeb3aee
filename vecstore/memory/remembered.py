"""What was worked out lately, in bounded room."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """A dictionary of at most `most` entries: where one more comes, all others are forgotten first.

    For what is asked again and again, is cheap to work out anew, and is read far more often than it is kept: reading is
    a dictionary's own, without the bookkeeping of an LRU. Threads may share one; what one of them forgets meanwhile
    another works out again."""

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: K, value: V) -> V:
        """The value, which is there from now on."""
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value
