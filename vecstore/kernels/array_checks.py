"""Checks of arrays for the backends written in Python; the native backend checks for itself. All raise ValueError."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.schema import Metric

_Any = NDArray[Any]
_DENSE_DTYPES = (np.float32, np.float16, np.uint16)


def check(name: str, array: _Any, dtype: type, shape: tuple[int | None, ...]) -> None:
    if array.dtype != dtype:
        raise ValueError(f"{name} must have dtype {np.dtype(dtype)}, not {array.dtype}")
    check_shape(name, array, shape)


def check_lengths(name: str, array: _Any, shape: tuple[int | None, ...]) -> None:
    if array.ndim != len(shape) or any(b is not None and a != b for a, b in zip(array.shape, shape, strict=True)):
        expected = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} has shape {array.shape}, expected ({expected})")


def check_shape(name: str, array: _Any, shape: tuple[int | None, ...]) -> None:
    check_lengths(name, array, shape)
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")


def check_range(name: str, array: _Any, least: int, most: int) -> None:
    if array.size and not (array.min() >= least and array.max() <= most):
        bad = array[(array < least) | (array > most)].flat[0]
        raise ValueError(f"{name} holds {bad}, which is not in {least}..{most}")


def check_rows(rows: _Any, dim: int | None) -> None:
    if rows.dtype not in _DENSE_DTYPES:
        raise ValueError(f"rows must have dtype float32, float16 or uint16 (bfloat16), not {rows.dtype}")
    check_lengths("rows", rows, (None, dim))
    n, dim = rows.shape
    if n > 0 and dim > 1 and rows.strides[1] != rows.itemsize:
        raise ValueError("rows must be C-contiguous, but for a stride between them")
    if n > 1 and rows.strides[0] < dim * rows.itemsize:
        raise ValueError("rows must not overlap")


def check_metric(metric: Metric, inverse_norms: _Any | None, n: int) -> None:
    if metric not in (Metric.L2, Metric.DOT, Metric.COSINE):
        raise ValueError(f"metric {metric} is not one of l2, dot, cosine")
    if metric is Metric.COSINE:
        if inverse_norms is None:
            raise ValueError("cosine needs inverse_norms")
        check("inverse_norms", inverse_norms, np.float32, (n,))


def check_top_k(nq: int, n: int, allowed: _Any | None, out_rows: _Any, out_distances: _Any) -> None:
    if allowed is not None:
        check("allowed", allowed, np.uint64, ((n + 63) // 64,))
    check("out_rows", out_rows, np.int64, (nq, None))
    check("out_distances", out_distances, np.float32, (nq, out_rows.shape[1]))
