"""Arithmetic over columns by a program for a machine with a stack.

An instruction is an operator, by its place in `OPS`, and an operand: the place of the constant or column that is put on
the stack. The others take their arguments from the stack, the last on top, and leave their result; one value is left in
the end. Numbers are float64 and follow IEEE 754: minimum and maximum of NaN are NaN, comparisons give 0 or 1, `where`
takes what is not 0 for true. `exp`, `log`, `log10` and `pow` are the C library's in native and in Numba's code, numpy's
own in numpy: they differ in the last bits. All else is equal to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.select import get_kernels
from vecstore.kernels.stop import check_stop

Instructions: TypeAlias = NDArray[np.int32]  # (instructions, 2)
Float64Array: TypeAlias = NDArray[np.float64]
Run: TypeAlias = Callable[[Instructions, Float64Array, Float64Array, Float64Array], None]

UNARY: dict[str, Any] = {
    "neg": np.negative, "abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10,
    "square": np.square,
}  # fmt: skip
BINARY: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power, "min": np.minimum,
    "max": np.maximum, "lt": np.less, "lte": np.less_equal, "gt": np.greater, "gte": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal,
}  # fmt: skip
OPS = ("constant", "column", *UNARY, *BINARY, "where")
TAKES = (0, 0, *[1] * len(UNARY), *[2] * len(BINARY), 3)  # arguments of each
BLOCK_ROWS = 4_096  # between two looks at whether to stop
NUMBA_ROWS = 256  # of the stack that compiled code works on


def run_formula(code: Instructions, constants: Float64Array, columns: Float64Array) -> Float64Array:
    """(n,) by a program over constants (m,) and columns (c, n). Raises ValueError for one that reads what is not there,
    or leaves another number of values than one."""
    out = np.empty(columns.shape[1])
    _run()(code, constants, columns, out)
    return out


def stack_depth(code: Instructions, constants: int, columns: int) -> int:
    """The most values that a program has on the stack. Raises ValueError as `run_formula`."""
    depth = deepest = 0
    for op, operand in code.tolist():
        wrong = not 0 <= op < len(OPS) or TAKES[op] > depth
        if wrong or (op < 2 and not 0 <= operand < (constants, columns)[op]):
            raise ValueError("the program reads what is not there")
        depth += 1 - TAKES[op]
        deepest = max(deepest, depth)
    if depth != 1:
        raise ValueError(f"the program leaves {depth} values")
    return deepest


def run_numpy(code: Instructions, constants: Float64Array, columns: Float64Array, out: Float64Array) -> None:
    """The reference."""
    stack_depth(code, len(constants), len(columns))
    steps = [(OPS[op], TAKES[op], operand) for op, operand in code.tolist()]
    with np.errstate(all="ignore"):
        for low in range(0, len(out), BLOCK_ROWS):
            check_stop()
            stack: list[Any] = []
            for op, takes, operand in steps:
                if takes:
                    stack[-takes:] = [_value(op, stack[-takes:])]
                else:
                    stack.append(constants[operand] if op == "constant" else columns[operand, low : low + BLOCK_ROWS])
            out[low : low + BLOCK_ROWS] = stack[0]


def _value(op: str, values: list[Any]) -> Any:
    if op == "where":
        return np.where(values[0] != 0, values[1], values[2])
    result = (UNARY.get(op) or BINARY[op])(*values)
    return result.astype(np.float64) if result.dtype == np.bool_ else result


def run_numba(code: Instructions, constants: Float64Array, columns: Float64Array, out: Float64Array) -> None:
    from vecstore.kernels.formula_numba import run_rows

    stack = np.empty((stack_depth(code, len(constants), len(columns)), NUMBA_ROWS))
    for low in range(0, len(out), BLOCK_ROWS):
        check_stop()
        run_rows(code, constants, columns, low, min(low + BLOCK_ROWS, len(out)), stack, out)


@cache
def _run() -> Run:
    name = get_kernels().name
    if name != "native":
        return run_numba if name == "numba" else run_numpy
    from vecstore.kernels import _native

    found: Run = _native.run_formula
    return found
