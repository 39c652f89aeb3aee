"""Requests that arrive. How large one is, nobody says before it is here, and gRPC takes in what a caller sends as soon
as it is asked for. So calls that may be large are asked for a few at a time where memory is short; and if it runs short
nevertheless, requests that take long to arrive are refused until one is left."""

from __future__ import annotations

import asyncio

from vecstore.errors import VecstoreError, overloaded
from vecstore.memory.room import RETRY_AFTER_S, ROOM

# Calls whose requests hold many vectors. Others are small unless somebody means harm, and never wait.
LARGE = {"Points/Upsert", "Points/UpdateVectors", "Points/UpdateBatch"}
LOOK_S = 0.02  # how often; what arrives sooner is small, or here already
SLOW_S = 10.0  # who takes longer goes before those that have just begun, and takes no turn from others
WAIT_S = 5.0  # for a turn
COPIES = 2  # as it arrives and once it is here
PLENTY = 8  # this part of the budget is never short
SHARE = 0.625  # of the budget, above which memory is short: below it, what arrives has room to be decoded, too


class Receiving:
    """Belongs to one event loop."""

    def __init__(self, bytes_max: int) -> None:
        """Of one message."""
        self._bytes_max = bytes_max
        self._open: dict[Receipt, float] = {}  # since when, oldest first
        self._looking = False

    async def turn(self, large: bool) -> Receipt:
        """What to hold while a request arrives. Raises ResourceExhausted (OVERLOADED)."""
        if large and not self._has_room():
            until = asyncio.get_running_loop().time() + WAIT_S
            while not self._has_room():
                if asyncio.get_running_loop().time() > until:
                    raise self._refusal()
                await asyncio.sleep(LOOK_S)
        return Receipt(self, large)

    def enter(self, receipt: Receipt) -> None:
        self._open[receipt] = asyncio.get_running_loop().time()
        self._look_later()

    def leave(self, receipt: Receipt) -> None:
        self._open.pop(receipt, None)

    def _has_room(self) -> bool:
        now = asyncio.get_running_loop().time()
        others = sum(one.large and now - since < SLOW_S for one, since in self._open.items())
        wanted = (others + 1) * COPIES * self._bytes_max
        if wanted <= ROOM.budget // PLENTY and not ROOM.taken:
            return True
        return ROOM.free(SHARE) >= wanted or not (others or ROOM.taken)

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = False
        if self._open:
            self._look_later()
        now = asyncio.get_running_loop().time()
        long = [one for one, since in self._open.items() if now - since >= LOOK_S]
        if len(long) > 1 and ROOM.free(SHARE) < 0:
            slow = now - self._open[long[0]] > SLOW_S
            chosen = long[0] if slow else long[-1]
            self.leave(chosen)
            chosen.end(self._refusal())

    def _refusal(self) -> VecstoreError:
        arriving = f"{len(self._open)} requests arrive"
        return overloaded(
            f"{arriving}, and storage.memory_max={ROOM.budget} has no room for more: retry later", RETRY_AFTER_S
        )


class Receipt:
    """A request that arrives, as long as the `with` lasts; where it is refused meanwhile, that raises the error."""

    __slots__ = ("_error", "_receiving", "_task", "large")

    def __init__(self, receiving: Receiving, large: bool) -> None:
        self._receiving = receiving
        self._task = asyncio.current_task()
        self._error: VecstoreError | None = None
        self.large = large

    def end(self, error: VecstoreError) -> None:
        assert self._task is not None
        self._error = error
        self._task.cancel()

    def __enter__(self) -> None:
        self._receiving.enter(self)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._receiving.leave(self)
        if self._error is not None and isinstance(error, asyncio.CancelledError):
            assert self._task is not None
            self._task.uncancel()
            raise self._error from None
