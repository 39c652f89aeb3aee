"""Bytes of rows that stand one after the other, natively and in Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vecstore.kernels.cut_rows import cut_rows, in_python
from vecstore.kernels.select import available_backends

WAYS = [cut_rows, in_python]
if "native" in available_backends():
    from vecstore.kernels import _native

    WAYS.append(_native.cut_rows)


@pytest.mark.parametrize("cut", WAYS)
def test_rows_come_in_the_order_asked_for_and_empty_ones_as_wanted(cut: Callable[..., list[bytes | None]]) -> None:
    parts = [b"ab", b"", b"c" * 300, b"", b"\x00d"]
    content = np.frombuffer(b"".join(parts), np.uint8)
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.uint64)
    for empty in (None, b"{}"):
        for rows in ([], [4], [2, 2, 0], [1, 3, 4, 0]):
            assert cut(content, offsets, np.array(rows, np.int64), empty) == [parts[row] or empty for row in rows]
    for wrong in (-1, 5, 1 << 40):
        with pytest.raises(ValueError, match=f"row {wrong} is not in 0..4"):
            cut(content, offsets, np.array([0, wrong]), None)
    nothing = np.empty(0, np.uint8)
    assert cut(nothing, np.zeros(3, np.uint64), np.array([1, 0]), b"x") == [b"x", b"x"]


@pytest.mark.parametrize("cut", WAYS)
def test_no_offset_is_followed_out_of_the_bytes(cut: Callable[..., list[bytes | None]]) -> None:
    content = np.zeros(4, np.uint8)
    for offsets in ([0, 5], [3, 2], [1 << 60, 1 << 60]):
        with pytest.raises(ValueError, match="offsets do not rise"):
            cut(content, np.array(offsets, np.uint64), np.array([0]), None)
