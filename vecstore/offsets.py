"""Offsets that cut entries into rows of any length: row i is entries `offsets[i]` to `offsets[i + 1]` - 1."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Offsets = NDArray[np.int64]  # (n + 1,), the first is 0


def offsets_of(lengths: ArrayLike) -> Offsets:
    """From the lengths of rows, (n,) integers."""
    lengths = np.asarray(lengths, dtype=np.int64)
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def run_of(offsets: Offsets, rows: slice) -> tuple[Offsets, slice]:
    """The offsets of a run of rows, and its entries. Raises IndexError for a step other than 1."""
    start, stop, step = rows.indices(len(offsets) - 1)
    if step != 1:
        raise IndexError(f"rows are cut in runs, not with step {step}")
    own = offsets[start : max(start, stop) + 1]
    low, high = int(own[0]), int(own[-1])
    return own - low, slice(low, high)


def taken_of(offsets: Offsets, rows: NDArray[np.int64]) -> tuple[Offsets, NDArray[np.int64]]:
    """The offsets of the rows listed, (m,), and the places of their entries."""
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    own = offsets_of(lengths)
    return own, np.arange(own[-1]) + np.repeat(starts - own[:-1], lengths)


def joined(parts: Iterable[Offsets]) -> Offsets:
    """The offsets of all rows of at least one part, one part after the other."""
    return offsets_of(np.concatenate([np.diff(part) for part in parts]))
