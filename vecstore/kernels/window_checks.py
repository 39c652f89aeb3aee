"""Checks of postings for the backends written in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.array_checks import check
from vecstore.kernels.sparse import INVERTED_COUNTERS, WINDOW_ROWS, OpenWindow, Window


def check_window(window: Window) -> None:
    """Raises ValueError where a window's arrays do not fit together."""
    n, nlists = window.n_rows, len(window.terms)
    if not 0 <= n <= WINDOW_ROWS:
        raise ValueError(f"a window has at most {WINDOW_ROWS} rows")
    if window.first_row < 0 or window.first_row % 64:
        raise ValueError("a window's first row must be a multiple of 64")
    if not 0 <= window.slope < np.inf:
        raise ValueError("slope must be finite and not negative")
    check("terms", window.terms, np.uint32, (None,))
    check("starts", window.starts, np.uint32, (nlists + 1,))
    check("steps", window.steps, np.float32, (nlists,))
    check("ids", window.ids, np.uint16, (None,))
    check("codes", window.codes, np.uint8, window.ids.shape)
    check("dense_lists", window.dense_lists, np.uint32, (None,))
    check("dense", window.dense, np.uint8, (len(window.dense_lists), (n + 63) // 64 * 64))
    terms, starts = window.terms.astype(np.int64), window.starts.astype(np.int64)
    if (np.diff(terms) < 0).any():
        raise ValueError("terms of a window must ascend")
    if (terms[2:] == terms[:-2]).any():
        raise ValueError("a term has more than two lists")
    if starts[0] != 0 or starts[-1] != len(window.ids) or (np.diff(starts) < 0).any():
        raise ValueError("starts must ascend to the postings' end")
    if not np.isfinite(window.steps).all():
        raise ValueError("steps must be finite")
    if len(window.ids) and int(window.ids.max()) >= n:
        raise ValueError("a posting's row is not in its window")
    rises = np.diff(window.ids.astype(np.int64)) > 0
    inner = starts[(starts > 0) & (starts < len(window.ids))]
    rises[inner - 1] = True
    if not rises.all():
        raise ValueError("rows of a list must ascend")
    _check_dense_lists(window.dense_lists.astype(np.int64), starts)


def _check_dense_lists(lists: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
    if (np.diff(lists) <= 0).any() or (len(lists) and lists[-1] >= len(starts) - 1):
        raise ValueError("dense lists must ascend within the lists")
    if (starts[lists] != starts[lists + 1]).any():
        raise ValueError("a dense list has postings besides")


def check_windows(windows: Sequence[OpenWindow], n: int) -> int:
    """How many of the n rows the windows cover. Raises ValueError unless they follow each other from row 0."""
    end = 0
    for window in (one.window for one in windows):
        if window.first_row != end:
            raise ValueError(f"a window begins at row {window.first_row}, not {end}")
        end += window.n_rows
        if window.n_rows % 64 and end < n:
            raise ValueError("rows of a window that others follow must fill words of 64")
    return min(end, n)


def check_counters(out_counters: NDArray[Any], nq: int) -> None:
    check("out_counters", out_counters, np.int64, (nq, len(INVERTED_COUNTERS)))
