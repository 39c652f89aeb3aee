"""The nearest row where bounds of distances are known: the row and the bits of a scan, on every backend and set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracle import outputs

from vecstore.kernels.base import Kernels
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT]


def _bounds(metric: Metric, queries: np.ndarray, rows: np.ndarray, width: int) -> tuple[np.ndarray, ...]:
    """By the first components; the lengths of what is left out bound the rest."""
    lengths = [np.linalg.norm(side[:, width:], axis=1) for side in (queries, rows)]
    scale = 2 if metric is Metric.L2 else 1
    of_rows = -np.vecdot(rows, rows) / 2 if metric is Metric.L2 else np.zeros(len(rows))
    asked = scale * np.column_stack([queries[:, :width], lengths[0], np.ones(len(queries))])
    base = (np.vecdot(queries, queries) if metric is Metric.L2 else np.zeros(len(queries))) - 1e-4 * queries.shape[1]
    known = np.column_stack([rows[:, :width], lengths[1], of_rows])
    return tuple(np.ascontiguousarray(array, np.float32) for array in (asked, known, base))


def _check(kernels: Kernels, metric: Metric, queries: np.ndarray, rows: np.ndarray, bounds: tuple[Any, ...]) -> int:
    expected, distances = outputs(len(queries), 1)
    kernels.scan(metric, queries, rows, None, None, expected, distances)
    out, found = np.full(len(queries), -7, np.int64), np.full(len(queries), np.nan, np.float32)
    compared = kernels.nearest(metric, queries, rows, *bounds, out, found)
    np.testing.assert_array_equal(out, expected[:, 0])
    assert found.tobytes() == distances[:, 0].tobytes()
    return compared


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 100])
def test_counts_and_dimensions(any_kernels: Kernels, metric: Metric, n: int) -> None:
    rng = np.random.default_rng(n)
    for dim in (1, 7, 16, 33, 100):
        rows = rng.standard_normal((n, dim)).astype(np.float32)
        for nq in (0, 1, 5, 12, 13, 101):
            queries = rng.standard_normal((nq, dim)).astype(np.float32)
            _check(any_kernels, metric, queries, rows, _bounds(metric, queries, rows, dim // 2))


@pytest.mark.parametrize("metric", METRICS)
def test_equally_near_rows(any_kernels: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(1)
    rows = np.repeat(rng.standard_normal((20, 24)).astype(np.float32), 3, axis=0)[rng.permutation(60)]
    queries = np.concatenate([rows, np.zeros((3, 24), np.float32)])
    _check(any_kernels, metric, queries, rows, _bounds(metric, queries, rows, 8))


@pytest.mark.parametrize("metric", METRICS)
def test_bounds_that_say_nothing(kernels: Kernels, metric: Metric) -> None:
    rng = np.random.default_rng(2)
    rows, queries = (rng.standard_normal((count, 40)).astype(np.float32) for count in (300, 30))
    asked, known, base = _bounds(metric, queries, rows, 20)
    assert _check(kernels, metric, queries, rows, (asked, known, base - np.float32(1e30))) == 30 * 300


@pytest.mark.parametrize("metric", METRICS)
def test_distances_that_overflow(any_kernels: Kernels, metric: Metric) -> None:
    rows, queries = np.full((20, 20), 1e20, np.float32), np.full((3, 20), -1e20, np.float32)
    nothing = np.zeros((3, 2), np.float32), np.zeros((20, 2), np.float32), np.full(3, -3e38, np.float32)
    _check(any_kernels, metric, queries, rows, nothing)


@pytest.mark.parametrize("metric", METRICS)
def test_few_pairs_are_compared_by_many_and_few_threads(native_isa: Any, isa: str, metric: Metric) -> None:
    kernels, rng = native_isa(isa), np.random.default_rng(3)
    rows = (rng.standard_normal((1500, 64)) * 0.9 ** np.arange(64)).astype(np.float32)
    queries = (rows[rng.integers(0, 1500, 4000)] * 1.05).astype(np.float32)
    counts = set()
    for threads in (1, 2, 3):
        kernels.set_threads(threads)
        counts.add(_check(kernels, metric, queries, rows, _bounds(metric, queries, rows, 32)))
    kernels.set_threads(0)
    assert len(counts) == 1
    assert counts.pop() < 4000 * 1500 / 20


WRONG: dict[str, dict[str, Any]] = {
    "queries of float64": {"queries": np.ones((2, 8))},
    "rows of another width": {"rows": np.ones((70, 7), np.float32)},
    "no rows": {"rows": np.ones((0, 8), np.float32), "row_bounds": np.ones((0, 3), np.float32)},
    "query_bounds for more queries": {"query_bounds": np.ones((3, 3), np.float32)},
    "query_bounds of float64": {"query_bounds": np.ones((2, 3))},
    "row_bounds of another width": {"row_bounds": np.ones((70, 4), np.float32)},
    "row_bounds for fewer rows": {"row_bounds": np.ones((69, 3), np.float32)},
    "base of two axes": {"base": np.ones((2, 1), np.float32)},
    "out_rows of int32": {"out_rows": np.empty(2, np.int32)},
    "out_distances for more queries": {"out_distances": np.empty(3, np.float32)},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_refuses(any_kernels: Kernels, wrong: str) -> None:
    given = {
        "queries": np.ones((2, 8), np.float32),
        "rows": np.ones((70, 8), np.float32),
        "query_bounds": np.ones((2, 3), np.float32),
        "row_bounds": np.ones((70, 3), np.float32),
        "base": np.ones(2, np.float32),
        "out_rows": np.empty(2, np.int64),
        "out_distances": np.empty(2, np.float32),
    }
    any_kernels.nearest(Metric.L2, **given)
    with pytest.raises(ValueError, match=r"queries|rows|query_bounds|row_bounds|base|out_rows|out_distances"):
        any_kernels.nearest(Metric.L2, **(given | WRONG[wrong]))
    with pytest.raises(ValueError, match=r"metric|inverse_norms"):
        any_kernels.nearest(Metric.COSINE, **given)
