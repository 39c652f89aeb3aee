"""Reranking listed rows, and inverse norms."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import EPS, distances, inverse_norms, to_storage

from vecstore.kernels.base import Kernels
from vecstore.schema import Metric


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT, Metric.COSINE])
def test_distances_in_the_candidates_order(any_kernels: Kernels, metric: Metric, dtype: str) -> None:
    rng = np.random.default_rng(11)
    for dim, m in [(1, 3), (16, 1), (47, 300), (384, 600), (130, 0)]:
        rows = to_storage(rng.standard_normal((500, dim)), dtype)
        queries = rng.standard_normal((3, dim)).astype(np.float32)
        candidates = rng.integers(-1, 500, (3, m)).astype(np.int64)
        out = np.full((3, m), np.nan, np.float32)
        norms = inverse_norms(rows) if metric is Metric.COSINE else None
        any_kernels.rerank(metric, queries, rows, norms, candidates, out)
        exact, error = distances(metric, queries, rows)
        for q in range(3):
            none = candidates[q] < 0
            assert np.isposinf(out[q][none]).all()
            listed = candidates[q][~none]
            assert (np.abs(out[q][~none] - exact[q, listed]) <= error[q, listed]).all()


@pytest.mark.parametrize("bad", [-2, 5, 2**40])
def test_candidate_out_of_range(any_kernels: Kernels, bad: int) -> None:
    candidates = np.array([[0, bad]], np.int64)
    with pytest.raises(ValueError, match=str(bad)):
        any_kernels.rerank(
            Metric.L2,
            np.ones((1, 3), np.float32),
            np.ones((5, 3), np.float32),
            None,
            candidates,
            np.empty((1, 2), np.float32),
        )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_inverse_norms(any_kernels: Kernels, dtype: str) -> None:
    rng = np.random.default_rng(12)
    for dim in (1, 7, 16, 33, 384):
        rows = to_storage(rng.standard_normal((3000, dim)), dtype)
        rows[17] = 0
        out = np.full(3000, np.nan, np.float32)
        any_kernels.inverse_norms(rows, out)
        expected = inverse_norms(rows)
        assert out[17] == 0
        assert (np.abs(out - expected) <= (8 + dim / 4) * EPS * expected).all()


def test_inverse_norms_of_extreme_rows(any_kernels: Kernels) -> None:
    rows = np.array([[3e38, 3e38], [1e-30, 1e-30], [1e-45, 0], [1e-20, 1e-20]], np.float32)
    out = np.empty(4, np.float32)
    any_kernels.inverse_norms(rows, out)
    np.testing.assert_allclose(out, inverse_norms(rows), rtol=1e-6)
    assert np.isfinite(out).all()
