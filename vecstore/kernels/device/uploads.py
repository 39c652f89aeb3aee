"""What of each layout of `kernels.base` lies on a device: codes as they are, factors by place, tables in float16.

Tables of numbers that float16 does not hold are split in two (see `layouts`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import ByteCodes, Factors, Float32Array, Int64Array, RowCodes, TableCodes
from vecstore.kernels.device.arrays import LANES, Device, Plans
from vecstore.kernels.row_numpy import float8_values

FLOAT8_UNIT = np.float32(4)  # so that float16 holds all of e5m2, up to 1.75 * 2^16, and of e4m3
FINER = 2048.0  # 2^11: how much smaller the second float16 of a number is


def upload_lists(device: Device, offsets: Int64Array, counts: Int64Array, rows: NDArray[np.uint32]) -> dict[str, Any]:
    """The row of each place, -1 in padding, and its list."""
    numbers = rows.astype(np.int32)
    blocks = np.diff(offsets)
    first, last = int(offsets[0]) * LANES, int(offsets[-1]) * LANES
    ends = np.repeat(offsets[:-1] * LANES + counts, blocks * LANES)
    numbers[:first] = -1
    numbers[last:] = -1
    numbers[first:last][np.arange(first, last) >= ends] = -1
    column = np.zeros(len(rows) // LANES, np.int32)
    column[int(offsets[0]) : int(offsets[-1])] = np.repeat(np.arange(len(counts)), blocks)
    return {"numbers": device.put(numbers), "column": device.put(np.repeat(column, LANES)), "plans": Plans()}


def upload_table(device: Device, codes: TableCodes) -> dict[str, Any]:
    held = upload_lists(device, codes.offsets, codes.counts, codes.rows)
    held |= {"blocks": device.put(codes.blocks), **upload_values(device, codes.table_dims, codes.table_values)}
    if codes.extra is not None and codes.extra_factors is not None:
        assert codes.extra_dims is not None
        assert codes.extra_steps is not None  # checked
        held |= {"extra": device.put(codes.extra), **upload_factors(device, codes.extra_factors)}
        held |= {"extra_dims": device.put(codes.extra_dims), "extra_steps": device.put(codes.extra_steps)}
    else:
        held |= upload_factors(device, _by_place(codes.factors))
    return held


def upload_rows(device: Device, codes: RowCodes) -> dict[str, Any]:
    held = upload_lists(device, codes.offsets, codes.counts, codes.rows)
    held |= {"blocks": device.put(codes.blocks)}
    if codes.factors.shape[1]:
        held |= upload_factors(device, _by_place(codes.factors))
    if codes.kind in ("e4m3", "e5m2"):
        held["values"] = device.put((float8_values(codes.kind) / FLOAT8_UNIT).astype(np.float16))
    if codes.levels is not None:
        held["values"] = device.put(codes.levels)
    return held


def upload_bytes(device: Device, codes: ByteCodes) -> dict[str, Any]:
    held = upload_lists(device, codes.offsets, codes.counts, codes.rows)
    held |= {"codes": device.put(codes.codes), **upload_factors(device, codes.factors)}
    return held | upload_values(device, codes.table_dims, codes.table_values)


def upload_factors(device: Device, factors: Factors) -> dict[str, Any]:
    """The columns of (places, 1 to 3), each (places,) float32."""
    names = ("scale", "add", "error")[: factors.shape[1]]
    return {name: device.put(factors[:, at].astype(np.float32)) for at, name in enumerate(names)}


def _by_place(factors: Factors) -> Factors:
    """Of (nblocks, columns, 32)."""
    return factors.transpose(0, 2, 1).reshape(-1, factors.shape[1])


def upload_values(device: Device, dims: NDArray[np.int32], values: Float32Array) -> dict[str, Any]:
    """Tables (m, w, v) as float16 (m, v, w), times `unit`; and the rest, FINER times as large, where there is one."""
    tables = np.ascontiguousarray(values.transpose(0, 2, 1))
    with np.errstate(over="ignore"):
        exact = bool((tables.astype(np.float16).astype(np.float32) == tables).all())
    scale = 1.0 if exact else float(np.abs(tables).max())
    units = tables / np.float32(scale)
    whole = units.astype(np.float16)
    held = {"dims": device.put(dims), "tables": device.put(tables), "values": device.put(whole), "unit": scale}
    if not exact:
        held["finer"] = device.put(((units - whole.astype(np.float32)) * np.float32(FINER)).astype(np.float16))
    return held
