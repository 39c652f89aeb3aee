"""Inner products: of two queries that differ in length alone, an index over codes finds the same."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.index.base import SearchParams
from vecstore.index.registry import built_index
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind

DIM, K = 64, 10


def data() -> tuple[np.ndarray, np.ndarray]:
    """Rows far from the origin, as encodings of documents are, and queries like them."""
    rng = np.random.default_rng(20261128)
    plane, mean = rng.standard_normal((8, DIM)), 4 * rng.standard_normal(DIM)
    rows, queries = (
        rng.standard_normal((n, 8)) @ plane + mean + 0.3 * rng.standard_normal((n, DIM)) for n in (3000, 60)
    )
    return rows.astype(np.float32), queries.astype(np.float32)


ROWS, QUERIES = data()
BEST = np.argsort(-(QUERIES @ ROWS.T), axis=1)[:, :K]


@pytest.mark.parametrize("text", ["flat | rabitq(bits=2)", "ivf | rabitq(bits=4)", "ivf | saq(bits=4)", "flat | int8"])
def test_a_querys_length_changes_nothing(text: str) -> None:
    field = VectorField(VectorKind.DENSE, DIM, Metric.DOT, DataType.FLOAT32, parse_index(text))
    assert field.index is not None
    index = built_index(field.index).build(field, field.index, ROWS, None, get_kernels(), lambda *_: None)
    for params in (SearchParams(recall_target=0.95), SearchParams(rescore=False)):
        whole = index.search(get_kernels(), QUERIES, K, None, params)
        for factor in (2.0**-9, 2.0**9):
            found = index.search(get_kernels(), QUERIES * np.float32(factor), K, None, params)
            same = np.mean([len(np.intersect1d(*pair)) / K for pair in zip(found.rows, whole.rows, strict=True)])
            assert same > 0.98
            np.testing.assert_allclose(found.distances[:, 0] / factor, whole.distances[:, 0], rtol=1e-3)
    found = index.search(get_kernels(), QUERIES / 512, K, None, SearchParams(recall_target=0.95))
    assert np.mean([len(np.intersect1d(*pair)) / K for pair in zip(found.rows, BEST, strict=True)]) > 0.9


def test_queries_without_a_direction_or_against_all_rows() -> None:
    field = VectorField(VectorKind.DENSE, DIM, Metric.DOT, DataType.FLOAT32, parse_index("ivf | rabitq(bits=4)"))
    assert field.index is not None
    index = built_index(field.index).build(field, field.index, ROWS, None, get_kernels(), lambda *_: None)
    for query in (np.zeros((1, DIM), np.float32), -QUERIES[:1]):
        found = index.search(get_kernels(), query, K, None, SearchParams(rescore=False))
        assert (found.rows >= 0).all()
        assert np.isfinite(found.distances).all()
        if query.any():
            np.testing.assert_allclose(found.distances, -(ROWS[found.rows[0]] @ query[0])[None], rtol=0.15, atol=1e-3)
