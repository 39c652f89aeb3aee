"""From candidates to answers: the order of pairs, and finer distances by each kind of copy."""

from __future__ import annotations

import numpy as np
import pytest
from ivf_support import Residuals

from vecstore.index.rerank import CodeRescorer, RowRescorer, narrow
from vecstore.kernels.select import get_kernels
from vecstore.kernels.smallest import smallest
from vecstore.schema import Metric


@pytest.mark.parametrize("seed", range(6))
def test_smallest_orders_by_distance_then_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 60)), int(rng.integers(1, 40))
    rows = np.stack([rng.permutation(2**32 - 2 if seed == 0 else 1000)[:n] if seed else rng.integers(0, 2**32 - 2, n)
                     for _ in range(5)])  # fmt: skip
    distances = rng.choice(np.float32([-3.5, -1e-30, -0.0, 0.0, 1e-40, 2, 3e38, np.inf]), (5, n))
    unused = rng.random((5, n)) < 0.2
    rows[unused], distances[unused] = -1, np.inf
    found, kept = smallest(rows, distances, m)
    for q in range(5):
        pairs = sorted((float(d), int(r)) for d, r in zip(distances[q], rows[q], strict=True) if r >= 0)[:m]
        pairs += [(np.inf, -1)] * (m - len(pairs))
        assert [(float(d), int(r)) for d, r in zip(kept[q], found[q], strict=True)] == pairs, f"seed {seed}"


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2])
def test_codes_rescore_like_rows(metric: Metric) -> None:
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((50, 12)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    queries = rng.standard_normal((4, 12)).astype(np.float32)
    candidates = rng.integers(-1, 50, (4, 20))
    kept = unit if metric is Metric.COSINE else rows
    quantizer = Residuals(Metric.L2 if metric is Metric.L2 else Metric.DOT, 12)
    by_codes = CodeRescorer(metric, quantizer, quantizer.encode(kept, None))
    norms = (1 / np.linalg.norm(rows, axis=1)).astype(np.float32) if metric is Metric.COSINE else None
    by_rows = RowRescorer(metric, rows, norms)
    got, want = (each.distances(queries, candidates, get_kernels()) for each in (by_codes, by_rows))
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert (np.isinf(got) == (candidates < 0)).all()


def test_narrow_rounds_to_nearest_and_never_overflows() -> None:
    values = np.float32([[1.0, 1 + 2**-9, 1 + 2**-8, 1 + 3 * 2**-8, 1e30, -1e30]])
    widened = (narrow(values, "bfloat16").astype(np.uint32) << 16).view(np.float32)
    assert widened[0, :4].tolist() == [1.0, 1.0, 1.0, 1 + 2**-6]
    assert narrow(values, "float16")[0, 4:].tolist() == [65504.0, -65504.0]
