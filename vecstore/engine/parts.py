"""Where the time of one call went, for slow-query logs and traces.

A door puts a `Parts` in place (`PARTS`) before it calls; what the call waits for and does adds to it. Where there is
none, nothing is measured. A thread of a pool does not have its caller's: `carrying` hands it on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


class Parts:
    """Parts of a call by name, in the order in which they ended; times are those of `time.perf_counter`."""

    __slots__ = ("batch", "spans")

    def __init__(self) -> None:
        self.spans: list[tuple[str, float, float]] = []
        self.batch = 0  # queries that it was answered together with, itself included

    def add(self, name: str, start: float, end: float) -> None:
        self.spans.append((name, start, end))

    def join(self, spans: Sequence[tuple[str, float, float]], batch: int) -> None:
        """Take in the parts of a batch that the call shared."""
        self.spans.extend(spans)
        self.batch = batch

    def milliseconds(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for name, start, end in self.spans:
            sums[name] = sums.get(name, 0.0) + (end - start) * 1_000
        return {f"{name}_ms": round(value, 3) for name, value in sums.items()}


PARTS: ContextVar[Parts | None] = ContextVar("parts", default=None)


def carrying(parts: Parts | None, function: Callable[..., T], *arguments: object) -> T:
    """Call with `parts` in place."""
    token = PARTS.set(parts)
    try:
        return function(*arguments)
    finally:
        PARTS.reset(token)
