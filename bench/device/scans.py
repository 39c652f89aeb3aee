"""Exact scans of dense rows and of packed bits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.device.roofline import Roofline, seconds
from vecstore.kernels.device.arrays import to_bfloat16
from vecstore.kernels.device.nearest import chunk_rows
from vecstore.schema import Metric

CHECKED = 20_000  # rows compared with the host
Found = tuple[np.ndarray, np.ndarray]


def kept(array: np.ndarray) -> np.ndarray:
    """As the arrays of a sealed segment are: what cannot change may stay on the device."""
    array.flags.writeable = False
    return array


def outputs(nq: int, k: int) -> Found:
    return np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)


def check(name: str, found: Found, wanted: Found) -> None:
    """Ends the run unless the device's answer is the host's, up to the last bits of sums."""
    scale = np.abs(wanted[1][np.isfinite(wanted[1])]).max()
    same = np.allclose(found[1], wanted[1], rtol=1e-5, atol=1e-5 * scale)
    if not same or (found[0] == wanted[0]).mean() < 0.99:
        sys.exit(f"{name}: the device's answers are not the host's")


def dense(
    kernels: Any, host: Any, limits: Roofline, vectors: np.ndarray, queries: np.ndarray, k: int, batches: list[int]
) -> Iterator[dict[str, Any]]:
    makers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "bfloat16": to_bfloat16,
        "float16": lambda rows: rows.astype(np.float16),
        "float32": lambda rows: rows.copy(),
    }
    for name, make in makers.items():
        array = kept(make(vectors))

        def scan(nq: int, rows: np.ndarray, by: Any) -> Found:
            found = outputs(nq, k)
            by.scan(Metric.DOT, queries[:nq], rows, None, None, *found)
            return found

        few = kept(array[:CHECKED].copy())
        for nq in (1, 40):
            check(f"{name}, {nq} queries", scan(nq, few, kernels), scan(nq, few, host))
        for nq in batches:
            taken = seconds(lambda nq=nq, array=array, scan=scan: scan(nq, array, kernels))  # type: ignore[misc]
            yield limits.line(f"scan {name}", nq, array.nbytes, 2.0 * nq * array.size, taken, name)


def products_alone(device: Any, limits: Roofline, stored: np.ndarray, queries: np.ndarray) -> dict[str, Any]:
    """The products of a scan of bfloat16 rows (n, dim) uint16, chunk by chunk, and nothing else."""
    nq, dim = queries.shape
    with device.working():
        rows, asked = device.put(stored), device.put(to_bfloat16(queries))
        step = chunk_rows(device, nq)

        def run() -> None:
            for low in range(0, len(rows), step):
                device.products(rows[low : low + step], asked)
            device.finish()

        taken = seconds(run)
    return limits.line("products bfloat16", nq, rows.nbytes, 2.0 * nq * len(stored) * dim, taken, "bfloat16")


def bits(
    kernels: Any, host: Any, limits: Roofline, rows: np.ndarray, queries: np.ndarray, k: int, batches: list[int]
) -> Iterator[dict[str, Any]]:
    def scan(nq: int, some: np.ndarray, by: Any) -> Found:
        found = outputs(nq, k)
        by.hamming_scan(queries[:nq], some, None, *found)
        return found

    few = kept(rows[:CHECKED].copy())
    for nq in (1, 40):
        check(f"hamming, {nq} queries", scan(nq, few, kernels), scan(nq, few, host))
    rows = kept(rows)
    for nq in batches:
        taken = seconds(lambda nq=nq: scan(nq, rows, kernels))  # type: ignore[misc]
        yield limits.line("scan hamming", nq, rows.nbytes, 2.0 * nq * rows.size * 8, taken, "int8")
