"""Exact scans of dense rows: products at the rate of the stored type, then the few that may be nearest in float64.

Queries of a batch are rounded to the type of the rows, so that float16 and bfloat16 rows meet them in the tensor cores
(float32 rows as TF32). How far that and float32 sums can move a product is known: |q - rounded q| |x| plus
2 (dim + 8) 2^-24 |q| |x|. What lies within this of the k-th nearest is scored again as the reference does: the
answer is the reference's, ties included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vecstore.kernels.base import Bitmap, DenseRows, Float32Array, Int64Array
from vecstore.kernels.device.arrays import Device, Plans, widened
from vecstore.kernels.device.masks import listed
from vecstore.kernels.device.nearest import Nearest, chunk_rows, padded, write_answers
from vecstore.kernels.device.shortlist import NO_BOUND, Shortlist, Terms, distance_of
from vecstore.schema import Metric

SQUARED = 1 << 20  # rows


def upload(device: Device, rows: DenseRows) -> dict[str, Any]:
    """Rows, their squared lengths (n,), and the largest length."""
    xp = device.xp
    stored = device.put(np.ascontiguousarray(rows))
    squares = xp.empty(len(rows), np.float32)
    for low in range(0, len(rows), SQUARED):
        wide = widened(xp, stored[low : low + SQUARED])
        with np.errstate(over="ignore"):
            squares[low : low + SQUARED] = (wide * wide).sum(axis=1)
    largest = float(xp.sqrt(squares.max())) if len(rows) else 0.0
    return {"rows": stored, "squares": squares, "largest": largest, "plans": Plans()}


def scan(
    device: Device,
    held: Mapping[str, Any],
    metric: Metric,
    queries: Float32Array,
    norms: Any | None,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
) -> Int64Array:
    """The queries left to the host; norms: the rows' inverse lengths, on the device."""
    k, n = out_rows.shape[1], len(held["rows"])
    if allowed is not None:
        chosen = listed(device, allowed, n)
        permitted = device.put(np.ascontiguousarray(allowed)) if chosen is None else None
        asked = device.put(queries)
        found = device.get(_queued(device, held, metric, norms, chosen, permitted, asked, k))
        return write_answers(found, out_rows, out_distances)

    def queue(asked: Any) -> tuple[Any]:
        return (_queued(device, held, metric, norms, None, None, asked, k),)

    asked = padded(queries)
    key = (metric, k, len(asked), id(norms))
    (found,) = device.replayed(held["plans"], key, (asked,), queue)
    return write_answers(found, out_rows, out_distances)


def _queued(
    device: Device,
    held: Mapping[str, Any],
    metric: Metric,
    norms: Any | None,
    chosen: Any | None,
    permitted: Any | None,
    asked: Any,
    k: int,
) -> Any:
    """The scan of all rows, or of the `chosen`, or of the `permitted`: nothing here waits for the device."""
    rows, squares, nq = held["rows"], held["squares"], len(asked)
    ready = device.prepare(asked, rows.dtype, metric, held["largest"])
    step = chunk_rows(device, nq)
    nearest = Nearest(device, nq, k, step, True, ready.lost)
    for part in nearest.chunks(len(rows) if chosen is None else len(chosen), step):
        numbers = None if chosen is None else chosen[part]
        which = part if chosen is None else numbers
        products = device.products(rows[which], ready.array)
        terms = Terms(
            ready.step,
            ready.start,
            ready.spread,
            add=squares[which] if metric is Metric.L2 else None,
            scale=norms[which] if metric is Metric.COSINE and norms is not None else None,
            numbers=numbers,
            first=part.start,
            allowed=permitted,
        )
        nearest.take(products, terms)
    device.exact(nearest.close(), rows, asked, ready, norms, metric)
    return nearest.answer(k)


def rerank(
    device: Device,
    held: Mapping[str, Any],
    metric: Metric,
    queries: Float32Array,
    norms: Any | None,
    candidates: Int64Array,
    out_distances: Float32Array,
) -> None:
    xp, (m, room) = device.xp, candidates.shape
    asked = device.put(queries)
    keys = device.put(np.where(candidates >= 0, candidates, 0xFFFFFFFF).astype(np.uint64))
    counts = xp.full(m, room, np.uint32)
    short = Shortlist(room, keys, None, counts, xp.full(m, NO_BOUND, np.uint64), xp.zeros(m, np.uint8))
    ready = device.prepare(asked, held["rows"].dtype, metric, held["largest"])
    device.exact(short, held["rows"], asked, ready, norms, metric)
    out_distances[:] = np.where(candidates >= 0, distance_of(device.get(short.keys)), np.float32(np.inf))
