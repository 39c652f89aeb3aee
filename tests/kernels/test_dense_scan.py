"""Dense scans of every backend and instruction set against float64."""

from __future__ import annotations

import numpy as np
import pytest
from masks import bitmap
from oracle import check_top_k, distances, inverse_norms, outputs, to_storage

from vecstore.kernels.base import Kernels
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT, Metric.COSINE]
DTYPES = ["float32", "float16", "bfloat16"]


def _masks(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    one = np.zeros(n, bool)
    if n:
        one[rng.integers(n)] = True
    return {
        "empty": np.zeros(n, bool),
        "full": np.ones(n, bool),
        "one": one,
        "sparse": rng.random(n) < 0.02,
        "half": rng.random(n) < 0.5,
        "dense": rng.random(n) < 0.9,
    }


def _check(
    kernels: Kernels, metric: Metric, queries: np.ndarray, rows: np.ndarray, k: int, mask: np.ndarray | None
) -> None:
    out_rows, out_distances = outputs(len(queries), k)
    norms = inverse_norms(rows) if metric is Metric.COSINE else None
    allowed = None if mask is None else bitmap(mask)
    kernels.scan(metric, queries, rows, norms, allowed, out_rows, out_distances)
    exact, error = distances(metric, queries, rows)
    mask = np.ones(len(rows), bool) if mask is None else mask
    for q in range(len(queries)):
        check_top_k(out_rows[q], out_distances[q], exact[q], error[q], mask)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("metric", METRICS)
def test_every_dimension(kernels: Kernels, metric: Metric, dtype: str) -> None:
    rng = np.random.default_rng(1)
    for dim in [*range(1, 131), 255, 383, 1025]:
        rows = to_storage(rng.standard_normal((37, dim)), dtype)
        queries = rng.standard_normal((1 + dim % 6, dim)).astype(np.float32)
        _check(kernels, metric, queries, rows, 5, None)


@pytest.mark.parametrize("k", [1, 10, 70, 1500])
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1000])
def test_counts_and_masks(kernels: Kernels, n: int, k: int) -> None:
    rng = np.random.default_rng(n + k)
    rows = rng.standard_normal((n, 20)).astype(np.float32)
    for nq in (1, 5):
        queries = rng.standard_normal((nq, 20)).astype(np.float32)
        for metric in METRICS:
            _check(kernels, metric, queries, rows, k, None)
            for mask in _masks(rng, n).values():
                _check(kernels, metric, queries, rows, k, mask)


@pytest.mark.parametrize("dtype", DTYPES)
def test_mask_over_many_blocks(kernels: Kernels, dtype: str) -> None:
    rng = np.random.default_rng(5)
    rows = to_storage(rng.standard_normal((20_000, 48)), dtype)
    queries = rng.standard_normal((3, 48)).astype(np.float32)
    for mask in _masks(rng, len(rows)).values():
        _check(kernels, Metric.L2, queries, rows, 25, mask)


def test_bits_past_the_last_row_are_ignored(any_kernels: Kernels) -> None:
    rows = np.zeros((5, 3), np.float32)
    out_rows, out_distances = outputs(1, 10)
    allowed = np.full(1, np.iinfo(np.uint64).max, np.uint64)
    any_kernels.scan(Metric.L2, rows[:1].copy(), rows, None, allowed, out_rows, out_distances)
    assert out_rows[0].tolist() == [0, 1, 2, 3, 4, -1, -1, -1, -1, -1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_unaligned_rows(kernels: Kernels, dtype: str) -> None:
    rng = np.random.default_rng(6)
    rows = to_storage(rng.standard_normal((70, 33)), dtype)
    queries = rng.standard_normal((5, 33)).astype(np.float32)
    for shift in (1, 2, 3, 5):
        buffer = np.zeros(rows.nbytes + 64, np.uint8)
        moved = buffer[shift : shift + rows.nbytes].view(rows.dtype).reshape(rows.shape)
        moved[:] = rows
        _check(kernels, Metric.L2, queries, moved, 10, None)


def test_read_only_rows(any_kernels: Kernels) -> None:
    rows = np.eye(4, dtype=np.float32)
    rows.flags.writeable = False
    out_rows, out_distances = outputs(1, 1)
    any_kernels.scan(Metric.DOT, rows[2:3], rows, None, None, out_rows, out_distances)
    assert out_rows.tolist() == [[2]]


@pytest.mark.parametrize("metric", METRICS)
def test_duplicates_are_ordered_by_row(any_kernels: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(7)
    distinct = rng.standard_normal((3, 50)).astype(np.float32)
    rows = distinct[rng.integers(0, 3, 5000)]
    out_rows, out_distances = outputs(5, 3000)
    queries = rng.standard_normal((5, 50)).astype(np.float32)
    any_kernels.scan(metric, queries, rows, inverse_norms(rows), None, out_rows, out_distances)
    for q in range(5):
        pairs = list(zip(out_distances[q].tolist(), out_rows[q].tolist(), strict=True))
        assert pairs == sorted(pairs)
        assert len(set(out_distances[q].tolist())) <= 3
        for value in set(out_distances[q, :-1]):
            tied = out_rows[q][out_distances[q] == value]
            same = np.flatnonzero((rows == rows[tied[0]]).all(axis=1))
            assert tied.tolist() == same[: len(tied)].tolist()


def test_large_k(kernels: Kernels) -> None:
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((40_000, 8)).astype(np.float32)
    queries = rng.standard_normal((2, 8)).astype(np.float32)
    _check(kernels, Metric.L2, queries, rows, 10_000, None)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e15, 1e18])
def test_tiny_and_huge_values(kernels: Kernels, scale: float) -> None:
    rng = np.random.default_rng(9)
    rows = (rng.standard_normal((100, 19)) * scale).astype(np.float32)
    queries = rng.standard_normal((5, 19)).astype(np.float32)
    _check(kernels, Metric.COSINE, queries, rows, 10, None)
    _check(kernels, Metric.COSINE, (queries * scale).astype(np.float32), rows, 10, None)
    _check(kernels, Metric.DOT, queries, rows, 10, None)


def test_denormal_rows(kernels: Kernels) -> None:
    rng = np.random.default_rng(10)
    rows = (rng.standard_normal((50, 16)) * 1e-40).astype(np.float32)
    queries = (rng.standard_normal((5, 16)) * 1e3).astype(np.float32)
    _check(kernels, Metric.DOT, queries, rows, 10, None)
    half = (rng.standard_normal((50, 16)) * 1e-6).astype(np.float16)  # float16 subnormals
    _check(kernels, Metric.L2, queries, half, 10, None)
    _check(kernels, Metric.COSINE, queries, half, 10, None)


def test_overflowing_distances_still_return_rows(any_kernels: Kernels) -> None:
    rows = np.full((4, 8), 3e38, np.float32)
    rows[2] = 0
    out_rows, out_distances = outputs(1, 6)
    query = np.full((1, 8), -3e38, np.float32)
    query_before = query.copy()
    any_kernels.scan(Metric.L2, query, rows[[0, 1, 3]], None, None, out_rows, out_distances)
    assert out_rows[0].tolist() == [0, 1, 2, -1, -1, -1]
    assert np.isposinf(out_distances).all()
    assert (query == query_before).all()


def test_zero_width_and_no_queries(any_kernels: Kernels) -> None:
    out_rows, out_distances = outputs(0, 3)
    any_kernels.scan(
        Metric.L2, np.empty((0, 4), np.float32), np.ones((5, 4), np.float32), None, None, out_rows, out_distances
    )
    out_rows, out_distances = outputs(2, 0)
    queries = np.ones((2, 4), np.float32)
    any_kernels.scan(Metric.L2, queries, np.ones((5, 4), np.float32), None, None, out_rows, out_distances)
