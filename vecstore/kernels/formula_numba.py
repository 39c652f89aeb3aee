"""The machine of `formula` for the Numba backend: compiled once for all programs, and kept on disk."""

# mypy: ignore-errors
# The bodies are in Numba's language: see numba_loops.

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from vecstore.kernels.formula import NUMBA_ROWS, OPS

_CONSTANT, _COLUMN, _NEG, _ABS, _SQRT, _EXP, _LOG, _LOG10, _SQUARE = (OPS.index(op) for op in OPS[:9])
_ADD, _SUB, _MUL, _DIV, _POW, _MIN, _MAX, _LT, _LTE, _GT, _GTE, _EQ, _NE, _WHERE = (OPS.index(op) for op in OPS[9:])


@njit(nogil=True, cache=True, error_model="numpy")
def run_rows(code: Any, constants: Any, columns: Any, low: int, high: int, stack: Any, out: Any) -> None:
    """Rows low..high-1 of (n,) `out`, for a program that is checked, over a stack (its depth, NUMBA_ROWS)."""
    for begin in range(low, high, NUMBA_ROWS):
        rows = min(NUMBA_ROWS, high - begin)
        top = 0
        for step in range(len(code)):
            op, operand = code[step, 0], code[step, 1]
            if op == _CONSTANT:
                stack[top, :rows] = constants[operand]
                top += 1
            elif op == _COLUMN:
                stack[top, :rows] = columns[operand, begin : begin + rows]
                top += 1
            elif op <= _SQUARE:
                _unary(op, stack[top - 1], rows)
            elif op != _WHERE:
                top -= 1
                _binary(op, stack[top - 1], stack[top], rows)
            else:
                top -= 2
                _where(stack[top - 1], stack[top], stack[top + 1], rows)
        out[begin : begin + rows] = stack[0, :rows]


@njit(nogil=True, cache=True, error_model="numpy")
def _unary(op: int, a: Any, rows: int) -> None:
    for i in range(rows):
        x = a[i]
        if op == _NEG:
            a[i] = -x
        elif op == _ABS:
            a[i] = abs(x)
        elif op == _SQRT:
            a[i] = np.sqrt(x)
        elif op == _EXP:
            a[i] = np.exp(x)
        elif op == _LOG:
            a[i] = np.log(x)
        elif op == _LOG10:
            a[i] = np.log10(x)
        else:
            a[i] = x * x


@njit(nogil=True, cache=True, error_model="numpy")
def _binary(op: int, a: Any, b: Any, rows: int) -> None:
    for i in range(rows):
        x, y = a[i], b[i]
        if op == _ADD:
            a[i] = x + y
        elif op == _SUB:
            a[i] = x - y
        elif op == _MUL:
            a[i] = x * y
        elif op == _DIV:
            a[i] = x / y
        elif op == _POW:
            a[i] = x**y
        elif op == _MIN:
            a[i] = x if x < y or math.isnan(x) else y
        elif op == _MAX:
            a[i] = x if x > y or math.isnan(x) else y
        elif op == _LT:
            a[i] = x < y
        elif op == _LTE:
            a[i] = x <= y
        elif op == _GT:
            a[i] = x > y
        elif op == _GTE:
            a[i] = x >= y
        elif op == _EQ:
            a[i] = x == y
        else:
            a[i] = x != y


@njit(nogil=True, cache=True, error_model="numpy")
def _where(a: Any, b: Any, c: Any, rows: int) -> None:
    for i in range(rows):
        a[i] = b[i] if a[i] != 0 else c[i]
