"""The rows that options are built over, and the queries they are asked, with their exact answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import InvalidArgument
from vecstore.index_spec import BAD_INDEX_SPEC
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.schema import Metric

ROWS = 10_000
QUERIES = 1_000
HELD_OUT_SHARE = 5  # at most one row in so many becomes a query
TOLERANCE = 1e-6  # of a distance, relative: rows as far as the k-th neighbour are as good
BLOCK = 64  # queries at a time in exact search


@dataclass(frozen=True, slots=True)
class Sample:
    """`limits` holds the exact distance of each query's k-th neighbour: an answer counts when it is no farther, so that
    duplicates are fair."""

    metric: Metric
    k: int
    rows: Float32Array  # (n, dim)
    queries: Float32Array  # (nq, dim)
    limits: NDArray[np.float64]  # (nq,)

    def recalls(self, answers: Int64Array) -> NDArray[np.float64]:
        """The share of the k places filled rightly, for each query; answers are (nq, >= k) rows, -1 for none."""
        found = np.sort(answers[:, : self.k], axis=1)
        distinct = np.ones(found.shape, bool)
        distinct[:, 1:] = found[:, 1:] != found[:, :-1]
        gathered = self.rows[np.maximum(found, 0)]
        near = _distances(self.metric, self.queries[:, None], gathered)[:, 0] <= self.limits[:, None]
        shares: NDArray[np.float64] = (near & distinct & (found >= 0)).sum(axis=1) / self.k
        return shares

    def asked(self, queries: Float32Array) -> Sample:
        """The same rows with other queries."""
        return with_truth(self.metric, self.k, self.rows, queries)


def take_sample(
    metric: Metric,
    rows: Float32Array,
    k: int,
    queries: Float32Array | None = None,
    held_out: int = QUERIES,
    seed: int = 0,
) -> Sample:
    """Without `queries`, some of the rows are taken out to serve as such. Raises InvalidArgument when there are too few
    rows or the queries have another dimension."""
    if len(rows) < 10 * k:
        message = f"advice for k={k} needs at least {10 * k} vectors, there are {len(rows)}"
        raise InvalidArgument(message, reason=BAD_INDEX_SPEC)
    if queries is None:
        order = np.random.default_rng(seed).permutation(len(rows))
        count = max(1, min(held_out, len(rows) // HELD_OUT_SHARE))
        rows, queries = rows[np.sort(order[count:])], rows[np.sort(order[:count])]
    elif queries.ndim != 2 or queries.shape[1] != rows.shape[1]:
        message = f"queries have shape {queries.shape}, vectors have {rows.shape[1]} dimensions"
        raise InvalidArgument(message, reason=BAD_INDEX_SPEC)
    return with_truth(metric, k, rows, queries)


def with_truth(metric: Metric, k: int, rows: Float32Array, queries: Float32Array) -> Sample:
    rows, queries = (np.ascontiguousarray(part, np.float32) for part in (rows, queries))
    limits = np.empty(len(queries))
    for low in range(0, len(queries), BLOCK):
        distances = _distances(metric, queries[low : low + BLOCK], rows)
        kth = np.partition(distances, k - 1, axis=1)[:, k - 1]
        limits[low : low + BLOCK] = kth + TOLERANCE * np.maximum(np.abs(kth), 1.0)
    return Sample(metric, k, rows, queries, limits)


def _distances(metric: Metric, queries: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Exact distances: (..., nq, dim) and (..., n, dim) to (..., nq, n)."""
    asked, stored = queries.astype(np.float64), rows.astype(np.float64)
    if metric is Metric.COSINE:
        asked, stored = (part / _lengths(part) for part in (asked, stored))
    products: NDArray[np.float64] = asked @ np.swapaxes(stored, -1, -2)
    if metric is Metric.L2:
        squares = (asked * asked).sum(-1)[..., :, None] + (stored * stored).sum(-1)[..., None, :]
        return np.asarray(squares - 2.0 * products)
    return -products


def _lengths(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.where(lengths > 0, lengths, 1.0)


class SampleReader:
    """A uniform sample of rows that arrive in batches, each kept with equal chance, in bounded memory."""

    def __init__(self, rows: int, seed: int = 0) -> None:
        self._most = rows
        self._random = np.random.default_rng(seed)
        self._keys = np.empty(0)
        self._kept: list[NDArray[np.float32]] = []
        self.seen = 0

    def add(self, rows: NDArray[np.float32]) -> None:
        keys = self._random.random(len(rows))
        self.seen += len(rows)
        if len(self._keys) == self._most:  # only a key below the largest kept one can get in
            better = keys < self._keys.max()
            rows, keys = rows[better], keys[better]
        if not len(rows):
            return
        self._keys = np.concatenate([self._keys, keys])
        self._kept.append(np.array(rows, np.float32))
        if len(self._keys) > self._most:
            chosen = np.sort(np.argpartition(self._keys, self._most - 1)[: self._most])
            self._keys = self._keys[chosen]
            self._kept = [np.concatenate(self._kept)[chosen]]

    def rows(self) -> Float32Array:
        """(at most `rows`, dim), in the order they came."""
        return np.concatenate(self._kept) if self._kept else np.empty((0, 0), np.float32)
