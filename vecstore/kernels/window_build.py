"""Building postings in numpy, where the native backend is not there. The arrays are the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.sparse import DENSE_SHARE, WINDOW_ROWS, Saturation, Window
from vecstore.sparse import SparseRows

TOP = 255


def padded(n_rows: int) -> int:
    return (n_rows + 63) // 64 * 64


def exact_values(rows: SparseRows, row_of: NDArray[np.int64], saturation: Saturation | None) -> NDArray[np.float64]:
    """(nnz,) what entries count as, in float64."""
    values = rows.values.astype(np.float64)
    if saturation is None:
        return values
    base, slope = np.float64(np.float32(saturation.base)), np.float64(np.float32(saturation.slope))
    found: NDArray[np.float64] = values / (values + (base + slope * saturation.lengths.astype(np.float64))[row_of])
    return found


def build_window(first_row: int, rows: SparseRows, saturation: Saturation | None) -> Window:
    n = len(rows)
    if n > WINDOW_ROWS:
        raise ValueError(f"a window has at most {WINDOW_ROWS} rows, not {n}")
    row_of = np.repeat(np.arange(n), np.diff(rows.offsets))
    values = exact_values(rows, row_of, saturation)
    if not np.isfinite(values).all():
        raise ValueError("values must be finite")
    keys = rows.indices.astype(np.int64) * 2 + (values < 0)
    order = np.argsort(keys, kind="stable")
    lists, begins, counts = np.unique(keys[order], return_index=True, return_counts=True)
    magnitudes, row_of = np.abs(values)[order], row_of[order]
    most = np.maximum.reduceat(magnitudes, begins) if len(lists) else np.empty(0)
    steps = (most / TOP).astype(np.float32)
    while (short := steps.astype(np.float64) * TOP < most).any():
        steps[short] = np.nextafter(steps[short], np.float32(np.inf))
    codes = _codes(magnitudes, np.repeat(steps.astype(np.float64), counts))
    is_dense = counts * DENSE_SHARE > n
    numbers = np.repeat(np.arange(len(lists)), counts)
    sparse = ~is_dense[numbers]
    dense = np.zeros((int(is_dense.sum()), padded(n)), np.uint8)
    dense[(np.cumsum(is_dense) - 1)[numbers[~sparse]], row_of[~sparse]] = codes[~sparse]
    return Window(
        first_row,
        n,
        (lists >> 1).astype(np.uint32),
        np.concatenate([[0], np.cumsum(np.where(is_dense, 0, counts))]).astype(np.uint32),
        np.where(lists & 1, -steps, steps).astype(np.float32),
        row_of[sparse].astype(np.uint16),
        codes[sparse],
        np.flatnonzero(is_dense).astype(np.uint32),
        dense,
        0.0 if saturation is None else saturation.slope,
    )


def _codes(magnitudes: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The least codes in 1..255 with magnitude <= step * code."""
    ratios = np.divide(magnitudes, steps, out=np.zeros_like(magnitudes), where=steps > 0)
    codes = np.clip(np.floor(ratios) - 1, 1, TOP)
    while (short := (codes * steps < magnitudes) & (codes < TOP)).any():
        codes[short] += 1
    found: NDArray[np.uint8] = codes.astype(np.uint8)
    return found
