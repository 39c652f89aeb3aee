"""Which arrays are on the device: what cannot change is uploaded once, and the least used makes room for the next.

Arrays of sealed segments are mapped read-only and stay as they are for as long as they live; that is what may be kept.
An array that can be written to (a growing segment's) is never kept: the device would serve what it was.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vecstore.kernels.device.arrays import Device

Key = tuple[Any, ...]
Make = Callable[[], Mapping[str, Any]]


def _root(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class Resident:
    """Threads may share one object. What a search holds stays alive while it runs, evicted or not."""

    def __init__(self, device: Device, budget: int) -> None:
        """`budget` bytes of the device's memory at most are kept."""
        self.device = device
        self.budget = budget
        self.bytes = 0
        self.uploads = 0
        self.evictions = 0
        self._lock = threading.RLock()  # the end of an array may be noticed while we hold it
        self._making: dict[Key, threading.Lock] = {}  # of uploads under way
        self._held: OrderedDict[Key, tuple[Mapping[str, Any], int]] = OrderedDict()
        self._roots: dict[int, tuple[weakref.ref[np.ndarray], set[Key]]] = {}

    def keeps(self, array: np.ndarray) -> bool:
        """Whether nobody can write to the array through numpy."""
        while True:
            if array.flags.writeable:
                return False
            if not isinstance(array.base, np.ndarray):
                return True
            array = array.base

    def holds(self, array: np.ndarray, kind: str) -> bool:
        with self._lock:
            return _key(array, kind) in self._held

    def of(self, array: np.ndarray, kind: str, make: Make) -> Mapping[str, Any]:
        """What `make` uploads for this immutable array, from memory where it is there. Raises MemoryError."""
        key = _key(array, kind)
        with self._lock:
            found = self._found(key)
            if found is not None:
                return found
            making = self._making.setdefault(key, threading.Lock())
        with making:  # the same array once; searches of others go on
            with self._lock:
                found = self._found(key)
            if found is not None:
                return found
            try:
                made = self._made(make)
                with self._lock:
                    self._hold(key, made, array)
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return made

    def _found(self, key: Key) -> Mapping[str, Any] | None:
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def _hold(self, key: Key, made: Mapping[str, Any], array: np.ndarray) -> None:
        size = sum(int(part.nbytes) for part in made.values() if hasattr(part, "nbytes"))
        self.uploads += 1
        if size > self.budget or key in self._held:
            return
        while self._held and self.bytes + size > self.budget:
            self._evict()
        self._held[key] = (made, size)
        self.bytes += size
        self._watch(_root(array), key)

    @property
    def arrays(self) -> int:
        return len(self._held)

    def drop_all(self) -> None:
        with self._lock:
            self.evictions += len(self._held)
            self._held.clear()
            self._roots.clear()
            self.bytes = 0

    def _made(self, make: Make) -> Mapping[str, Any]:
        while True:
            try:
                made = make()
                self.device.finish()
                return made
            except MemoryError:
                with self._lock:
                    if not self._held:
                        raise
                    self._evict()

    def _evict(self) -> None:
        _, (_, size) = self._held.popitem(last=False)
        self.bytes -= size
        self.evictions += 1

    def _watch(self, root: np.ndarray, key: Key) -> None:
        known = self._roots.get(id(root))
        if known is not None:
            known[1].add(key)
            return
        number = id(root)
        self._roots[number] = (weakref.ref(root, lambda _: self._forget(number)), {key})

    def _forget(self, number: int) -> None:
        """The array is gone: its address may become another's."""
        with self._lock:
            _, keys = self._roots.pop(number, (None, set()))
            for key in keys:
                found = self._held.pop(key, None)
                if found is not None:
                    self.bytes -= found[1]


def _key(array: np.ndarray, kind: str) -> Key:
    return kind, id(_root(array)), array.ctypes.data, array.shape, array.strides, array.dtype.str


class Transient(Resident):
    """Keeps nothing: for builds, whose arrays change from call to call and are used once."""

    def __init__(self, device: Device) -> None:
        super().__init__(device, 0)

    def keeps(self, array: np.ndarray) -> bool:
        return True

    def of(self, array: np.ndarray, kind: str, make: Make) -> Mapping[str, Any]:
        return make()
