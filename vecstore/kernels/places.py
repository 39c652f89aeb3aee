"""Where a build's arithmetic runs: on the host, or on the device that this thread has entered.

`Chain`, quantizers and coarse centroids compute with numpy's functions and those of `encode`, which go to where their
arrays are: the same lines encode on the host and, between `at(device)` and its end, on arrays that `put` brought over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from vecstore.kernels.device.arrays import Device

_LEAST = 1024  # rows; where so few do not fit into a device's memory, the host takes them
_here = threading.local()
log = logging.getLogger("vecstore.device")
T = TypeVar("T")


class Place:
    """A device for the time that one thread computes on it. What many batches need is uploaded once."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._held: dict[int, tuple[np.ndarray, Any]] = {}

    def put(self, array: Any) -> Any:
        return self.device.put(array) if self.is_host(array) else array

    def is_host(self, array: Any) -> bool:
        return not isinstance(array, self.device.xp.ndarray)

    def held(self, array: np.ndarray, make: Callable[[], T]) -> T:
        """What `make` uploads of an array that does not change meanwhile."""
        found = self._held.get(id(array))
        if found is None:
            found = self._held[id(array)] = (array, make())
        return found[1]


def entered() -> Place | None:
    """The device that this thread has entered."""
    return getattr(_here, "place", None)


@contextmanager
def at(device: Device) -> Iterator[Place]:
    before = entered()
    place = _here.place = Place(device)
    try:
        with device.working():
            yield place
    finally:
        _here.place = before


def place_of(array: Any) -> Place | None:
    """Where this array is; None: on the host."""
    place = entered()
    return None if place is None or place.is_host(array) else place


def like(array: Any, constant: np.ndarray) -> Any:
    """A constant where the array is."""
    place = place_of(array)
    return constant if place is None else place.held(constant, lambda: place.put(constant))


def on_host(array: Any) -> np.ndarray:
    """A copy from the device, or the array itself."""
    place = place_of(array)
    return array if place is None else place.device.get(array)


def quotients(above: Any, below: Any, where: Any, otherwise: float) -> Any:
    """above / below, and `otherwise` where not `where`; shapes agree."""
    divided = above / np.where(where, below, below.dtype.type(1))
    return np.where(where, divided, divided.dtype.type(otherwise))
