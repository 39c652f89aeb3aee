"""Fixed dimensional encodings: the reference formulas, and the same bits on every backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vecstore.kernels import encode, fde
from vecstore.kernels.fde import Fde, FdeEncoder
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.tokens import TokenRows

SMALL = Fde(24, repetitions=3, k_sim=3, projection=8, final_dim=0, fill_empty=True, seed=7)


def rows_of(rng: np.random.Generator, counts: list[int], dim: int) -> TokenRows:
    rows = [rng.standard_normal((count, dim)) for count in counts]
    return TokenRows.of([row / np.linalg.norm(row, axis=1, keepdims=True) for row in rows], dim, np.float32)


def maxsim(query: TokenRows, row: TokenRows) -> float:
    return float((query.tokens @ row.tokens.T).max(axis=1).sum())


@pytest.mark.parametrize(
    "fields",
    [{}, {"fill_empty": False}, {"projection": 0}, {"final_dim": 50}, {"k_sim": 0}, {"repetitions": 1, "k_sim": 6}],
)
def test_backends_encode_to_the_same_bits(
    fields: dict[str, Any], isa: str, native_isa: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(np.random.default_rng(1), [0, 1, 2, 30, 9, 0, 70], 24)
    encoder = FdeEncoder(replace(SMALL, **fields))
    found = []
    for kernels in (native_isa(isa), NumpyKernels()):
        for module in (encode, fde):
            monkeypatch.setattr(module, "get_kernels", lambda kernels=kernels: kernels)
        found.append((encoder.documents(rows), encoder.queries(rows)))
    for native, law in zip(*found, strict=True):
        np.testing.assert_array_equal(native, law)
        assert native.shape == (7, encoder.fde.length)
        assert not native[[0, 5]].any()


def test_one_cell_without_projection_is_the_product_of_sum_and_mean() -> None:
    rows = rows_of(np.random.default_rng(2), [5, 9], 24)
    encoder = FdeEncoder(Fde(24, 1, 0, 0, 0, False, 1))
    products = encoder.queries(rows) @ encoder.documents(rows).T
    for q, query in enumerate(rows):
        for d, row in enumerate(rows):
            assert products[q, d] == pytest.approx(query.tokens.sum(axis=0) @ row.tokens.mean(axis=0), abs=1e-5)


def test_documents_of_one_token_are_exact_with_fill() -> None:
    rng = np.random.default_rng(3)
    queries, rows = rows_of(rng, [6, 11], 24), rows_of(rng, [1, 1, 1], 24)
    encoder = FdeEncoder(Fde(24, 5, 4, 0, 0, True, 1))
    products = encoder.queries(queries) @ encoder.documents(rows).T
    for q, query in enumerate(queries):
        for d, row in enumerate(rows):
            assert products[q, d] == pytest.approx(maxsim(query, row), abs=1e-4)


def test_projections_are_right_on_average() -> None:
    rng = np.random.default_rng(4)
    one, two = rows_of(rng, [1], 24), rows_of(rng, [1], 24)
    for fields in ({}, {"final_dim": 16}):
        products = []
        for seed in range(200):
            encoder = FdeEncoder(replace(Fde(24, 1, 0, 8, 0, False, seed), **fields))
            products.append(float((encoder.queries(one) @ encoder.documents(two).T)[0, 0]))
        exact = float((one.tokens @ two.tokens.T)[0, 0])
        assert abs(np.mean(products) - exact) < 3 * np.std(products) / np.sqrt(200)


def test_the_nearest_signs_fill_an_empty_cell() -> None:
    """By the definition, token by token."""
    rows = rows_of(np.random.default_rng(5), [7], 24)
    encoder = FdeEncoder(replace(SMALL, repetitions=1))
    found = encoder.documents(rows).reshape(8, 8)
    signs = encode.project(rows.tokens, encoder._directions) > 0
    projected = encode.project(rows.tokens, encoder._matrix)
    for cell in range(8):
        word = cell ^ (cell >> 1)
        wanted = np.array([word >> 2 & 1, word >> 1 & 1, word & 1], bool)
        apart = (signs != wanted).sum(axis=1)
        members = np.flatnonzero(apart == 0)
        expected = projected[members].mean(axis=0) if len(members) else projected[apart.argmin()]
        np.testing.assert_allclose(found[cell], expected, atol=1e-6)


def test_the_generator_does_not_change() -> None:
    """Encodings are stored: version 1 of the generator gives these numbers in any release."""
    encoder = FdeEncoder(SMALL)
    assert fde.GENERATOR == 1
    np.testing.assert_allclose(encoder._directions[0, :4], GENERATED, rtol=1e-6)
    assert encoder._matrix is not None
    assert (encoder._matrix[1, :8] > 0).tolist() == SIGNS


GENERATED = [-0.6515898704528809, 0.7374545335769653, 0.009196429513394833, 0.032375216484069824]
SIGNS = [True, True, False, False, True, True, True, False]
