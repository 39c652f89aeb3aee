"""The cores that a reader keeps to.

Where clients and readers fill all cores, a reader that the system moves about pushes the others out of the caches, and
each call that arrives interrupts whoever runs. On two cores, readers that keep to one each and do not interrupt
answer a fifth more (docs/RESULTS.md, readers).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence


def shares(cores: Sequence[int], readers: int) -> list[tuple[int, ...]]:
    """Cores for each reader: neighbours, which share caches, of nearly equal number; one by turns where readers are
    more."""
    parts = min(readers, len(cores))
    bounds = [len(cores) * part // parts for part in range(parts + 1)]
    return [tuple(cores[bounds[n % parts] : bounds[n % parts + 1]]) for n in range(readers)]


def keep_to(cores: Sequence[int]) -> None:
    """The calling thread, and those that it starts, run on these cores, and wait for one without interrupting others.
    Where the system allows neither, all stays as it is."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cores)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
