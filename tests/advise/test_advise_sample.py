"""The sample: uniform, with exact answers, and fair to duplicates."""

from __future__ import annotations

import numpy as np
import pytest
from advise_support import SEED, embeddings

from vecstore.advise.sample import SampleReader, take_sample
from vecstore.errors import InvalidArgument
from vecstore.schema import Metric


def exact(metric: Metric, rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    a, b = queries.astype(np.float64), rows.astype(np.float64)
    if metric is Metric.COSINE:
        a, b = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (a, b))
    distances = ((a[:, None] - b[None]) ** 2).sum(-1) if metric is Metric.L2 else -(a @ b.T)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2])
def test_exact_answers_have_recall_one_and_others_less(metric: Metric) -> None:
    sample = take_sample(metric, embeddings(600), 10)
    assert sample.rows.shape == (480, 32)
    assert sample.queries.shape == (120, 32)
    answers = exact(metric, sample.rows, sample.queries, 11)
    assert (sample.recalls(answers) == 1).all()
    assert sample.recalls(answers[:, 1:]) == pytest.approx(0.9), "the nearest is missing"
    half = answers[:, :10].copy()
    half[:, 5:] = -1
    assert sample.recalls(half) == pytest.approx(0.5)
    half[:, 5:] = half[:, :5]
    assert sample.recalls(half) == pytest.approx(0.5), "a row answered twice counts once"


def test_a_duplicate_of_a_neighbour_is_as_good() -> None:
    rows = embeddings(200)
    rows[100:] = rows[:100]
    sample = take_sample(Metric.L2, rows, 5, queries=embeddings(20, seed=5))
    answers = exact(Metric.L2, rows, sample.queries, 5)
    assert (sample.recalls((answers + 100) % 200) == 1).all()


def test_held_out_queries_are_not_among_the_rows() -> None:
    rows = embeddings(500)
    sample = take_sample(Metric.L2, rows, 10)
    both = np.concatenate([sample.rows, sample.queries])
    assert {row.tobytes() for row in both} == {row.tobytes() for row in rows}
    assert len(both) == len(rows)


def test_too_few_rows_and_other_dimensions_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least 100 vectors, there are 99"):
        take_sample(Metric.DOT, embeddings(99), 10)
    with pytest.raises(InvalidArgument, match="32 dimensions"):
        take_sample(Metric.DOT, embeddings(200), 10, queries=embeddings(5, dim=16))


@pytest.mark.parametrize("most", [1, 100, 999, 1000, 5000])
def test_the_reader_keeps_so_many(most: int) -> None:
    reader = SampleReader(most)
    for low in range(0, 1000, 130):
        reader.add(np.arange(low, min(low + 130, 1000), dtype=np.float32)[:, None])
    rows = reader.rows()[:, 0]
    assert reader.seen == 1000
    assert len(rows) == min(most, 1000)
    assert (np.diff(rows) > 0).all()


def test_the_reader_is_uniform() -> None:
    counts = np.zeros(100)
    for seed in range(400):
        reader = SampleReader(20, seed=SEED + seed)
        for part in np.array_split(np.arange(100, dtype=np.float32)[:, None], 7):
            reader.add(part)
        counts[reader.rows()[:, 0].astype(int)] += 1
    assert abs(counts.mean() - 80) < 1e-9
    assert (np.abs(counts - 80) < 5 * np.sqrt(400 * 0.2 * 0.8)).all(), f"seed {SEED}"
