"""The exact indexes: search through the kernels, survive a restart, refuse arrays that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.errors import Corruption
from vecstore.index.flat import BinaryFlatIndex, FlatIndex
from vecstore.index.registry import INDEXES, flat_class
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind

COSINE = VectorField(VectorKind.DENSE, 12, Metric.COSINE)
L2_HALF = VectorField(VectorKind.DENSE, 12, Metric.L2, DataType.FLOAT16)
BITS = VectorField(VectorKind.BINARY, 24, Metric.HAMMING)


def _norms(rows: np.ndarray) -> np.ndarray:
    out = np.empty(len(rows), np.float32)
    NumpyKernels().inverse_norms(rows, out)
    return out


def test_cosine_search_and_restart() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((200, 12)).astype(np.float32)
    queries = rng.standard_normal((3, 12)).astype(np.float32)
    index = FlatIndex(COSINE, rows, _norms(rows))
    allowed = np.zeros(4, np.uint64)
    allowed[0] = 0xFFFF
    found = index.search(get_kernels(), queries, 5, allowed)
    cosines = 1 - (queries @ rows[:16].T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(rows[:16], axis=1)
    assert found.rows.tolist() == np.argsort(cosines, axis=1)[:, :5].tolist()
    np.testing.assert_allclose(found.distances, np.sort(cosines, axis=1)[:, :5], atol=1e-6)
    assert found.counters == {"rows_scanned": len(queries) * 16}

    again = INDEXES[index.name].from_arrays(COSINE, rows, index.arrays())
    assert again.ntotal == 200
    after = again.search(get_kernels(), queries, 5, allowed)
    assert after.rows.tolist() == found.rows.tolist()
    assert after.distances.tolist() == found.distances.tolist()


def test_half_precision_l2_needs_no_arrays() -> None:
    rows = np.arange(60, dtype=np.float16).reshape(5, 12)
    index = FlatIndex.from_arrays(L2_HALF, rows, {})
    found = index.search(get_kernels(), rows[3:4].astype(np.float32), 2, None)
    assert found.rows[0, 0] == 3
    assert found.distances[0, 0] == 0
    assert index.arrays() == {}
    assert found.counters == {"rows_scanned": 5}


def test_binary() -> None:
    rows = np.array([[0, 0, 0], [255, 0, 0], [1, 0, 0]], np.uint8)
    index = flat_class(BITS).from_arrays(BITS, rows, {})
    assert isinstance(index, BinaryFlatIndex)
    found = index.search(get_kernels(), rows[:1], 4, None)
    assert found.rows.tolist() == [[0, 2, 1, -1]]
    assert found.distances.tolist() == [[0, 1, 8, np.inf]]
    assert BinaryFlatIndex.from_arrays(BITS, rows, index.arrays()).ntotal == 3


def test_no_rows() -> None:
    found = (
        flat_class(L2_HALF)
        .from_arrays(L2_HALF, np.empty((0, 12), np.float16), {})
        .search(get_kernels(), np.ones((2, 12), np.float32), 3, None)
    )
    assert (found.rows == -1).all()


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"inverse_norms": np.ones(3, np.float32)},
        {"inverse_norms": np.ones(4)},
        {"inverse_norms": np.ones((4, 1), np.float32)},
    ],
)
def test_norms_that_do_not_fit_are_corruption(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(Corruption, match="inverse_norms"):
        FlatIndex.from_arrays(COSINE, np.ones((4, 12), np.float32), arrays)


def test_rows_that_do_not_fit_are_corruption() -> None:
    with pytest.raises(Corruption, match="float16"):
        FlatIndex.from_arrays(L2_HALF, np.ones((4, 12), np.float32), {})
    with pytest.raises(Corruption, match="12"):
        FlatIndex.from_arrays(COSINE, np.ones((4, 11), np.float32), {"inverse_norms": np.ones(4, np.float32)})
    with pytest.raises(Corruption):
        BinaryFlatIndex.from_arrays(BITS, np.ones((4, 4), np.uint8), {})
