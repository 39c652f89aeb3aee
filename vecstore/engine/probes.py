"""What the engine tells of itself as it works, for whoever keeps numbers: set a hook, and it is called.

The engine knows nothing of where numbers go. A hook runs in the engine's threads, so it must be quick, must not block
and must not raise. Hooks that nobody set do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _nothing(*_: object) -> None:
    """The hook that nobody set."""


@dataclass(slots=True)
class Probes:
    on_batch: Callable[[int, float], None] = _nothing  # queries that ran as one, and seconds
    on_commit: Callable[[int], None] = _nothing  # writes in one atomic batch
    on_sync: Callable[[float], None] = _nothing  # seconds that making a batch durable took
    on_recall: Callable[[str, str, float], None] = _nothing  # collection, vector field, recall of answers, measured
