"""Wrong shapes, dtypes and layouts are refused before any pointer is followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore.kernels.base import Kernels
from vecstore.schema import Metric


def _arguments() -> dict[str, Any]:
    return {
        "queries": np.ones((2, 8), np.float32),
        "rows": np.ones((70, 8), np.float32),
        "inverse_norms": np.ones(70, np.float32),
        "allowed": np.zeros(2, np.uint64),
        "out_rows": np.empty((2, 3), np.int64),
        "out_distances": np.empty((2, 3), np.float32),
    }


WRONG = {
    "queries of float64": {"queries": np.ones((2, 8))},
    "queries of one axis": {"queries": np.ones(8, np.float32)},
    "queries of another width": {"queries": np.ones((2, 7), np.float32)},
    "queries not contiguous": {"queries": np.ones((2, 16), np.float32)[:, ::2]},
    "rows of float64": {"rows": np.ones((70, 8))},
    "rows not contiguous": {"rows": np.ones((8, 70), np.float32).T},
    "short norms": {"inverse_norms": np.ones(69, np.float32)},
    "no norms": {"inverse_norms": None},
    "norms of float64": {"inverse_norms": np.ones(70)},
    "short bitmap": {"allowed": np.zeros(1, np.uint64)},
    "long bitmap": {"allowed": np.zeros(3, np.uint64)},
    "bitmap of int64": {"allowed": np.zeros(2, np.int64)},
    "out_rows of int32": {"out_rows": np.empty((2, 3), np.int32)},
    "out_rows for more queries": {"out_rows": np.empty((3, 3), np.int64)},
    "outputs that differ": {"out_distances": np.empty((2, 4), np.float32)},
    "output not contiguous": {"out_distances": np.empty((2, 6), np.float32)[:, ::2]},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_scan_refuses(any_kernels: Kernels, wrong: str) -> None:
    names = "queries|rows|inverse_norms|allowed|out_rows|out_distances"  # a mismatch is blamed on either of the two
    with pytest.raises(ValueError, match=names):
        any_kernels.scan(Metric.COSINE, **(_arguments() | WRONG[wrong]))


def test_scan_accepts(any_kernels: Kernels) -> None:
    any_kernels.scan(Metric.COSINE, **_arguments())


def test_scan_refuses_hamming(any_kernels: Kernels) -> None:
    with pytest.raises(ValueError, match="hamming"):
        any_kernels.scan(Metric.HAMMING, **_arguments())


@pytest.mark.parametrize(
    ("queries", "rows"),
    [
        (np.ones((2, 8), np.int8), np.ones((70, 8), np.uint8)),
        (np.ones((2, 8), np.uint8), np.ones((70, 9), np.uint8)),
        (np.ones((2, 8), np.uint8), np.ones((70, 16), np.uint8)[:, ::2]),
    ],
)
def test_hamming_refuses(any_kernels: Kernels, queries: np.ndarray, rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"queries|rows"):
        any_kernels.hamming_scan(queries, rows, None, np.empty((2, 3), np.int64), np.empty((2, 3), np.float32))
