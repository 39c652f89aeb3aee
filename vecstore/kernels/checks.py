"""Shape, dtype and layout checks for the backends written in Python; the native backend checks for itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.schema import Metric

_Any = NDArray[Any]
_DENSE_DTYPES = (np.float32, np.float16, np.uint16)


def _check(name: str, array: _Any, dtype: type, shape: tuple[int | None, ...]) -> None:
    if array.dtype != dtype:
        raise ValueError(f"{name} must have dtype {np.dtype(dtype)}, not {array.dtype}")
    _check_shape(name, array, shape)


def _check_shape(name: str, array: _Any, shape: tuple[int | None, ...]) -> None:
    if array.ndim != len(shape) or any(b is not None and a != b for a, b in zip(array.shape, shape, strict=True)):
        expected = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} has shape {array.shape}, expected ({expected})")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")


def _check_rows(rows: _Any, dim: int | None) -> None:
    if rows.dtype not in _DENSE_DTYPES:
        raise ValueError(f"rows must have dtype float32, float16 or uint16 (bfloat16), not {rows.dtype}")
    _check_shape("rows", rows, (None, dim))


def _check_metric(metric: Metric, inverse_norms: _Any | None, n: int) -> None:
    if metric not in (Metric.L2, Metric.DOT, Metric.COSINE):
        raise ValueError(f"metric {metric} is not one of l2, dot, cosine")
    if metric is Metric.COSINE:
        if inverse_norms is None:
            raise ValueError("cosine needs inverse_norms")
        _check("inverse_norms", inverse_norms, np.float32, (n,))


def _check_top_k(nq: int, n: int, allowed: _Any | None, out_rows: _Any, out_distances: _Any) -> None:
    if allowed is not None:
        _check("allowed", allowed, np.uint64, ((n + 63) // 64,))
    _check("out_rows", out_rows, np.int64, (nq, None))
    _check("out_distances", out_distances, np.float32, (nq, out_rows.shape[1]))


def check_scan(
    metric: Metric,
    queries: _Any,
    rows: _Any,
    inverse_norms: _Any | None,
    allowed: _Any | None,
    out_rows: _Any,
    out_distances: _Any,
) -> None:
    _check("queries", queries, np.float32, (None, None))
    _check_rows(rows, queries.shape[1])
    _check_metric(metric, inverse_norms, len(rows))
    _check_top_k(len(queries), len(rows), allowed, out_rows, out_distances)


def check_hamming_scan(queries: _Any, rows: _Any, allowed: _Any | None, out_rows: _Any, out_distances: _Any) -> None:
    _check("queries", queries, np.uint8, (None, None))
    _check("rows", rows, np.uint8, (None, queries.shape[1]))
    _check_top_k(len(queries), len(rows), allowed, out_rows, out_distances)


def check_rerank(
    metric: Metric, queries: _Any, rows: _Any, inverse_norms: _Any | None, candidates: _Any, out_distances: _Any
) -> None:
    _check("queries", queries, np.float32, (None, None))
    _check_rows(rows, queries.shape[1])
    _check_metric(metric, inverse_norms, len(rows))
    _check("candidates", candidates, np.int64, (len(queries), None))
    _check("out_distances", out_distances, np.float32, candidates.shape)
    if candidates.size and not (candidates.min() >= -1 and candidates.max() < len(rows)):
        bad = candidates[(candidates < -1) | (candidates >= len(rows))][0]
        raise ValueError(f"candidate row {bad} is not in -1..{len(rows) - 1}")


def check_inverse_norms(rows: _Any, out: _Any) -> None:
    _check_rows(rows, None)
    _check("out", out, np.float32, (len(rows),))
