"""Random row codes, read value by value, and the float64 answers of `row_scan`, written without the library."""

from __future__ import annotations

from typing import Literal

import numpy as np
from masks import bitmap
from oracle import EPS

from vecstore.kernels.base import CodeKind, Kernels, RowCodes

LANES = 32
KINDS: tuple[CodeKind, ...] = ("float16", "bfloat16", "e4m3", "e5m2", "int8", "nibble")
EXACT = ("int8", "nibble")


def random_codes(
    rng: np.random.Generator,
    kind: CodeKind,
    dim: int,
    counts: list[int],
    columns: int,
    half: bool = False,
    query_bytes: Literal[1, 2] = 1,
) -> RowCodes:
    """Lists of the given sizes over shuffled row numbers; padding holds noise."""
    sizes = np.array(counts, np.int64)
    offsets = np.concatenate([[0], np.cumsum(-(-sizes // LANES))]).astype(np.int64)
    nblocks = int(offsets[-1])
    if kind == "float16":
        blocks = rng.standard_normal((nblocks, LANES, dim)).astype(np.float16)
    elif kind == "bfloat16":
        wide = rng.standard_normal((nblocks, LANES, dim)).astype(np.float32)
        blocks = (wide.view(np.uint32) >> 16).astype(np.uint16)
    elif kind in ("e4m3", "e5m2"):  # every number of the format but infinity and NaN
        largest = 0x7E if kind == "e4m3" else 0x7B
        blocks = rng.integers(0, largest + 1, (nblocks, LANES, dim)) | rng.integers(0, 2, (nblocks, LANES, dim)) << 7
        blocks = blocks.astype(np.uint8)
    else:
        groups = -(-dim // 8) * (2 if kind == "int8" else 1)
        blocks = rng.integers(0, 256, (nblocks, groups, LANES, 4)).astype(np.uint8)
    rows = rng.permutation(nblocks * LANES).astype(np.uint32)
    factors = rng.standard_normal((nblocks, columns, LANES)).astype(np.float16 if half else np.float32)
    levels = rng.integers(-128, 128, 16).astype(np.int8)
    return RowCodes(kind, offsets, sizes, rows, blocks, factors, levels if kind == "nibble" else None, query_bytes)


def value(codes: RowCodes, place: int, dim: int) -> np.ndarray:
    """What one row's code stands for (dim,), float64."""
    block, lane = divmod(place, LANES)
    if codes.kind in EXACT:
        stored = codes.blocks[block, :, lane].reshape(-1).astype(int)
        if codes.kind == "int8":
            return (stored[:dim] - 128).astype(np.float64)
        nibbles = [half for byte in stored.tolist() for half in (byte & 15, byte >> 4)]
        return np.array([float(codes.levels[nibble]) for nibble in nibbles[:dim]])
    stored = codes.blocks[block, lane]
    if codes.kind == "float16":
        return stored.astype(np.float64)
    if codes.kind == "bfloat16":
        return (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    mantissa_bits, bias = (3, 7) if codes.kind == "e4m3" else (2, 15)
    found = []
    for byte in stored.tolist():
        exponent, mantissa = byte >> mantissa_bits & (127 >> mantissa_bits), byte & (1 << mantissa_bits) - 1
        part = mantissa / (1 << mantissa_bits)
        magnitude = part * 2.0 ** (1 - bias) if exponent == 0 else (1 + part) * 2.0 ** (exponent - bias)
        found.append(-magnitude if byte & 128 else magnitude)
    return np.array(found)


def reference(
    codes: RowCodes, query: np.ndarray, probes: np.ndarray, list_add: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, distances and the error allowed for each, of all allowed rows of the probed lists. For exact kinds the
    distances are float32, computed in the order that RowCodes prescribes."""
    step = np.float32(1)
    asked = query.astype(np.float64)
    if codes.kind in EXACT:
        step = np.float32(np.abs(query).max()) / np.float32(127)
        asked = np.clip(np.rint(query / step), -127, 127).astype(np.float64) if step else np.zeros(len(query))
    if codes.query_bytes == 2:
        step = np.float32(np.abs(query).max()) / np.float32(16319)
        asked = np.rint(query / step).astype(np.float64) if step else np.zeros(len(query))
        high = np.floor((asked + 64) / 128)
        low = asked - 128 * high
    rows, distances, errors = [], [], []
    for p, listed in enumerate(probes.tolist()):
        for within in range(codes.counts[listed] if listed >= 0 else 0):
            place = int(codes.offsets[listed]) * LANES + within
            row = int(codes.rows[place])
            if mask is not None and not (row < len(mask) and mask[row]):
                continue
            values = value(codes, place, len(query))
            own = codes.factors[place // LANES, :, place % LANES].astype(np.float32).tolist()
            scale, add = (np.float32(x) for x in ([*own, 0] if own else [1, 0])[:2])
            product = np.float32(asked @ values)
            if codes.query_bytes == 2:
                product = np.float32(128) * np.float32(high @ values) + np.float32(low @ values)
            rows.append(row)
            distances.append((list_add[p] + add) + scale * (step * product))
            terms = np.abs(asked * values).sum() * abs(scale) + abs(list_add[p]) + abs(add)
            errors.append(0.0 if codes.kind in EXACT else (8 + len(query) / 4) * EPS * terms)
    return np.array(rows, np.int64), np.array(distances, np.float32), np.array(errors)


def scan(
    kernels: Kernels,
    codes: RowCodes,
    queries: np.ndarray,
    probes: np.ndarray,
    list_add: np.ndarray,
    m: int,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, distances = np.full((len(queries), m), -7, np.int64), np.full((len(queries), m), np.nan, np.float32)
    counters = np.full((len(queries), 3), -7, np.int64)
    allowed = None if mask is None else bitmap(mask)
    kernels.row_scan(codes, queries, probes, list_add, allowed, rows, distances, counters)
    return rows, distances, counters
