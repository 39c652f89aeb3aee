"""Candidates of the Numba backend's graph loops, in ascending arrays, and rows as bits.

A candidate of a walk is one int64: the estimate's bits, made to sort as integers, above the row, above a bit that says
whether its neighbours were looked at.
"""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def prefetch(_context: Any, rows: Any, _row: Any) -> Any:
    """Begin to read the first cache line of a row of a 2-dimensional array."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        place = [args[1], context.get_constant(types.intp, 0)]
        pointer = cgutils.get_item_pointer(context, builder, signature.args[0], array, place)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(fetch, [builder.bitcast(pointer, byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(rows, types.intp), code


@njit(nogil=True, cache=True)
def key_of(value: float, row: int) -> Any:
    bits = np.int64(np.float32(value).view(np.int32))
    if bits < 0:
        bits ^= 0x7FFFFFFF
    return bits << 32 | row << 1


@njit(nogil=True, cache=True)
def row_of(key: int) -> Any:
    return (key & 0xFFFFFFFF) >> 1


@njit(nogil=True, cache=True)
def estimate_of(key: int) -> Any:
    bits = key >> 32
    if bits < 0:
        bits ^= 0x7FFFFFFF
    return np.int32(bits).view(np.float32)


@njit(nogil=True, cache=True)
def insert(keys: Any, size: int, key: int) -> Any:
    """Into the first `size` keys, ascending; the last falls out where there is no room. Returns the key's place."""
    place, length = 0, size
    while length > 0:
        half = length // 2
        if keys[place + half] < key:
            place += half + 1
            length -= half + 1
        else:
            length = half
    if place < len(keys):
        for i in range(min(size, len(keys) - 1), place, -1):
            keys[i] = keys[i - 1]
        keys[place] = key
    return place


@njit(nogil=True, cache=True)
def is_set(words: Any, row: int) -> Any:
    return (words[row >> 6] >> (row & 63)) & 1 != 0


@njit(nogil=True, cache=True)
def mark(words: Any, row: int) -> None:
    words[row >> 6] |= np.int64(1) << (row & 63)
