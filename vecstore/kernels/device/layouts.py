"""How a batch of queries meets the codes of each layout of `kernels.base` on a device.

Numbers that codes stand for are unpacked as float16 where that holds them, and queries come as the sum of two float16
vectors (parts.py): the tensor cores' products are those of float32. Tables of numbers that float16 does not hold are
split in the same way. Bytes and nibbles of RowCodes are products of int8, exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from vecstore.kernels.base import RowCodes, TableCodes
from vecstore.kernels.device.arrays import LANES, Device
from vecstore.kernels.device.blocks import Blocks
from vecstore.kernels.device.parts import in_parts
from vecstore.kernels.device.uploads import FINER, FLOAT8_UNIT
from vecstore.kernels.row_numpy import FINE

ALIGNED = 16  # columns: what tensor cores want of a row
TABLE_BYTES = 48 << 10  # of a query's tables, in a block's shared memory


def lines_of(xp: Any, array: Any, queries: Any | None, nq: int) -> Any:
    """Of lines (p * nq, d), part by part, those of some queries (p * s, d)."""
    if queries is None:
        return array
    width = array.shape[1]
    return xp.take(array.reshape(-1, nq, width), queries, axis=1).reshape(-1, width)


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
        self._nq, self._first, self._rest = len(queries), first, rest
        self._shape = m, w
        few = self._looked_up(len(queries))
        self.lines = len(queries) if few else len(self._spread.array)
        self.unpacked = 0 if few else 2 * self._spread.stride

    def _looked_up(self, nq: int) -> bool:
        return nq <= self._device.few_tables and self._shape[0] * 64 <= TABLE_BYTES

    @cached_property
    def _tables(self) -> Any:
        """(nq, m, 16)"""
        values = self._held["tables"]  # (m, 16, w)
        m, w = self._shape
        return (self._first.reshape(-1, m, 1, w) * values).sum(axis=3)

    @cached_property
    def _ones(self) -> Any:
        return self._device.xp.ones(self._nq, np.float32)

    @cached_property
    def _spread(self) -> _Spread:
        return _Spread(self._device, self._held, self._first, self._rest)

    def products(self, blocks: Blocks, queries: Any | None) -> tuple[Any, Any]:
        xp = self._device.xp
        if self._looked_up(self._nq if queries is None else len(queries)):
            return self._sums(blocks, queries), self._ones
        array = lines_of(xp, self._spread.array, queries, self._nq)
        return self._device.products(self._unpacked(blocks), array), self._spread.step

    def _sums(self, blocks: Blocks, queries: Any | None) -> Any:
        device, held = self._device, self._held
        tables = self._tables if queries is None else device.xp.take(self._tables, queries, axis=0)
        sums = device.table_sums(held["blocks"], blocks, tables)
        at = 0
        for begin, bits, count in self._runs:
            part = device.xp.ascontiguousarray(lines_of(device.xp, self._rest, queries, self._nq)[:, at : at + count])
            device.add_run_sums(held["extra"], blocks, begin, bits, part, sums)
            at += count
        return sums

    def _unpacked(self, blocks: Blocks) -> Any:
        device, held, spread = self._device, self._held, self._spread
        out = spread.room(device, blocks)
        device.unpack_tables(held["blocks"], blocks, held["values"], out, 0)
        if "finer" in held:
            device.unpack_tables(held["blocks"], blocks, held["finer"], out, spread.finer_at)
        at = spread.rest_at
        for begin, bits, count in self._runs:
            device.unpack_run(held["extra"], blocks, begin, bits, count, out, at)
            at += count
        return out


class AskedRows:
    def __init__(self, device: Device, codes: RowCodes, held: Mapping[str, Any], queries: Any) -> None:
        xp = device.xp
        self._device, self._kind, self._held, self._dim = device, codes.kind, held, queries.shape[1]
        self._fine = codes.query_bytes == 2
        if codes.kind in ("int8", "nibble"):
            self._stride = -(-self._dim // ALIGNED) * ALIGNED
            self._array, self._step = (_rounded_finely if self._fine else _rounded)(xp, queries, self._stride)
            self.unpacked = self._stride
        else:
            self._array, self._step = in_parts(xp, queries, np.uint16 if codes.kind == "bfloat16" else np.float16)
            if codes.kind in ("e4m3", "e5m2"):
                self._step = self._step * FLOAT8_UNIT
            self.unpacked = 2 * self._dim
        self._nq, self.lines = len(queries), len(self._array)

    def products(self, blocks: Blocks, queries: Any | None) -> tuple[Any, Any]:
        asked = lines_of(self._device.xp, self._array, queries, self._nq)
        found = self._device.products(self._unpacked(blocks), asked)
        if self._fine:
            both = found.astype(np.float32)
            some = len(both) // 2
            found = np.float32(128) * both[:some] + both[some:]
        return found, self._step

    def _unpacked(self, blocks: Blocks) -> Any:
        stored, values = self._held["blocks"], self._held.get("values")
        if self._kind in ("int8", "nibble"):
            return self._device.unpack_words(stored, blocks, values, self._dim, self._stride)
        rows = blocks.of(stored).reshape(-1, self._dim)
        return rows if self._kind in ("float16", "bfloat16") else self._held["values"][rows]


class AskedBytes:
    def __init__(self, device: Device, held: Mapping[str, Any], queries: Any) -> None:
        self._device, self._held = device, held
        first = gathered(device.xp, queries, held["dims"])
        self._spread = _Spread(device, held, first, None)
        self._nq, self.lines, self.unpacked = len(queries), len(self._spread.array), 2 * self._spread.stride

    def products(self, blocks: Blocks, queries: Any | None) -> tuple[Any, Any]:
        device, held, spread = self._device, self._held, self._spread
        out = spread.room(device, blocks)
        device.unpack_bytes(held["codes"], blocks, held["values"], out, 0)
        if "finer" in held:
            device.unpack_bytes(held["codes"], blocks, held["finer"], out, spread.finer_at)
        return device.products(out, lines_of(device.xp, spread.array, queries, self._nq)), spread.step


def _rounded_finely(xp: Any, queries: Any, stride: int) -> tuple[Any, Any]:
    """High bytes of all queries, then low bytes (2m, stride), and their steps (m,), as `row_numpy.round_query_finely`
    rounds them."""
    m, dim = queries.shape
    step = xp.abs(queries).max(axis=1).astype(np.float32) / np.float32(FINE)
    positive = step > 0
    units = xp.clip(xp.rint(queries / xp.where(positive, step, np.float32(1))[:, None]), -FINE, FINE)
    whole = xp.where(positive[:, None], units, 0).astype(np.int32)
    high = (whole + 64) >> 7
    out = xp.zeros((2 * m, stride), np.int8)
    out[:m, :dim] = high.astype(np.int8)
    out[m:, :dim] = (whole - 128 * high).astype(np.int8)
    return out, xp.where(positive, step, np.float32(0))


def _rounded(xp: Any, queries: Any, stride: int) -> tuple[Any, Any]:
    """Queries as int8 (m, stride) and their steps (m,), bit by bit as `row_numpy.round_query` rounds them."""
    step = xp.abs(queries).max(axis=1).astype(np.float32) / np.float32(127)
    positive = step > 0
    units = xp.clip(xp.rint(queries / xp.where(positive, step, np.float32(1))[:, None]), -127, 127)
    out = xp.zeros((len(queries), stride), np.int8)
    out[:, : queries.shape[1]] = xp.where(positive[:, None], units, 0).astype(np.int8)
    return out, xp.where(positive, step, np.float32(0))
