"""The benches of multi-vectors run on a small file, and measure what they say."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from bench import multi_costs, multi_race
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.tokens import TokenRows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("multi") / "small.hdf5"
    words = rng.standard_normal((60, 16))
    with h5py.File(path, "w") as file:
        for name, n in (("train", 400), ("test", 12)):
            offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 9, n))])
            tokens = words[rng.integers(0, 60, offsets[-1])] + 0.3 * rng.standard_normal((offsets[-1], 16))
            file[name] = np.rint(tokens / np.linalg.norm(tokens, axis=1, keepdims=True) * 100).astype(np.int8)
            file[f"{name}_offsets"] = offsets.astype(np.int32)
        file["neighbors"] = np.zeros((12, 10), np.int32)
        file.attrs["scale"] = 100.0
    loaded = multi_race.load(path, None)
    field = VectorField(VectorKind.MULTI, 16, Metric.MAXSIM, DataType.FLOAT16)
    near = MaxSimFlatIndex(field, loaded.rows).search(get_kernels(), loaded.queries, 10, None).rows
    with h5py.File(path, "a") as file:
        file["neighbors"][:] = near
    return path


def test_the_race_measures_recall_and_time(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    records = multi_race.race(str(data), ["plaid(tokens=residual2)"], 10, None, 1, False, str(out))
    get_kernels().set_threads(0)
    by_name = {(one["family"], one["setting"]): one for one in records}
    assert by_name["flat", "exact"]["recall"] == 1.0
    assert by_name["blas scan", "exact"]["recall"] >= 0.98  # float32 sums in another order
    assert by_name["plaid(tokens=residual2)", "recall_target=0.99"]["recall"] >= 0.8
    assert all(one["cpu_us"] > 0 for one in records)
    assert len(out.read_text().splitlines()) == len(records)


def test_costs_are_rates(data: Path, tmp_path: Path) -> None:
    records = multi_costs.costs(str(data), 300, 1, str(tmp_path / "out.jsonl"))
    get_kernels().set_threads(0)
    figures = {one["what"]: one["figure"] for one in records}
    assert 0.9 < figures["cosine of tokens and their codes of 8 bits"] <= 1.0001
    assert figures["cosine of tokens and their codes of 1 bits"] < figures["cosine of tokens and their codes of 4 bits"]
    assert all(one["figure"] > 0 for one in records)


def test_pooled_and_near_tokens() -> None:
    pytest.importorskip("scipy")
    from bench import multi_rows

    rng = np.random.default_rng(2)
    words = multi_rows.unit(rng.standard_normal((30, 16)))
    own = [np.repeat(rng.choice(30, 4, replace=False), 3) for _ in range(60)]
    rows = TokenRows.of([multi_rows.unit(words[one] + 0.01 * rng.standard_normal((12, 16))) for one in own], 16, "f4")
    queries = TokenRows.of([words[one[::3]] for one in own[:10]], 16, np.float32)
    found = dict(multi_rows.pooling(rows, queries))
    assert found["factor 3, ours"] > 0.95, "three tokens of each word become one"
    assert found["factor 3, ours"] >= found["factor 3, Ward, plain means"]
    assert found["factor 8, runs"] < found["factor 3, ours"]
    shares = [share for _, _, share, _ in multi_rows.copies(rows)]
    assert shares[-1] == pytest.approx(2 / 3, abs=0.05), "one of each three stands for all"
    assert shares == sorted(shares)
