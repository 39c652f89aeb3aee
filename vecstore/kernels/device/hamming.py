"""Exact Hamming scans: counts of differing bits, or for many queries products of plus and minus ones, which float16 and
float32 sums hold exactly (cuBLAS has faster ones of float16 than of int8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, UInt8Array
from vecstore.kernels.device.arrays import LANES, Device, Plans
from vecstore.kernels.device.masks import listed
from vecstore.kernels.device.nearest import Nearest, chunk_rows, padded, write_answers
from vecstore.kernels.device.shortlist import Terms

MANY = 384  # queries from which products cost less than counting (docs/RESULTS-GPU.md)
GROUP = 16  # bytes
SIGN_BYTES = 64 << 20  # of the signs of one chunk


def upload(device: Device, rows: UInt8Array) -> dict[str, Any]:
    groups = groups_of(rows, -(-len(rows) // LANES) * LANES)
    tiles = groups.reshape(-1, LANES, *groups.shape[1:]).transpose(0, 2, 1, 3)
    return {"tiles": device.put(np.ascontiguousarray(tiles)), "rows": len(rows), "plans": Plans()}


def groups_of(rows: UInt8Array, n: int) -> np.ndarray:
    """(n, ceil(bytes / 16), 4) uint32; what is added is zero."""
    wide = np.zeros((n, -(-rows.shape[1] // GROUP) * GROUP), np.uint8)
    wide[: len(rows), : rows.shape[1]] = rows
    return wide.view(np.uint32).reshape(n, -1, 4)


def scan(
    device: Device,
    held: Mapping[str, Any],
    queries: UInt8Array,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
) -> Int64Array:
    """The queries left to the host: none."""
    k, nq = out_rows.shape[1], len(queries)
    if allowed is not None:
        chosen = listed(device, allowed, held["rows"])
        permitted = device.put(np.ascontiguousarray(allowed)) if chosen is None else None
        asked = device.put(groups_of(queries, nq))
        found = device.get(_queued(device, held, chosen, permitted, asked, k))
        return write_answers(found, out_rows, out_distances)

    def queue(asked: Any) -> tuple[Any]:
        return (_queued(device, held, None, None, asked, k),)

    asked = padded(groups_of(queries, nq))
    (found,) = device.replayed(held["plans"], (k, len(asked)), (asked,), queue)
    return write_answers(found, out_rows, out_distances)


def _queued(
    device: Device, held: Mapping[str, Any], chosen: Any | None, permitted: Any | None, asked: Any, k: int
) -> Any:
    """The scan of all rows, or of the `chosen`, or of the `permitted`: nothing here waits for the device."""
    xp, tiles, nq = device.xp, held["tiles"], len(asked)
    bits = tiles.shape[1] * 8 * GROUP
    signs = device.signs(_as_tiles(xp, asked), (0, nq)) if nq >= MANY else None
    start, one = (0.0, 1.0) if signs is None else (bits / 2, -0.5)
    step = chunk_rows(device, nq)
    if signs is not None:
        step = max(LANES, min(step, SIGN_BYTES // (2 * bits) // LANES * LANES))
    nearest = Nearest(device, nq, k, step, False)
    steps, starts = xp.full(nq, one, np.float32), xp.full((nq, 1), start, np.float32)
    for part in nearest.chunks(held["rows"] if chosen is None else len(chosen), step):
        rows: Any = (part.start, part.stop - part.start) if chosen is None else chosen[part]
        if signs is None:
            products = device.differing(tiles, asked, rows)
        else:
            products = device.products(device.signs(tiles, rows), signs)
        numbers = None if chosen is None else rows
        nearest.take(products, Terms(steps, starts, numbers=numbers, first=part.start, allowed=permitted))
    nearest.close()
    return nearest.answer(k)


def _as_tiles(xp: Any, groups: Any) -> Any:
    n = len(groups)
    padded = xp.zeros((-(-n // LANES) * LANES, *groups.shape[1:]), np.uint32)
    padded[:n] = groups
    return xp.ascontiguousarray(padded.reshape(-1, LANES, *groups.shape[1:]).transpose(0, 2, 1, 3))
