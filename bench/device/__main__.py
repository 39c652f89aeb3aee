"""A device at its limits: bandwidth and products reached, then each scan beside them, checked against the host.

    python -m bench.device [--device cuda:0] [--rows 1000000] [--dim 768] [--k 100] [--only dense,bits] [--out FILE]

Rooflines are measured on the device itself in the same run: the bandwidth of a copy, and the rate of one large product
of each type. A scan's share is of whichever bounds it: bytes of codes read once a batch, or multiply-adds; its time is
the whole call's, from the host's queries to the host's answers. Every answer is compared with the host's kernels on the
first rows of the same arrays; a difference ends the run with an error. `--device numpy` runs the same lines on the
processor, to try the command. The specification's own rows, as few measurements as they need: `-m bench.device.spec`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.device import codes, scans
from bench.device.building import building
from bench.device.command import opened, tell
from bench.device.lists import lists
from bench.device.roofline import roofline
from bench.device.selection import selection
from vecstore.kernels.device.arrays import to_bfloat16
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Always
from vecstore.kernels.device.resident import Resident
from vecstore.kernels.select import get_kernels

PARTS = ("dense", "bits", "tables", "rows", "lists", "maxsim", "selection", "build")


def measure(device: Any, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    limits = roofline(device, given.size)
    yield {"what": "copy", "GB/s": limits.bytes_s / 1e9}
    yield from ({"what": f"product {name}", "TFLOP/s": rate / 1e12} for name, rate in limits.flops_s.items())
    host, n, k = get_kernels(), given.rows, given.k
    batches = [int(one) for one in given.batches.split(",")]
    resident = Resident(device, int(0.8 * device.total_bytes))
    kernels: Any = DeviceKernels(host, resident, Always)
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((max(*batches, 64), given.dim), dtype=np.float32)
    parts = given.only.split(",")
    if {"dense", "bits", "build"} & set(parts):
        with device.working():
            vectors = device.get(device.xp.random.standard_normal((n, given.dim)).astype(np.float32))
    if "dense" in parts:
        yield scans.products_alone(device, limits, to_bfloat16(vectors), queries[: max(batches)])
        yield from scans.dense(kernels, host, limits, vectors, queries, k, batches)
    if "bits" in parts:
        rows, asked = np.packbits(vectors > 0, axis=1), np.packbits(queries > 0, axis=1)
        yield from scans.bits(kernels, host, limits, rows, asked, k, batches)
    if "tables" in parts:
        yield from codes.tables(device, resident, kernels, host, limits, n, queries, k, batches)
    if "rows" in parts:
        yield from codes.rows(kernels, host, limits, n, queries, k, batches)
    if "lists" in parts:
        yield from lists(
            device, resident, kernels, host, limits, 4 * n, given.dim, k, [nq for nq in batches if nq >= 16]
        )
    if "maxsim" in parts:
        yield from codes.late_interaction(kernels, host, limits, n // 10, k, [nq for nq in batches if nq <= 64])
    resident.drop_all()
    if "selection" in parts:
        yield selection(device, 10 * n, 16, k)
    if "build" in parts:
        yield from building(device, host, vectors)


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--device", default="cuda:0", help='"cuda:N", or "numpy" to try the command without one')
    read.add_argument("--rows", type=int, default=1_000_000)
    read.add_argument("--dim", type=int, default=768)
    read.add_argument("--k", type=int, default=100)
    read.add_argument("--batches", default="1,4,16,64,256,1024", help="of queries, comma-separated")
    read.add_argument("--only", default=",".join(PARTS), help=f"which parts, of {', '.join(PARTS)}")
    read.add_argument("--size", type=int, default=8192, help="of the product that shows the limit")
    read.add_argument("--out", help="also write the figures as JSON lines")
    given = read.parse_args()
    unknown = set(given.only.split(",")) - set(PARTS)
    if unknown:
        read.error(f"--only: unknown {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    device = opened(given.device)
    tell(measure(device, given), device, given.out)


if __name__ == "__main__":
    main()
