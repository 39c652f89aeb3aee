"""Work of a device that was recorded once and is replayed: a batch costs one launch instead of dozens.

The host's time for a launch is what bounds small batches, and many chunks of large ones. What is recorded reads its
inputs from, and writes to, places of its own; it lives with the array that it scans, and the least used makes room for
the next. Source: CUDA graphs, by `cudaStreamBeginCapture`.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.arrays import Outputs, Plans, Queue

SEEN = "seen"  # once: recorded the next time
UNFIT = "unfit"  # to be recorded: never tried again
log = logging.getLogger("vecstore.device")


def record(work: Callable[[], Outputs]) -> tuple[Outputs, Any]:
    """What the work returns, and the graph of what it asked of the device, none of which has run."""
    stream = cupy.cuda.get_current_stream()
    stream.begin_capture()
    try:
        outputs = work()
    finally:
        graph = stream.end_capture()
    return outputs, graph


class Recorded:
    """One batch at a time."""

    def __init__(self, device: Any, inputs: tuple[NDArray[Any], ...], queue: Queue) -> None:
        """Raises MemoryError where the places do not fit."""
        self._queue = queue  # holds what the work reads
        self._pool = cupy.cuda.MemoryPool()  # of nobody else: what is freed while recording is used while replaying
        with cupy.cuda.using_allocator(self._pool.malloc):
            self._inputs = [device.put(array) for array in inputs]
            self._outputs, self._graph = record(lambda: queue(*self._inputs))
        self.nbytes = int(self._pool.total_bytes())
        self.lock = threading.Lock()

    def run(self, device: Any, inputs: tuple[NDArray[Any], ...]) -> Outputs:
        for place, array in zip(self._inputs, inputs, strict=True):
            device.fill(place, array)
        self._graph.launch(cupy.cuda.get_current_stream())
        return tuple(cupy.asnumpy(output) for output in self._outputs)


class Recorder:
    """Of one device. Threads may share one object."""

    def __init__(self, budget: int) -> None:
        """`budget` bytes at most for the places of all recorded work."""
        self._budget = budget
        self._used = 0
        self._lock = threading.RLock()  # plans may end while we hold it
        self._kept: OrderedDict[int, tuple[weakref.ref[Plans], Hashable, int]] = OrderedDict()

    def run(self, device: Any, plans: Plans, key: Hashable, inputs: tuple[NDArray[Any], ...], queue: Queue) -> Outputs:
        plan = plans.get(key)
        if plan is SEEN:
            plan = self._recorded(device, plans, key, inputs, queue)
        elif plan is None:
            plans[key] = SEEN
        if isinstance(plan, Recorded) and plan.lock.acquire(blocking=False):
            try:
                return plan.run(device, inputs)
            finally:
                plan.lock.release()
        return tuple(map(device.get, queue(*map(device.put, inputs))))

    def _recorded(
        self, device: Any, plans: Plans, key: Hashable, inputs: tuple[NDArray[Any], ...], queue: Queue
    ) -> Recorded | None:
        with self._lock:
            if isinstance(plans.get(key), Recorded):
                return None  # another thread just did
            plans[key] = UNFIT
            try:
                plan = Recorded(device, inputs, queue)
            except (MemoryError, RuntimeError) as error:  # of CUDA, or by CuPy for what it cannot record
                log.warning("scans on %s are launched kernel by kernel: %s", device.name, error)
                return None
            if plan.nbytes > self._budget:
                return None
            while self._kept and self._used + plan.nbytes > self._budget:
                self._forget(next(iter(self._kept)))
            plans[key] = plan
            self._kept[id(plan)] = (weakref.ref(plans), key, plan.nbytes)
            self._used += plan.nbytes
            weakref.finalize(plan, self._forget, id(plan))
            return plan

    def _forget(self, number: int) -> None:
        with self._lock:
            owner, key, nbytes = self._kept.pop(number, (None, None, 0))
            self._used -= nbytes
            plans = owner() if owner is not None else None
            if plans is not None and id(plans.get(key)) == number:
                del plans[key]


def as_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
