"""Grid codes in two stages, and the scalar codebooks they come from."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.quantize import codebooks
from vecstore.quantize.grid import Grid


def random_grid(rng: np.random.Generator, dims: int, staged: bool) -> Grid:
    bits = rng.integers(1, 13, dims).astype(np.int32)
    top = rng.integers(0, bits + 1).astype(np.int32) if staged else bits
    top[0] = max(1, top[0])
    return Grid(bits, top, rng.uniform(0.01, 1, dims).astype(np.float32), rng.uniform(0, 1, dims).astype(np.float32))


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("dims", [1, 5, 40])
def test_both_stages_say_what_the_code_says(dims: int, staged: bool) -> None:
    seed = 10 * dims + staged
    print("seed", seed)
    rng = np.random.default_rng(seed)
    grid = random_grid(rng, dims, staged)
    codes = rng.integers(0, 1 << grid.bits.astype(np.int64), (30, dims)).astype(np.uint16)
    nibbles, low = grid.nibbles(codes), grid.low_bits(codes)
    assert nibbles.max() < 16
    assert nibbles.shape[1] == -(-int(grid.top.sum()) // 4)  # no place is wasted, however bits mix
    assert np.array_equal(grid.codes(nibbles, low), codes)

    tables = grid.tables()
    query = rng.standard_normal(dims)
    padded = np.append(query, 0.0)
    entries = np.einsum("jw,jwv->jv", padded[tables.table_dims], tables.table_values)
    first = entries[np.arange(len(entries)), nibbles].sum(axis=1)
    np.testing.assert_allclose(first, grid.top_values(codes) @ query, rtol=1e-4, atol=1e-3)
    if grid.staged:
        assert tables.extra_runs is not None
        assert tables.extra_dims is not None
        assert tables.extra_steps is not None
        assert tables.extra_bytes == low.shape[1]
        weights = padded[tables.extra_dims] * tables.extra_steps
        byte = at = 0
        for bits, count in tables.extra_runs.tolist():
            width = bits * count // 8
            assert count % 8 == 0
            for place in range(count):
                value = low[:, byte + place % width] >> (place // width * bits) & (1 << bits) - 1
                first = first + (value - ((1 << bits) - 1) / 2) * weights[at + place]
            byte, at = byte + width, at + count
    np.testing.assert_allclose(first, grid.values(codes) @ query, rtol=1e-4, atol=1e-3)


def test_heavy_bits_are_spread_over_nibbles() -> None:
    """One heavy dimension must not fill a nibble: tables share one rounding step."""
    steps = np.ones(24, np.float32)
    bits = np.full(24, 2, np.int32)
    bits[7] = 8
    values = Grid(bits, bits, steps, steps).tables().table_values
    ranges = values.max(axis=2).sum(axis=1)
    assert ranges.max() <= 128 / 2 + 3  # the heaviest bit beside three light ones


# Positive levels and distortions as published (TurboQuant), the first to all its digits.
LLOYD_MAX = {
    1: ([0.79788], 0.36338),
    2: ([0.45278, 1.51042], 0.11748),
    3: ([0.24509, 0.75601, 1.34391, 2.15195], 0.034548),
    4: ([0.12840, 0.38805, 0.65676, 0.94234, 1.25623, 1.61805, 2.06902, 2.73259], 0.009501),
}
DISTORTIONS = {5: 0.002505, 6: 0.00064424, 7: 0.00016348, 8: 0.00004119}


def test_lloyd_max_tables() -> None:
    for bits, (levels, distortion) in LLOYD_MAX.items():
        got, error = codebooks.lloyd_max(bits)
        np.testing.assert_allclose(got, levels, atol=1e-5)
        assert error == pytest.approx(distortion, rel=1e-4)
    for bits, distortion in DISTORTIONS.items():
        levels, error = codebooks.lloyd_max(bits)
        assert error == pytest.approx(distortion, rel=3e-4)  # the published digits
        assert len(levels) == 2 ** (bits - 1)
        assert (np.diff(levels) > 0).all()


def test_grid_steps_are_the_best_and_their_errors_right() -> None:
    published = {2: 0.99599, 3: 0.58596, 4: 0.33532, 5: 0.18800, 6: 0.10396, 7: 0.05686, 8: 0.03076}
    x = np.linspace(-9, 9, 1_000_001)  # sums over this stand for integrals over N(0, 1)
    mass = np.exp(-x * x / 2) * (x[1] - x[0]) / np.sqrt(2 * np.pi)
    for bits in range(1, 13):
        step, half = codebooks.grid_step(bits), 2 ** (bits - 1)
        if bits in published:
            assert step == pytest.approx(published[bits], rel=2e-3)

        def error(step: float, half: int = half) -> float:
            levels = (np.clip(np.floor(x / step), -half, half - 1) + 0.5) * step
            return float(mass @ (x - levels) ** 2)

        assert codebooks.grid_error(bits) == pytest.approx(error(step), rel=1e-3)
        assert error(step) < min(error(step * 0.99), error(step * 1.01))
        for top in (1, bits // 2, bits):
            if top:
                assert codebooks.prefix_error(bits, top) == pytest.approx(
                    float(mass @ (x - _prefix(x, step, half, bits - top)) ** 2), rel=1e-3
                )


def _prefix(x: np.ndarray, step: float, half: int, low: int) -> np.ndarray:
    cells = np.clip(np.floor(x / step), -half, half - 1)
    return (np.floor(cells / 2**low) + 0.5) * step * 2**low
