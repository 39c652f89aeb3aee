"""Rotations: orthogonal, mixing, stored as drawn."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.errors import Corruption
from vecstore.transform.rotation import Rotation, padded

DIMS = [1, 63, 64, 100, 192, 200, 256, 384, 420, 768, 960, 1024, 1472, 1536]


def kurtosis(values: np.ndarray) -> float:
    wide = values.astype(np.float64)
    return float((wide**4).mean() / (wide**2).mean() ** 2)


@pytest.mark.parametrize("dim", DIMS)
def test_orthogonal(dim: int) -> None:
    """The images of unit vectors are orthonormal to 1e-6: lengths and inner products are kept."""
    images = Rotation.random(dim, 7).apply(np.eye(dim, dtype=np.float32)).astype(np.float64)
    assert images.shape == (dim, padded(dim))
    assert padded(dim) % 64 == 0
    np.testing.assert_allclose(images @ images.T, np.eye(dim), atol=1e-6)


@pytest.mark.parametrize("dim", [dim for dim in DIMS if dim >= 64])
def test_one_hot_vectors_are_spread(dim: int) -> None:
    """A Gaussian direction has kurtosis 3 (1 - 2 / D) and a largest coordinate of about sqrt(2 ln D)."""
    images = Rotation.random(dim, 11).apply(np.eye(dim, dtype=np.float32))
    width = images.shape[1]
    assert abs(kurtosis(images) - 3) < 0.2
    gaussian = np.random.default_rng(0).standard_normal((200, width))
    gaussian *= np.sqrt(width) / np.linalg.norm(gaussian, axis=1, keepdims=True)
    largest = (np.abs(images) * np.sqrt(width)).max(axis=1).mean()
    assert largest < 1.15 * np.abs(gaussian).max(axis=1).mean()


def test_vectors_ordered_by_energy_are_spread() -> None:
    rows = (np.random.default_rng(1).standard_normal((500, 768)) * np.arange(1, 769) ** -1.5).astype(np.float32)
    rotated = Rotation.random(768, 1).apply(rows)
    assert kurtosis(rows) > 100
    assert kurtosis(rotated / np.linalg.norm(rotated, axis=1, keepdims=True)) < 3.3
    energy = (rotated.astype(np.float64) ** 2).sum(axis=0)
    assert energy.max() / energy.mean() < 12  # coordinates differ as chi-square with one degree of freedom here


@pytest.mark.parametrize("dim", [100, 384])
def test_seeds_matter_and_what_was_drawn_is_stored(dim: int) -> None:
    rows = np.random.default_rng(2).standard_normal((9, dim)).astype(np.float32)
    first, same, other = Rotation.random(dim, 1), Rotation.random(dim, 1), Rotation.random(dim, 2)
    assert first.apply(rows).tobytes() == same.apply(rows).tobytes()
    assert not np.allclose(first.apply(rows), other.apply(rows))
    swapped = Rotation.from_arrays(other.arrays())  # nothing is drawn again from a seed
    assert swapped.apply(rows).tobytes() == other.apply(rows).tobytes()


def test_the_stream_is_pinned() -> None:
    """numpy promises PCG64's stream; a change here would give new indexes other codes, which is legal but worth
    knowing."""
    signs = Rotation.random(384, 0).arrays()["signs"]
    permutations = Rotation.random(384, 0).arrays()["permutations"]
    assert permutations[0, :6].tolist() == [375, 93, 212, 36, 214, 90]
    assert signs[0, :12].tolist() == [1, -1, -1, 1, 1, -1, -1, -1, 1, -1, 1, 1]


def test_matches_the_definition() -> None:
    """Permute, flip, Sylvester's Hadamard matrix on each block, three times."""
    rotation = Rotation.random(384, 5)
    arrays = rotation.arrays()
    hadamard = np.ones((1, 1))
    while len(hadamard) < 128:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    rows = np.random.default_rng(3).standard_normal((10, 384))
    expected = rows
    for permutation, signs in zip(arrays["permutations"], arrays["signs"], strict=True):
        blocks = (expected[:, permutation] * signs).reshape(10, 3, 128)
        expected = (blocks @ hadamard.T / np.sqrt(128)).reshape(10, 384)
    np.testing.assert_allclose(rotation.apply(rows.astype(np.float32)), expected, atol=1e-5)


def test_damage_is_corruption() -> None:
    arrays = Rotation.random(384, 5).arrays()
    twice = arrays["permutations"].copy()
    twice[1, 0] = twice[1, 1]
    far = arrays["permutations"].copy()
    far[0, 0] = 2**30
    zero = arrays["signs"].copy()
    zero[2, 9] = 0
    for bad in ({"permutations": twice}, {"permutations": far}, {"signs": zero}, {"dim": np.array([500])}):
        with pytest.raises(Corruption):
            Rotation.from_arrays(arrays | bad)
    dense = Rotation.random(100, 5).arrays()
    with pytest.raises(Corruption, match="orthonormal"):
        Rotation.from_arrays(dense | {"matrix": dense["matrix"] + np.float32(0.01)})
