"""Numpy's answers to what the demonstration asks, in float64, and how much of them came back."""

from __future__ import annotations

import numpy as np

from vecstore.cli.demo_sample import FUSED, HYBRID, K, Kind, Sample
from vecstore.schema import Analysis
from vecstore.sparse import SparseRows
from vecstore.text.analyze import analyze
from vecstore.tokens import TokenRows

CANDIDATES, RRF_K = 100, 60  # of each field that is fused


def recall(kind: Kind, sample: Sample) -> float:
    """Share of the exact K best that came back, by distance, so that ties count for either."""
    places = {one: row for row, one in enumerate(sample.ids)}
    found = wanted = 0
    for row, hits in zip(exact_distances(kind, sample), kind.answers, strict=True):
        count = min(K, int(np.isfinite(row).sum()))
        worst = np.partition(row, count - 1)[count - 1]
        found += sum(bool(row[places[str(hit.id)]] <= worst + 1e-6 * max(1.0, abs(worst))) for hit in hits)
        wanted += count
    return found / wanted


def exact_distances(kind: Kind, sample: Sample) -> np.ndarray:
    """(queries, rows): 1 - cosine, differing bits, or minus the score; infinite where the filter does not match, or two
    rows of terms have none in common."""
    distances = _fused(sample) if kind.using == FUSED else _distances(kind.using, sample)
    return np.where(kind.allowed, distances, np.inf)


def _distances(using: str, sample: Sample) -> np.ndarray:
    if using == "terms":
        return np.stack([_inner_products(query, sample.sparse) for query in sample.sparse_queries])
    if using == "body":
        return _bm25(sample)
    if using == "tokens":
        return np.stack([_maxsim(query.tokens, sample.tokens) for query in sample.token_queries])
    if using == "dense":
        rows, queries = (side.astype(np.float64) for side in (sample.dense, sample.queries))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        return np.asarray(1.0 - queries @ rows.T)
    rows, queries = (np.where(side > 0, 1.0, -1.0) for side in (sample.dense, sample.queries))
    return np.asarray((rows.shape[1] - queries @ rows.T) / 2)


def _inner_products(query: SparseRows, rows: SparseRows) -> np.ndarray:
    weights = np.zeros(int(max(rows.indices.max(), query.indices.max(initial=0))) + 1)
    weights[query.indices] = query.values
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    shared = np.bincount(row_of, weights[rows.indices] != 0, len(rows)) > 0
    return np.where(shared, -np.bincount(row_of, weights[rows.indices] * rows.values, len(rows)), np.inf)


def _bm25(sample: Sample) -> np.ndarray:
    """As a text field with the default analysis ranks."""
    analysis = Analysis()
    rows, queries = analyze(sample.bodies, analysis), analyze(sample.texts, analysis)
    terms, numbers = np.unique(rows.indices, return_inverse=True)
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    lengths = np.bincount(row_of, rows.values, len(rows))
    norms = analysis.k1 * (1 - analysis.b + analysis.b * lengths / lengths.mean())
    weights = rows.values * (analysis.k1 + 1) / (rows.values + norms[row_of])
    frequency = np.bincount(numbers, minlength=len(terms))
    idf = np.log1p((len(rows) - frequency + 0.5) / (frequency + 0.5))
    numbered = SparseRows(rows.offsets, numbers.astype(np.uint32), weights * idf[numbers])
    distances = np.full((len(queries), len(rows)), np.inf)
    for place, query in enumerate(queries):
        known = np.isin(query.indices, terms)
        if known.any():
            asked = np.searchsorted(terms, query.indices[known]).astype(np.uint32)
            offsets = np.array([0, len(asked)], np.int64)
            distances[place] = _inner_products(SparseRows(offsets, asked, query.values[known]), numbered)
    return distances


def _maxsim(query: np.ndarray, rows: TokenRows) -> np.ndarray:
    products = rows.tokens.astype(np.float64) @ query.astype(np.float64).T
    return np.asarray(-np.maximum.reduceat(products, rows.offsets[:-1], axis=0).sum(axis=1))


def _fused(sample: Sample) -> np.ndarray:
    """Minus the sum of 1 / (60 + rank) over the best of each field."""
    by_id = np.argsort(np.array(sample.ids), kind="stable")
    fused = np.zeros((len(sample.texts), len(sample.ids)))
    for name in HYBRID:
        for scores, distances in zip(fused, _distances(name, sample), strict=True):
            best = by_id[np.argsort(distances[by_id], kind="stable")][:CANDIDATES]
            best = best[np.isfinite(distances[best])]
            scores[best] += 1 / (RRF_K + np.arange(1, len(best) + 1))
    return np.where(fused > 0, -fused, np.inf)
