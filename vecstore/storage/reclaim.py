"""Gives back the space of deleted ranges in the background: compact exactly that range, then forget it.

A deleted range is noted under a marker in the same batch, so that a crash between the deletion and the compaction
does not keep the space: the markers found at open are taken up again.
"""

from __future__ import annotations

import threading

from rocksdict import WriteBatch

from vecstore.storage import format
from vecstore.storage.interfaces import Family
from vecstore.storage.rocks_database import RocksDatabase, pairs_from
from vecstore.storage.rocks_options import SEGMENTS, range_options

_SETTLE_S = 0.2  # the columns of one segment are deleted one after another: compact them together


class Reclaimer:
    """One daemon thread, started with the first deletion."""

    def __init__(self, database: RocksDatabase, settle_s: float = _SETTLE_S) -> None:
        self._database = database
        self._settle_s = settle_s
        self._condition = threading.Condition()
        self._pending: dict[tuple[str, bytes], bytes] = {}
        self._busy = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._resume()

    def marker(self, family: str, low: bytes, high: bytes) -> tuple[bytes, bytes]:
        """The meta record to write together with the deletion."""
        return format.RECLAIM_PREFIX + family.encode() + b"\x00" + low, high

    def add(self, family: str, low: bytes, high: bytes) -> None:
        """Take up the range [low, high), whose deletion is written."""
        with self._condition:
            if self._stopping.is_set():
                return
            self._pending[family, low] = max(high, self._pending.get((family, low), high))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vecstore-reclaim", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """True when nothing is left to give back."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._pending and not self._busy, timeout_s)

    def close(self) -> None:
        with self._condition:
            self._stopping.set()
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _resume(self) -> None:
        with self._database.using():
            meta = self._database.family(Family.META)
            found = list(pairs_from(meta.iter(range_options(format.RECLAIM_END)), format.RECLAIM_PREFIX))
        for key, high in found:
            family, _, low = key[len(format.RECLAIM_PREFIX) :].partition(b"\x00")
            self.add(family.decode(), low, high)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._busy = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._pending or self._stopping.is_set())
            if self._stopping.wait(self._settle_s):
                return
            with self._condition:
                ranges, self._pending = self._pending, {}
                self._busy = True
            if not self._compact(_joined(ranges)):
                continue  # the markers stay: the next open goes on
            self._forget(ranges)

    def _compact(self, ranges: list[tuple[str, bytes, bytes]]) -> bool:
        for family, low, high in ranges:
            if self._stopping.is_set():
                return False
            try:
                with self._database.using():
                    self._database.family(family).compact_range(low, high)
            except Exception:  # a full disk or a damaged block; reads and `verify` report it, not this thread
                return False
        return True

    def _forget(self, ranges: dict[tuple[str, bytes], bytes]) -> None:
        try:
            with self._database.using():
                batch = WriteBatch(raw_mode=True)
                for (family, low), high in ranges.items():
                    key, _ = self.marker(family, low, high)
                    batch.delete(key, self._database.handle(Family.META))
                self._database.write(batch)
        except Exception:  # kept: compacting an empty range again costs nothing
            return


def _joined(ranges: dict[tuple[str, bytes], bytes]) -> list[tuple[str, bytes, bytes]]:
    """Blobs whose names share the part before the last "/" lie in one SST file: their ranges become one."""
    joined: dict[tuple[str, bytes], tuple[bytes, bytes]] = {}
    for (family, low), high in ranges.items():
        group = family, low.rpartition(b"/")[0] if family == SEGMENTS else low
        low_so_far, high_so_far = joined.get(group, (low, high))
        joined[group] = min(low, low_so_far), max(high, high_so_far)
    return [(family, low, high) for (family, _), (low, high) in joined.items()]
