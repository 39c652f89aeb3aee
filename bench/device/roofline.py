"""What a device does of the two things that bound a scan: bytes a second, and multiply-adds of each type."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

TYPES: dict[str, type] = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16, "int8": np.int8}


@dataclass(frozen=True)
class Roofline:
    bytes_s: float
    flops_s: dict[str, float]  # by type

    def line(self, what: str, nq: int, nbytes: int, flops: float, taken: float, dtype: str) -> dict[str, Any]:
        """A scan of `nbytes` by nq queries beside whichever bounds it."""
        bound = max(nbytes / self.bytes_s, flops / self.flops_s[dtype])
        return {
            "what": what,
            "batch": nq,
            "ms": 1e3 * taken,
            "queries/s": nq / taken,
            "GB/s": nbytes / taken / 1e9,
            "TFLOP/s": flops / taken / 1e12,
            "share of the limit": bound / taken,
        }


def seconds(call: Callable[[], object], rounds: int = 9) -> float:
    """Median, after two calls that compile, upload and allocate."""
    call()
    call()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def roofline(device: Any, size: int) -> Roofline:
    """`size` rows and columns of a product, random: zeros take less power and run faster."""
    xp = device.xp
    with device.working():
        source = xp.ones(size * size * 4, np.float32)
        target = xp.empty_like(source)

        def copy() -> None:
            target[...] = source
            device.finish()

        bytes_s = 2 * source.nbytes / seconds(copy)
        numbers = (xp.random.random((size, size)) * 2 - 1).astype(np.float32)
        flops = {}
        for name, dtype in TYPES.items():
            rows = _as(xp, numbers, dtype)

            def product(rows: Any = rows) -> None:
                for _ in range(4):
                    device.products(rows, rows)
                device.finish()

            flops[name] = 4 * 2 * size**3 / seconds(product)
    return Roofline(bytes_s, flops)


def _as(xp: Any, numbers: Any, dtype: type) -> Any:
    if dtype is np.int8:
        return (127 * numbers).astype(np.int8)
    if dtype is np.uint16:
        return (numbers.view(np.uint32) >> 16).astype(np.uint16)
    return numbers.astype(dtype)
