"""Where a vector field is searched: by the host's kernels, or with a device beside them.

A field names its device ("cuda:0", or "auto" for any there is, segments spread over all); the machine may have none,
and then everything is as without. A segment's arrays are uploaded by the first query that a device answers, or to
measure who answers sooner, and the least used make room for others.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from vecstore.config import Search
from vecstore.engine.turns import turn
from vecstore.index.base import Progress
from vecstore.kernels.base import Kernels
from vecstore.kernels.device import devices
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Choice, Large
from vecstore.kernels.device.resident import Resident, Transient
from vecstore.kernels.places import at

DEFAULT_SHARE = 0.8  # of a device's memory for what is kept; the rest is for the scores of searches under way

log = logging.getLogger("vecstore.placement")


def with_devices(host: Kernels, settings: Search) -> Kernels:
    """The host's kernels, which know of this machine's devices where it has any."""
    return cast(Kernels, Placement(host, settings)) if devices.count() else host


class Placement:
    """The host's kernels, and for the fields that ask for it those with a device. Threads may share one object."""

    choice: ClassVar[type[Choice]] = Choice

    def __init__(self, host: Kernels, settings: Search) -> None:
        self.host = host
        self._budget = settings.device_bytes
        self._opened: dict[str, DeviceKernels | None] = {}
        self._residents: dict[str, Resident] = {}
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.host, name)

    def kernels(self, device: str, segment: str) -> Kernels:
        """For a field on `device` of a sealed segment, named by its uid."""
        if device == "cpu":
            return self.host
        spread = zlib.crc32(segment.encode()) % max(1, devices.count())
        return cast(Kernels, self._on(f"cuda:{spread}" if device == "auto" else device) or self.host)

    def report(self) -> dict[str, dict[str, Any]]:
        """What is kept on each device that was used, for `info`."""
        return {
            name: {
                "bytes": resident.bytes,
                "limit_bytes": resident.budget,
                "arrays": resident.arrays,
                "uploads": resident.uploads,
                "evictions": resident.evictions,
            }
            for name, resident in self._residents.items()
        }

    def close(self) -> None:
        for kernels in self._opened.values():
            if kernels is not None:
                kernels.close()
        for resident in self._residents.values():
            resident.drop_all()

    def _on(self, name: str) -> DeviceKernels | None:
        with self._lock:
            if name not in self._opened:
                device = devices.open_device(name)
                if device is None:
                    log.warning("this machine has no device %s: its fields are searched by the processor", name)
                    self._opened[name] = None
                else:
                    budget = self._budget or int(DEFAULT_SHARE * device.total_bytes)
                    resident = self._residents[name] = Resident(device, budget)
                    self._opened[name] = DeviceKernels(self.host, resident, self.choice)
            return self._opened[name]


def _builders(device: str | None) -> list[str]:
    """The devices of this machine that may build for a field on `device`; "auto" opens none before its turn."""
    if device is None or device == "cpu":
        return []
    if device == "auto":
        return [f"cuda:{number}" for number in range(devices.count())]
    return [] if devices.open_device(device) is None else [device]


@contextmanager
def building(device: str | None, host: Kernels, progress: Progress) -> Iterator[Kernels]:
    """The kernels to build an index of a field on `device` with. Until the end this thread computes there: it trains
    and encodes on the device (`kernels.places`), and large scans of neighbours run there. The host's, where the machine
    has no such device or others keep it."""
    names = _builders(device)
    if not names:
        yield host
        return
    with turn(names, progress) as ours:
        opened = None if ours is None else devices.open_device(ours)
        if opened is None:
            log.warning("%s: building for others for long; the processor builds this index", ", ".join(names))
            yield host
            return
        try:
            with at(opened):
                yield cast(Kernels, DeviceKernels(host, Transient(opened), Large))
        finally:
            opened.release()
