"""The law of `row_scan`: codes decoded as RowCodes says, products in float64 rounded once, or in exact integers.

Other backends written in Python bring products of their own and share the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, RowCodes
from vecstore.kernels.stop import check_stop

_BLOCK = 32
_PART = 64  # blocks decoded at once
_STOP_BLOCKS = 256  # scored between two looks at whether to stop
FINE = 127 * 128 + 63  # the largest number that two bytes of a query make

# Products of the query, rounded where the kind asks for it, with all rows of the listed blocks: (blocks, 32).
Products = Callable[[RowCodes, NDArray[Any], Int64Array], Float32Array]


def float8_values(kind: str) -> Float32Array:
    """What each byte stands for, by the OCP 8-bit floating point specification; codes for NaN and infinity read as the
    numbers that would stand there."""
    exponent_bits, mantissa_bits, bias = (4, 3, 7) if kind == "e4m3" else (5, 2, 15)
    byte = np.arange(256)
    exponent = byte >> mantissa_bits & (1 << exponent_bits) - 1
    mantissa = (byte & (1 << mantissa_bits) - 1) / (1 << mantissa_bits)
    magnitude = np.where(
        exponent == 0, np.ldexp(mantissa, 1 - bias), np.ldexp(1 + mantissa, np.maximum(exponent, 1) - bias)
    )
    return np.where(byte & 128, -magnitude, magnitude).astype(np.float32)


_FLOAT8 = {kind: float8_values(kind) for kind in ("e4m3", "e5m2")}


def round_query(query: Float32Array) -> tuple[NDArray[np.int8], np.float32]:
    """The query as bytes and their step."""
    step = np.float32(np.abs(query).max(initial=0)) / np.float32(127)
    if not step > 0:  # all zero, or too small to divide by
        return np.zeros(len(query), np.int8), np.float32(0)
    return np.clip(np.rint(query / step), -127, 127).astype(np.int8), step


def round_query_finely(query: Float32Array) -> tuple[NDArray[np.int8], NDArray[np.int8], np.float32]:
    """The query as high and low bytes, 128 * high + low, and their step."""
    step = np.float32(np.abs(query).max(initial=0)) / np.float32(FINE)
    if not step > 0:
        nothing = np.zeros(len(query), np.int8)
        return nothing, nothing, np.float32(0)
    whole = np.clip(np.rint(query / step), -FINE, FINE).astype(np.int32)
    high = (whole + 64) >> 7
    return high.astype(np.int8), (whole - 128 * high).astype(np.int8), step


def values(codes: RowCodes, blocks: Int64Array, dim: int) -> NDArray[np.float64]:
    """What the codes of the listed blocks stand for (blocks, 32, dim)."""
    stored: NDArray[Any] = codes.blocks[blocks]
    if codes.kind == "float16":
        return stored.astype(np.float64)
    if codes.kind == "bfloat16":
        return (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if codes.kind in _FLOAT8:
        numbers: NDArray[np.float64] = _FLOAT8[codes.kind][stored].astype(np.float64)
        return numbers
    rows = stored.transpose(0, 2, 1, 3).reshape(len(blocks), _BLOCK, -1)
    if codes.kind == "int8":
        return rows[:, :, :dim].astype(np.float64) - 128
    assert codes.levels is not None  # checked
    nibbles = np.stack((rows & 15, rows >> 4), axis=3).reshape(len(blocks), _BLOCK, -1)
    wide: NDArray[np.float64] = codes.levels[nibbles[:, :, :dim]].astype(np.float64)
    return wide


def products(codes: RowCodes, query: NDArray[Any], blocks: Int64Array) -> Float32Array:
    out = np.empty((len(blocks), _BLOCK), np.float32)
    wide = query.astype(np.float64)
    for start in range(0, len(blocks), _PART):
        part = blocks[start : start + _PART]
        out[start : start + _PART] = np.einsum("brd,d->br", values(codes, part, len(query)), wide)
    return out


def scan_query(
    codes: RowCodes,
    products: Products,
    query: Float32Array,
    probes: NDArray[np.int32],
    list_add: Float32Array,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_counters: Int64Array,
) -> None:
    """One query of `row_scan`."""
    used = np.flatnonzero(probes >= 0)
    first = codes.offsets[probes[used]]
    sizes = -(-codes.counts[probes[used]] // _BLOCK)
    blocks = np.concatenate([np.empty(0, np.int64), *(a + np.arange(n) for a, n in zip(first, sizes, strict=True))])
    probe = np.repeat(used, sizes)
    keep = _allowed_lanes(codes, blocks, probes[probe], allowed)
    some = keep.any(axis=1)
    blocks, probe, keep = blocks[some], probe[some], keep[some]

    step = np.float32(1)
    asked: NDArray[Any] = query
    low: NDArray[np.int8] | None = None
    if codes.query_bytes == 2:
        asked, low, step = round_query_finely(query)
    elif codes.kind in ("int8", "nibble"):
        asked, step = round_query(query)
    factors = codes.factors[blocks].astype(np.float32)
    base = list_add[probe][:, None]
    if factors.shape[1] > 1:
        base = base + factors[:, 1]
    sums = np.empty((len(blocks), _BLOCK), np.float32)
    for start in range(0, len(blocks), _STOP_BLOCKS):
        check_stop()
        part = slice(start, start + _STOP_BLOCKS)
        sums[part] = products(codes, asked, blocks[part])
        if low is not None:
            sums[part] = np.float32(128) * sums[part] + products(codes, low, blocks[part])
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = step * sums
        distances = (base + (factors[:, 0] * scaled if factors.shape[1] else scaled))[keep]
    distances[np.isnan(distances)] = np.inf
    rows = codes.rows.reshape(-1, _BLOCK)[blocks][keep].astype(np.int64)
    if len(rows) > 4 * len(out_rows) > 0:  # sort only what can be among the best, ties included
        near = distances <= np.partition(distances, len(out_rows) - 1)[len(out_rows) - 1]
        distances_near, rows_near = distances[near], rows[near]
    else:
        distances_near, rows_near = distances, rows
    best = np.lexsort((rows_near, distances_near))[: len(out_rows)]
    out_rows.fill(-1)
    out_distances.fill(np.inf)
    out_rows[: len(best)] = rows_near[best]
    out_distances[: len(best)] = distances_near[best]
    out_counters[:] = len(rows), 0, len(best)


def _allowed_lanes(
    codes: RowCodes, blocks: Int64Array, lists: NDArray[np.int32], allowed: Bitmap | None
) -> NDArray[np.bool_]:
    """Which rows of the blocks take part (blocks, 32): no padding, and the row's bit is set."""
    within = (blocks - codes.offsets[lists])[:, None] * _BLOCK + np.arange(_BLOCK)
    keep: NDArray[np.bool_] = within < codes.counts[lists][:, None]
    if allowed is not None:
        rows = codes.rows.reshape(-1, _BLOCK)[blocks].astype(np.int64)
        inside = rows < len(allowed) * 64
        words = allowed[np.where(inside, rows >> 6, 0)] if len(allowed) else np.zeros(rows.shape, np.uint64)
        keep &= inside & ((words >> (rows & 63).astype(np.uint64)) & np.uint64(1)).astype(bool)
    return keep
