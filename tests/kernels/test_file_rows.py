"""Rows copied from a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vecstore.kernels import file_rows
from vecstore.kernels.base import Kernels

ROWS = np.random.default_rng(3).standard_normal((1_000, 37)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "rows"
    path.write_bytes(ROWS.tobytes())
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(autouse=True)
def backend(any_kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_rows, "get_kernels", lambda: any_kernels)


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
@pytest.mark.parametrize("m", [0, 1, 63, 2_000])
def test_the_rows_asked_for(file: int, m: int, dtype: type[np.generic]) -> None:
    rows = ROWS.view(dtype)
    numbers = np.random.default_rng(m).integers(-1, len(rows), m)
    out = np.full((m, rows.shape[1]), 7, dtype)
    assert file_rows.read_rows(file, len(rows), numbers, out) == np.count_nonzero(numbers >= 0)
    expected = np.where(numbers[:, None] >= 0, rows[numbers], np.asarray(7, dtype))
    np.testing.assert_array_equal(out.view(np.uint8), expected.view(np.uint8))


@pytest.mark.parametrize("bad", [-2, 900, 2**62])
def test_a_number_outside(file: int, bad: int) -> None:
    with pytest.raises(ValueError, match=str(bad)):
        file_rows.read_rows(file, 900, np.array([0, bad]), np.empty((2, 37), np.float32))


def test_a_file_that_ends_early_or_cannot_be_read(file: int) -> None:
    with pytest.raises(OSError, match="error"):
        file_rows.read_rows(file, 1_001, np.array([5, 1_000]), np.empty((2, 37), np.float32))
    with pytest.raises(OSError, match="descriptor"):
        file_rows.read_rows(1 << 20, 1_000, np.array([5]), np.empty((1, 37), np.float32))
