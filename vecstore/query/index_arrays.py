"""Checks on arrays that come from disk: shapes, types and references between them. A failed one is Corruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption


def take(arrays: Mapping[str, np.ndarray], name: str, dtype: Any) -> np.ndarray:
    """The one-dimensional array `name` of type `dtype`."""
    array = arrays.get(name)
    if array is None:
        raise Corruption(f"payload index has no array {name}")
    if array.dtype != dtype or array.ndim != 1:
        found = f"{array.dtype} with {array.ndim} dimensions"
        raise Corruption(f"payload index array {name} must be one-dimensional {np.dtype(dtype)}, is {found}")
    return array


def check_offsets(name: str, offsets: NDArray[np.int64], end: int, count: int | None = None) -> None:
    """Offsets start at 0, never fall, and end at `end`; there are `count` of them when that is given."""
    if len(offsets) == 0 or (count is not None and len(offsets) != count):
        raise Corruption(f"payload index array {name} has {len(offsets)} offsets, expected {count or 'at least 1'}")
    if offsets[0] != 0 or offsets[-1] != end or bool((offsets[1:] < offsets[:-1]).any()):
        raise Corruption(f"payload index array {name} does not rise from 0 to {end}")


def check_rows(name: str, rows: NDArray[np.uint32], n_rows: int, starts: NDArray[np.int64] | None = None) -> None:
    """Every row is below `n_rows`; with `starts`, rows ascend within each list that begins there."""
    if len(rows) and int(rows.max()) >= n_rows:
        raise Corruption(f"payload index array {name} names row {int(rows.max())} of {n_rows}")
    if starts is not None and len(rows):
        rises = np.empty(len(rows) + 1, dtype=np.bool_)
        np.greater(rows[1:], rows[:-1], out=rises[1:-1])
        rises[starts] = True
        if not rises[1:-1].all():
            raise Corruption(f"payload index array {name} holds a list whose rows do not ascend")
