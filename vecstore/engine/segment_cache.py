"""What was worked out of a segment, kept within a bound for as long as the segment is there."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

from vecstore.engine.segment import Segment

V = TypeVar("V")


class SegmentCache(Generic[V]):
    """Threads may share one object. Values of a segment that merging took away go at the next `put`: they would push
    out others, and fill the cache in time however little is asked for."""

    def __init__(self, size_max: int, size_of: Callable[[V], int] | None = None) -> None:
        self._lock = threading.Lock()
        self._values: LRUCache[tuple[str, Hashable], V] = LRUCache(size_max, size_of)
        self._known: set[str] = set()
        self._gone: deque[str] = deque()  # appended to by whatever thread lets go of a segment, at any moment

    @property
    def size(self) -> int:
        return int(self._values.currsize)

    def get(self, segment: Segment, key: Hashable) -> V | None:
        with self._lock:
            return self._values.get((segment.uid, key))

    def put(self, segment: Segment, key: Hashable, value: V) -> None:
        """One that is too large by itself is not kept."""
        with self._lock:
            if self._gone:
                self._forget()
            if segment.uid not in self._known:
                self._known.add(segment.uid)
                weakref.finalize(segment, self._gone.append, segment.uid).atexit = False
            if self._values.getsizeof(value) <= self._values.maxsize:
                self._values[segment.uid, key] = value

    def _forget(self) -> None:
        gone = {self._gone.popleft() for _ in range(len(self._gone))}
        self._known -= gone
        for key in [key for key in self._values if key[0] in gone]:
            del self._values[key]
