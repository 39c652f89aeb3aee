"""Codes in the layout of `TableCodes`: packing per-row codes into blocks of 32, and searching them.

Quantizers whose first stage is nibbles (RaBitQ, SAQ, Lloyd-Max, 4-bit PQ, int4) share this file. A quantizer hands
`pack` its per-row arrays, and `TableSearch` the part of a query's tables that does not depend on rows (`Tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.kernels.base import Bitmap, Factors, Float32Array, Int64Array, Kernels, TableCodes, UInt8Array
from vecstore.quantize.base import Codes, Found, Lists, Probes

BLOCK = 32
COUNTERS = ("rows_scanned", "rows_refined", "rows_within_bounds")


@dataclass(frozen=True, slots=True)
class Tables:
    """How tables and stage two depend on a query: see TableCodes."""

    table_dims: NDArray[np.int32]
    table_values: Float32Array
    extra_runs: NDArray[np.int32] | None = None
    extra_dims: NDArray[np.int32] | None = None
    extra_steps: Float32Array | None = None

    @property
    def extra_bytes(self) -> int:
        return 0 if self.extra_runs is None else int((self.extra_runs[:, 0] * self.extra_runs[:, 1]).sum()) // 8


def block_offsets(lists: Lists) -> tuple[Int64Array, Int64Array]:
    """The first block of each list (nlist + 1,), and the place of each row in list order (n,)."""
    counts = np.diff(lists.offsets)
    offsets = np.zeros(lists.nlist + 1, np.int64)
    np.cumsum((counts + BLOCK - 1) // BLOCK, out=offsets[1:])
    places = np.arange(len(lists.rows)) + np.repeat(offsets[:-1] * BLOCK - lists.offsets[:-1], counts)
    return offsets, places


def pack(
    lists: Lists,
    nibbles: UInt8Array,  # (n, m), values 0..15
    factors: Factors,  # (n, 1 to 3)
    extra: UInt8Array | None = None,  # (n, extra_bytes)
    extra_factors: Factors | None = None,  # (n, 1 to 3)
) -> dict[str, np.ndarray]:
    """Per-row arrays, in row order, to the arrays of the scan layout."""
    offsets, places = block_offsets(lists)
    nblocks = int(offsets[-1])

    def placed(array: np.ndarray) -> np.ndarray:
        out = np.zeros((nblocks * BLOCK, *array.shape[1:]), array.dtype)
        out[places] = array[lists.rows]
        return out

    groups = -(-nibbles.shape[1] // 8)
    whole = np.zeros((len(nibbles), groups * 8), np.uint8)
    whole[:, : nibbles.shape[1]] = nibbles
    stored = placed(whole[:, ::2] | whole[:, 1::2] << 4)
    blocks = stored.reshape(nblocks, BLOCK, groups, 4).transpose(0, 2, 1, 3)
    arrays = {
        "rows": placed(np.arange(int(lists.rows.max(initial=0)) + 1, dtype=np.uint32)),
        "blocks": np.ascontiguousarray(blocks),
        "factors": np.ascontiguousarray(placed(factors).reshape(nblocks, BLOCK, -1).transpose(0, 2, 1)),
    }
    if extra is not None and extra_factors is not None:
        arrays |= {"extra": placed(extra), "extra_factors": placed(extra_factors)}
    return arrays


class TableSearch(Codes):
    """Opened table codes."""

    def __init__(self, arrays: Mapping[str, np.ndarray], lists: Lists, tables: Tables) -> None:
        """Raises Corruption when an array is missing or its shape does not follow from `lists` and `tables`."""
        offsets, places = block_offsets(lists)
        n = int(offsets[-1])
        _check(arrays, "rows", (n * BLOCK,), (np.uint32,))
        if (arrays["rows"][places] != lists.rows).any():
            raise Corruption("the codes are of other rows than their lists")
        _check(arrays, "blocks", (n, -(-len(tables.table_dims) // 8), BLOCK, 4), (np.uint8,))
        _check(arrays, "factors", (n, -1, BLOCK), (np.float32, np.float16))
        if tables.extra_runs is not None:
            _check(arrays, "extra", (n * BLOCK, tables.extra_bytes), (np.uint8,))
            _check(arrays, "extra_factors", (n * BLOCK, -1), (np.float32, np.float16))
        self.codes = TableCodes(
            offsets, np.diff(lists.offsets), arrays["rows"], arrays["blocks"], arrays["factors"],
            tables.table_dims, tables.table_values, arrays.get("extra"), arrays.get("extra_factors"),
            tables.extra_runs, tables.extra_dims, tables.extra_steps,
        )  # fmt: skip

    def search(
        self,
        kernels: Kernels,
        queries: Float32Array,
        probes: Probes,
        k: int,
        m: int,
        allowed: Bitmap | None,
        eps: float,
    ) -> Found:
        rows = np.empty((len(queries), m), np.int64)
        distances = np.empty((len(queries), m), np.float32)
        counted = np.zeros((len(queries), len(COUNTERS)), np.int64)
        kernels.table_scan(
            self.codes, queries, probes.lists, probes.add, probes.radius, k, eps, allowed, rows, distances, counted
        )
        return Found(rows, distances, dict(zip(COUNTERS, counted.sum(0).tolist(), strict=True)))


def _check(
    arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], dtypes: tuple[type[np.generic], ...]
) -> None:
    array = arrays.get(name)
    if array is None:
        raise Corruption(f"codes lack their array {name}")
    fits = array.ndim == len(shape) and all(
        want in (-1, got) and (want != -1 or 1 <= got <= 3) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype not in [np.dtype(dtype) for dtype in dtypes]:
        raise Corruption(f"array {name} of codes is {array.dtype} of shape {array.shape}, not {dtypes[0]} {shape}")
