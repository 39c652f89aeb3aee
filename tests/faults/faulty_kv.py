"""A KV that fails on purpose: at its Nth write or fsync it refuses, forgets or lies about what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from vecstore.errors import IoFailed, ResourceExhausted
from vecstore.storage.interfaces import KV, Family, KVRead, Op
from vecstore.storage.memory import MemoryKV


class Fault(StrEnum):
    REFUSE_WRITE = "refuse write"  # a full disk: ResourceExhausted (DISK_FULL), nothing applied, the next write works
    FAIL_DURABLE = "fail durable"  # a failed fsync: IoFailed, and every write and durable after it
    FAIL_WRITE = "fail write"  # an I/O error while writing the log: as a failed fsync, the batch is not applied


class FaultyKV:
    """Passes everything to `inner`, but fires `fault` at the `at`-th call (from 1) that it concerns, `times` times.

    `fired` counts. `acknowledged` is the highest position that `durable` confirmed."""

    def __init__(self, inner: KV, fault: Fault, at: int, times: int = 1) -> None:
        self.inner = inner
        self.fault = fault
        self.at = at
        self.times = times
        self.fired = 0
        self.acknowledged = 0
        self._calls = 0
        self._failed = False

    @property
    def epoch(self) -> int:
        return self.inner.epoch

    @property
    def generation(self) -> int:
        return self.inner.generation

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self.inner.get(family, key)

    def scan(self, family: Family, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self.inner.scan(family, low, high)

    def snapshot(self) -> KVRead:
        return self.inner.snapshot()

    def write(self, batch: Sequence[Op], *, use_reserve: bool = False) -> int:
        self._check()
        if self.fault is not Fault.FAIL_DURABLE and self._fires():
            if self.fault is Fault.REFUSE_WRITE:
                raise ResourceExhausted("the disk is full: planned by the test", reason="DISK_FULL")
            self._fail()
        return self.inner.write(batch, use_reserve=use_reserve)

    def durable(self, position: int) -> None:
        if position <= self.acknowledged:
            return
        self._check()
        if self.fault is Fault.FAIL_DURABLE and self._fires():
            self._fail()
        self.inner.durable(position)
        self.acknowledged = max(self.acknowledged, position)

    def checkpoint(self, path: Path) -> None:
        self.inner.checkpoint(path)

    def close(self) -> None:
        self.inner.close()

    def _fires(self) -> bool:
        self._calls += 1
        fires = self.at <= self._calls < self.at + self.times
        self.fired += fires
        return fires

    def _fail(self) -> None:
        self._failed = True
        self._check()

    def _check(self) -> None:
        if self._failed:
            raise IoFailed("read-only until reopened, because the test planned a failure")


class PowerLossKV(MemoryKV):
    """Memory with a disk under it: `lose_power` forgets every batch after the last one made durable, or, like a log
    that reached the disk further than it was synced, all but the first `surviving` of them."""

    def __init__(self) -> None:
        super().__init__()
        self._unsynced: list[tuple[int, Sequence[Op]]] = []
        self._disk = MemoryKV()

    def write(self, batch: Sequence[Op], *, use_reserve: bool = False) -> int:
        position = super().write(batch, use_reserve=use_reserve)
        self._unsynced.append((position, tuple(batch)))
        return position

    def durable(self, position: int) -> None:
        super().durable(position)
        while self._unsynced and self._unsynced[0][0] <= position:
            self._disk.write(self._unsynced.pop(0)[1])

    def lose_power(self, surviving: int = 0) -> MemoryKV:
        """What a process that opens the store afterwards finds."""
        for _, batch in self._unsynced[:surviving]:
            self._disk.write(batch)
        self.close()
        return self._disk
