"""Coarse centroids: Lloyd's k-means on a sample, with the kernels' scan as its assignment step.

Under DOT the directions are clustered (spherical k-means): rows count as if of unit length and centroids have unit
length, so that long rows do not monopolise lists. Source: specs, ivf sections 1.1 and 1.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import Progress
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.schema import Metric

ITERATIONS = 8  # recall hardly moves after that; balancing adds four
POINTS_PER_CENTROID = 64  # of the sample; at least 39 are needed, more than 256 are of no use
_BATCH = 16384  # rows assigned, or summed, at once
_NUDGE = np.float32(1.0 / 1024.0)


def assign(
    metric: Metric, rows: Float32Array, centroids: Float32Array, kernels: Kernels, k: int = 1
) -> tuple[Int64Array, Float32Array]:
    """The k nearest centroids of each row, nearest first, and the kernels' distances to them: both (n, k)."""
    lists = np.empty((len(rows), k), np.int64)
    distances = np.empty((len(rows), k), np.float32)
    kernels.scan(metric, rows, centroids, None, None, lists, distances)
    return lists, distances


def assign_all(metric: Metric, rows: Float32Array, centroids: Float32Array, kernels: Kernels) -> Int64Array:
    """The nearest centroid of each row (n,)."""
    parts = [assign(metric, part, centroids, kernels)[0][:, 0] for part in batches(rows)]
    return np.concatenate([np.empty(0, np.int64), *parts])


def kmeans(
    metric: Metric,
    sample: Float32Array,  # (n, dim), n >= nlist
    nlist: int,
    kernels: Kernels,
    progress: Progress,
    seed: int = 0,
    iterations: int = ITERATIONS,
) -> Float32Array:
    """Centroids (nlist, dim): unit length under DOT, means under L2. Starts from random rows, as good as k-means++ for
    search at these sizes. Deterministic for a seed on one instruction set."""
    rng = np.random.default_rng(seed)
    weights = row_weights(metric, sample)
    centroids = sample[np.sort(rng.choice(len(sample), nlist, replace=False))]
    if metric is Metric.DOT:
        normalize(centroids)
    for iteration in range(iterations):
        progress("train lists", iteration, iterations)
        lists = assign_all(metric, sample, centroids, kernels)
        centroids = update(metric, sample, weights, lists, centroids)
    progress("train lists", iterations, iterations)
    return centroids


def update(
    metric: Metric, sample: Float32Array, weights: Float32Array | None, lists: Int64Array, centroids: Float32Array
) -> Float32Array:
    """The centroids of the rows assigned to each list; empty lists take over half of the widest ones."""
    nlist, dim = centroids.shape
    sums = np.zeros((nlist, dim))
    order = np.argsort(lists, kind="stable")
    for low in range(0, len(order), _BATCH):
        part = order[low : low + _BATCH]
        rows = sample[part] if weights is None else sample[part] * weights[part, None]
        starts = np.flatnonzero(np.diff(lists[part], prepend=-1))
        sums[lists[part[starts]]] += np.add.reduceat(rows, starts, axis=0, dtype=np.float64)
    counts = np.bincount(lists, minlength=nlist)
    means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    if metric is Metric.DOT:
        normalize(means)
    if not counts.all():
        _fill_empty(means, counts, _costs(sample, weights, lists, means))
    return means


def _costs(
    sample: Float32Array, weights: Float32Array | None, lists: Int64Array, centroids: Float32Array
) -> NDArray[np.float64]:
    """The sum of squared distances within each list (nlist,)."""
    costs = np.zeros(len(centroids))
    for low in range(0, len(sample), _BATCH):
        part = slice(low, low + _BATCH)
        rows = sample[part] if weights is None else sample[part] * weights[part, None]
        away = rows - centroids[lists[part]]
        costs += np.bincount(lists[part], np.einsum("nd,nd->n", away, away), len(centroids))
    return costs


def _fill_empty(centroids: Float32Array, counts: Int64Array, costs: NDArray[np.float64]) -> None:
    """An empty list gets the centroid of the one that costs most, both nudged apart, as in faiss, which takes the list
    with the most rows: but equal rows need one list, however many they are."""
    signs = np.where(np.arange(centroids.shape[1]) % 2 == 0, _NUDGE, -_NUDGE)
    for empty in np.flatnonzero(counts == 0):
        widest = int(np.argmax(costs))
        centroids[empty] = centroids[widest] * (1 + signs)
        centroids[widest] *= 1 - signs
        costs[empty] = costs[widest] = costs[widest] / 2


def inertia(metric: Metric, sample: Float32Array, centroids: Float32Array, kernels: Kernels) -> float:
    """Sum of squared distances to the nearest centroid; under DOT, of the rows' directions."""
    total = 0.0
    for part in batches(sample):
        _, distances = assign(metric, part, centroids, kernels)
        if metric is Metric.DOT:
            lengths = np.linalg.norm(part, axis=1)
            cosines = np.divide(-distances[:, 0], lengths, out=np.zeros(len(part)), where=lengths > 0)
            total += float((2.0 - 2.0 * cosines).sum())
        else:
            total += float(distances.sum(dtype=np.float64))
    return total


def imbalance(counts: NDArray[np.integer]) -> float:
    """k * sum n_i^2 / N^2: how much longer the lists scanned are than equal lists would be; 1 is perfect."""
    wide = counts.astype(np.float64)
    return float(len(wide) * (wide @ wide) / max(1.0, wide.sum()) ** 2)


def normalize(rows: Float32Array) -> None:
    """To unit length, in place; zero rows stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    np.divide(rows, lengths, out=rows, where=lengths > 0)


def row_weights(metric: Metric, sample: Float32Array) -> Float32Array | None:
    """What gives each row unit length, None where rows count as they are."""
    if metric is not Metric.DOT:
        return None
    lengths = np.sqrt(np.einsum("nd,nd->n", sample, sample))
    weights: Float32Array = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return weights


def batches(rows: Float32Array) -> Iterator[Float32Array]:
    for low in range(0, len(rows), _BATCH):
        yield rows[low : low + _BATCH]
