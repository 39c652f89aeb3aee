"""Exact scans of dense rows: products at the rate of the stored type, then the few that may be nearest in float64.

The query is rounded to the type of the rows, so that float16 and bfloat16 rows meet it in the tensor cores. How far
that and float32 sums can move a product is known: |q - rounded q| |x| + 2 (dim + 8) 2^-24 |q| |x|. What lies within
this of the k-th nearest is scored again as the reference does: the answer is the reference's, ties included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, DenseRows, Float32Array, Int64Array
from vecstore.kernels.device.arrays import Device, widened
from vecstore.kernels.device.masks import listed, mask_of
from vecstore.kernels.device.nearest import Nearest, write_answers
from vecstore.schema import Metric

UNIT = 2.0**-24
LARGEST = 1e18  # products of longer vectors may overflow float32
PAIRS = 1 << 16  # scored again at once


@dataclass(frozen=True, slots=True)
class Lowered:
    """Queries in the type of the rows: `array * scale` is nearly the query, and `lost` how far it is from it."""

    array: NDArray[Any]  # (m, d)
    scale: Float32Array  # (m, 1)
    lost: NDArray[np.float64]  # (m,)
    lengths: NDArray[np.float64]  # (m,)


def upload(device: Device, rows: DenseRows) -> dict[str, Any]:
    """Rows, their squared lengths (n,), and the largest length."""
    with device.working():
        xp = device.xp
        stored = device.put(np.ascontiguousarray(rows))
        squares = xp.empty(len(rows), np.float32)
        for part in chunks(device, len(rows), 1):
            wide = widened(xp, stored[part])
            with np.errstate(over="ignore"):
                squares[part] = (wide * wide).sum(axis=1)
        largest = float(xp.sqrt(squares.max())) if len(rows) else 0.0
        return {"rows": stored, "squares": squares, "largest": largest}


def lower(queries: Float32Array, dtype: np.dtype[Any]) -> Lowered:
    wide = queries.astype(np.float64)
    scale = np.abs(queries).max(axis=1, keepdims=True, initial=0)
    scale[scale == 0] = 1
    if dtype == np.float32:
        scale[:] = 1
    units = (wide / scale).astype(np.float32)
    array = to_bfloat16(units) if dtype == np.uint16 else units.astype(dtype)
    back = widened(np, array).astype(np.float64) * scale
    return Lowered(array, scale, np.linalg.norm(wide - back, axis=1), np.linalg.norm(wide, axis=1))


def to_bfloat16(values: Float32Array) -> NDArray[np.uint16]:
    """Rounded to the nearest, ties to even; in uint16."""
    bits = values.view(np.uint32)
    rounded: NDArray[np.uint16] = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return rounded


def chunks(device: Device, n: int, nq: int) -> Iterator[slice]:
    """Parts of n rows whose scores for nq queries stay in the device's cache."""
    step = min(1 << 20, max(1024, device.score_bytes // (4 * max(1, nq))))
    for low in range(0, n, step):
        yield slice(low, min(n, low + step))


def fits(largest: float, queries: Float32Array) -> bool:
    """Whether no product overflows; otherwise the host's kernels answer."""
    longest = float(np.linalg.norm(queries.astype(np.float64), axis=1).max(initial=0))
    return bool(max(longest, largest, longest * largest) < LARGEST)


def scan(
    device: Device,
    held: Mapping[str, Any],
    metric: Metric,
    queries: Float32Array,
    inverse_norms: Float32Array | None,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
) -> None:
    xp, rows = device.xp, held["rows"]
    lowered = lower(queries, rows.dtype)
    asked, scale = device.put(lowered.array), device.put(lowered.scale)
    norms = None if inverse_norms is None else device.put(inverse_norms)
    slack = device.put(slacks(metric, lowered, held["largest"], queries.shape[1]))
    base = device.put(lowered.lengths**2 if metric is Metric.L2 else 1 / np.maximum(lowered.lengths, 1e-300))
    nearest = Nearest(device, len(queries), out_rows.shape[1])
    few = listed(device, allowed, len(rows))
    mask = None if allowed is None or few is not None else mask_of(device, allowed, len(rows))
    for part in chunks(device, len(rows) if few is None else len(few), len(queries)):
        numbers = xp.arange(part.start, part.stop) if few is None else few[part]
        which = part if few is None else numbers
        products = device.products(rows[which], asked) * scale
        if metric is Metric.L2:
            distances = held["squares"][which] - 2 * products + base[:, None].astype(np.float32)
        elif metric is Metric.COSINE:
            assert norms is not None  # checked
            distances = 1 - products * norms[which] * base[:, None].astype(np.float32)
        else:
            distances = -products
        if mask is not None:
            distances = xp.where(mask[part], distances, np.float32(np.nan))
        nearest.add(distances, numbers, slack)
    pairs, numbers, _ = nearest.kept()
    exact = rescored(device, metric, queries, rows, norms, pairs, numbers)
    write_answers(device.get(pairs), device.get(numbers), exact, out_rows, out_distances)


def slacks(metric: Metric, lowered: Lowered, largest: float, dim: int) -> Float32Array:
    """How far a distance by rounded queries may be off (m, 1)."""
    rounding = 2 * (dim + 8) * UNIT
    lost = lowered.lost + rounding * lowered.lengths  # of a product with a row of unit length
    if metric is Metric.COSINE:
        slack = 1.001 * lost / np.maximum(lowered.lengths, 1e-300) + 8 * UNIT
    elif metric is Metric.DOT:
        slack = lost * largest
    else:
        slack = 2 * lost * largest + rounding * (largest**2 + lowered.lengths**2)
    return (1.01 * slack[:, None]).astype(np.float32)


def rescored(
    device: Device,
    metric: Metric,
    queries: Float32Array,
    rows: Any,
    norms: Any | None,
    pairs: Any,
    numbers: Any,
) -> Float32Array:
    """Distances of (query, row) pairs as the reference computes them: pair by pair in float64, rounded once."""
    xp = device.xp
    wide = queries.astype(np.float64)
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        wide = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    asked = device.put(wide)
    out = np.empty(len(numbers), np.float32)
    step = max(1, PAIRS * 64 // max(64, wide.shape[1]))
    for low in range(0, len(numbers), step):
        part = slice(low, low + step)
        own = widened(xp, rows[numbers[part]]).astype(np.float64)
        if metric is Metric.L2:
            own -= asked[pairs[part]]
            distances = (own * own).sum(axis=1)
        else:
            distances = -(own * asked[pairs[part]]).sum(axis=1)
        if norms is not None and metric is Metric.COSINE:
            distances = 1 + distances * norms[numbers[part]]
        with np.errstate(over="ignore"):
            rounded = device.get(distances.astype(np.float32))
        out[part] = np.where(np.isnan(rounded), np.float32(np.inf), rounded)
    return out


def rerank(
    device: Device,
    held: Mapping[str, Any],
    metric: Metric,
    queries: Float32Array,
    inverse_norms: Float32Array | None,
    candidates: Int64Array,
    out_distances: Float32Array,
) -> None:
    out_distances.fill(np.inf)
    asked, places = np.nonzero(candidates >= 0)
    pairs, numbers = device.put(asked), device.put(candidates[asked, places])
    norms = None if inverse_norms is None else device.put(inverse_norms)
    out_distances[asked, places] = rescored(device, metric, queries, held["rows"], norms, pairs, numbers)
