"""`vecstore advise` on files and collections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from advise_support import embeddings

pytest.importorskip("typer", reason="needs the cli extra")
pytest.importorskip("pyarrow", reason="needs the io extra")

import vecstore
from vecstore.advise import options as grid
from vecstore.cli import advise as command
from vecstore.cli.advise import read_size
from vecstore.index_spec import Flat, Int8, LloydMax
from vecstore.schema import Metric


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    from typer.testing import CliRunner

    from vecstore.cli.app import app

    few = [Flat(), Flat(Int8(), rerank="none"), Flat(LloydMax(bits=4), rerank="none"), Flat(LloydMax(bits=4))]
    monkeypatch.setattr(command, "default_options", lambda dim, prefixes, thorough: [grid.Option(spec) for spec in few])
    monkeypatch.delenv("VECSTORE_TARGET", raising=False)
    return lambda *args: CliRunner().invoke(app, ["advise", *(str(arg) for arg in args)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "rows.npy", embeddings(1_500))
    return tmp_path / "rows.npy"


def test_json_of_a_file(run: Any, file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "q.npy", embeddings(77, seed=5))
    done = run(file, "--json", "--budget-bytes", "40", "--sample", "1000", "--queries", tmp_path / "q.npy")
    assert done.exit_code == 0, done.output
    advice = json.loads(done.stdout)
    assert (advice["rows"], advice["queries"], advice["dim"]) == (1000, 77, 32)
    assert advice["metric"] == Metric.COSINE
    assert advice["pick"]["bytes_per_vector"] <= 40
    assert len(advice["points"]) == 4


def test_a_table_for_people(run: Any, file: Path, tmp_path: Path) -> None:
    done = run(file, "--min-recall", "0.9", "--html", tmp_path / "a.html", "--png", tmp_path / "a.png")
    assert done.exit_code == 0, done.output
    assert "pick" in done.stdout
    assert "takes the fewest bytes" in done.stderr
    assert (tmp_path / "a.html").stat().st_size > 1_000
    assert (tmp_path / "a.png").stat().st_size > 1_000


def test_codes_only(run: Any, file: Path) -> None:
    done = run(file, "--json", "--codes-only", "--sample", "500")
    assert done.exit_code == 0, done.output
    advice = json.loads(done.stdout)
    assert len(advice["points"]) == 3
    assert not any(one["reads_stored"] for one in advice["points"])


def test_nothing_fits(run: Any, file: Path) -> None:
    done = run(file, "--budget-total", "1kB")
    assert done.exit_code == 1
    assert "no option has at most 0.6" in done.stderr


def test_a_collection_and_its_metric(run: Any, tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "db") as db:
        collection = db.create_collection("docs", vecstore.Dense(32, metric="l2"))
        collection.upsert(range(600), embeddings(600))
    done = run("docs", "-t", tmp_path / "db", "--json", "--budget-bytes", "1000")
    assert done.exit_code == 0, done.output
    advice = json.loads(done.stdout)
    assert advice["metric"] == Metric.L2
    assert advice["rows"] + advice["queries"] == 600


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "FILE_NOT_FOUND"),
        (["nowhere", "-t", "/nonexistent"], "TARGET_NOT_FOUND"),
    ],
)
def test_what_is_not_there(run: Any, arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    assert says in done.stderr


def test_binary_vectors_are_refused(run: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "bits.npy", np.zeros((200, 16), np.uint8))
    done = run(tmp_path / "bits.npy")
    assert done.exit_code == 1
    assert "advice is for dense vectors" in done.stderr


def test_queries_of_another_dimension_and_no_queries(run: Any, file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "q.npy", embeddings(7, dim=16))
    assert "32 dimensions" in run(file, "--queries", tmp_path / "q.npy").stderr
    (tmp_path / "q.npy").write_bytes(b"nonsense")
    assert "BAD_FILE" in run(file, "--queries", tmp_path / "q.npy").stderr


@pytest.mark.parametrize(("text", "size"), [("96", 96), ("1.5kB", 1_500), ("2GiB", 2 << 30), ("3 mib", 3 << 20)])
def test_sizes(text: str, size: float) -> None:
    assert read_size(text, "--budget-bytes") == size


@pytest.mark.parametrize("arguments", [["--budget-bytes", "many"], ["--budget-bytes", "0"], ["--metric", "hamming"],
                                       ["--budget-bytes", "9", "--budget-total", "9"]])  # fmt: skip
def test_wrong_usage(run: Any, file: Path, arguments: list[str]) -> None:
    assert run(file, *arguments).exit_code == 2
