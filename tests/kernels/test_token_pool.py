"""Pooling of tokens: the same bits on every backend, merges as Ward defines them, and what must stay as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore.index.token_pool import held_after, pooled
from vecstore.kernels import token_encode
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.token_pool_numpy import means, ward_labels, ward_merges
from vecstore.tokens import TokenRows


def rows_of(rng: np.random.Generator, counts: list[int], dim: int) -> TokenRows:
    """Tokens in tight groups, so that there is something to pool."""
    rows = []
    for count in counts:
        centres = rng.standard_normal((max(1, count // 3), dim))
        tokens = centres[rng.integers(0, len(centres), count)] + 0.3 * rng.standard_normal((count, dim))
        rows.append(tokens / np.linalg.norm(tokens, axis=1, keepdims=True))
    return TokenRows.of(rows, dim, np.float32)


def hard_rows(rng: np.random.Generator, dim: int) -> TokenRows:
    """With what has no direction, ties of many tokens, lengths far from one, and more tokens than a step looks at."""
    rows = rows_of(rng, [0, 1, 2, 3, 17, 40, 64, 150], dim)
    rows.tokens[3] = 0
    rows.tokens[9] = rows.tokens[8]
    rows.tokens[30:40] *= np.float32(1e20)
    rows.tokens[40:50] *= np.float32(1e-25)
    rows.tokens[50:53] = 1e-38
    rows.tokens[70:90] = 0
    rows.tokens[-60:-20] = rows.tokens[-60]
    return rows


def nothing(_phase: str, _done: int, _total: int) -> None:
    """As progress."""


def test_backends_pool_to_the_same_bits(isa: str, native_isa: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    for dim in (1, 5, 96):
        rows = hard_rows(rng, dim)
        for factor, protected in ((2, 1), (3, 0), (11, 2), (16, 50)):
            native = native_isa(isa)
            monkeypatch.setattr(token_encode, "get_kernels", lambda native=native: native)
            found = pooled(rows, factor, protected, nothing)
            monkeypatch.setattr(token_encode, "get_kernels", NumpyKernels)
            law = pooled(rows, factor, protected, nothing)
            np.testing.assert_array_equal(found.offsets, law.offsets)
            np.testing.assert_array_equal(found.tokens, law.tokens)


def test_numba_pools_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    numba_backend = pytest.importorskip("vecstore.kernels.numba_backend", reason="needs the numba extra")
    rows = hard_rows(np.random.default_rng(5), 13)
    found = {}
    for kind in (numba_backend.NumbaKernels, NumpyKernels):
        monkeypatch.setattr(token_encode, "get_kernels", kind)
        found[kind.name] = [pooled(rows, *how, nothing).tokens for how in ((2, 1), (3, 0), (11, 2), (16, 50))]
    for one, law in zip(found["numba"], found["numpy"], strict=True):
        np.testing.assert_array_equal(one, law)


def test_heights_are_those_of_ward() -> None:
    """A merge's height is 2 a b / (a + b) times the squared distance of the clusters' means."""
    rng = np.random.default_rng(2)
    points = rng.standard_normal((40, 8))
    distances = ((points[:, None] - points) ** 2).sum(axis=2)
    members: dict[int, list[int]] = {i: [i] for i in range(40)}
    for height, a, b in ward_merges(distances, 39):
        one, two = members[a], members[b]
        apart = ((points[one].mean(axis=0) - points[two].mean(axis=0)) ** 2).sum()
        assert height == pytest.approx(2 * len(one) * len(two) / (len(one) + len(two)) * apart)
        members[a] = one + members.pop(b)
    assert len(members) == 1


def test_groups_are_found_and_means_are_as_defined() -> None:
    rng = np.random.default_rng(3)
    centres = np.eye(6, 16)
    truth = rng.integers(0, 6, 60)
    tokens = (centres[truth] + 0.05 * rng.standard_normal((60, 16))).astype(np.float32) * 3
    labels = ward_labels(tokens, 6)
    assert len({(a, b) for a, b in zip(truth, labels, strict=True)}) == 6
    lengths = np.linalg.norm(tokens, axis=1)
    for cluster, mean in enumerate(means(tokens, labels, 6)):
        own = labels == cluster
        direction = (tokens[own] / lengths[own, None]).mean(axis=0)
        expected = direction / np.linalg.norm(direction) * lengths[own].mean()
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)


def test_what_stays() -> None:
    rng = np.random.default_rng(4)
    rows = rows_of(rng, [0, 1, 5, 30], 24)
    assert pooled(rows, 1, 1, nothing) is rows
    half = pooled(rows, 2, 3, nothing)
    assert np.diff(half.offsets).tolist() == [0, 1, 4, 16]
    for before, after in zip(rows, half, strict=True):
        np.testing.assert_array_equal(before.tokens[:3], after.tokens[:3])
    np.testing.assert_array_equal(held_after(np.array([0, 1, 2, 101]), 4, 1), [0, 1, 2, 26])
    np.testing.assert_allclose(np.linalg.norm(half.tokens, axis=1), 1, atol=1e-5)
