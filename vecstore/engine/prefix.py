"""Exact search by the first components of the stored vectors (Matryoshka prefixes, `truncate_dim`).

Rows are copied chunk by chunk into a dense buffer, for kernels read whole rows. Under cosine a prefix is a vector of
its own: cut first, unit length then (dimension-reduction, section 2).
"""

from __future__ import annotations

import numpy as np

from vecstore.index.base import Candidates
from vecstore.kernels.base import Bitmap, DenseRows, Float32Array, Kernels
from vecstore.schema import Metric

CHUNK_ROWS = 8_192  # a multiple of 64, so that chunks have whole words of the bitmap


def scan_prefix(
    kernels: Kernels,
    metric: Metric,
    queries: Float32Array,
    rows: np.ndarray,
    dim: int,
    k: int,
    allowed: Bitmap | None,
) -> Candidates:
    """The k nearest allowed rows for each query, (nq, whole dim), by the first `dim` components of both."""
    short = np.ascontiguousarray(queries[:, :dim])
    nq = len(short)
    best = Candidates(np.full((nq, k), -1, np.int64), np.full((nq, k), np.inf, np.float32))
    scanned = 0
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk: DenseRows = np.ascontiguousarray(rows[start : start + CHUNK_ROWS, :dim])
        words = None if allowed is None else allowed[start // 64 : -(-(start + len(chunk)) // 64)]
        if words is not None and not words.any():
            continue
        norms = None
        if metric is Metric.COSINE:
            norms = np.empty(len(chunk), np.float32)
            kernels.inverse_norms(chunk, norms)
        found = Candidates(np.empty((nq, k), np.int64), np.empty((nq, k), np.float32))
        kernels.scan(metric, short, chunk, norms, words, found.rows, found.distances)
        found.rows[found.rows >= 0] += start
        best = _merged(best, found, k)
        scanned += len(chunk) if words is None else int(np.bitwise_count(words).sum())
    best.counters["rows_scanned"] = scanned
    return best


def _merged(one: Candidates, other: Candidates, k: int) -> Candidates:
    """The k nearest of both; `other` has larger rows, so a stable sort keeps ties in the order of rows."""
    rows = np.concatenate([one.rows, other.rows], axis=1)
    distances = np.concatenate([one.distances, other.distances], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return Candidates(np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1))
