"""A device at its limits: bandwidth and products reached, then each scan beside them and beside the host, checked.

    python -m bench.device [--device cuda:0] [--rows 1000000] [--dim 768] [--k 100] [--out FILE]

Rooflines are measured on the device itself in the same run: the bandwidth of a copy, and the rate of one large product
of each type. A scan's share is of whichever bounds it: bytes of codes read once a batch, or multiply-adds. Every answer
is compared with the host's kernels on the first rows of the same arrays; a difference ends the run with an error.
`--device numpy` runs the same lines on the processor, to try the command.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecstore.kernels.device import devices
from vecstore.kernels.device.arrays import ArrayDevice
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Always
from vecstore.kernels.device.dense import to_bfloat16
from vecstore.kernels.device.resident import Resident
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

BATCHES = (1, 16, 256, 1024)
CHECKED = 20_000  # rows compared with the host
TYPES: dict[str, type] = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16, "int8": np.int8}


@dataclass(frozen=True)
class Roofline:
    bytes_s: float
    flops_s: dict[str, float]  # by type


def seconds(call: Callable[[], object], rounds: int = 7) -> float:
    call()  # compiles, uploads
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def roofline(device: Any, size: int) -> Roofline:
    """What the device does of the two things that bound a scan, `size` rows and columns of a product."""
    xp = device.xp
    with device.working():
        source = xp.ones(size * size * 4, np.float32)
        target = xp.empty_like(source)

        def copy() -> None:
            target[...] = source
            device.finish()

        bytes_s = 2 * source.nbytes / seconds(copy)
        flops = {}
        for name, dtype in TYPES.items():
            rows = xp.zeros((size, size), dtype)

            def product(rows: Any = rows) -> None:
                device.products(rows, rows)
                device.finish()

            flops[name] = 2 * size**3 / seconds(product)
    return Roofline(bytes_s, flops)


def kept(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def outputs(nq: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)


def measure(device: Any, rows: int, dim: int, k: int, size: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    limits = roofline(device, size)
    lines: list[dict[str, Any]] = [
        {"what": "copy", "GB/s": limits.bytes_s / 1e9},
        *({"what": f"product {name}", "TFLOP/s": rate / 1e12} for name, rate in limits.flops_s.items()),
    ]
    host = get_kernels()
    kernels: Any = DeviceKernels(host, Resident(device, int(0.8 * device.total_bytes)), Always)
    vectors = rng.standard_normal((rows, dim), dtype=np.float32)
    queries = rng.standard_normal((max(BATCHES), dim), dtype=np.float32)
    stored = {"float32": vectors, "float16": vectors.astype(np.float16), "bfloat16": to_bfloat16(vectors)}
    bits, asked_bits = np.packbits(vectors > 0, axis=1), np.packbits(queries > 0, axis=1)
    for name, array in stored.items():
        array = kept(array)

        def dense(nq: int, some: np.ndarray = array, by: Any = kernels) -> tuple[np.ndarray, np.ndarray]:
            found = outputs(nq, k)
            by.scan(Metric.DOT, queries[:nq], some, None, None, *found)
            return found

        check(name, lambda by, some=array, dense=dense: dense(4, kept(some[:CHECKED].copy()), by), kernels, host)
        taken = {nq: seconds(lambda nq=nq, dense=dense: dense(nq)) for nq in BATCHES}
        lines += (line(f"scan {name}", nq, rows, dim, array.nbytes, taken[nq], limits, name) for nq in BATCHES)
    bits = kept(bits)

    def hamming(nq: int, some: np.ndarray = bits, by: Any = kernels) -> tuple[np.ndarray, np.ndarray]:
        found = outputs(nq, k)
        by.hamming_scan(asked_bits[:nq], some, None, *found)
        return found

    check("hamming", lambda by: hamming(4, kept(bits[:CHECKED].copy()), by), kernels, host)
    taken = {nq: seconds(lambda nq=nq: hamming(nq)) for nq in BATCHES}
    return [*lines, *(line("hamming", nq, rows, dim, bits.nbytes, taken[nq], limits, "int8") for nq in BATCHES)]


def check(name: str, answer: Callable[[Any], tuple[np.ndarray, np.ndarray]], device: Any, host: Any) -> None:
    """Exits with an error unless the device's answer is the host's, up to the last bits of sums."""
    (rows, distances), (wanted_rows, wanted) = answer(device), answer(host)
    scale = np.abs(wanted).max()
    same = np.allclose(distances, wanted, rtol=1e-5, atol=1e-5 * scale)
    if not same or (rows == wanted_rows).mean() < 0.99:
        sys.exit(f"{name}: the device's answers are not the host's")


def line(
    what: str, nq: int, rows: int, dim: int, nbytes: int, taken: float, limits: Roofline, dtype: str
) -> dict[str, Any]:
    flops = 2.0 * nq * rows * dim
    bound = max(nbytes / limits.bytes_s, flops / limits.flops_s[dtype])
    return {
        "what": what,
        "batch": nq,
        "ms": 1e3 * taken,
        "queries/s": nq / taken,
        "GB/s": nbytes / taken / 1e9,
        "TFLOP/s": flops / taken / 1e12,
        "share of the limit": bound / taken,
    }


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--device", default="cuda:0", help='"cuda:N", or "numpy" to try the command without one')
    read.add_argument("--rows", type=int, default=1_000_000)
    read.add_argument("--dim", type=int, default=768)
    read.add_argument("--k", type=int, default=100)
    read.add_argument("--size", type=int, default=8192, help="of the product that shows the limit")
    read.add_argument("--out", help="also write the figures as JSON lines")
    given = read.parse_args()
    device: Any = ArrayDevice() if given.device == "numpy" else devices.open_device(given.device)
    if device is None:
        sys.exit(f"no device {given.device} here: {devices.count()} found by CuPy (pip install 'vecstore[gpu]')")
    lines = measure(device, given.rows, given.dim, given.k, given.size)
    for one in lines:
        print(
            "  ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{value}" for name, value in one.items())
        )
    if given.out:
        with open(given.out, "a", encoding="utf-8") as file:
            file.writelines(json.dumps({"device": device.name, **one}) + "\n" for one in lines)


if __name__ == "__main__":
    main()
