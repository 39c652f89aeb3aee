"""Codes in the layout of `RowCodes`: packing per-row codes into blocks of 32, and searching them.

Quantizers whose codes are numbers themselves (float16, bfloat16, float8, int8, int4, 4-bit Lloyd-Max) share this file.
What a code y stands for is affine in each dim, mid + weight * y; `Folding` moves both into the query, once per search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.kernels.base import Bitmap, CodeKind, Float32Array, Kernels, RowCodes
from vecstore.kernels.encode import row_dots
from vecstore.quantize import table_codes
from vecstore.quantize.base import Codes, Found, Lists, Probes
from vecstore.quantize.table_codes import BLOCK, block_offsets
from vecstore.schema import Metric

_DTYPES: dict[CodeKind, type[np.generic]] = {"float16": np.float16, "bfloat16": np.uint16}


def code_dtype(kind: CodeKind) -> np.dtype[np.generic]:
    return np.dtype(_DTYPES.get(kind, np.uint8))


def pack_rows(
    kind: CodeKind,
    lists: Lists,
    codes: np.ndarray,  # (n, dim): numbers, bytes or nibbles
    factors: Float32Array | None,  # (n, 1 or 2): scale; add
) -> dict[str, np.ndarray]:
    """Per-row arrays, in row order, to the arrays of the scan layout."""
    if kind == "nibble":
        assert factors is not None
        return table_codes.pack(lists, codes, factors)
    offsets, places = block_offsets(lists)
    nblocks, dim = int(offsets[-1]), codes.shape[1]
    width = -(-dim // 8) * 8 if kind == "int8" else dim
    blocks = np.zeros((nblocks * BLOCK, width), codes.dtype)
    blocks[places, :dim] = codes[lists.rows]
    shaped: np.ndarray = blocks.reshape(nblocks, BLOCK, width)
    if kind == "int8":
        shaped = shaped.reshape(nblocks, BLOCK, width // 4, 4).transpose(0, 2, 1, 3)
    rows = np.zeros(nblocks * BLOCK, np.uint32)
    rows[places] = lists.rows
    packed = {"rows": rows, "blocks": np.ascontiguousarray(shaped)}
    if factors is not None:
        placed = np.zeros((nblocks * BLOCK, factors.shape[1]), np.float32)
        placed[places] = factors[lists.rows]
        packed["factors"] = np.ascontiguousarray(placed.reshape(nblocks, BLOCK, -1).transpose(0, 2, 1))
    return packed


@dataclass(frozen=True, slots=True)
class Folding:
    """How a query meets codes y of vectors c + mid + weights * y.

    Relative to the list's centroid c, distances start from list_add; `whole` codes have no centroid, and start from
    |q|^2 or 0 instead. `mid` adds -2 <q, mid> under L2 and -<q, mid> under DOT; what it adds besides is a row's own."""

    metric: Metric
    weights: Float32Array | None = None  # (dim,)
    mid: Float32Array | None = None  # (dim,)
    whole: bool = False

    def start(self, queries: Float32Array, probes: Probes) -> Float32Array:
        """(nq, nprobe)"""
        add = probes.add
        if self.whole:
            squares = row_dots(queries, queries) if self.metric is Metric.L2 else np.zeros(len(queries))
            add = np.repeat(squares.astype(np.float32)[:, None], probes.lists.shape[1], axis=1)
        if self.mid is not None:
            along = row_dots(queries, np.ascontiguousarray(np.broadcast_to(self.mid, queries.shape)))
            add = add - np.float32(2 if self.metric is Metric.L2 else 1) * along.astype(np.float32)[:, None]
        return add

    def queries(self, queries: Float32Array) -> Float32Array:
        return queries if self.weights is None else queries * self.weights


class RowSearch(Codes):
    """Opened row codes."""

    def __init__(
        self,
        kind: CodeKind,
        dim: int,
        folding: Folding,
        arrays: Mapping[str, np.ndarray],
        lists: Lists,
        levels: NDArray[np.int8] | None = None,
        bare: bool = False,
    ) -> None:
        """`levels` (16,) are what nibbles stand for; `bare` codes have no factors. Raises Corruption when an array is
        missing or its shape does not follow from `lists` and `dim`."""
        offsets, places = block_offsets(lists)
        n = int(offsets[-1])
        groups = -(-dim // 8) * (2 if kind == "int8" else 1)
        block = (groups, BLOCK, 4) if kind in ("int8", "nibble") else (BLOCK, dim)
        rows = _checked(arrays, "rows", [(n * BLOCK,)], np.dtype(np.uint32))
        if (rows[places] != lists.rows).any():
            raise Corruption("the codes are of other rows than their lists")
        blocks = _checked(arrays, "blocks", [(n, *block)], code_dtype(kind))
        shapes: list[tuple[int, ...]] = [(n, columns, BLOCK) for columns in (1, 2, 3)]
        if bare:
            factors = np.empty((n, 0, BLOCK), np.float32)
        else:
            factors = _checked(arrays, "factors", shapes, np.dtype(np.float32), np.dtype(np.float16))
        self._folding = folding
        self.codes = RowCodes(kind, offsets, np.diff(lists.offsets), rows, blocks, factors, levels)
        # Candidates that are scored again need no more of a query than a byte; answers do where dims differ in range.
        self._answering = replace(self.codes, query_bytes=2) if kind == "int8" else self.codes

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
        """`eps` does not matter: the codes have no bounds."""
        rows = np.empty((len(queries), m), np.int64)
        distances = np.empty((len(queries), m), np.float32)
        counted = np.zeros((len(queries), 3), np.int64)
        start = self._folding.start(queries, probes)
        codes = self._answering if m <= k else self.codes
        kernels.row_scan(codes, self._folding.queries(queries), probes.lists, start, allowed, rows, distances, counted)
        return Found(rows, distances, {"rows_scanned": int(counted[:, 0].sum())})


def byte_levels(values: Float32Array) -> tuple[NDArray[np.int8], np.float32]:
    """16 numbers as bytes and the step that they are multiples of, for a query's `weights`."""
    step = np.float32(np.abs(values).max()) / np.float32(127)
    return np.rint(values / step).astype(np.int8), step


def _checked(
    arrays: Mapping[str, np.ndarray], name: str, shapes: list[tuple[int, ...]], *dtypes: np.dtype[np.generic]
) -> np.ndarray:
    array = arrays.get(name)
    if array is None:
        raise Corruption(f"codes lack their array {name}")
    if array.dtype not in dtypes or array.shape not in shapes:
        raise Corruption(f"array {name} of codes is {array.dtype} of shape {array.shape}, not {dtypes[0]} {shapes[0]}")
    return array
