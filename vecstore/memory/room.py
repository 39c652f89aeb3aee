"""Room in the memory of this process for what is large: a request that is decoded, the answer of a query.

A server sets the budget; what does not fit into what is left of it is refused before it is made, and its caller may
try again. What has room and is not made yet counts beside what the process holds. In a program that has a database
inside it nothing is refused: its memory is its own matter.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from vecstore.errors import overloaded
from vecstore.memory.machine import held_bytes
from vecstore.memory.malloc import trim

SMALL = 256 << 10  # what is smaller always has room: deletes, queries, the writes of single points
SPARE = 8  # this part of the budget is left for what nobody counts
RETRY_AFTER_S = 0.2


class Held:
    """Room that was taken; given back by `free`, at the end of a `with`, or with the last reference."""

    __slots__ = ("_nbytes", "_room")

    def __init__(self, room: Room, nbytes: int) -> None:
        self._room, self._nbytes = room, nbytes

    def free(self) -> None:
        nbytes, self._nbytes = self._nbytes, 0
        if nbytes:
            self._room.give_back(nbytes)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    def __del__(self) -> None:
        self.free()


class Room:
    """Threads may share one object."""

    def __init__(self, held: Callable[[], int] = held_bytes) -> None:
        self.budget = 0  # bytes; 0: without a bound
        self.taken = 0
        self._held = held
        self._lock = threading.Lock()
        self._nothing = Held(self, 0)

    def take(self, nbytes: int, what: str, *numbers: int) -> Held:
        """Raises ResourceExhausted (OVERLOADED), naming `what`, a format for the numbers: each query passes here, and
        hardly any is refused."""
        if not self.budget or nbytes < SMALL:
            return self._nothing
        if self._fits(nbytes) or (trim() and self._fits(nbytes)):
            return Held(self, nbytes)
        state = f"{self._held()} bytes are held and {self.taken} promised of storage.memory_max={self.budget}"
        message = f"{what.format(*numbers)} takes about {nbytes} bytes; {state}: retry later"
        raise overloaded(message, RETRY_AFTER_S)

    def _fits(self, nbytes: int) -> bool:
        held, bound = self._held(), self.budget - self.budget // SPARE
        with self._lock:
            if held + self.taken + nbytes > bound:
                return False
            self.taken += nbytes
            return True

    def free(self, share: float) -> float:
        """Bytes of this share of the budget that are neither held nor promised."""
        return share * self.budget - self._held() - self.taken if self.budget else float("inf")

    def give_back(self, nbytes: int) -> None:
        with self._lock:
            self.taken -= nbytes


ROOM = Room()  # of this process
