"""Scans of rows that have been rounded to bytes before: the rows and the bits of a scan without, on every backend and
instruction set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from masks import bitmap
from misleading import misleading
from oracle import outputs, to_storage, wide
from seeds import seeded

from vecstore.kernels.base import Kernels
from vecstore.kernels.row_bytes import RowBytes
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT, Metric.COSINE]
NUMBERS = {metric: number for number, metric in enumerate(METRICS)}  # of the extension


def _norms(kernels: Kernels, metric: Metric, rows: np.ndarray) -> np.ndarray | None:
    if metric is not Metric.COSINE:
        return None
    norms = np.empty(len(rows), np.float32)
    kernels.inverse_norms(rows, norms)
    return norms


def _rounded(metric: Metric, rows: np.ndarray, norms: np.ndarray | None) -> RowBytes:
    """Whether or not it pays on this instruction set."""

    from vecstore.kernels import _native

    made = RowBytes.empty(metric, *rows.shape)
    _native.round_rows(NUMBERS[metric], rows, norms, *made.arrays)
    return made


def _check(
    kernels: Kernels,
    metric: Metric,
    queries: np.ndarray,
    rows: np.ndarray,
    k: int,
    *,
    mask: np.ndarray | None = None,
    held: RowBytes | None = None,
) -> None:
    queries = np.ascontiguousarray(queries, np.float32)
    norms, allowed = _norms(kernels, metric, rows), None if mask is None else bitmap(mask)
    expected, distances = outputs(len(queries), k)
    kernels.scan(metric, queries, rows, norms, allowed, expected, distances)
    out, found = np.full((len(queries), k), -7, np.int64), np.full((len(queries), k), np.nan, np.float32)
    if held is None:
        held = _rounded(metric, rows, norms) if kernels.name == "native" else kernels.round_rows(metric, rows, norms)
    kernels.scan(metric, queries, rows, norms, allowed, out, found, held)
    np.testing.assert_array_equal(out, expected)
    assert found.tobytes() == distances.tobytes()


def _compared(metric: Metric, queries: np.ndarray, rows: np.ndarray, held: RowBytes, k: int) -> int:
    """How many pairs the native kernel compares in full."""
    from vecstore.kernels import _native

    return _native.scan_by_bytes(NUMBERS[metric], queries, rows, None, None, *held.arrays, *outputs(len(queries), k))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 100])
def test_counts_and_dimensions(any_kernels: Kernels, metric: Metric, n: int) -> None:
    rng = np.random.default_rng(n)
    for dim in (1, 7, 16, 33, 100):
        rows = rng.standard_normal((n, dim)).astype(np.float32)
        for nq in (0, 1, 5, 8, 9, 20):
            for k in (1, 3, n, n + 2):
                _check(any_kernels, metric, rng.standard_normal((nq, dim)), rows, k)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("metric", METRICS)
def test_every_dtype(native: Kernels, metric: Metric, dtype: str) -> None:
    rng = seeded()
    for dim in (64, 77):
        rows = to_storage(rng.standard_normal((3001, dim)), dtype)
        for nq, k in ((1, 1), (3, 10), (30, 180)):
            _check(native, metric, rng.standard_normal((nq, dim)), rows, k)


@pytest.mark.parametrize("metric", METRICS)
def test_more_rows_than_are_held_at_once(native: Kernels, metric: Metric) -> None:
    """In chunks, by threads that have parts of the queries, with and without a mask."""
    rng = seeded()
    rows = rng.standard_normal((50_011, 16)).astype(np.float32)
    rows[40_000:] *= 1.5
    for threads in (1, 3):
        native.set_threads(threads)
        for nq, k in ((1, 10), (1, 3000), (9, 5), (200, 10)):
            queries = rng.standard_normal((nq, 16))
            _check(native, metric, queries, rows, k)
            _check(native, metric, queries, rows, k, mask=rng.random(len(rows)) < 0.4)


@pytest.mark.parametrize("metric", METRICS)
def test_threads_that_have_parts_of_the_rows(native: Kernels, metric: Metric) -> None:
    rng = seeded()
    rows = rng.standard_normal((140_000, 64), np.float32)
    native.set_threads(3)
    for nq, k in ((1, 10), (2, 40)):
        _check(native, metric, rng.standard_normal((nq, 64)), rows, k)


@pytest.mark.parametrize("metric", METRICS)
def test_masks(any_kernels: Kernels, metric: Metric) -> None:
    rng = seeded()
    rows, queries = rng.standard_normal((2100, 24)).astype(np.float32), rng.standard_normal((3, 24))
    for share in (1, 0.9, 0.3, 0.15, 0.1, 0.001, 0):
        for k in (1, 10, 700):
            _check(any_kernels, metric, queries, rows, k, mask=rng.random(2100) < share)
    late = np.arange(2100) > 1800  # whole blocks without any
    _check(any_kernels, metric, queries, rows, 10, mask=late)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_that_came_later_have_no_bytes(native: Kernels, metric: Metric) -> None:
    rng = seeded()
    rows = rng.standard_normal((20_050, 20)).astype(np.float32)
    norms = _norms(native, metric, rows)
    every = _rounded(metric, rows, norms)
    queries = rng.standard_normal((2, 20))
    for n in (0, 1, 32, 33, 16_384, 16_400, 20_049):
        some = _rounded(metric, rows[:n], None if norms is None else norms[:n])
        for held in (some, every.first(n)):
            _check(native, metric, queries, rows, 10, held=held)
            _check(native, metric, queries, rows, 10, held=held, mask=rng.random(len(rows)) < 0.5)
        more = _rounded(metric, rows[some.whole :], None if norms is None else norms[some.whole :])
        for made, wanted in zip(some.then(more).arrays, every.arrays, strict=True):
            assert made.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("metric", METRICS)
def test_whatever_the_scale(native: Kernels, metric: Metric) -> None:
    rng = seeded()
    for _ in range(60):
        n, dim, nq = rng.integers(1, (600, 130, 12))
        rows = rng.standard_normal((n, dim)) * 10 ** rng.uniform(-3, 3, (n, 1) if rng.random() < 0.3 else 1)
        rows[rng.integers(n)] = 0
        queries = rng.standard_normal((nq, dim)) * 10 ** rng.uniform(-3, 3)
        queries[rng.integers(nq)] = 0
        _check(native, metric, queries, rows.astype(np.float32), int(rng.integers(1, n + 1)))


@pytest.mark.parametrize("metric", METRICS)
def test_rows_close_to_each_other(native: Kernels, metric: Metric) -> None:
    """Bytes tell none of them apart: all depends on what they may be off."""
    rng = seeded()
    for apart in (1e-1, 1e-2, 1e-3, 1e-5):
        rows = (rng.standard_normal(64) + apart * rng.standard_normal((900, 64))).astype(np.float32)
        queries = rows[:40] + apart * rng.standard_normal((40, 64))
        for k in (1, 10, 100):
            _check(native, metric, queries, rows, k)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_whose_bytes_mislead(native: Kernels, metric: Metric) -> None:
    rng = seeded()
    for n in (1500, 40_000):  # the second in chunks, which begin with what others found
        for share in (1, 0.7, 0.4):
            query, rows = misleading(rng, n, 96, share)
            _check(native, metric, query, rows.astype(np.float32), 10)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_that_bytes_put_behind_by_nearly_all_they_may(native: Kernels, metric: Metric) -> None:
    """Ten rows that are their bytes to the last bit, all of one block, and three nearer ones that lose by rounding."""
    query = np.random.default_rng(0).choice([-1.0, 1.0], (1, 96))
    rows = np.tile(query * -0.499, (3000, 1))
    rows[:32] = 0
    rows[:10, 52:] = query[0, 52:]  # 44 more than without
    rows[[700, 1800, 2999]] *= -1  # 47.4 more, and by bytes none
    rows[:, 0] = 127 * query[0, 0]
    _check(native, metric, query, rows.astype(np.float32), 10)


def test_rows_that_a_query_s_bytes_put_behind_by_nearly_all_they_may(native: Kernels) -> None:
    """The same for products with a query that loses by rounding, where only the nearer rows are long."""
    query = np.full((1, 96), 0.49)
    query[0, :9] = 127, *[5] * 8
    rows = np.zeros((3000, 96))
    rows[32:, 9:] = -1
    rows[:10, 1:9] = 1  # 40 more than without
    rows[[700, 1800, 2999], 9:] = 1  # 42.6 more, and by the query's bytes none
    rows[:, 0] = 1
    _check(native, Metric.DOT, query, rows.astype(np.float32), 10)


@pytest.mark.parametrize("metric", METRICS)
def test_equally_near_rows(any_kernels: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(1)
    rows = np.repeat(rng.standard_normal((90, 24)), 4, axis=0)[rng.permutation(360)].astype(np.float32)
    queries = np.concatenate([rows[:20], np.zeros((3, 24))])
    for k in (1, 2, 5, 30):
        _check(any_kernels, metric, queries, rows, k)


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_too_large_or_too_small(native: Kernels, metric: Metric) -> None:
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
            _check(native, metric, queries * queries_by, (rows * rows_by).astype(np.float32), 10)
        few = rows.copy()
        few[7], few[9] = 1e25, 0
        _check(native, metric, queries, few.astype(np.float32), 10)


@pytest.mark.parametrize("metric", METRICS)
def test_scales_that_are_no_numbers(native: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((300, 20)).astype(np.float32)
    held = _rounded(metric, rows, _norms(native, metric, rows))
    broken = replace(held, scales=np.full(300, np.nan, np.float32))
    _check(native, metric, rng.standard_normal((9, 20)), rows, 10, held=broken)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
def test_most_rows_are_not_compared(native: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(3)
    for n, nq in ((2000, 20), (40_000, 1), (40_000, 20)):
        rows, queries = (rng.standard_normal((count, 96)).astype(np.float32) for count in (n, nq))
        held = _rounded(metric, rows, None)
        assert 10 * nq <= _compared(metric, queries, rows, held, 10) < 200 * nq


def test_what_does_not_fit_is_refused(native: Kernels) -> None:
    rows, queries = np.ones((40, 16), np.float32), np.ones((2, 16), np.float32)
    good, out = _rounded(Metric.DOT, rows, None), outputs(2, 3)
    squared = _rounded(Metric.L2, rows, None)
    for wrong, held in (
        (rows[:39], good),
        (rows[:, :8].copy(), good),
        (rows, squared),
        (rows, replace(good, blocks=good.blocks[:1])),
        (rows, replace(good, errors=good.errors[:1])),
        (rows, replace(good, lengths=good.lengths[:1])),
        (rows, replace(good, scales=good.scales.astype(np.float64))),
    ):
        with pytest.raises(ValueError, match=r"blocks|scales|squares|errors|lengths|queries|rows"):
            native.scan(Metric.DOT, queries, wrong, None, None, *out, held)
    with pytest.raises(ValueError, match="squares"):
        native.scan(Metric.L2, queries, rows, None, None, *out, good)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("metric", METRICS)
def test_bytes_are_as_far_off_as_they_say(native: Kernels, metric: Metric, dtype: str) -> None:
    rng = seeded()
    rows = rng.standard_normal((70, 21)) * 10 ** rng.uniform(-3, 3, (70, 1))
    rows[5] = 0
    stored = to_storage(rows, dtype)
    exact = wide(stored)
    held = _rounded(metric, stored, _norms(native, metric, stored))
    if metric is Metric.COSINE:
        exact /= np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-30)
    numbers = held.blocks.transpose(0, 2, 1, 3).reshape(96, 24).astype(np.float64) - 128
    assert not numbers[70:].any()
    stands = numbers[:70, :21] * held.scales[:, None]
    off, longest = np.linalg.norm(exact - stands, axis=1), np.linalg.norm(stands, axis=1)
    assert (off <= np.abs(exact).max(axis=1) / 127 * np.sqrt(21) * 0.501).all()
    for block in range(3):
        part = slice(32 * block, 32 * block + 32)
        assert off[part].max() <= held.errors[block] <= off[part].max() * 1.001
        assert longest[part].max() <= held.lengths[block] <= longest[part].max() * 1.02
    if metric is Metric.L2:
        np.testing.assert_allclose(held.squares, np.vecdot(exact, exact), rtol=1e-5)
