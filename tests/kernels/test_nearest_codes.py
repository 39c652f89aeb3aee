"""`nearest_codes`: the nearest centroid of each part of a row, the same on every instruction set and in any batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vecstore.kernels import encode, encode_numpy
from vecstore.kernels.base import Kernels


def _case(rng: np.random.Generator, n: int, m: int, subdim: int, size: int) -> tuple[np.ndarray, ...]:
    """Rows and codebooks with many equal centroids and zeros: ties must fall to the lowest number."""
    rows = np.round(rng.standard_normal((n, m * subdim)) * 4) / 4
    columns = np.round(rng.standard_normal((m, subdim, size)) * 2) / 2
    columns[:, :, size // 2 :] = columns[:, :, : size - size // 2]
    return tuple(a.astype(np.float32) for a in (rows, columns, (columns**2).sum(axis=1) / 2))


@pytest.mark.parametrize("shape", [(1, 1, 16), (3, 4, 16), (5, 2, 256), (2, 7, 48)])
def test_native_has_the_codes_of_numpy(
    isa: str, native_isa: Callable[[str], Kernels], monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int]
) -> None:
    kernels = native_isa(isa)
    monkeypatch.setattr(encode, "get_kernels", lambda: kernels)
    rng = np.random.default_rng(sum(shape))
    for scale in (1.0, 1e-3):  # numbers whose sums are exact, then some that round
        rows, columns, half_squares = _case(rng, 301, *shape)
        rows *= np.float32(scale * (1.0 if scale == 1 else np.pi))
        expected = np.empty((len(rows), shape[0]), np.uint8)
        encode_numpy.nearest_codes(rows, columns, half_squares, expected)
        assert (encode.nearest_codes(rows, columns, half_squares) == expected).all()
        for n in (0, 1, 2, 5):
            assert (encode.nearest_codes(rows[:n], columns, half_squares) == expected[:n]).all()


def test_numpy_finds_the_nearest() -> None:
    rng = np.random.default_rng(1)
    rows, columns, half_squares = _case(rng, 50, 3, 4, 16)
    codes = np.empty((50, 3), np.uint8)
    encode_numpy.nearest_codes(rows, columns, half_squares, codes)
    for j in range(3):
        squares = ((rows[:, 4 * j : 4 * j + 4, None] - columns[j]) ** 2).sum(axis=1)
        assert (codes[:, j] == squares.argmin(axis=1)).all()  # argmin takes the first of equals


@pytest.mark.parametrize("size", [0, 8, 272])
def test_codebooks_of_other_sizes_are_refused(native_isa: Callable[[str], Kernels], size: int) -> None:
    from vecstore.kernels import _native

    columns, half_squares = np.zeros((1, 2, size), np.float32), np.zeros((1, size), np.float32)
    with pytest.raises(ValueError, match="multiple of 16"):
        _native.nearest_codes(np.zeros((3, 2), np.float32), columns, half_squares, np.zeros((3, 1), np.uint8))
