"""The rows that have a token at each centroid, in about a byte each.

A list holds its rows ascending, each once. A row is written as how many rows lie between it and the one before it in
the list (the first: before it), in groups of 7 bits from the lowest on, a byte each, 128 added to all but the last.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from vecstore.kernels.base import Int64Array, UInt8Array

_GROUP_BITS = 7
_GROUPS_MAX = 5  # rows are below 2^32


def packed_lists(offsets: Int64Array, rows: np.ndarray) -> tuple[Int64Array, UInt8Array]:
    """Rows of the lists that `offsets` (C + 1,) cut: where the bytes of each list begin (C + 1,), and the bytes."""
    before = np.zeros(len(rows), np.int64)
    before[1:] = rows[:-1] + np.int64(1)
    before[offsets[:-1][np.diff(offsets) > 0]] = 0
    gaps = rows - before
    groups = np.ones(len(rows), np.int64)
    for group in range(1, _GROUPS_MAX):
        groups += gaps >= 1 << _GROUP_BITS * group
    ends = np.cumsum(groups)
    out = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    for group in range(_GROUPS_MAX):
        held = np.flatnonzero(groups > group)
        more = np.where(groups[held] > group + 1, 128, 0)
        out[ends[held] - groups[held] + group] = (gaps[held] >> _GROUP_BITS * group & 127) | more
    starts = np.concatenate([[0], ends])[offsets]
    return starts.astype(np.int64), out


def unpacked_lists(starts: Int64Array, packed: UInt8Array, n: int) -> list[Int64Array]:
    """The rows of each list. Raises ValueError for bytes that are not lists of rows below `n`; `starts` ascend."""
    ends = np.flatnonzero(packed < 128) + 1
    groups = np.diff(ends, prepend=0)
    if starts[0] != 0 or starts[-1] != len(packed):
        raise ValueError("lists do not fill their bytes")
    if not np.isin(starts[1:], np.append(ends, 0)).all():
        raise ValueError("lists end within a row")
    if groups.max(initial=0) > _GROUPS_MAX:
        raise ValueError(f"lists hold a row of more than {_GROUPS_MAX} bytes")
    place = np.arange(len(packed)) - np.repeat(ends - groups, groups)
    values = (packed & 127).astype(np.int64) << _GROUP_BITS * place
    gaps = np.add.reduceat(values, ends - groups) if len(ends) else values
    cuts = np.searchsorted(ends, starts, side="right")
    lists = [np.cumsum(gaps[first:last] + 1) - 1 for first, last in pairwise(cuts.tolist())]
    most = max((int(rows[-1]) for rows in lists if len(rows)), default=-1)
    if most >= n:
        raise ValueError(f"lists hold row {most}")
    return lists
