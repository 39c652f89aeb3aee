"""What the kernels ask of a device beyond numpy's own functions, and numpy's answer to it.

`xp` is the device's numpy. Everything else here is what array libraries lack or do slowly: products of narrow numbers
with wide sums, differing bits, the largest of each run. `cupy_device` brings a GPU's; the tests hold both to this one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Device(Protocol):
    name: str  # such as "cuda:0"
    xp: Any  # numpy's functions over this device's arrays
    total_bytes: int  # of memory
    score_bytes: int  # the scores of one chunk: what stays in the device's cache between their making and their reading

    def working(self) -> AbstractContextManager[object]:
        """Around all use of the device by one thread: its context and a stream of the thread's own."""

    def put(self, host: NDArray[Any]) -> Any:
        """A copy on the device. Raises MemoryError where it does not fit, as everything that allocates does."""

    def get(self, array: Any) -> NDArray[Any]:
        """A copy on the host; waits for what computes it."""

    def finish(self) -> None:
        """Wait for what this thread has asked for, so that others may use it."""

    def within(self, values: Any, bounds: Any) -> tuple[Any, Any]:
        """(row, column), in any order, of the values (m, c) that are at most their row's bound (m,). NaN is not."""

    def products(self, rows: Any, queries: Any) -> Any:
        """float32 (m, n) products of queries (m, d) with rows (n, d), both float32, float16, bfloat16 (uint16) or int8;
        sums are float32, of int8 exact before they are rounded to it."""

    def differing(self, rows: Any, queries: Any) -> Any:
        """float32 (m, n): differing bits of queries (m, words) and rows (n, words), both uint32."""

    def largest_of_runs(self, values: Any, starts: Any) -> Any:
        """(m, r): the largest of values[:, starts[i]:starts[i + 1]], none of them empty; starts is int64 (r + 1,)."""


class ArrayDevice:
    """numpy in a device's place: the reference of its operations, and what the tests run on."""

    name = "numpy"
    xp: Any = np
    total_bytes = 1 << 30
    score_bytes = 4 << 20

    def working(self) -> AbstractContextManager[object]:
        return nullcontext()

    def put(self, host: NDArray[Any]) -> NDArray[Any]:
        return host

    def get(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def finish(self) -> None:
        """numpy has finished when it returns."""

    def within(self, values: NDArray[np.float32], bounds: NDArray[np.float32]) -> tuple[Any, Any]:
        rows, columns = np.nonzero(values <= bounds[:, None])
        return rows, columns

    def products(self, rows: NDArray[Any], queries: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(over="ignore", invalid="ignore"):
            out: NDArray[np.float32] = (widened(np, queries) @ widened(np, rows).T).astype(np.float32, copy=False)
        return out

    def differing(self, rows: NDArray[np.uint32], queries: NDArray[np.uint32]) -> NDArray[np.float32]:
        out = np.empty((len(queries), len(rows)), np.float32)
        for place, query in enumerate(queries):
            out[place] = np.bitwise_count(rows ^ query).sum(axis=1, dtype=np.int64)
        return out

    def largest_of_runs(self, values: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
        out: NDArray[np.float32] = np.maximum.reduceat(values, starts[:-1], axis=1)
        return out


def widened(xp: Any, array: Any) -> Any:
    """float32 of float16 and bfloat16 (uint16); float64 of int8, whose sums it holds exactly."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64 if array.dtype == np.int8 else np.float32, copy=False)
