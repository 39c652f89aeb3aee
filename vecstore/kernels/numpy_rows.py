"""Blocks of stored rows in float64, distances to one query at a time, and the best of them so far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import DenseRows, Float32Array, Int64Array
from vecstore.kernels.stop import check_stop
from vecstore.schema import Metric

_BLOCK_BYTES = 1 << 20  # rows widened to float64 at once


def widen(rows: DenseRows) -> NDArray[np.float64]:
    """Stored rows as float64; uint16 is bfloat16, the high half of a float32."""
    if rows.dtype == np.uint16:
        return (rows.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return rows.astype(np.float64)


def distances_of(
    metric: Metric, query: NDArray[np.float64], rows: NDArray[np.float64], inverse_norms: NDArray[Any] | None
) -> Float32Array:
    """(n,) distances; for cosine the query has unit length. NaN (an overflow of both signs) ranks last, as +inf."""
    with np.errstate(over="ignore", invalid="ignore"):
        if metric is Metric.L2:
            difference = rows - query
            distances = np.einsum("nd,nd->n", difference, difference)
        else:
            distances = -np.einsum("nd,d->n", rows, query)
        if inverse_norms is not None:
            distances = 1.0 + distances * inverse_norms
        rounded = distances.astype(np.float32)
    return np.where(np.isnan(rounded), np.float32(np.inf), rounded)


def prepared_queries(metric: Metric, queries: Float32Array) -> NDArray[np.float64]:
    wide = queries.astype(np.float64)
    if metric is Metric.COSINE:
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        wide = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    return wide


def blocks_of(listed: NDArray[np.int64], row_elements: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, _BLOCK_BYTES // (8 * max(1, row_elements)))
    for start in range(0, len(listed), step):
        check_stop()
        yield listed[start : start + step]


def merge_into(
    out_rows: Int64Array, out_distances: Float32Array, rows: NDArray[np.int64], distances: Float32Array
) -> None:
    """Merge candidates with higher rows into one query's places (a stable sort keeps ties in row order)."""
    held = int((out_rows >= 0).sum())
    k = len(out_rows)
    if held == k:
        nearer = distances < out_distances[-1]
        rows, distances = rows[nearer], distances[nearer]
    all_distances = np.concatenate((out_distances[:held], distances))
    order = np.argsort(all_distances, kind="stable")[:k]
    all_rows = np.concatenate((out_rows[:held], rows))
    out_rows[: len(order)] = all_rows[order]
    out_distances[: len(order)] = all_distances[order]
