"""What exact search is measured by: every line's answers are those of a scan."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import sparse_exact
from bench.__main__ import main
from vecstore.kernels.select import available_backends, load_backend

pytest.importorskip("scipy")
WORDS = ["wing", "flow", "layer", "heat", "shock", "plate", "jet", "nose", "cone", "wake", "drag", "lift"]


@pytest.fixture(autouse=True)
def threads_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sparse_exact.contest, "one_thread", lambda: None)
    yield
    for name in available_backends():
        if name != "numpy":
            load_backend(name).set_threads(0)


def _records(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def test_of_sparse_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    parts: dict[str, np.ndarray] = {"shape": np.array([600, 10, 300])}
    for name, n in (("train", 600), ("test", 10)):
        rows = [np.sort(rng.choice(300, 20, replace=False)) for _ in range(n)]
        parts[f"{name}_indptr"] = np.arange(n + 1) * 20
        parts[f"{name}_indices"] = np.concatenate(rows).astype(np.int32)
        parts[f"{name}_values"] = rng.exponential(1, 20 * n).astype(np.float32)
    np.savez(tmp_path / "made.npz", **parts)
    main(["sparse-exact", str(tmp_path / "made.npz"), "--rounds", "1", "--out", str(tmp_path / "out.jsonl")])
    records = _records(tmp_path / "out.jsonl")
    assert all(record["same"] and record["us"] > 0 for record in records)
    whats = [record["what"] for record in records]
    assert whats[:6] == ["lists"] * 4 + ["growing", "scan"]
    assert len(whats) == 10 + len(available_backends()) - 1


def test_of_texts(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    folder = tmp_path / "labelled-made"
    folder.mkdir()
    for name, n, length in (("docs", 80, 20), ("queries", 6, 3)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            for i in range(n):
                text = " ".join(rng.choice(WORDS, rng.integers(1, length)))
                file.write(json.dumps({"id": str(i), "text": text}) + "\n")
    with gzip.open(folder / "qrels.tsv.gz", "wt", encoding="utf-8") as file:
        file.writelines(f"{q}\t{d}\t1\n" for q in range(6) for d in range(q, 80, 9))
    main(["sparse-exact", str(folder), "--rounds", "1", "--out", str(tmp_path / "out.jsonl")])
    records = _records(tmp_path / "out.jsonl")
    assert all(record["same"] for record in records)
    assert [record["what"] for record in records][:2] == ["lists, mean length x 1.0", "scan, mean length x 1.0"]
    assert len(records) == 5
