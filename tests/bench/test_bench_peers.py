"""Each installed peer answers like exact search through the interface that vecstore is measured by."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from bench import datasets, load, metrics
from bench.configs import default_for
from bench.datasets import DISTANCES
from bench.peers import PEERS, available
from bench.systems.base import Setup

INSTALLED = [name for name, peer in PEERS.items() if importlib.util.find_spec(peer.needs)]


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("distance", ["angular", "euclidean", "ip", "hamming"])
def test_a_peer_finds_the_nearest(name: str, distance: str, tmp_path: Path) -> None:
    metric = DISTANCES[distance]
    if metric not in PEERS[name].metrics:
        assert name not in available(metric)
        return
    assert name in available(metric)
    path = tmp_path / "made.hdf5"
    datasets.synthesize(path, distance, rows=500, dim=32, queries=20)
    data = datasets.load(path)
    folder = tmp_path / "data"
    folder.mkdir()
    system = PEERS[name](Setup(data.metric, data.dim, default_for(data.metric), 1, folder))
    try:
        system.fit(data.train)
        for params in system.variants():
            system.configure(**params)
            answers, rate = load.one_caller(system, data.test, 10, window_s=0)
            assert metrics.recall(data, data.neighbors, answers, 10) >= 0.9, params
            assert len(rate.seconds) == 20
        assert load.threads(system, data.test, 10, callers=2, window_s=0.1).qps > 0
    finally:
        system.close()


def test_numpy_and_faiss_are_there() -> None:
    assert {"numpy-blas", "faiss-flat"} <= set(INSTALLED)


def test_an_error_in_a_caller_is_not_swallowed() -> None:
    class Failing:
        def query(self, vector: np.ndarray, k: int) -> list[int]:
            raise RuntimeError("no answer")

    with pytest.raises(RuntimeError, match="no answer"):
        load.threads(Failing(), np.zeros((3, 2)), 1, callers=2, window_s=0.1)
