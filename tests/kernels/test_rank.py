"""The k nearest rows by their bytes first: the rows and the bits of a scan, on every backend and instruction set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from misleading import misleading
from oracle import outputs
from seeds import seeded

from vecstore.kernels.base import Kernels
from vecstore.kernels.row_bytes import RowBytes
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT]


def _check(
    kernels: Kernels, metric: Metric, queries: np.ndarray, rows: np.ndarray, k: int, held: RowBytes | None = None
) -> int:
    queries, rows = (np.ascontiguousarray(side, np.float32) for side in (queries, rows))
    expected, distances = outputs(len(queries), k)
    kernels.scan(metric, queries, rows, None, None, expected, distances)
    out, found = np.full((len(queries), k), -7, np.int64), np.full((len(queries), k), np.nan, np.float32)
    compared = kernels.rank(metric, queries, rows, held or RowBytes.of(rows), out, found)
    np.testing.assert_array_equal(out, expected)
    assert found.tobytes() == distances.tobytes()
    return compared


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 100])
def test_counts_and_dimensions(any_kernels: Kernels, metric: Metric, n: int) -> None:
    rng = np.random.default_rng(n)
    for dim in (1, 7, 16, 33, 100):
        rows = rng.standard_normal((n, dim))
        for nq in (0, 1, 5, 8, 9, 20):
            for k in (1, 3, n, n + 2):
                _check(any_kernels, metric, rng.standard_normal((nq, dim)), rows, k)


@pytest.mark.parametrize("metric", METRICS)
def test_whatever_the_scale(kernels: Kernels, metric: Metric) -> None:
    rng = seeded()
    for _ in range(60):
        n, dim, nq = rng.integers(1, (600, 130, 12))
        rows = rng.standard_normal((n, dim)) * 10 ** rng.uniform(-3, 3, (n, 1) if rng.random() < 0.3 else 1)
        queries = rng.standard_normal((nq, dim)) * 10 ** rng.uniform(-3, 3)
        _check(kernels, metric, queries, rows, int(rng.integers(1, n + 1)))


@pytest.mark.parametrize("metric", METRICS)
def test_rows_close_to_each_other(kernels: Kernels, metric: Metric) -> None:
    """Bytes tell none of them apart: all depends on what they may be off."""
    rng = seeded()
    for apart in (1e-1, 1e-2, 1e-3, 1e-5):
        rows = rng.standard_normal(64) + apart * rng.standard_normal((900, 64))
        queries = rows[:40] + apart * rng.standard_normal((40, 64))
        for k in (1, 10, 100):
            _check(kernels, metric, queries, rows, k)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_whose_bytes_mislead(kernels: Kernels, metric: Metric) -> None:
    rng = seeded()
    for share in (1, 0.7, 0.4):
        query, rows = misleading(rng, 1500, 96, share)
        _check(kernels, metric, query, rows, 10)


@pytest.mark.parametrize("metric", METRICS)
def test_equally_near_rows(any_kernels: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(1)
    rows = np.repeat(rng.standard_normal((90, 24)), 4, axis=0)[rng.permutation(360)]
    queries = np.concatenate([rows[:20], np.zeros((3, 24))])
    for k in (1, 2, 5, 30):
        _check(any_kernels, metric, queries, rows, k)


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_too_large_or_too_small(kernels: Kernels, metric: Metric) -> None:
    """Where bounds are no numbers, all rows are compared."""
    rng = np.random.default_rng(2)
    rows, queries = rng.standard_normal((300, 20)), rng.standard_normal((9, 20))
    with np.errstate(over="ignore"):
        for rows_by, queries_by in (
            (1e30, 1),
            (1, 1e30),
            (1e-42, 1),
            (1, 1e-42),
            (1e-30, 1e-30),
            (1e30, 1e-30),
            (0, 1),
        ):
            _check(kernels, metric, queries * queries_by, rows * rows_by, 10)
        few = rows.copy()
        few[7], few[9] = 1e25, 0
        _check(kernels, metric, queries, few, 10)


@pytest.mark.parametrize("metric", METRICS)
def test_scales_that_are_no_numbers(kernels: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((300, 20)).astype(np.float32)
    held = replace(RowBytes.of(rows), scales=np.full(300, np.nan, np.float32))
    _check(kernels, metric, rng.standard_normal((9, 20)), rows, 10, held)


@pytest.mark.parametrize("metric", METRICS)
def test_most_rows_are_not_compared(native_isa: Callable[[str], Kernels], isa: str, metric: Metric) -> None:
    rng = np.random.default_rng(3)
    rows, queries = rng.standard_normal((2000, 96)), rng.standard_normal((20, 96))
    assert _check(native_isa(isa), metric, queries, rows, 10) < 20 * 200


def test_what_does_not_fit_is_refused(any_kernels: Kernels) -> None:
    rows, queries = np.ones((40, 16), np.float32), np.ones((2, 16), np.float32)
    good, out = RowBytes.of(rows), outputs(2, 3)
    none = np.ones((0, 16), np.float32)
    for wrong_rows, wrong in (
        (rows[:39], good),
        (rows[:, :8].copy(), good),
        (none, RowBytes.of(none)),
        (rows[:5], good),
    ):
        with pytest.raises(ValueError, match=r"blocks|scales|rows"):
            any_kernels.rank(Metric.DOT, queries, wrong_rows, wrong, *out)
    with pytest.raises(ValueError, match="metric"):
        any_kernels.rank(Metric.COSINE, queries, rows, good, *out)


def test_bytes_are_as_far_off_as_they_say() -> None:
    rng = seeded()
    rows = (rng.standard_normal((70, 21)) * 10 ** rng.uniform(-3, 3, (70, 1))).astype(np.float32)
    rows[5] = 0
    held = RowBytes.of(rows)
    numbers = held.blocks.transpose(0, 2, 1, 3).reshape(96, 24).astype(np.float64)[:70, :21] - 128
    stands = numbers * held.scales[:, None]
    off = np.linalg.norm(rows - stands, axis=1)
    assert off.max() <= held.error <= off.max() * 1.001
    assert (off <= np.abs(rows).max(axis=1) / 127 * np.sqrt(21) * 0.501).all()
    longest = np.linalg.norm(stands, axis=1).max()
    assert longest <= held.length <= longest * 1.001
    np.testing.assert_allclose(held.squares, np.vecdot(rows, rows), rtol=1e-5)
