"""Whether a sparse query is in the form that kernels take, told in one pass: every query is asked this."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.select import get_kernels

_INDICES, _VALUES = np.dtype(np.uint32), np.dtype(np.float32)


def is_ready(indices: np.ndarray, values: np.ndarray, squared_max: float) -> bool:
    """Whether indices (nnz,) uint32 strictly ascend, and values (nnz,) float32 are finite, not 0, and have a sum of
    squares of at most `squared_max`."""
    return _told()(indices, values, squared_max)


@cache
def _told() -> Callable[[np.ndarray, np.ndarray, float], bool]:
    if get_kernels().name != "native":
        return in_numpy
    from vecstore.kernels import _native

    return _native.sparse_ready


def in_numpy(indices: np.ndarray, values: np.ndarray, squared_max: float) -> bool:
    if indices.dtype != _INDICES or values.dtype != _VALUES or indices.ndim != 1 or values.shape != indices.shape:
        return False
    if not (indices.flags.c_contiguous and values.flags.c_contiguous and (indices[1:] > indices[:-1]).all()):
        return False
    wide: NDArray[np.float64] = values.astype(np.float64)  # what is not a number compares to nothing
    return bool(values.all() and np.vdot(wide, wide) <= squared_max)
