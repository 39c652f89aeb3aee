"""Which sparse queries are taken as they are: every backend says the same, and says so of no bad one."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.kernels.select import available_backends
from vecstore.kernels.sparse_ready import in_numpy

U, F = np.uint32, np.float32
GOOD = [
    (np.array([3, 7, 2**32 - 1], U), np.array([0.5, -2, 1e-30], F)),
    (np.array([0], U), np.array([3], F)),
    (np.array([], U), np.array([], F)),
]
BAD = {
    "order": (np.array([7, 3], U), np.array([1, 1], F)),
    "twice": (np.array([3, 3], U), np.array([1, 1], F)),
    "zero": (np.array([3, 7], U), np.array([1, 0], F)),
    "nan": (np.array([3, 7], U), np.array([1, np.nan], F)),
    "infinite": (np.array([3, 7], U), np.array([-np.inf, 1], F)),
    "long": (np.array([3, 7], U), np.array([1, 99], F)),
    "lengths": (np.array([3, 7], U), np.array([1], F)),
    "axes": (np.array([[3]], U), np.array([[1]], F)),
    "indices": (np.array([3, 7], np.int64), np.array([1, 1], F)),
    "values": (np.array([3, 7], U), np.array([1, 1], np.float16)),
    "strides of indices": (np.array([3, 5, 7], U)[::2], np.array([1, 1], F)),
    "strides of values": (np.array([3, 7], U), np.array([1, 1, 1], F)[::2]),
}


def test_ready_queries() -> None:
    told = [in_numpy]
    if "native" in available_backends():
        from vecstore.kernels import _native

        told.append(_native.sparse_ready)
    for ready in told:
        for indices, values in GOOD:
            assert ready(indices, values, 9.1) is True
        for name, (indices, values) in BAD.items():
            assert ready(indices, values, 9.1) is False, name
        assert ready(np.array([1], U), np.array([3], F), 9.0)
        assert not ready(np.array([1], U), np.array([3], F), 8.9)


@pytest.mark.parametrize("given", [(np.array([3, 7], U), np.array([1, 2], F)), ([3, 7], [1, 2]), {7: 2, 3: 1}])
def test_forms_of_a_query_are_one_row(given: object) -> None:
    from vecstore.client.ragged import as_ragged_query
    from vecstore.schema import Metric, VectorField, VectorKind
    from vecstore.sparse import SparseRows
    from vecstore.sparse_check import check_sparse

    rows = as_ragged_query(given, VectorField(VectorKind.SPARSE, 0, Metric.DOT))
    assert isinstance(rows, SparseRows)
    checked = check_sparse(rows, np.dtype(F), 1, "query", 1e9, single=True)
    assert [part.tolist() for part in checked.arrays().values()] == [[0, 2], [3, 7], [1, 2]]
    assert [part.dtype for part in checked.arrays().values()] == [np.int64, U, F]
