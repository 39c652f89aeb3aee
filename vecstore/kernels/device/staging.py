"""How arrays go over to a GPU: through pinned buffers, one of which is filled while the other is on its way."""

from __future__ import annotations

from collections import deque
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

STAGE_BYTES = 16 << 20


class Stage:
    def __init__(self, size: int) -> None:
        self.buffer = np.frombuffer(cupy.cuda.alloc_pinned_memory(size), np.uint8, size)
        self.sent = cupy.cuda.Event(block=True, disable_timing=True)  # what was put here last is there


class Staging:
    """Of one device. Threads may share one object: a buffer is one thread's at a time."""

    def __init__(self) -> None:
        self._free: deque[Stage] = deque()

    def send(self, source: NDArray[np.uint8], target: Any) -> None:
        """Copy bytes (n,) to an array (n,) there, in the order of the current stream. The source may change as soon as
        this returns; the copy is there when what the stream is asked next runs."""
        stream = cupy.cuda.get_current_stream()
        pair = deque(self._taken() for _ in range(1 if source.size <= STAGE_BYTES else 2))
        try:
            for low in range(0, source.size, STAGE_BYTES):
                part, stage = source[low : low + STAGE_BYTES], pair[0]
                stage.sent.synchronize()
                stage.buffer[: part.size] = part
                target[low : low + part.size].set(stage.buffer[: part.size], stream=stream)
                stage.sent.record(stream)
                pair.rotate()
        finally:
            self._free.extend(pair)

    def _taken(self) -> Stage:
        try:
            return self._free.popleft()
        except IndexError:
            return Stage(STAGE_BYTES)
