"""Vectors once more as bytes, for segments that are scanned again and again: a scan then reads a quarter of float32,
and the few rows that bytes leave open.

The first scans of a segment read its vectors, since rounding them takes as long as several scans. Rows of a segment
never change, so what was rounded holds for as long as the segment is there; of a growing one, what came since is added.
"""

from __future__ import annotations

import threading
from typing import NamedTuple, TypeVar

from vecstore.engine.segment import SegmentView
from vecstore.engine.segment_cache import SegmentCache
from vecstore.index.scanned import Rounded, ScannedIndex
from vecstore.kernels.base import Kernels
from vecstore.memory.remembered import Remembered

Exact = TypeVar("Exact", bound=ScannedIndex)

SCANS = 4  # what rounding takes, about, and so what is waited for
AGAIN = 4  # times as many scans are waited for where others had pushed it out
QUERIES = 32  # of a batch, that count as another scan
GROWN = 8  # a growing segment's bytes are added to when so large a part of it is without
GROWN_MIN = 1_024  # rows
KEYS_MAX = 4_096  # fields of segments whose scans are counted


class _Waits(NamedTuple):
    scans: int  # so far
    wanted: int


class ExactCache:
    """Threads may share one object."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept: SegmentCache[Rounded] = SegmentCache(bytes_max, lambda one: max(1, one.nbytes))
        self._waits: Remembered[tuple[str, str], _Waits] = Remembered(KEYS_MAX)
        self._making: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    @property
    def cached_bytes(self) -> int:
        return self._kept.size

    def reading(
        self, kernels: Kernels, view: SegmentView, name: str, exact: Exact, nq: int, k: int, n_allowed: int
    ) -> Exact:
        """The same exact index over a segment's field, which reads bytes first where that pays: kept ones, or new ones
        where the segment was scanned often enough."""
        if not exact.bytes_pay(k, n_allowed):
            return exact
        # A device has the products of all rows as soon. Rows that may not stay in memory may not do so as bytes.
        if getattr(kernels, "reads_whole", False) or getattr(kernels, "frugal", False):
            return exact
        kept, n = self._kept.get(view.segment, name), exact.ntotal
        if kept is None or n - len(kept) > max(GROWN_MIN, len(kept) // GROWN):
            kept = self._made(kernels, view, name, exact, nq, kept)
        return exact if kept is None else exact.reading(kept.first(n))

    def _made(
        self, kernels: Kernels, view: SegmentView, name: str, exact: ScannedIndex, nq: int, kept: Rounded | None
    ) -> Rounded | None:
        """What is kept so far, where it is not worth more or another thread is at it."""
        key = view.segment.uid, name
        if exact.rounded_bytes > self._bytes_max or (kept is None and not self._waited(key, nq)):
            return kept
        with self._lock:
            if key in self._making:
                return kept
            self._making.add(key)
        try:
            more = exact.rounded(kernels, 0 if kept is None else kept.whole)
            if more is None:
                return None
            made = more if kept is None else kept.then(more)
            self._kept.put(view.segment, name, made)
            return made
        finally:
            self._making.discard(key)

    def _waited(self, key: tuple[str, str], nq: int) -> bool:
        """Whether a segment that has no bytes has been scanned often enough for them to pay."""
        scans, wanted = self._waits.get(key, _Waits(0, SCANS))
        scans += 1 + nq // QUERIES
        pays = scans >= wanted
        self._waits.keep(key, _Waits(0, AGAIN * wanted) if pays else _Waits(scans, wanted))
        return pays
