"""What races and frontiers share: recall, Pareto fronts, rates at a recall, and the rule that compares bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import contest, datasets, frontier
from bench.contest import Built, Entrant, Point
from bench.metrics import recall as recall_of
from bench.races import bracket, finalists


def made(recall: float, qps: float, family: str = "a") -> Point:
    built = Built(lambda queries, k: np.zeros((len(queries), k), np.int64), 1.0)
    return Point(Entrant("s", family, "spec", lambda rows: built), {}, recall, qps, built)


@pytest.fixture
def data(tmp_path: Path) -> contest.Data:
    datasets.synthesize(tmp_path / "made.hdf5", "angular", rows=400, dim=16, queries=20)
    return contest.load(tmp_path / "made.hdf5", 10)


def test_vectors_are_unit_and_exact_answers_have_recall_one(data: contest.Data) -> None:
    assert np.linalg.norm(data.rows, axis=1) == pytest.approx(1.0)
    exact = np.argsort(-(data.queries.astype(np.float64) @ data.rows.T.astype(np.float64)), axis=1)
    assert data.truth.recall(exact[:, :10]) == 1.0
    assert data.truth.recall(exact[:7, :10]) == 1.0, "of the first queries only"
    assert data.truth.recall(exact[:, 1:11]) == pytest.approx(0.9)
    assert data.truth.recall(np.repeat(exact[:, :1], 10, axis=1)) == pytest.approx(0.1), (
        "answered ten times counts once"
    )
    assert data.truth.recall(np.full((20, 10), -1)) == 0.0


def test_recall_agrees_with_the_other_benchmarks(data: contest.Data, tmp_path: Path) -> None:
    loaded = datasets.load(tmp_path / "made.hdf5")
    answers = np.random.default_rng(1).integers(0, 400, (20, 10))
    answers[:, :6] = loaded.neighbors[:, 2:8]
    assert data.truth.recall(answers) == pytest.approx(recall_of(loaded, loaded.neighbors, answers, 10, 1e-6))


def test_fewer_rows_have_their_own_truth(tmp_path: Path) -> None:
    datasets.synthesize(tmp_path / "made.hdf5", "angular", rows=400, dim=16, queries=20)
    few = contest.load(tmp_path / "made.hdf5", 10, rows=100)
    exact = np.argsort(-(few.queries @ few.rows.T), axis=1)[:, :10]
    assert few.rows.shape == (100, 16)
    assert few.truth.recall(exact) == 1.0


def test_other_distances_are_refused(tmp_path: Path) -> None:
    datasets.synthesize(tmp_path / "made.hdf5", "euclidean", rows=50, dim=8, queries=2)
    with pytest.raises(ValueError, match="angular"):
        contest.load(tmp_path / "made.hdf5", 10)


def test_the_front_and_the_rate_on_it() -> None:
    points = [made(0.90, 100), made(0.94, 80), made(0.96, 40), made(0.95, 30), made(0.99, 10)]
    assert [point.recall for point in contest.front(points)] == [0.90, 0.94, 0.96, 0.99]
    assert contest.qps_at(points, 0.95) == pytest.approx(np.sqrt(80 * 40))
    assert contest.qps_at(points, 0.96) == pytest.approx(40)
    assert contest.qps_at(points, 0.5) == 100
    assert contest.qps_at(points, 0.995) is None


def test_finalists_are_what_a_rate_is_read_from() -> None:
    fast = [made(0.93, 100), made(0.96, 90), made(0.99, 50)]
    slow = [made(0.94, 5, "b"), made(0.949, 4, "b"), made(0.97, 2, "b"), made(0.98, 1.9, "b"), made(0.985, 1, "b")]
    kept = finalists(fast + slow, [0.95])
    assert all(point in kept for point in fast)
    assert [point.recall for point in kept if point.entrant.family == "b"] == [0.94, 0.949, 0.97, 0.98]
    assert [point.recall for point in bracket(slow, 0.95)] == [0.94, 0.949, 0.97, 0.98]


def test_turns_are_taken() -> None:
    order: list[str] = []
    now = iter(np.arange(100.0))
    seconds = contest.interleaved([lambda: order.append("a"), lambda: order.append("b")], 3, lambda: next(now))
    assert order == list("ababab")
    assert seconds == [1.0, 1.0]


def test_margins_compare_with_ours_of_no_more_bytes() -> None:
    def record(system: str, size: float, recall: float) -> dict[str, object]:
        return {"system": system, "spec": f"{system}{size}", "bytes_per_vector": size, "recall": recall}

    records = [record("vecstore", 48, 0.70), record("vecstore", 97, 0.90), record("faiss", 56, 0.69),
               record("faiss", 96, 0.85), record("scann", 96, 0.80), record("faiss", 40, 0.6)]  # fmt: skip
    found = frontier.margins(records)
    assert [(row["spec"], row.get("ours"), row.get("margin")) for row in found] == [
        ("faiss40", None, None),
        ("faiss56", "vecstore48", 0.01),
        ("faiss96", "vecstore48", -0.15),
    ]
