"""Where a build's arithmetic runs: on the host, or on the device that this thread has entered.

`Chain`, quantizers and coarse centroids compute with numpy's functions and those of `encode`, which go to where their
arrays are: the same lines encode on the host and, between `at(device)` and its end, on arrays that `put` brought over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.arrays import Device

_LEAST = 1024  # rows; where so few do not fit into a device's memory, the host takes them
_BATCH = 16384  # rows of an array that are brought over at once
_LARGE = 1 << 16  # bytes of a constant that is uploaded once
_here = threading.local()
log = logging.getLogger("vecstore.device")
A = TypeVar("A", bound=np.ndarray)  # one of the host, or what behaves like one


class Place:
    """A device for the time that one thread computes on it. What many batches need is uploaded once."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._held: dict[int, tuple[np.ndarray, Any]] = {}

    def put(self, array: Any) -> Any:
        return self.device.put(array) if self.is_host(array) else array

    def is_host(self, array: Any) -> bool:
        return not isinstance(array, self.device.xp.ndarray)

    def held(self, array: np.ndarray, make: Callable[[], Any]) -> Any:
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


def like(array: Any, constant: A) -> A:
    """A constant where the array is; a large one is uploaded once, and stays what it is until then."""
    place = place_of(array)
    if place is None:
        return constant
    if not place.is_host(constant) or constant.nbytes < _LARGE:
        there: A = place.put(constant)
        return there
    kept: A = place.held(constant, lambda: place.put(constant))
    return kept


def xp_of(array: Any) -> Any:
    """The module that makes arrays where this one is."""
    place = place_of(array)
    return np if place is None else place.device.xp


def contiguous(array: A) -> A:
    together: A = xp_of(array).ascontiguousarray(array)
    return together


def quotients(above: Any, below: Any, where: Any, otherwise: float) -> NDArray[Any]:
    """above / below, and `otherwise` where not `where`; shapes agree."""
    divided = above / np.where(where, below, below.dtype.type(1))
    found: NDArray[Any] = np.where(where, divided, divided.dtype.type(otherwise))
    return found


def ahead(batches: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, Any]]:
    """The same batches (number, rows); on the device that this thread has entered, where a thread with a stream of its
    own reads and brings over the next one meanwhile. What does not fit stays on the host."""
    place = entered()
    if place is None:
        yield from batches
        return
    device = place.device

    def load() -> tuple[int, Any] | None:
        found = next(batches, None)
        if found is None:
            return None
        try:
            with device.working():
                there = device.put(found[1])
                device.finish()  # before another stream reads it
        except MemoryError:
            return found
        return found[0], there

    with ThreadPoolExecutor(1, "vecstore-upload") as loader:
        coming = loader.submit(load)
        while (found := coming.result()) is not None:
            coming = loader.submit(load)
            yield found


Work = Callable[..., dict[str, Any]]


def in_parts(rows: np.ndarray, others: np.ndarray | None, work: Work) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """`work` of rows (n, ...), which may be there already (`ahead`), and what goes with each, brought to the host: on
    the device that this thread has entered, in parts that fit there; what does not, the host does."""
    place, left = entered(), [slice(0, len(rows))]
    while left:
        part = left.pop()
        given = rows[part], None if others is None else others[part]
        if place is None:
            yield part, work(*given)
            continue
        n = part.stop - part.start
        try:
            found = work(*(None if array is None else place.put(array) for array in given))
            yield part, {name: place.device.get(array) for name, array in found.items()}
        except MemoryError:
            if n > _LEAST:
                middle = part.start + n // 2
                left += [slice(middle, part.stop), slice(part.start, middle)]
                continue
            log.warning("%d rows do not fit into %s: the host encodes them", n, place.device.name)
            own = [one if one is None or place.is_host(one) else place.device.get(one) for one in given]
            with _left():
                yield part, work(*own)


def by_batches(rows: np.ndarray, work: Callable[[Any], Any]) -> NDArray[Any]:
    """`work` of rows of the host, one result a row: at once, or on the device that this thread has entered."""
    if entered() is None:
        return work(rows)  # type: ignore[no-any-return]
    batches = ((low, rows[low : low + _BATCH]) for low in range(0, len(rows), _BATCH))
    parts = (in_parts(batch, None, lambda some, _: {"of": work(some)}) for _, batch in ahead(batches))
    return np.concatenate([found["of"] for part in parts for _, found in part])


@contextmanager
def _left() -> Iterator[None]:
    """The host, for as long as it lasts."""
    before, _here.place = entered(), None
    try:
        yield
    finally:
        _here.place = before
