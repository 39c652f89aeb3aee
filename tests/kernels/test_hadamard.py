"""The rotation's rounds: numpy's bits from the native extension, and what the transform is."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.kernels.base import Kernels
from vecstore.kernels.hadamard import hadamard_rounds, numpy_rounds

CASES = [(0, 64, 64, 64), (1, 60, 64, 64), (3, 64, 64, 1), (7, 100, 128, 2), (9, 300, 320, 64), (200, 384, 384, 128),
         (2, 1024, 1024, 1024)]  # fmt: skip


def drawn(n: int, dim: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(dim)
    permutations = np.stack([rng.permutation(width) for _ in range(3)]).astype(np.int32)
    factors = rng.choice([-0.3, 0.3], (3, width)).astype(np.float32)
    return rng.standard_normal((n, dim)).astype(np.float32), permutations, factors


@pytest.mark.parametrize(("n", "dim", "width", "block"), CASES)
def test_native_gives_the_bits_of_numpy(native_isa: object, n: int, dim: int, width: int, block: int) -> None:
    from vecstore.kernels import _native

    rows, permutations, factors = drawn(n, dim, width)
    expected, found = (np.empty((n, width), np.float32) for _ in range(2))
    numpy_rounds(rows, permutations, factors, block, expected)
    _native.hadamard(rows, permutations, factors, block, found)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("n", "dim", "width", "block"), CASES)
def test_matches_the_matrix(n: int, dim: int, width: int, block: int) -> None:
    rows, permutations, factors = drawn(n, dim, width)
    matrix = np.ones((1, 1))
    while len(matrix) < block:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    expected = np.zeros((n, width))
    expected[:, :dim] = rows
    for permutation, factor in zip(permutations, factors, strict=True):
        runs = (expected[:, permutation] * factor).reshape(n, width // block, block)
        expected = (runs @ matrix.T).reshape(n, width)
    found = hadamard_rounds(rows, permutations, factors, block)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(initial=1))


def test_bad_arguments_are_refused(native_isa: object) -> None:
    from vecstore.kernels import _native

    rows, permutations, factors = drawn(2, 64, 64)
    out = np.empty((2, 64), np.float32)
    for bad in (0, 3, 128):
        with pytest.raises(ValueError, match="power of two"):
            _native.hadamard(rows, permutations, factors, bad, out)
    for outside in (-1, 64):
        wrong = permutations.copy()
        wrong[2, 5] = outside
        with pytest.raises(ValueError, match="outside"):
            _native.hadamard(rows, wrong, factors, 64, out)
    with pytest.raises(ValueError, match="wider"):
        _native.hadamard(np.ones((2, 65), np.float32), permutations, factors, 64, out)


def test_the_fallback_is_the_same(any_kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, permutations, factors = drawn(30, 200, 256)
    expected = hadamard_rounds(rows, permutations, factors, 256)
    monkeypatch.setattr("vecstore.kernels.hadamard.get_kernels", lambda: any_kernels)
    assert hadamard_rounds(rows, permutations, factors, 256).tobytes() == expected.tobytes()
