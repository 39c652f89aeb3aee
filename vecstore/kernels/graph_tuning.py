"""How far ahead a walk fetches memory, tried out when a graph is opened: what suits depends on the machine's caches and
the graph's size. It changes how long a search takes, never what it finds."""

from __future__ import annotations

import time
from collections.abc import Callable

TUNED_FROM = 50_000  # rows: a smaller graph is in the caches whatever is fetched
QUERIES = 64
ROUNDS = 3
# Queries walked in turns, lines of a code fetched ahead, candidates whose neighbours are.
SETTINGS = ((4, 2, 2), (2, 2, 2), (8, 2, 2), (4, 1, 2), (4, 4, 2), (4, 2, 4))
_CLEARLY = 0.97  # of the time before, or the first setting stays


def tuned(search: Callable[[tuple[int, int, int]], None]) -> tuple[int, int, int]:
    """The setting by which `search` is quickest, the least of some rounds; the first unless another is clearly so."""
    best = dict.fromkeys(SETTINGS, float("inf"))
    for _ in range(ROUNDS):
        for setting in SETTINGS:
            began = time.perf_counter()
            search(setting)
            best[setting] = min(best[setting], time.perf_counter() - began)
    quickest = min(SETTINGS, key=best.__getitem__)
    return quickest if best[quickest] < _CLEARLY * best[SETTINGS[0]] else SETTINGS[0]
