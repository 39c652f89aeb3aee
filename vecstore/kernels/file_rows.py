"""Rows read from a file where they stand: for a few rows of a column that is too large to keep mapped.

Through a mapping each row costs a page fault, which on a virtual machine takes several times as long as the read, and
leaves up to megabytes around the row in the process's memory.
"""

from __future__ import annotations

import errno
import os

import numpy as np

from vecstore.kernels.base import Int64Array
from vecstore.kernels.select import get_kernels


def read_rows(file: int, n: int, numbers: Int64Array, out: np.ndarray) -> int:
    """Row numbers[i] of a file that begins with `n` rows like those of `out` (m, width) to out[i]; -1 leaves its place
    as it is. Returns how many are not -1. Raises OSError, and ValueError for a number outside -1..n-1."""
    if get_kernels().name == "native":
        from vecstore.kernels import _native as native

        found: int = native.read_rows(file, n, numbers, out)
        if found < 0:
            raise OSError(-found, os.strerror(-found))
        return found
    row_bytes = out.itemsize * out.shape[1]
    wanted = numbers.tolist()
    for place, number in enumerate(wanted):
        if not -1 <= number < n:
            raise ValueError(f"row {number} is not in -1..{n - 1}")
        if number >= 0:
            content = os.pread(file, row_bytes, number * row_bytes)
            if len(content) < row_bytes:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            out[place] = np.frombuffer(content, out.dtype)
    return sum(number >= 0 for number in wanted)
