"""A rank expression over columns of candidates.

numpy's operations over a thousand candidates take one to three microseconds each, so that a formula costs less than
finding its candidates does. A kernel compiled from the tree would take a tenth of a second or more for each
new one, and round `exp` and `pow` otherwise than numpy does (one value in twenty), so that answers would depend on
whether it was there yet."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.query.formula import Call, Decay, Expression, Leaf, Number

Column: TypeAlias = NDArray[np.float64]
Columns: TypeAlias = Callable[[Leaf], Column]

UNARY: dict[str, Any] = {
    "neg": np.negative, "abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10,
}  # fmt: skip
BINARY: dict[str, Any] = {
    "add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum, "sub": np.subtract, "div": np.divide,
    "pow": np.power, "lt": np.less, "lte": np.less_equal, "gt": np.greater, "gte": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal,
}  # fmt: skip


def evaluate(root: Expression, columns: Columns, n: int) -> Column:
    """(n,) values; `columns` gives those of leaves, (n,) each."""
    with np.errstate(all="ignore"):
        values = _value(root, columns)
    return values if np.ndim(values) else np.full(n, values)  # a tree of numbers alone has one value


def _value(node: Expression, columns: Columns) -> Any:
    if isinstance(node, Number):
        return np.float64(node.value)
    if isinstance(node, Decay):
        return _decay(node, np.abs(_value(node.x, columns) - _value(node.target, columns)))
    if not isinstance(node, Call):
        return columns(node)  # type: ignore[arg-type]
    values = [_value(one, columns) for one in node.args]
    if node.op == "where":
        return np.where(values[0] != 0, values[1], values[2])
    if node.op in UNARY:
        return UNARY[node.op](values[0])
    result = reduce(BINARY[node.op], values)
    return result.astype(np.float64) if result.dtype == np.bool_ else result


def _decay(node: Decay, distance: Any) -> Any:
    share = distance / node.scale
    if node.kind == "linear":
        return np.maximum(0.0, 1.0 - (1.0 - node.midpoint) * share)
    power = share if node.kind == "exp" else share * share
    return np.exp(math.log(node.midpoint) * power)
