"""The reference encoders, and how little the one-shot encoder loses against them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from vecstore.kernels import encode
from vecstore.quantize.caq import caq_codes, exact_codes
from vecstore.quantize.codebooks import grid_step

DIM = 768


def losses(rows: np.ndarray, codes: np.ndarray, bits: int) -> np.ndarray:
    """1 - cos^2 of each row and its code."""
    wide, y = rows.astype(np.float64), codes - (2.0**bits - 1) / 2
    return 1 - (wide * y).sum(1) ** 2 / ((wide**2).sum(1) * (y**2).sum(1))


def one_shot(rows: np.ndarray, bits: int) -> np.ndarray:
    half = 1 << bits - 1
    inverse = encode.grid_steps(rows, half, grid_step(bits))
    ones = np.ones(rows.shape[1], np.float32)
    return encode.grid_codes(rows, inverse, ones, ones * np.float32(half))


def gaussian(seed: int, n: int, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_exact_search_finds_the_best_code_of_all(bits: int) -> None:
    rows = gaussian(1, 12, 4)
    every = np.array(list(product(range(2**bits), repeat=4)))
    best = np.stack([losses(rows, np.tile(code, (len(rows), 1)), bits) for code in every]).min(axis=0)
    np.testing.assert_allclose(losses(rows, exact_codes(rows, bits), bits), best, atol=1e-12)


# 1 - cos^2 of the exact search at 768 dimensions, and the one-shot encoder's loss against it (specs, rabitq 3.2).
@pytest.mark.parametrize(
    ("bits", "exact", "ratio"),
    [
        (2, 0.118, 1.001),
        (3, 0.0376, 1.001),
        (4, 0.0112, 1.003),
        (5, 0.0032, 1.006),
        (6, 0.0009, 1.019),
        (8, 5.8e-5, 1.044),
    ],
)
def test_the_one_shot_encoder_is_near_the_exact_search(bits: int, exact: float, ratio: float) -> None:
    rows = gaussian(2, 120 if bits < 8 else 50)
    best = losses(rows, exact_codes(rows, bits), bits)
    shot = losses(rows, one_shot(rows, bits), bits)
    assert best.mean() == pytest.approx(exact, rel=0.05)
    assert (shot >= best * (1 - 1e-9)).all()
    assert shot.mean() <= 1.02 * ratio * best.mean()


# Loss of the adjusted code against the exact search after 0, 1, 2 and 6 rounds (specs, saq 3.1). They follow the row's
# largest value, so their mean moves by a few percent from one set of rows to the next.
@pytest.mark.parametrize(
    ("bits", "ratios"),
    [
        (2, {0: 1.62, 1: 1.12, 2: 1.02, 6: 1.000}),
        (4, {0: 1.27, 1: 1.22, 2: 1.17, 6: 1.07}),
        (6, {0: 1.05, 1: 1.05, 2: 1.05, 6: 1.03}),
    ],
)
def test_code_adjustment_nears_the_exact_search(bits: int, ratios: dict[int, float]) -> None:
    rows = gaussian(3, 200)
    best = losses(rows, exact_codes(rows, bits), bits).mean()
    for rounds, ratio in ratios.items():
        got = losses(rows, caq_codes(rows, bits, rounds), bits).mean() / best
        assert got >= 1 - 1e-9, "better than the best"
        assert got == pytest.approx(ratio, rel=0.045)


# Saq row 1, from the step that its section 3.1 recommends.
@pytest.mark.parametrize(
    ("bits", "rounds", "most"), [(2, 2, 1.0005), (3, 2, 1.001), (4, 2, 1.002), (5, 6, 1.003), (6, 6, 1.004)]
)
def test_code_adjustment_from_the_one_shot_step_reaches_the_exact_search(bits: int, rounds: int, most: float) -> None:
    rows = gaussian(5, 120)
    best = losses(rows, exact_codes(rows, bits), bits).mean()
    steps = 1 / encode.grid_steps(rows, 1 << bits - 1, grid_step(bits)).astype(np.float64)
    adjusted = losses(rows, caq_codes(rows, bits, rounds, steps=steps), bits).mean()
    assert 1 - 1e-9 <= adjusted / best <= most
    assert adjusted < losses(rows, one_shot(rows, bits), bits).mean()


def test_adjustment_never_loses_and_keeps_its_sums() -> None:
    rows = gaussian(4, 20, 96)
    rows[3] = 0
    largest = np.abs(rows.astype(np.float64)).max(axis=1)
    step = np.where(largest > 0, 2 * largest / 16, 1.0)
    last = np.zeros(len(rows))

    def watch(product: np.ndarray, square: np.ndarray, codes: np.ndarray) -> None:
        nonlocal last
        values = (codes - 7.5) * step[:, None]
        np.testing.assert_allclose(product, (rows * values).sum(axis=1), rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(square, (values**2).sum(axis=1), rtol=1e-6)
        cosine = product**2 / square
        assert (cosine >= last * (1 - 1e-12)).all()
        last = cosine

    codes = caq_codes(rows, 4, watch=watch)
    assert codes.max() < 16
    assert (last > 0).sum() == 19
