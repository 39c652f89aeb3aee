"""Ending work early: a query whose time is up, or whose caller went away, stops within one block of rows.

A `Stop` holds for the thread that entered it and for the helpers that work for it. Kernels and loops ask now and then
(`check_stop` here, native/src/stop.h in the extension) and raise `Stopped`, so that nobody takes half an answer for
one; leaving the Stop turns that into a typed error.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Cancelled, DeadlineExceeded, VecstoreError

Flag = NDArray[np.int32]  # (1,): 0 go on, negative stop, positive: stop when asked so many times more
CANCELLED = -1
EXPIRED = -2
_GO_ON: Flag = np.zeros(1, np.int32)


def _set_nothing(flag: Flag | None, seconds: float) -> None:
    """Stands in for the native extension's `set_stop` where it is not loaded."""


_set_native: Callable[[Flag | None, float], None] = _set_nothing


class Stopped(Exception):
    """Raised where work ends. Never leaves a Stop."""


class _Current(threading.local):
    stop: Stop | None = None


_current = _Current()


class Stop:
    """A context manager for one thread at a time. `deadline` is a `time.monotonic()`.

    Inside another it shares that one's flag, and ends no later."""

    __slots__ = ("_outer", "_timeout_s", "deadline", "flag", "started")

    def __init__(self, timeout_s: float = math.inf) -> None:
        outer = _current.stop
        self._timeout_s = timeout_s
        self.started = started = time.monotonic()
        self.deadline = started + timeout_s
        if outer is None:
            self.flag: Flag = _GO_ON.copy()
        else:
            self.flag = outer.flag
            self.deadline = min(self.deadline, outer.deadline)

    def cancel(self) -> None:
        """From any thread: what runs under this Stop raises `Cancelled` soon."""
        self.flag[0] = CANCELLED

    def expire_by(self, deadline: float) -> None:
        """Before it is entered: end no later than at this `time.monotonic()`."""
        self.deadline = min(self.deadline, deadline)

    def requested(self) -> bool:
        left = self.flag.item(0)
        if left == 0:
            return time.monotonic() >= self.deadline
        if left > 0:
            self.flag[0] = left - 1 if left > 1 else CANCELLED
            return left == 1
        return True

    def check(self) -> None:
        """Raises Stopped where work should end."""
        if self.requested():
            raise Stopped

    def error(self) -> VecstoreError:
        """Why work ended, and after how long."""
        elapsed = time.monotonic() - self.started
        spent = f"after {1e3 * elapsed:.1f} ms"
        metadata: dict[str, object] = {"elapsed_ms": f"{1e3 * elapsed:.1f}"}
        if self.flag[0] == CANCELLED:
            return Cancelled(f"the caller went away: stopped {spent}", metadata=metadata)
        own = (
            self.deadline >= self.started + self._timeout_s
        )  # else one outside ended it, or was asked to end it, earlier
        metadata["timeout_s"] = f"{self._timeout_s if own else self.deadline - self.started:g}"
        return DeadlineExceeded(f"the query ran past its deadline: stopped {spent}", metadata=metadata)

    def __enter__(self) -> Stop:
        self._outer = _current.stop
        _current.stop = self
        _set_native(self.flag, self.deadline - time.monotonic())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outer = self._outer
        if outer is None:
            _current.stop = None
            _set_native(None, math.inf)
        else:
            _install(outer)
        if error is not None and isinstance(error, Stopped):
            raise self.error() from None


def current_stop() -> Stop | None:
    """What may stop this thread."""
    return _current.stop


def check_stop() -> None:
    """Raises Stopped where this thread's work should end; to be called once in a millisecond or so."""
    stop = _current.stop
    if stop is not None and stop.requested():
        raise Stopped


@contextmanager
def unstoppable() -> Iterator[None]:
    """For work that others wait for as well, such as opening an index: it goes on to its end."""
    outer = _current.stop
    _install(None)
    try:
        yield
    finally:
        _install(outer)


@contextmanager
def helping(stop: Stop | None) -> Iterator[None]:
    """On a helper thread: work under the Stop of the thread that it helps."""
    _install(stop)
    try:
        yield
    finally:
        _install(None)


def use_native(set_stop: Callable[[Flag | None, float], None]) -> None:
    """The native extension is loaded: tell it of every Stop."""
    global _set_native
    _set_native = set_stop


def _install(stop: Stop | None) -> None:
    _current.stop = stop
    if stop is None:
        _set_native(None, math.inf)
    else:
        _set_native(stop.flag, stop.deadline - time.monotonic())
