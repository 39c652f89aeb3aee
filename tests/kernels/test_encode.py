"""Encoding has one answer: every instruction set, thread count and batch size gives numpy's bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vecstore.kernels import encode, encode_numpy
from vecstore.kernels.base import Kernels

DIMS = (1, 3, 7, 16, 33, 64, 100, 384)


@pytest.fixture
def native(isa: str, native_isa: Callable[[str], Kernels], monkeypatch: pytest.MonkeyPatch) -> Kernels:
    kernels = native_isa(isa)
    monkeypatch.setattr(encode, "get_kernels", lambda: kernels)
    return kernels


def rows_of(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Rows of very different lengths, with zeros, signed zeros and a row without a direction."""
    rows = rng.standard_normal((n, dim)) * np.exp(rng.uniform(-8, 8, (n, 1)))
    rows[rng.random((n, dim)) < 0.05] = 0
    rows[rng.random((n, dim)) < 0.05] = -0.0
    rows[n // 2] = 0
    return rows.astype(np.float32)


def numpy_twin(name: str, out: np.ndarray, *args: object) -> np.ndarray:
    getattr(encode_numpy, name)(*args, out)
    return out


@pytest.mark.parametrize("dim", DIMS)
def test_native_encoding_has_the_bits_of_numpy(native: Kernels, dim: int) -> None:
    seed = 100 + dim
    print("seed", seed)
    rng = np.random.default_rng(seed)
    rows, other = rows_of(rng, 37, dim), rows_of(rng, 37, dim)
    for columns in (1, 5, 16, 40, dim):
        matrix = rng.standard_normal((dim, columns)).astype(np.float32)
        got = encode.project(rows, matrix)
        assert np.array_equal(got, numpy_twin("project", np.empty_like(got), rows, matrix))
        np.testing.assert_allclose(got, rows.astype(np.float64) @ matrix, rtol=1e-4, atol=1e-4 * np.abs(rows).max())
    dots = encode.row_dots(rows, other)
    assert np.array_equal(dots, numpy_twin("row_dots", np.empty_like(dots), rows, other))
    np.testing.assert_allclose(dots, (rows.astype(np.float64) * other).sum(1), rtol=1e-9, atol=1e-9)
    for half in (2, 8, 128):
        steps = encode.grid_steps(rows, half, 0.7)
        assert np.array_equal(steps, numpy_twin("grid_steps", np.empty_like(steps), rows, half, 0.7))
        halves = np.full(dim, half, np.float32)
        codes = encode.grid_codes(rows, steps, np.ones(dim, np.float32), halves)
        twin = numpy_twin("grid_codes", np.empty_like(codes), rows, steps, np.ones(dim, np.float32), halves)
        assert np.array_equal(codes, twin)
        assert codes.max() < 2 * half
    bounds = np.sort(rng.standard_normal(15)).astype(np.float32)
    levels = encode.level_codes(rows, steps, bounds)
    assert np.array_equal(levels, numpy_twin("level_codes", np.empty_like(levels), rows, steps, bounds))
    fields = np.stack(
        [rng.integers(0, 9, 50), rng.integers(0, dim, 50), rng.integers(0, 8, 50), rng.choice([1, 3, 15], 50),
         rng.integers(0, 8, 50)], axis=1,
    ).astype(np.int32)  # fmt: skip
    packed = encode.gather_bits(codes, fields, 9)
    assert np.array_equal(packed, numpy_twin("gather_bits", np.zeros_like(packed), codes, fields))


@pytest.mark.parametrize("dim", DIMS)
def test_shaped_codes_have_the_bits_of_numpy(native: Kernels, dim: int) -> None:
    seed = 300 + dim
    print("seed", seed)
    rng = np.random.default_rng(seed)
    cells = rng.uniform(-40, 300, (37, dim)).astype(np.float32)
    cells[3] = np.rint(cells[3]) + np.float32(0.5)  # ties, where nothing was fed back yet
    cells[5, ::2] *= np.float32(1e30)
    feedback = rng.standard_normal(dim * (dim - 1) // 2).astype(np.float32)
    feedback[::7] *= np.float32(1e6)
    codes = encode.shaped_codes(cells, feedback)
    assert np.array_equal(codes, numpy_twin("shaped_codes", np.empty_like(codes), cells, feedback))
    assert np.array_equal(
        codes, np.concatenate([encode.shaped_codes(cells[at : at + 5], feedback) for at in range(0, 37, 5)])
    )
    last = codes[:, -1]
    assert np.array_equal(last, np.rint(np.clip(cells[:, -1], 0, 255)))
    if dim > 1:
        wanted = cells[:, -2] + feedback[-1] * np.clip(cells[:, -1] - last, -4, 4)
        assert np.array_equal(codes[:, -2], np.rint(np.clip(wanted, 0, 255)))


def test_batches_and_threads_do_not_change_a_bit(native: Kernels) -> None:
    rng = np.random.default_rng(5)
    rows = rows_of(rng, 3000, 96)
    matrix = rng.standard_normal((96, 52)).astype(np.float32)
    whole = None
    for threads in (1, 2, 3):
        native.set_threads(threads)
        together = encode.project(rows, matrix), encode.grid_steps(rows, 8, 0.3), encode.row_dots(rows, rows)
        whole = whole or together
        for a, b in zip(whole, together, strict=True):
            assert np.array_equal(a, b)
    native.set_threads(0)
    assert whole is not None
    for size in (1, 3, 1000):
        part = rows[1500 : 1500 + size]
        alone = encode.project(part, matrix), encode.grid_steps(part, 8, 0.3), encode.row_dots(part, part)
        for a, b in zip(whole, alone, strict=True):
            assert np.array_equal(a[1500 : 1500 + size], b)


def test_arrays_that_do_not_fit_are_refused(native: Kernels) -> None:
    from vecstore.kernels import _native

    rows = np.ones((4, 8), np.float32)
    codes = np.ones((4, 8), np.uint16)
    out = np.empty((4, 1), np.uint8)
    with pytest.raises(ValueError, match="matrix has shape"):
        _native.project(rows, np.ones((7, 2), np.float32), np.empty((4, 2), np.float32))
    with pytest.raises(ValueError, match="half must be"):
        _native.grid_steps(rows, 129, 1.0, np.empty(4, np.float32))
    for bad in (
        [1, 0, 0, 1, 0],
        [0, 8, 0, 1, 0],
        [0, 0, 16, 1, 0],
        [0, 0, 0, 256, 0],
        [0, 0, 0, 1, 8],
        [-1, 0, 0, 1, 0],
    ):
        with pytest.raises(ValueError, match="out of range"):
            _native.gather_bits(codes, np.array([bad], np.int32), out)
