"""Recall by distance, and percentiles."""

from __future__ import annotations

import numpy as np

from bench.datasets import Dataset

EPSILON = 1e-3  # ann-benchmarks' allowance
EPSILON_STRICT = 1e-6  # float32 rounding, nothing more


def recall(dataset: Dataset, truth: np.ndarray, answers: np.ndarray, k: int, epsilon: float = EPSILON) -> float:
    """The share of the k places filled by a row no farther than the true k-th neighbour plus `epsilon`.

    Judged by distance as in ann-benchmarks, so that any of several equally near rows counts; distances are computed
    again here from the data as stored. `truth` and `answers` are (nq, >= k) rows of `train`, -1 for none. Where fewer
    than k rows can match (a narrow filter), the places that cannot be filled do not count. A row answered twice counts
    once."""
    found = possible = 0
    for query, (true_rows, rows) in enumerate(zip(truth[:, :k], answers[:, :k], strict=True)):
        real = true_rows[true_rows >= 0]
        if not len(real):
            continue
        threshold = dataset.distances(query, real)[-1] + epsilon
        distinct = np.unique(rows[rows >= 0])
        found += min(len(real), int((dataset.distances(query, distinct) <= threshold).sum()))
        possible += len(real)
    return found / possible if possible else 1.0


def latency(seconds: np.ndarray) -> dict[str, float]:
    """Median, 95th and 99th percentile in milliseconds."""
    p50, p95, p99 = np.percentile(np.asarray(seconds) * 1e3, [50, 95, 99])
    return {"p50_ms": round(float(p50), 4), "p95_ms": round(float(p95), 4), "p99_ms": round(float(p99), 4)}
