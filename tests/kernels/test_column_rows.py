"""Some columns of a wider array are rows like any: the same bits as of a copy, for every operation and backend."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from masks import bitmap

from vecstore.kernels.base import Kernels
from vecstore.schema import Metric

METRICS = (Metric.L2, Metric.DOT, Metric.COSINE)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("columns", [(0, 64), (0, 7), (32, 96), (79, 96), (0, 95)])
def test_as_a_copy(any_kernels: Kernels, dtype: str, columns: tuple[int, int]) -> None:
    seed = 17
    rng = np.random.default_rng(seed)
    low, high = columns
    wide = oracle.to_storage(rng.standard_normal((700, 96)), dtype)
    rows, copy = wide[:, low:high], wide[:, low:high].copy()
    allowed = bitmap(rng.random(700) < 0.5)
    candidates = rng.integers(-1, 700, (5, 30))
    norms = np.empty(700, np.float32), np.empty(700, np.float32)
    any_kernels.inverse_norms(rows, norms[0])
    any_kernels.inverse_norms(copy, norms[1])
    assert norms[0].tobytes() == norms[1].tobytes(), seed
    for metric in METRICS:
        for nq, mask in ((1, None), (1, allowed), (5, None), (5, allowed)):
            queries = rng.standard_normal((nq, high - low)).astype(np.float32)
            scanned, expected = oracle.outputs(nq, 9), oracle.outputs(nq, 9)
            any_kernels.scan(metric, queries, rows, norms[0], mask, *scanned)
            any_kernels.scan(metric, queries, copy, norms[0], mask, *expected)
            assert [part.tobytes() for part in scanned] == [part.tobytes() for part in expected], (seed, metric, nq)
            listed = candidates[:nq].copy()
            distances = np.empty((2, nq, 30), np.float32)
            any_kernels.rerank(metric, queries, rows, norms[0], listed, distances[0])
            any_kernels.rerank(metric, queries, copy, norms[0], listed, distances[1])
            assert distances[0].tobytes() == distances[1].tobytes(), (seed, metric, nq)


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(any_kernels: Kernels, n: int) -> None:
    rows = np.ones((n, 12), np.float32)[:, 2:9]
    out = oracle.outputs(1, 2)
    any_kernels.scan(Metric.L2, np.ones((1, 7), np.float32), rows, None, None, *out)
    assert out[0].tolist() == [[0 if n else -1, -1]]


def test_other_strides_are_refused(any_kernels: Kernels) -> None:
    queries, out = np.ones((1, 6), np.float32), oracle.outputs(1, 2)
    wide = np.ones((20, 12), np.float32)
    with pytest.raises(ValueError, match="rows must be C-contiguous"):
        any_kernels.scan(Metric.L2, queries, wide[:, ::2], None, None, *out)
    with pytest.raises(ValueError, match="rows must be C-contiguous"):
        any_kernels.scan(Metric.L2, queries, np.ones((6, 20), np.float32).T, None, None, *out)
    overlapping = np.lib.stride_tricks.as_strided(wide, (20, 6), (8, 4))
    with pytest.raises(ValueError, match="overlap"):
        any_kernels.scan(Metric.L2, queries, overlapping, None, None, *out)
    with pytest.raises(ValueError, match="overlap"):
        any_kernels.scan(Metric.L2, queries, wide[::-1, :6], None, None, *out)
