"""What is exported and imported again is the same: every format, every kind of id, missing vectors and payloads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_samples import ID_KINDS, contents, fill

import vecstore
from vecstore import Dense


@pytest.mark.parametrize("kind", ID_KINDS)
@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "hdf5"])
def test_everything_comes_back(run: Callable[..., Any], tmp_path: Path, suffix: str, kind: str) -> None:
    fill(tmp_path / "one", ID_KINDS[kind])
    file = tmp_path / f"docs.{suffix}"
    done = run("export", "docs", file, "-t", tmp_path / "one")
    assert done.exit_code == 0, done.output
    assert "50 points" in done.stderr
    done = run("import", file, "docs", "-t", tmp_path / "two", "--create", "--metric", "l2")
    assert done.exit_code == 0, done.output
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


@pytest.mark.parametrize("kind", ["numbers", "strings"])
def test_a_matrix_comes_back_with_its_ids(run: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    fill(tmp_path / "one", ID_KINDS[kind])
    file = tmp_path / "rows.npy"
    assert run("export", "docs", file, "-t", tmp_path / "one", "--vector", "bits").exit_code == 0
    assert np.load(file).shape == (43, 2)
    done = run("import", file, "docs", "-t", tmp_path / "two", "--create", "--vector", "bits")
    assert done.exit_code == 0, done.output
    expected = [(one, {"bits": vectors["bits"]}) for one, _, vectors in contents(tmp_path / "one") if "bits" in vectors]
    assert [(one, vectors) for one, _, vectors in contents(tmp_path / "two")] == expected


def test_small_pages_and_requests_change_nothing(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecstore.cli.transfer.PAGE_POINTS", 7)
    monkeypatch.setattr("vecstore.io.parquet.READ_ROWS", 11)
    fill(tmp_path / "one", ID_KINDS["mixed"])
    file = tmp_path / "docs.parquet"
    assert run("export", "docs", file, "-t", tmp_path / "one").exit_code == 0
    done = run("import", file, "docs", "-t", tmp_path / "two", "--create", "--metric", "l2", "--batch-bytes", 600)
    assert done.exit_code == 0, done.output
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_bfloat16_and_float16_are_exact(run: Callable[..., Any], tmp_path: Path) -> None:
    rows = np.linspace(-3, 3, 32, dtype=np.float32).reshape(4, 8)
    fields = {"b": Dense(8, metric="dot", datatype="bfloat16"), "h": Dense(8, metric="dot", datatype="float16")}
    with vecstore.connect(tmp_path / "one") as db:
        db.create_collection("docs", vectors=fields).upsert(range(4), {"b": rows, "h": rows})
    for suffix in ("parquet", "jsonl", "hdf5"):
        file = tmp_path / f"docs.{suffix}"
        assert run("export", "docs", file, "-t", tmp_path / "one").exit_code == 0
        with vecstore.connect(tmp_path / suffix) as db:
            db.create_collection("docs", vectors=fields)
        assert run("import", file, "docs", "-t", tmp_path / suffix).exit_code == 0
        assert contents(tmp_path / suffix) == contents(tmp_path / "one")


def test_an_empty_collection(run: Callable[..., Any], tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "one") as db:
        db.create_collection("docs", vectors={"text": Dense(8)})
    for suffix in ("parquet", "jsonl", "hdf5", "npy"):
        done = run("export", "docs", tmp_path / f"docs.{suffix}", "-t", tmp_path / "one")
        assert done.exit_code == 0, done.output
        with vecstore.connect(tmp_path / suffix) as db:
            db.create_collection("docs", vectors={"text": Dense(8)})
        done = run("import", tmp_path / f"docs.{suffix}", "docs", "-t", tmp_path / suffix)
        assert done.exit_code == 0, done.output
        assert contents(tmp_path / suffix) == []
