"""What the codes of each layout of `kernels.base` stand for, on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import ByteCodes, Float32Array, RowCodes, TableCodes
from vecstore.kernels.device.arrays import Device, widened
from vecstore.kernels.device.codes import LANES, upload_lists
from vecstore.kernels.row_numpy import float8_values, round_query


def upload_table(device: Device, codes: TableCodes) -> dict[str, Any]:
    held = upload_lists(device, codes.offsets, codes.counts, codes.rows)
    held |= {
        "blocks": device.put(codes.blocks),
        "factors": device.put(codes.factors),
        "values": device.put(np.ascontiguousarray(codes.table_values.transpose(0, 2, 1))),
    }
    if codes.extra is not None and codes.extra_factors is not None:
        held |= {"extra": device.put(codes.extra), "extra_factors": device.put(codes.extra_factors)}
    return held


def upload_rows(device: Device, codes: RowCodes) -> dict[str, Any]:
    held = upload_lists(device, codes.offsets, codes.counts, codes.rows)
    held |= {"blocks": device.put(codes.blocks), "factors": device.put(codes.factors)}
    if codes.kind in ("e4m3", "e5m2"):
        held["values"] = device.put(float8_values(codes.kind))
    if codes.levels is not None:
        held["values"] = device.put(codes.levels)
    return held


def upload_bytes(device: Device, codes: ByteCodes) -> dict[str, Any]:
    held = upload_lists(device, codes.offsets, codes.counts, codes.rows)
    held |= {
        "codes": device.put(codes.codes),
        "factors": device.put(codes.factors),
        "values": device.put(np.ascontiguousarray(codes.table_values.transpose(0, 2, 1))),
    }
    return held


def _columns(factors: Any) -> tuple[Any, Any | None, Any | None]:
    """(places, 1 to 3) as scale, add and error."""
    wide = factors.astype(np.float32)
    columns = [wide[:, at] for at in range(wide.shape[1])] + [None, None]
    return columns[0], columns[1], columns[2]


def _gathered(queries: Float32Array, dims: NDArray[np.int32]) -> Float32Array:
    """Query components by number, 0 for -1."""
    padded = np.concatenate((queries, np.zeros((len(queries), 1), np.float32)), axis=1)
    out: Float32Array = padded[:, dims.ravel()]
    return out


class TableLayout:
    """Both stages at once: the device reads all bits of a row anyway, to hand them to the tensor cores."""

    def __init__(self, device: Device, codes: TableCodes, held: Mapping[str, Any]) -> None:
        self._xp, self._codes, self._held = device.xp, codes, held
        self._first = codes.table_dims.size
        self.width = self._first + (0 if codes.extra_dims is None else len(codes.extra_dims))

    def spread(self, queries: Float32Array) -> tuple[Float32Array, Float32Array]:
        parts = [_gathered(queries, self._codes.table_dims)]
        if self._codes.extra_dims is not None and self._codes.extra_steps is not None:
            parts.append(_gathered(queries, self._codes.extra_dims) * self._codes.extra_steps)
        return np.ascontiguousarray(np.concatenate(parts, axis=1)), np.ones((len(queries), 1), np.float32)

    def numbers(self, blocks: Any) -> Any:
        xp, m = self._xp, len(self._codes.table_dims)
        stored = self._held["blocks"][blocks].transpose(0, 2, 1, 3).reshape(len(blocks) * LANES, -1)
        nibbles = xp.stack((stored & 15, stored >> 4), axis=2).reshape(len(stored), -1)[:, :m]
        first = self._held["values"][xp.arange(m), nibbles].reshape(len(stored), -1)
        if self._codes.extra_runs is None:
            return first
        extra = self._held["extra"].reshape(-1, LANES, self._held["extra"].shape[1])[blocks]
        parts, byte = [first], 0
        extra = extra.reshape(len(stored), -1)
        for bits, count in self._codes.extra_runs.tolist():
            run = extra[:, byte : byte + count * bits // 8]
            byte += count * bits // 8
            for shift in range(0, 8, bits):
                low = (run >> shift & (1 << bits) - 1).astype(np.float32)
                parts.append(low - np.float32(((1 << bits) - 1) / 2))
        return xp.concatenate(parts, axis=1)

    def factors(self, blocks: Any) -> tuple[Any, Any | None, Any | None]:
        if self._codes.extra_factors is not None:
            whole = self._held["extra_factors"]
            return _columns(whole.reshape(-1, LANES, whole.shape[1])[blocks].reshape(-1, whole.shape[1]))
        return _block_factors(self._held["factors"], blocks)


class RowLayout:
    def __init__(self, device: Device, codes: RowCodes, held: Mapping[str, Any], dim: int) -> None:
        self._xp, self._kind, self._held, self.width = device.xp, codes.kind, held, dim

    def spread(self, queries: Float32Array) -> tuple[NDArray[Any], Float32Array]:
        if self._kind not in ("int8", "nibble"):
            return queries, np.ones((len(queries), 1), np.float32)
        rounded = [round_query(query) for query in queries]
        whole = np.array([query for query, _ in rounded], np.int8).reshape(queries.shape)
        return whole, np.array([step for _, step in rounded], np.float32)[:, None]

    def numbers(self, blocks: Any) -> Any:
        xp, stored = self._xp, self._held["blocks"][blocks]
        if self._kind in ("float16", "bfloat16"):
            return widened(xp, stored.reshape(-1, self.width))
        if self._kind in ("e4m3", "e5m2"):
            return self._held["values"][stored.reshape(-1, self.width)]
        rows = stored.transpose(0, 2, 1, 3).reshape(len(blocks) * LANES, -1)
        if self._kind == "int8":
            return (rows[:, : self.width] ^ 128).view(np.int8)  # byte - 128
        nibbles = xp.stack((rows & 15, rows >> 4), axis=2).reshape(len(rows), -1)[:, : self.width]
        return self._held["values"][nibbles]

    def factors(self, blocks: Any) -> tuple[Any, Any | None, Any | None]:
        return _block_factors(self._held["factors"], blocks)


class ByteLayout:
    def __init__(self, device: Device, codes: ByteCodes, held: Mapping[str, Any]) -> None:
        self._xp, self._codes, self._held = device.xp, codes, held
        self.width = codes.table_dims.size

    def spread(self, queries: Float32Array) -> tuple[Float32Array, Float32Array]:
        return np.ascontiguousarray(_gathered(queries, self._codes.table_dims)), np.ones((len(queries), 1), np.float32)

    def numbers(self, blocks: Any) -> Any:
        m = len(self._codes.table_dims)
        stored = self._held["codes"].reshape(-1, LANES, m)[blocks].reshape(-1, m)
        return self._held["values"][self._xp.arange(m), stored].reshape(len(stored), -1)

    def factors(self, blocks: Any) -> tuple[Any, Any | None, Any | None]:
        return _columns(self._held["factors"].reshape(-1, LANES, 2)[blocks].reshape(-1, 2))


def _block_factors(factors: Any, blocks: Any) -> tuple[Any, Any | None, Any | None]:
    """Of (nblocks, 1 to 3, 32)."""
    own = factors[blocks].transpose(0, 2, 1)
    return _columns(own.reshape(-1, own.shape[2]))
