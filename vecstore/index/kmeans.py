"""Coarse centroids: Lloyd's k-means on a sample, with the kernels' scan as its assignment step.

Under DOT the directions are clustered (spherical k-means): rows count as if of unit length and centroids have unit
length, so that long rows do not monopolise lists. Source: specs, ivf sections 1.1 and 1.2.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vecstore.index.base import Progress
from vecstore.index.nearest import Seen, View, nearest, see, worth
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.kernels.device.clusters import Clusters
from vecstore.kernels.places import entered
from vecstore.kernels.segment_sums import segment_sums
from vecstore.schema import Metric

ITERATIONS = 8  # recall hardly moves after that; balancing adds four
POINTS_PER_CENTROID = 64  # of the sample; at least 39 are needed, more than 256 are of no use
_BATCH = 16384  # rows assigned, or weighed, at once
ON_DEVICE = 4096  # rows that are worth a device
_NUDGE = np.float32(1.0 / 1024.0)
log = logging.getLogger("vecstore.index")
T = TypeVar("T")


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
    if worth(rows, centroids) and (view := View.fit(rows)) is not None:
        found = nearest(metric, rows, centroids, kernels, view)
        if found is not None:
            return found
    return _by_scan(metric, rows, centroids, kernels)


def _by_scan(metric: Metric, rows: Float32Array, centroids: Float32Array, kernels: Kernels) -> Int64Array:
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
    members = Members(metric, sample, kernels)
    centroids = sample[np.sort(rng.choice(len(sample), nlist, replace=False))]
    if metric is Metric.DOT:
        normalize(centroids)
    for iteration in range(iterations):
        progress("train lists", iteration, iterations)
        centroids = members.means(members.homes(centroids), len(centroids))
    progress("train lists", iterations, iterations)
    return centroids


class Members:
    """The rows of one clustering: on the device that the build has entered, where there is one and they fit, else by
    the host's kernels."""

    def __init__(self, metric: Metric, sample: Float32Array, kernels: Kernels) -> None:
        self._metric, self._sample, self._kernels = metric, sample, kernels
        self._weights = row_weights(metric, sample)
        self._clusters: Clusters | None = None
        self._view: tuple[View, Seen] | None = None
        place = entered()
        if place is not None and len(sample) >= ON_DEVICE:
            self._clusters = self._there(lambda: Clusters(place.device, metric, sample, self._weights))

    def homes(self, centroids: Float32Array) -> Int64Array:
        """The nearest centroid of each row (n,)."""
        clusters = self._clusters
        homes = None if clusters is None else self._there(lambda: clusters.homes(centroids))
        return self._near(centroids) if homes is None else homes

    def _near(self, centroids: Float32Array) -> Int64Array:
        sample, found = self._sample, None
        if worth(sample, centroids):
            if self._view is None and (view := View.fit(sample)) is not None:
                self._view = view, see(view, self._metric, sample)
            if self._view is not None:
                found = nearest(self._metric, sample, centroids, self._kernels, *self._view)
        return _by_scan(self._metric, sample, centroids, self._kernels) if found is None else found

    def means(self, lists: Int64Array, nlist: int) -> Float32Array:
        """The centroids (nlist, dim) of the rows assigned to each list; empty ones take over half of the widest."""
        clusters = self._clusters
        sums = None if clusters is None else self._there(lambda: clusters.sums(lists, nlist))
        if sums is None:
            sums = segment_sums(self._sample, self._weights, lists, nlist)
        return _means(self._metric, self._sample, self._weights, lists, sums)

    def _there(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except MemoryError:
            self._clusters = None
            log.warning("k-means over %d rows does not fit into the device: the host goes on", len(self._sample))
            return None


def update(
    metric: Metric, sample: Float32Array, weights: Float32Array | None, lists: Int64Array, nlist: int
) -> Float32Array:
    """The centroids (nlist, dim) of the rows assigned to each list; empty ones take over half of the widest."""
    return _means(metric, sample, weights, lists, segment_sums(sample, weights, lists, nlist))


def _means(
    metric: Metric,
    sample: Float32Array,
    weights: Float32Array | None,
    lists: Int64Array,
    sums: NDArray[np.float64],
) -> Float32Array:
    counts = np.bincount(lists, minlength=len(sums))
    means: Float32Array = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
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
