"""Recall by distance, filtered truth, and the reading of files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from bench import datasets, metrics
from bench.configs import CONFIGS, buckets
from bench.datasets import DISTANCES, Dataset


def dataset(train: list[list[float]], test: list[list[float]], metric: str = "l2") -> Dataset:
    rows, asked = np.array(train, np.float32), np.array(test, np.float32)
    return Dataset("tiny", metric, rows.shape[1], rows, asked, datasets.nearest(metric, rows, asked, len(rows)))


def test_recall_counts_ties_by_distance() -> None:
    data = dataset([[1, 0], [0, 1], [3, 0]], [[0, 0]])  # rows 0 and 1 are equally near
    assert data.neighbors[0].tolist() == [0, 1, 2]
    assert metrics.recall(data, data.neighbors, np.array([[1]]), 1) == 1.0
    assert metrics.recall(data, data.neighbors, np.array([[2]]), 1) == 0.0
    assert metrics.recall(data, data.neighbors, np.array([[0, 2]]), 2) == 0.5


def test_a_row_answered_twice_counts_once() -> None:
    data = dataset([[1, 0], [0, 1], [3, 0]], [[0, 0]])
    assert metrics.recall(data, data.neighbors, np.array([[0, 0]]), 2) == 0.5


def test_missing_answers_do_not_count_as_found() -> None:
    data = dataset([[1, 0], [0, 1]], [[0, 0]])
    assert metrics.recall(data, data.neighbors, np.array([[0, -1]]), 2) == 0.5


def test_places_that_a_filter_leaves_empty_are_not_asked_for() -> None:
    data = dataset([[1, 0], [0, 1], [3, 0]], [[0, 0]])
    truth = datasets.nearest("l2", data.train, data.test, 2, np.array([False, False, True]))
    assert truth.tolist() == [[2, -1]]
    assert metrics.recall(data, truth, np.array([[2, -1]]), 2) == 1.0
    assert metrics.recall(data, truth, np.array([[0, -1]]), 2) == 1.0, "recall judges distance; the filter is not its"


def test_strict_recall_sees_what_the_allowance_forgives() -> None:
    data = dataset([[1, 0], [0, 1.0005]], [[0, 0]])
    assert metrics.recall(data, data.neighbors, np.array([[1]]), 1) == 1.0
    assert metrics.recall(data, data.neighbors, np.array([[1]]), 1, metrics.EPSILON_STRICT) == 0.0


@pytest.mark.parametrize("distance", list(DISTANCES))
def test_a_synthesized_file_holds_its_exact_neighbours(distance: str, tmp_path: Path) -> None:
    path = tmp_path / "made.hdf5"
    datasets.synthesize(path, distance, rows=300, dim=16, queries=7)
    data = datasets.load(path)
    assert (data.metric, data.dim, len(data.train), len(data.test)) == (DISTANCES[distance], 16, 300, 7)
    assert datasets.peek(path) == data.metric
    for query in range(len(data.test)):
        exact = data.distances(query, np.arange(300))
        found = exact[data.neighbors[query]]
        np.testing.assert_allclose(found, np.sort(exact)[: len(found)], atol=1e-6)


def test_bits_are_read_packed_and_as_booleans(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, size=(5, 24)).astype(bool)
    for name, rows in (("bool", bits), ("packed", np.packbits(bits, axis=1))):
        with h5py.File(tmp_path / name, "w") as file:
            file["train"], file["test"], file["neighbors"] = rows, rows[:2], np.zeros((2, 1), np.int32)
            file.attrs["distance"] = "hamming"
        data = datasets.load(tmp_path / name)
        assert data.dim == 24
        np.testing.assert_array_equal(np.unpackbits(data.train, axis=1), bits)


def test_a_file_with_another_distance_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "sets.hdf5", "w") as file:
        file.attrs["distance"] = "jaccard"
    with pytest.raises(ValueError, match="jaccard"):
        datasets.peek(tmp_path / "sets.hdf5")
    with pytest.raises(ValueError, match="train"):
        datasets.load(tmp_path / "sets.hdf5")


@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if config.filter_share])
def test_a_filter_lets_about_its_share_through(name: str) -> None:
    config = CONFIGS[name]
    allowed = config.allowed(100_000)
    assert abs(allowed.mean() - config.filter_share) < 0.05 * config.filter_share + 0.001
    assert len(np.unique(buckets(100_000))) > 900
