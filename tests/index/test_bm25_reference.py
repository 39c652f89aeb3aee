"""BM25 of a text field against the bm25s library, on random texts, through every index."""

from __future__ import annotations

import bm25s
import numpy as np
import pytest
from seeds import seeded

from vecstore.index.inverted import InvertedIndex
from vecstore.index.inverted_growing import GrowingInverted
from vecstore.index.sparse_flat import SparseFlatIndex
from vecstore.index.terms import TermQueries
from vecstore.index_spec import Inverted
from vecstore.kernels.select import get_kernels
from vecstore.schema import Analysis, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.text.analyze import analyze
from vecstore.text.tokenize import tokens


@pytest.mark.parametrize("name", ["flat", "inverted", "growing"])
@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (2.0, 0.0), (1.5, 1.0)])
def test_scores_are_those_of_bm25s(name: str, k1: float, b: float) -> None:
    rng = seeded()
    words = np.array([f"w{i}" for i in range(400)])
    share = 1 / np.arange(1, 401)
    texts = [" ".join(rng.choice(words, rng.integers(1, 80), p=share / share.sum())) for _ in range(700)]
    questions = [" ".join(rng.choice(words, 6, p=share / share.sum())) for _ in range(30)]
    analysis = Analysis(language="none", stop_words=False, k1=k1, b=b)
    field = VectorField(kind=VectorKind.TEXT, dim=0, metric=Metric.BM25, analysis=analysis)
    rows, asked = analyze(texts, analysis), analyze(questions, analysis)

    reference = bm25s.BM25(method="lucene", k1=k1, b=b)
    reference.index([tokens(text) for text in texts], show_progress=False)
    kernels = get_kernels()
    if name == "flat":
        index: SparseFlatIndex | InvertedIndex = SparseFlatIndex(field, rows)
    elif name == "inverted":
        index = InvertedIndex.build(field, Inverted(), rows, None, kernels, lambda *_: None)
    else:
        growing = GrowingInverted(field, kernels)
        for n in (100, 300, 700):
            growing.extend(rows[:n])
        index = growing.at(rows)

    terms, places = np.unique(asked.indices, return_inverse=True)
    frequency = index.document_frequency(kernels, terms, None)
    idf = np.log1p((len(texts) - frequency + 0.5) / (frequency + 0.5))
    weights = (asked.values * idf[places]).astype(np.float32)
    mean = float(index.lengths.mean(dtype=np.float64))
    queries = TermQueries(SparseRows(asked.offsets, asked.indices, weights), mean)
    found = index.search(kernels, queries, 700, None)
    for q, question in enumerate(questions):
        held = [token for token in tokens(question) if token in reference.vocab_dict]
        expected = (k1 + 1) * reference.get_scores(held)  # Lucene leaves the constant factor out
        kept = found.rows[q] >= 0
        assert sorted(found.rows[q, kept].tolist()) == np.flatnonzero(expected > 0).tolist()
        np.testing.assert_allclose(-found.distances[q, kept], expected[found.rows[q, kept]], rtol=2e-5)
