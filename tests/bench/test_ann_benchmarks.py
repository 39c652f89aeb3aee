"""bench/ann_benchmarks runs in that project's interface: against a stand-in for its base class, as its runner would."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from bench import datasets, metrics

FOLDER = Path(__file__).resolve().parents[2] / "bench" / "ann_benchmarks"

# What ann_benchmarks/algorithms/base/module.py offers that a runner calls.
BASE = '''
class BaseANN:
    """A stand-in."""
    def done(self): pass
    def get_additional(self): return {}
    def __str__(self): return self.name
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Their tree with our folder in it: stand_in/algorithms/{base,vecstore}/module.py."""
    algorithms = tmp_path / "stand_in" / "algorithms"
    for name in ("base", "vecstore"):
        (algorithms / name).mkdir(parents=True)
    (algorithms / "base" / "module.py").write_text(BASE, encoding="utf-8")
    (algorithms / "vecstore" / "module.py").write_text((FOLDER / "module.py").read_text(encoding="utf-8"), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("stand_in.algorithms.vecstore.module")
    for name in [name for name in sys.modules if name.startswith("stand_in")]:
        del sys.modules[name]


def definitions() -> list[tuple[str, str, str]]:
    """(distance, constructor, argument) of every run in config.yml, expanded as the project does."""
    config = yaml.safe_load((FOLDER / "config.yml").read_text(encoding="utf-8"))
    found = []
    for point_type, by_metric in config.items():
        for metric, entries in by_metric.items():
            distances = ["angular", "euclidean"] if metric == "any" else [metric]
            for entry, distance in itertools.product(entries, distances):
                assert entry["base_args"] == ["@metric"]
                for group in entry["run_groups"].values():
                    found += [(distance, entry["constructor"], argument) for argument in group["args"][0]]
        assert point_type in ("float", "bit")
    return found


@pytest.mark.parametrize(("distance", "constructor", "argument"), definitions())
def test_every_run_of_the_config_answers(
    module, distance: str, constructor: str, argument: str, tmp_path: Path
) -> None:
    path = tmp_path / "made.hdf5"
    datasets.synthesize(path, distance, rows=600, dim=32, queries=12)
    data = datasets.load(path)
    train, test = data.train, data.test
    if distance == "hamming":  # their files hold booleans
        train, test = (np.unpackbits(rows, axis=1).astype(bool) for rows in (train, test))
    algorithm = getattr(module, constructor)(distance, argument)
    algorithm.fit(train)
    try:
        algorithm.set_query_arguments()
        singles = np.array([algorithm.query(row, 10) for row in test])
        algorithm.batch_query(test, 10)
        batch = np.array(algorithm.get_batch_results())
    finally:
        algorithm.done()
    np.testing.assert_array_equal(singles, batch)
    rounded = argument.endswith("float16")  # near neighbours may swap where stored values are rounded
    assert metrics.recall(data, data.neighbors, singles, 10) >= (0.98 if rounded else 1.0)
    assert argument in str(algorithm)
    assert not Path(algorithm.folder).exists()


def test_an_unknown_metric_is_refused(module) -> None:
    with pytest.raises(ValueError, match="jaccard"):
        module.Vecstore("jaccard", "float32")
