"""Masked queries on blocks of dimensions: whole scoring with a zeroed query, reading only what is kept."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.errors import InvalidArgument
from vecstore.index.flat import FlatIndex
from vecstore.index.masked import BlockedRows
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind


@pytest.mark.parametrize("metric", [Metric.DOT, Metric.COSINE])
@pytest.mark.parametrize("dim", [96, 100])
def test_equals_whole_scoring_with_a_zeroed_query(metric: Metric, dim: int) -> None:
    """Section 8, row 7, the part that is about correctness."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((500, dim)).astype(np.float32)
    queries = rng.standard_normal((8, dim)).astype(np.float32)
    norms = None
    if metric is Metric.COSINE:
        norms = np.empty(500, np.float32)
        NumpyKernels().inverse_norms(rows, norms)
    blocked = BlockedRows.cut(rows, norms, width=16)
    kept = blocked.important(queries, rng.standard_normal((8, dim)).astype(np.float32), 0.5)
    assert kept.shape == (8, -(-len(blocked.blocks) // 2))
    mask = np.zeros((8, len(blocked.blocks)), bool)
    np.put_along_axis(mask, kept.astype(np.int64), True, axis=1)
    zeroed = queries * np.repeat(mask, 16, axis=1)[:, :dim]
    flat = FlatIndex(VectorField(VectorKind.DENSE, dim, metric), rows, norms)
    truth = flat.search(get_kernels(), zeroed, 20, None)
    found = blocked.search(queries, kept, 20)
    assert found.rows.tolist() == truth.rows.tolist()
    np.testing.assert_allclose(found.distances, truth.distances, atol=1e-5)
    assert found.counters["bytes_read"] == kept.size * 500 * 16 * 4


def test_everything_kept_is_the_whole_scan() -> None:
    rng = np.random.default_rng(2)
    rows, queries = (rng.standard_normal((n, 70)).astype(np.float32) for n in (300, 3))
    blocked = BlockedRows.cut(rows, None)
    found = blocked.search(queries, blocked.important(queries, queries, 1.0), 10)
    truth = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
    assert found.rows.tolist() == truth.tolist()


def test_importance_is_the_sum_of_products_in_a_block() -> None:
    blocked = BlockedRows.cut(np.ones((4, 8), np.float32), None, width=2)
    queries = np.array([[1, 1, -5, 0, 2, 2, 0, 0], [0, 0, 0, 0, 0, 0, 3, 0]], np.float32)
    feedback = np.array([[1, 1, 1, 1, 2, 0, 9, 9], [1, 1, 1, 1, 1, 1, 1, 1]], np.float32)
    assert blocked.important(queries, feedback, 0.5).tolist() == [[0, 2], [0, 3]]
    assert blocked.important(queries, feedback, 0.01).tolist() == [[2], [3]]
    for keep in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(InvalidArgument, match="keep"):
            blocked.important(queries, feedback, keep)
