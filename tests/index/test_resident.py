"""Copies in huge pages hold the same values, and only mapped files are let go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vecstore.index import resident as module
from vecstore.index.resident import LINE, aligned_empty, resident


@pytest.mark.parametrize("shape", [(0, 64), (3, 64), (1_000, 48)])
def test_small_arrays_are_aligned(shape: tuple[int, int]) -> None:
    values = np.arange(np.prod(shape) + 1, dtype=np.uint8)[1:].reshape(shape)
    out = resident(values)
    assert (out == values).all()
    assert not out.size or out.ctypes.data % LINE == 0
    assert aligned_empty(shape, np.uint32).ctypes.data % LINE == 0 or not np.prod(shape)


def test_a_large_mapped_array_moves_and_can_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HUGE_FROM", 1 << 16)
    rng = np.random.default_rng(1)
    rng.integers(0, 256, 1 << 20, dtype=np.uint8).tofile(tmp_path / "column")
    mapped = np.memmap(tmp_path / "column", np.uint32, "r")
    out = resident(mapped)
    assert out.ctypes.data % module.HUGE_PAGE == 0
    assert (np.asarray(out) == np.fromfile(tmp_path / "column", np.uint32)).all()
    assert (mapped == out).all()  # what was let go comes back from the file


def test_memory_of_this_process_is_not_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HUGE_FROM", 1 << 16)
    room = np.empty((1 << 22) + LINE, np.uint8)
    values = room[-room.ctypes.data % LINE :][: 1 << 22].view(np.uint32)
    values[:] = np.arange(1 << 20)
    assert resident(values) is values
    values.flags.writeable = False
    out = resident(values)
    assert (values == np.arange(1 << 20)).all()
    assert (out == values).all()
