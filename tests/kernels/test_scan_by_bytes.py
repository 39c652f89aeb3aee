"""Scans for many queries, which round rows to bytes first: the bits of each query alone, which takes all distances."""

from __future__ import annotations

import numpy as np
import pytest
from masks import bitmap
from misleading import misleading
from oracle import outputs, to_storage
from seeds import seeded

from vecstore.kernels.base import Kernels
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT, Metric.COSINE]
NQ = 24  # from here on


def _check(
    kernels: Kernels, metric: Metric, queries: np.ndarray, rows: np.ndarray, k: int, mask: np.ndarray | None = None
) -> None:
    queries = np.ascontiguousarray(queries, np.float32)
    norms = None
    if metric is Metric.COSINE:
        norms = np.empty(len(rows), np.float32)
        kernels.inverse_norms(rows, norms)
    allowed = None if mask is None else bitmap(mask)
    out, distances = outputs(len(queries), k)
    kernels.scan(metric, queries, rows, norms, allowed, out, distances)
    alone, own = outputs(len(queries), k)
    for q in range(len(queries)):
        kernels.scan(metric, queries[q : q + 1], rows, norms, allowed, alone[q : q + 1], own[q : q + 1])
    np.testing.assert_array_equal(out, alone)
    assert distances.tobytes() == own.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_and_dtype(native: Kernels, metric: Metric, dtype: str) -> None:
    rng = seeded()
    for dim in (64, 77, 100):
        rows = to_storage(rng.standard_normal((3001, dim)), dtype)
        for nq, k in ((NQ, 1), (NQ + 9, 10), (50, 180)):
            _check(native, metric, rng.standard_normal((nq, dim)), rows, k)


@pytest.mark.parametrize("metric", METRICS)
def test_masks_and_threads(native: Kernels, metric: Metric) -> None:
    rng = seeded()
    rows, queries = rng.standard_normal((9000, 64)).astype(np.float32), rng.standard_normal((40, 64))
    before = native.threads
    try:
        for threads in (1, 3):
            native.set_threads(threads)
            for share in (0.9, 0.2, 0.01, 0):
                _check(native, metric, queries, rows, 10, rng.random(9000) < share)
            _check(native, metric, queries, rows[:, :64], 10)
    finally:
        native.set_threads(before)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_that_bytes_do_not_tell_apart(native: Kernels, metric: Metric) -> None:
    rng = seeded()
    for apart in (1e-1, 1e-2, 1e-4, 0):
        rows = (rng.standard_normal(70) + apart * rng.standard_normal((4000, 70))).astype(np.float32)
        rows[rng.integers(4000, size=500)] = rows[7]
        _check(native, metric, rows[: NQ + 1] + apart * rng.standard_normal((NQ + 1, 70)), rows, 10)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_whose_bytes_mislead(native: Kernels, metric: Metric) -> None:
    rng = seeded()
    for share in (1, 0.7, 0.4):
        query, rows = misleading(rng, 4000, 96, share)
        queries = np.concatenate([query, rng.standard_normal((NQ, 96))])
        _check(native, metric, queries, rows.astype(np.float32), 10)


@pytest.mark.parametrize("metric", METRICS)
def test_whatever_the_scale(native: Kernels, metric: Metric) -> None:
    rng = seeded()
    for _ in range(8):
        rows = rng.standard_normal((2500, 80)) * 10 ** rng.uniform(-3, 3, (2500, 1) if rng.random() < 0.5 else 1)
        queries = rng.standard_normal((NQ, 80)) * 10 ** rng.uniform(-3, 3)
        queries[3] = 0
        rows[11] = 0
        _check(native, metric, queries, rows.astype(np.float32), int(rng.integers(1, 100)))


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_too_large_or_too_small(native: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(1)
    rows, queries = rng.standard_normal((2500, 64)).astype(np.float32), rng.standard_normal((NQ, 64)).astype(np.float32)
    few = rows.copy()
    few[1700] *= np.float32(1e25)
    with np.errstate(over="ignore"):
        _check(native, metric, queries, few, 10)
        for by in (1e30, 1e-13, 1e-20, 1e-42):
            _check(native, metric, queries, rows * np.float32(by), 10)
            _check(native, metric, queries * np.float32(by), rows, 10)
