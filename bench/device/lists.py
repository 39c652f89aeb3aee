"""Batches over lists: what it costs to meet the lists that some query visits with all of them, or in groups with those
that visit one of the group; and the price of a group that makes this least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bench.device.codes import rows_of
from bench.device.roofline import Roofline, seconds
from bench.device.scans import Found, check
from vecstore.kernels.base import RowCodes
from vecstore.kernels.device import codes as scans
from vecstore.kernels.device.resident import Resident

ROWS_A_LIST, NPROBE = 1024, 32
PRICES = (None, 1 << 20, 4 << 20, 8 << 20, 16 << 20)  # None: one pass for all
ONE_PASS = 1 << 62


def _cut(codes: RowCodes) -> RowCodes:
    """The rows of one list as lists of ROWS_A_LIST."""
    n = len(codes.rows)
    counts = np.diff(np.append(np.arange(0, n, ROWS_A_LIST), n))
    return replace(codes, offsets=np.concatenate([[0], np.cumsum(counts // 32)]), counts=counts)


def _scan(kernels: Any, codes: RowCodes, queries: np.ndarray, probes: np.ndarray, k: int) -> Found:
    nq = len(queries)
    found = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)
    zeros, counters = np.zeros(probes.shape, np.float32), np.empty((nq, 3), np.int64)
    kernels.row_scan(codes, queries, probes, zeros, None, *found, counters)
    return found


def lists(
    device: Any, resident: Resident, kernels: Any, host: Any, limits: Roofline, n: int, dim: int, k: int,
    batches: list[int],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """n rows of int8; each query visits NPROBE neighbouring lists around one of its own."""
    rng = np.random.default_rng(4)
    resident.drop_all()
    codes = _cut(rows_of(rng, "int8", n, dim))
    nlist = len(codes.counts)
    standard = scans.PRICE
    try:
        for nq in batches:
            queries = rng.standard_normal((nq, dim), dtype=np.float32)
            near = rng.integers(0, nlist, (nq, 1)) + np.arange(min(NPROBE, nlist))
            probes = (near % nlist).astype(np.int32)
            for price in PRICES:
                scans.PRICE = ONE_PASS if price is None else price
                if nq == batches[0]:
                    check(f"lists at price {price}", _scan(kernels, codes, queries, probes, k),
                          _scan(host, codes, queries, probes, k))  # fmt: skip
                taken = seconds(partial(_scan, kernels, codes, queries, probes, k))
                of_probes = float(nq * probes.shape[1]) * ROWS_A_LIST
                what = "lists, one pass" if price is None else f"lists, groups at {price >> 20} M scores"
                yield limits.line(what, nq, codes.blocks.nbytes, 2.0 * dim * of_probes, taken, "int8")
    finally:
        scans.PRICE = standard
