"""How many calls may be open and how many may run. Belongs to one event loop; nothing here blocks a thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vecstore.config import Limits
from vecstore.errors import RETRY_AFTER, Unavailable, overloaded
from vecstore.memory.budget import PEAK_COPIES
from vecstore.memory.room import ROOM, Held
from vecstore.server.receiving import Receiving

RETRY_AFTER_S = 0.1


class Holding:
    """The bytes of one request, from `Admission.holding`."""

    __slots__ = ("_admission", "_held", "_nbytes")

    def __init__(self, admission: Admission, nbytes: int, held: Held) -> None:
        self._admission, self._nbytes, self._held = admission, nbytes, held

    def __enter__(self) -> None:
        self._admission.bytes += self._nbytes

    def __exit__(self, *_: object) -> None:
        self._admission.bytes -= self._nbytes
        self._held.free()


class Admission:
    """Unary calls open at one time are bounded by in flight + queued, of which rpcs_in_flight_max run. A call that is
    still sending its body holds no slot, so slow senders cannot keep others from running. Streams are bounded apart,
    because they may idle; each query or batch on them takes a slot while it runs. The bytes of requests that are here
    are bounded together, and what they are decoded to has to have room (`room.py`)."""

    def __init__(self, limits: Limits) -> None:
        self._running_max = limits.rpcs_in_flight_max
        self._open_max = limits.rpcs_in_flight_max + limits.rpcs_queued_max
        self._limits = limits
        self._bytes_max = max(limits.request_bytes_held_max, limits.message_bytes_max)
        self.running = 0
        self.bytes = 0
        self.calls = 0
        self.streams = 0
        self.draining = asyncio.Event()
        self.receiving = Receiving(limits.message_bytes_max)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: asyncio.Future[None] | None = None

    def numbers(self) -> dict[str, Callable[[], int]]:
        """What is open now, by its state, for metrics."""
        return {
            "running": lambda: self.running,
            "queued": lambda: len(self._waiting),
            "calls": lambda: self.calls,
            "streams": lambda: self.streams,
        }

    def holding(self, nbytes: int, copies: int = PEAK_COPIES) -> Holding:
        """To be held around the answer to a request of so many bytes, once it is here, which comes to `copies` times
        that. Raises ResourceExhausted (OVERLOADED) where those of others, or what else is held, leave no room for it:
        it is then forgotten, and the client may send it again."""
        if self.bytes + nbytes > self._bytes_max:
            bound = f"{nbytes} more would pass request_bytes_held_max={self._bytes_max}"
            raise overloaded(f"requests of {self.bytes} bytes are being answered, {bound}: retry later", RETRY_AFTER_S)
        return Holding(self, nbytes, ROOM.take((copies - 1) * nbytes, "a request of {} bytes", nbytes))

    def enter_call(self) -> None:
        """Raises Unavailable when draining, ResourceExhausted (OVERLOADED) when no more calls fit."""
        if self.calls >= self._open_max or self.draining.is_set():
            self._refuse(self.calls, "calls")
        self.calls += 1

    def leave_call(self) -> None:
        self.calls -= 1
        self._check_idle()

    def enter_stream(self) -> None:
        """As `enter_call`, for streams."""
        if self.streams >= self._open_max or self.draining.is_set():
            self._refuse(self.streams, "streams")
        self.streams += 1

    def leave_stream(self) -> None:
        self.streams -= 1
        self._check_idle()

    async def wait_slot(self) -> None:
        """Take a slot to run in; first come, first served."""
        if self.running < self._running_max:
            self.running += 1
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled():
                self.release_slot()  # it was handed to us while we were being cancelled
            raise

    def release_slot(self) -> None:
        while self._waiting:
            slot = self._waiting.popleft()
            if not slot.done():
                slot.set_result(None)  # the slot changes hands, `running` stays
                return
        self.running -= 1

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Around a wait that takes no thread: others run in this call's slot. At its end the call runs on at once,
        beyond the bound for the moment that its answer takes."""
        self.release_slot()
        try:
            yield
        finally:
            self.running += 1

    async def drain(self, timeout_s: float) -> bool:
        """Refuse what is new and wait for what is open; False when some of it outlasts `timeout_s`."""
        self.draining.set()
        if self.calls or self.streams:
            self._idle = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._idle], timeout=timeout_s)
        return not (self.calls or self.streams)

    def _refuse(self, count: int, what: str) -> None:
        if self.draining.is_set():
            raise Unavailable("the server is shutting down", metadata={RETRY_AFTER: 1.0})
        running, queued = self._limits.rpcs_in_flight_max, self._limits.rpcs_queued_max
        bounds = f"rpcs_in_flight_max={running} + rpcs_queued_max={queued}"
        raise overloaded(f"{count} {what} are open, which is {bounds}: retry later", RETRY_AFTER_S)

    def _check_idle(self) -> None:
        if self._idle is not None and not (self.calls or self.streams or self._idle.done()):
            self._idle.set_result(None)
