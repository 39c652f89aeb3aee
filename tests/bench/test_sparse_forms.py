"""Every form of sparse rows is measured, and those that are exact answer alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import sparse_forms
from bench.__main__ import main

pytest.importorskip("scipy")


def test_forms_are_measured_beside_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_forms.contest, "one_thread", lambda: None)
    monkeypatch.setattr(sparse_forms, "TARGETS", (0.9,))
    rng = np.random.default_rng(5)
    parts: dict[str, np.ndarray] = {"shape": np.array([300, 10, 200])}
    for name, n in (("train", 300), ("test", 10)):
        rows = [np.sort(rng.choice(200, 20, replace=False)) for _ in range(n)]
        parts[f"{name}_indptr"] = np.arange(n + 1) * 20
        parts[f"{name}_indices"] = np.concatenate(rows).astype(np.int32)
        parts[f"{name}_values"] = rng.exponential(1, 20 * n).astype(np.float32)
    np.savez(tmp_path / "made.npz", **parts)
    main(["sparse-forms", str(tmp_path / "made.npz"), "--rounds", "1", "--out", str(tmp_path / "out.jsonl")])
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(records) == 2 + 6 + 5
    by = {record["what"]: record for record in records}
    plain, packed = by["stored plain"], by["stored packed"]
    assert packed["row_bytes"] < 0.8 * plain["row_bytes"]
    assert packed["accuracy"] == plain["accuracy"] == by["seismic(values=float16, components=plain)"]["accuracy"]
    assert plain["index_mib"] < by["seismic(values=fixed8, components=delta8)"]["index_mib"]
