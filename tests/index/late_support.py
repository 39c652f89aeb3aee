"""Multi-vectors with neighbours worth finding: tokens around words that documents share."""

from __future__ import annotations

import numpy as np

from vecstore.index.base import BuiltIndex, Candidates, SearchParams
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.tokens import TokenRows

DIM = 32
FIELD = VectorField(VectorKind.MULTI, DIM, Metric.MAXSIM, DataType.FLOAT16)


def nothing(_phase: str, _done: int, _total: int) -> None:
    """As progress."""


def corpus(n: int, seed: int = 1, words: int = 400, empty: float = 0.02) -> TokenRows:
    """Documents of topics: each draws most of its words from a few, and every token is a word with noise."""
    rng = np.random.default_rng(seed)
    vocabulary = rng.standard_normal((words, DIM))
    topics = rng.integers(0, words, (40, 30))
    rows = []
    for _ in range(n):
        if rng.random() < empty:
            rows.append(np.empty((0, DIM)))
            continue
        used = topics[rng.integers(40), rng.integers(0, 30, int(rng.integers(4, 24)))]
        tokens = vocabulary[used] + 0.5 * rng.standard_normal((len(used), DIM))
        rows.append(tokens / np.linalg.norm(tokens, axis=1, keepdims=True))
    return TokenRows.of(rows, DIM, np.float16)


def queries_from(rows: TokenRows, count: int, seed: int = 2) -> TokenRows:
    """A few tokens of documents, with noise."""
    rng = np.random.default_rng(seed)
    used = np.flatnonzero(np.diff(rows.offsets) > 0)
    found = []
    for row in rng.choice(used, count, replace=False):
        tokens = rows.row(int(row)).tokens.astype(np.float32)
        some = tokens[rng.integers(0, len(tokens), 6)] + 0.1 * rng.standard_normal((6, DIM))
        found.append(some / np.linalg.norm(some, axis=1, keepdims=True))
    return TokenRows.of(found, DIM, np.float32)


def exact(rows: TokenRows, queries: TokenRows, k: int, allowed: np.ndarray | None = None) -> Candidates:
    return MaxSimFlatIndex(FIELD, rows).search(get_kernels(), queries, k, allowed)


def recall(index: BuiltIndex, rows: TokenRows, queries: TokenRows, k: int, params: SearchParams) -> float:
    found = index.search(get_kernels(), queries, k, None, params)
    limits = exact(rows, queries, k).distances[:, -1:]
    return float((found.distances <= limits).mean())
