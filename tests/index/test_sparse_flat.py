"""Exact search of sparse and text fields by scanning rows."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import SearchParams
from vecstore.index.sparse_flat import SparseFlatIndex
from vecstore.index.terms import TermQueries, row_lengths, saturation_of
from vecstore.kernels.select import get_kernels
from vecstore.schema import Analysis, DataType, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows

SPARSE = VectorField(kind=VectorKind.SPARSE, dim=0, metric=Metric.DOT, datatype=DataType.FLOAT16)
TEXT = VectorField(kind=VectorKind.TEXT, dim=0, metric=Metric.BM25, analysis=Analysis(k1=1.5, b=0.6))
TEXTS = ["a b c", "b b d", "", "e", "b d d d d d f g h", "c"]


def counts(texts: list[str]) -> SparseRows:
    """Words of one letter as terms, their code points as ids."""
    parts = [sorted(Counter(text.split()).items()) for text in texts]
    offsets = np.cumsum([0, *(len(part) for part in parts)])
    flat = [entry for part in parts for entry in part]
    return SparseRows(
        offsets, np.array([ord(t) for t, _ in flat], np.uint32), np.array([count for _, count in flat], np.float32)
    )


def test_bm25_is_the_textbook_formula() -> None:
    rows = counts(TEXTS)
    index = SparseFlatIndex(TEXT, rows)
    kernels = get_kernels()
    terms = np.array([ord("b"), ord("d")], np.uint32)
    frequency = index.document_frequency(kernels, terms, None)
    assert frequency.tolist() == [3, 2]
    mean = float(row_lengths(rows).mean())
    idf = np.log(1 + (len(TEXTS) - frequency + 0.5) / (frequency + 0.5))
    queries = TermQueries(SparseRows(np.array([0, 2]), terms, (idf * [1, 2]).astype(np.float32)), mean)
    found = index.search(kernels, queries, 6, None)
    expected = {}
    for row, text in enumerate(TEXTS):
        words = text.split()
        norm = 1.5 * (1 - 0.6 + 0.6 * len(words) / mean)
        for word, asked in (("b", 1), ("d", 2)):
            tf = words.count(word)
            df = sum(word in other.split() for other in TEXTS)
            if tf:
                weight = log(1 + (6 - df + 0.5) / (df + 0.5)) * asked
                expected[row] = expected.get(row, 0) + weight * tf * 2.5 / (tf + norm)
    best = sorted(expected, key=lambda row: -expected[row])
    assert found.rows[0].tolist() == [*best, -1, -1, -1]
    np.testing.assert_allclose(-found.distances[0, :3], [expected[row] for row in best], rtol=1e-6)
    np.testing.assert_array_equal(index.rerank(kernels, queries, found.rows), found.distances)


def test_row_lengths_and_norms() -> None:
    assert row_lengths(counts(TEXTS)).tolist() == [3, 3, 0, 1, 9, 1]
    assert row_lengths(counts([])).tolist() == []
    lengths = np.array([0, 4], np.float32)
    assert saturation_of(Analysis(k1=2, b=0.5), lengths, 2).norms().tolist() == [1, 3]
    assert saturation_of(Analysis(k1=2, b=0.5), lengths, 0).norms().tolist() == [1, 1]


def test_a_mask_and_an_empty_index() -> None:
    rows = counts(TEXTS).astype(np.float16)
    index = SparseFlatIndex.from_arrays(SPARSE, rows, {})
    queries = SparseRows(np.array([0, 1]), np.array([ord("b")], np.uint32), np.ones(1, np.float32))
    found = index.search(get_kernels(), queries, 2, np.array([0b10001], np.uint64))
    assert found.rows.tolist() == [[0, 4]]
    assert found.counters["rows_scanned"] == 2
    empty = SparseFlatIndex(SPARSE, SparseRows.empty(0, np.dtype(np.float16)))
    assert empty.search(get_kernels(), queries, 2, None).rows.tolist() == [[-1, -1]]
    with pytest.raises(InvalidArgument, match="truncate_dim=2"):
        index.search(get_kernels(), queries, 2, None, SearchParams(truncate_dim=2))


@pytest.mark.parametrize(
    "broken",
    [
        {"values": np.ones(12, np.float32)},
        {"values": np.ones(11, np.float16)},
        {"indices": np.ones(12, np.int32)},
        {"offsets": np.array([0, 3, 2, 12])},
        {"offsets": np.array([1, 12])},
        {"offsets": np.array([0, 11])},
        {"offsets": np.empty(0, np.int64)},
    ],
)
def test_rows_that_do_not_fit_are_corruption(broken: dict[str, np.ndarray]) -> None:
    rows = counts(TEXTS).astype(np.float16)
    assert rows.nnz == 12
    with pytest.raises(Corruption, match="stored rows"):
        SparseFlatIndex.from_arrays(SPARSE, SparseRows.from_arrays({**rows.arrays(), **broken}), {})
