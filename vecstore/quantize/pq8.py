"""Codes of bytes in the layout of `ByteCodes`: packing them, and searching them by table look-up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vecstore.errors import Corruption
from vecstore.kernels.base import Bitmap, ByteCodes, Float32Array, Kernels, UInt8Array
from vecstore.quantize.base import Codes, Found, Lists, Probes
from vecstore.quantize.table_codes import BLOCK, Tables, block_offsets


def pack_bytes(lists: Lists, codes: UInt8Array, factors: Float32Array) -> dict[str, np.ndarray]:
    """Codes (n, m) and factors (n, 2), in row order, to the arrays of the scan layout."""
    offsets, places = block_offsets(lists)
    length = int(offsets[-1]) * BLOCK
    arrays: dict[str, np.ndarray] = {
        "rows": np.zeros(length, np.uint32),
        "codes": np.zeros((length, codes.shape[1]), np.uint8),
        "factors": np.zeros((length, factors.shape[1]), np.float32),
    }
    for name, stored in (("rows", lists.rows), ("codes", codes[lists.rows]), ("factors", factors[lists.rows])):
        arrays[name][places] = stored
    return arrays


class ByteSearch(Codes):
    """Opened byte codes."""

    def __init__(self, arrays: Mapping[str, np.ndarray], lists: Lists, tables: Tables) -> None:
        """Raises Corruption when an array is missing or its shape does not follow from `lists` and `tables`."""
        offsets, places = block_offsets(lists)
        length = int(offsets[-1]) * BLOCK
        expected: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            "rows": (np.uint32, (length,)),
            "codes": (np.uint8, (length, len(tables.table_dims))),
            "factors": (np.float32, (length, 2)),
        }
        for name, (dtype, shape) in expected.items():
            array = arrays.get(name)
            if array is None:
                raise Corruption(f"codes lack their array {name}")
            if array.dtype != dtype or array.shape != shape:
                want = f"{np.dtype(dtype)} {shape}"
                raise Corruption(f"array {name} of codes is {array.dtype} of shape {array.shape}, not {want}")
        if (arrays["rows"][places] != lists.rows).any():
            raise Corruption("the codes are of other rows than their lists")
        self.codes = ByteCodes(
            offsets, np.diff(lists.offsets), arrays["rows"], arrays["codes"], arrays["factors"],
            tables.table_dims, tables.table_values,
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
        counted = np.zeros((len(queries), 3), np.int64)
        kernels.byte_scan(self.codes, queries, probes.lists, probes.add, allowed, rows, distances, counted)
        return Found(rows, distances, {"rows_scanned": int(counted[:, 0].sum())})
