"""Reading an index's arrays back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from vecstore.errors import Corruption


def take(
    arrays: Mapping[str, np.ndarray], name: str, dtype: DTypeLike, shape: tuple[int | None, ...], what: str
) -> Any:
    """The array of that name, None in `shape` for any length; `what` names the index in errors. Raises Corruption."""
    array = arrays.get(name)
    if array is None:
        raise Corruption(f"{what} lacks its array {name}")
    fits = array.ndim == len(shape) and all(want in (None, got) for got, want in zip(array.shape, shape, strict=True))
    if array.dtype != np.dtype(dtype) or not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        got = f"{array.dtype} of shape {array.shape}"
        raise Corruption(f"array {name} of {what} is {got}, not {np.dtype(dtype)} of ({wanted})")
    return array
