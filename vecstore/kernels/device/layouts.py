"""How a batch of queries meets the codes of each layout of `kernels.base` on a device.

Numbers that codes stand for are unpacked as float16 where that holds them, and queries come as the sum of two float16
vectors (parts.py): the tensor cores' products are those of float32. Tables of numbers that float16 does not hold are
split in the same way. Bytes and nibbles of RowCodes are products of int8, exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vecstore.kernels.base import RowCodes, TableCodes
from vecstore.kernels.device.arrays import LANES, Device
from vecstore.kernels.device.blocks import Blocks
from vecstore.kernels.device.parts import in_parts
from vecstore.kernels.device.uploads import FINER, FLOAT8_UNIT

ALIGNED = 16  # columns: what tensor cores want of a row
TABLE_BYTES = 48 << 10  # of a query's tables, in a block's shared memory


def gathered(xp: Any, queries: Any, dims: Any) -> Any:
    """Query components by number, 0 for -1."""
    padded = xp.concatenate((queries, xp.zeros((len(queries), 1), np.float32)), axis=1)
    return padded[:, dims.ravel()]


class _Spread:
    """Float16 columns of a code's numbers, with the queries that meet them: [values, finer values, fields of runs]."""

    def __init__(self, device: Device, held: Mapping[str, Any], first: Any, rest: Any | None) -> None:
        """Query components (m, c) that meet the values, and those (m, e) that meet what else there is."""
        xp, self.scale = device.xp, np.float32(held["unit"])
        columns = [first * self.scale]
        if "finer" in held:
            columns.append(first * np.float32(self.scale / FINER))
        self.rest_at = sum(column.shape[1] for column in columns)
        if rest is not None:
            columns.append(rest)
        self.width = sum(column.shape[1] for column in columns)
        self.stride = -(-self.width // ALIGNED) * ALIGNED
        columns.append(xp.zeros((len(first), self.stride - self.width), np.float32))
        self.array, self.step = in_parts(xp, xp.concatenate(columns, axis=1), np.float16)
        self.finer_at = first.shape[1]

    def room(self, device: Device, blocks: Blocks) -> Any:
        out = device.xp.empty((blocks.count * LANES, self.stride), np.float16)
        out[:, self.width :] = 0
        return out


class AskedTable:
    """Both stages at once: the device reads all bits of a row anyway, to hand them to the tensor cores."""

    def __init__(self, device: Device, codes: TableCodes, held: Mapping[str, Any], queries: Any) -> None:
        xp = device.xp
        self._device, self._held = device, held
        first = gathered(xp, queries, held["dims"])
        self._runs: list[tuple[int, int, int]] = []  # begin, bits, count
        rest: Any = None
        if "extra" in held and codes.extra_runs is not None:
            rest = gathered(xp, queries, held["extra_dims"]) * held["extra_steps"]
            begin = 0
            for bits, count in codes.extra_runs.tolist():
                self._runs.append((begin, bits, count))
                begin += bits * count // 8
        m, w = codes.table_dims.shape
        self._tables: Any | None = None
        if len(queries) <= device.few_tables and m * 64 <= TABLE_BYTES:
            values = held["tables"]  # (m, 16, w)
            self._tables = (first.reshape(-1, m, 1, w) * values).sum(axis=3)
            self._rest, self.unpacked = rest, 0
            self.step = xp.ones(len(queries), np.float32)
        else:
            self._spread = _Spread(device, held, first, rest)
            self.step, self.unpacked = self._spread.step, 2 * self._spread.stride

    def products(self, blocks: Blocks) -> Any:
        device, held = self._device, self._held
        if self._tables is not None:
            sums = device.table_sums(held["blocks"], blocks, self._tables)
            at = 0
            for begin, bits, count in self._runs:
                part = device.xp.ascontiguousarray(self._rest[:, at : at + count])
                device.add_run_sums(held["extra"], blocks, begin, bits, part, sums)
                at += count
            return sums
        spread = self._spread
        out = spread.room(device, blocks)
        device.unpack_tables(held["blocks"], blocks, held["values"], out, 0)
        if "finer" in held:
            device.unpack_tables(held["blocks"], blocks, held["finer"], out, spread.finer_at)
        at = spread.rest_at
        for begin, bits, count in self._runs:
            device.unpack_run(held["extra"], blocks, begin, bits, count, out, at)
            at += count
        return device.products(out, spread.array)


class AskedRows:
    def __init__(self, device: Device, codes: RowCodes, held: Mapping[str, Any], queries: Any) -> None:
        xp = device.xp
        self._device, self._kind, self._held, self._dim = device, codes.kind, held, queries.shape[1]
        if codes.kind in ("int8", "nibble"):
            self._stride = -(-self._dim // ALIGNED) * ALIGNED
            self._array, self.step = _rounded(xp, queries, self._stride)
            self.unpacked = self._stride
        else:
            self._array, self.step = in_parts(xp, queries, np.uint16 if codes.kind == "bfloat16" else np.float16)
            if codes.kind in ("e4m3", "e5m2"):
                self.step = self.step * FLOAT8_UNIT
            self.unpacked = 2 * self._dim

    def products(self, blocks: Blocks) -> Any:
        device, stored = self._device, self._held["blocks"]
        if self._kind in ("int8", "nibble"):
            levels = self._held.get("values")
            return device.products(device.unpack_words(stored, blocks, levels, self._dim, self._stride), self._array)
        rows = blocks.of(stored).reshape(-1, self._dim)
        return device.products(
            rows if self._kind in ("float16", "bfloat16") else self._held["values"][rows], self._array
        )


class AskedBytes:
    def __init__(self, device: Device, held: Mapping[str, Any], queries: Any) -> None:
        self._device, self._held = device, held
        first = gathered(device.xp, queries, held["dims"])
        self._spread = _Spread(device, held, first, None)
        self.step, self.unpacked = self._spread.step, 2 * self._spread.stride

    def products(self, blocks: Blocks) -> Any:
        device, held, spread = self._device, self._held, self._spread
        out = spread.room(device, blocks)
        device.unpack_bytes(held["codes"], blocks, held["values"], out, 0)
        if "finer" in held:
            device.unpack_bytes(held["codes"], blocks, held["finer"], out, spread.finer_at)
        return device.products(out, spread.array)


def _rounded(xp: Any, queries: Any, stride: int) -> tuple[Any, Any]:
    """Queries as int8 (m, stride) and their steps (m,), bit by bit as `row_numpy.round_query` rounds them."""
    step = xp.abs(queries).max(axis=1).astype(np.float32) / np.float32(127)
    positive = step > 0
    units = xp.clip(xp.rint(queries / xp.where(positive, step, np.float32(1))[:, None]), -127, 127)
    out = xp.zeros((len(queries), stride), np.int8)
    out[:, : queries.shape[1]] = xp.where(positive[:, None], units, 0).astype(np.int8)
    return out, xp.where(positive, step, np.float32(0))
