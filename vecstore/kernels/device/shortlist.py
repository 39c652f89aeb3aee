"""The candidates of a batch on a device, and what turns a product into a distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

NO_BOUND = np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass(slots=True)
class Shortlist:
    """Of each query the candidates that may be among its k nearest, in any order, as keys: the bits of the distance,
    ordered as unsigned numbers, above those of the row. Where distances are known up to a slack, the key holds the
    largest that the distance can be, and `distances` what it is thought to be."""

    k: int
    keys: Any  # (m, room) uint64
    distances: Any | None  # (m, room) float32, where there is a slack
    counts: Any  # (m,) uint32; more than `room` have arrived where some were lost
    bounds: Any  # (m,) uint64: keys above cannot be among the k nearest
    lost: Any  # (m,) uint8: 1 where the candidates are not complete

    @property
    def room(self) -> int:
        return int(self.keys.shape[1])


@dataclass(frozen=True, slots=True)
class Terms:
    """distance = (start + add) + scale * sum of (step * product), off by spread * error at most.

    By query m, list l, row c of the chunk, and part p of a query that is the sum of several.
    """

    step: Any  # (p * m,) float32
    start: Any  # (m, l) float32; NaN: the query does not visit the list
    spread: Any | None = None  # (m, l) float32
    column: Any | None = None  # (c,) int32, the list of each row; left out: 0
    add: Any | None = None  # (c,) float32
    scale: Any | None = None  # (c,) float32
    error: Any | None = None  # (c,) float32
    numbers: Any | None = None  # (c,) int32, the row's number, -1 for none; left out: first, first + 1, ...
    first: int = 0
    allowed: Any | None = None  # (words,) uint64, a bitmap over row numbers; rows past its end are not allowed
    queries: Any | None = None  # (s,) int32, none twice: products (p * s, c) are those of these alone; left out: of all


@dataclass(frozen=True, slots=True)
class Ready:
    """Queries made ready for products with rows, as `array * scale`, and the terms of their distances."""

    array: Any  # (m, d), of the rows' type
    step: Any  # (m,) float32
    start: Any  # (m, 1) float32
    spread: Any  # (m, 1) float32: how far a distance may be off
    lengths: Any  # (m,) float64
    lost: Any  # (m,) uint8: 1 where a product may overflow


def key_of(distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """numpy's: float32 distances, without NaN, and rows below 2^32."""
    bits = (distances + np.float32(0)).view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000)).astype(np.uint64)
    keys: np.ndarray = ordered << np.uint64(32) | rows.astype(np.uint64)
    return keys


def distance_of(keys: np.ndarray) -> np.ndarray:
    ordered = (keys >> np.uint64(32)).astype(np.uint32)
    bits: np.ndarray = np.where(ordered >> 31, ordered & np.uint32(0x7FFFFFFF), ~ordered)
    return bits.view(np.float32)
