"""Reading a transform's state back: every array has the dtype and shape that the others imply, or it is Corruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption

Scalar = TypeVar("Scalar", bound=np.generic)

DIM_MAX = 1 << 20  # no vector is wider; bounds what a damaged number can make us allocate


def take(
    arrays: Mapping[str, np.ndarray], name: str, dtype: type[Scalar], shape: tuple[int | None, ...]
) -> NDArray[Scalar]:
    """The array of that name, None in `shape` for any length of 1 or more. Raises Corruption."""
    array: NDArray[Any] | None = arrays.get(name)
    if array is None:
        raise Corruption(f"a transform lacks its array {name}")
    fits = array.ndim == len(shape) and all(
        got >= 1 if want is None else got == want for want, got in zip(shape, array.shape, strict=True)
    )
    if array.dtype != np.dtype(dtype) or not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise Corruption(f"array {name} is {array.dtype} of shape {array.shape}, not {np.dtype(dtype)} of ({wanted})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Corruption(f"array {name} holds a number that is not finite")
    return array


def number(arrays: Mapping[str, np.ndarray], name: str, low: int, high: int) -> int:
    """A whole number stored as int64 (1,). Raises Corruption when it is not in low..high."""
    value = int(take(arrays, name, np.int64, (1,))[0])
    if not low <= value <= high:
        raise Corruption(f"array {name} holds {value}, which is not in {low}..{high}")
    return value


def stored_number(value: int) -> NDArray[np.int64]:
    return np.array([value], np.int64)
