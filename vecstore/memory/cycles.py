"""Python's search for objects that only refer to each other, in processes that serve for weeks."""

from __future__ import annotations

import gc


def settle() -> None:
    """Leave what is there now out of later searches: modules, settings, open indexes. A search of all of it stops
    every call for tens of milliseconds, again and again, and finds nothing: each call over gRPC leaves a small cycle of
    gRPC's own, which is reason enough for Python to search."""
    gc.collect()
    gc.freeze()
