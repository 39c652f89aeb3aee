"""The advisor's judge and the large collection's stages, on small files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import advise, big_collection, contest, datasets
from vecstore.advise import Option
from vecstore.index_spec import Flat, Int4, Int8, LloydMax

pytest.importorskip("matplotlib", reason="needs the plot extra")
pytest.importorskip("faiss", reason="needs the train extra")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    datasets.synthesize(tmp_path / "made.hdf5", "angular", rows=3_000, dim=32, queries=60)
    return tmp_path / "made.hdf5"


def test_picks_keep_their_budget_and_lie_near_the_optimum(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = (Flat(), Flat(Int8(), rerank="none"), Flat(Int4(), rerank="none"), Flat(LloydMax(bits=1)), Flat(Int4()))
    monkeypatch.setattr(advise, "default_options", lambda dim: [Option(spec) for spec in few])
    monkeypatch.setattr(contest, "alone", lambda function, *arguments: function(*arguments))
    out = tmp_path / "advise.jsonl"
    found = advise.judge(str(file), [16, 40, 200], 1_000, 10, str(out))
    assert {record["codes_only"] for record in found} == {True, False}
    for record in found:
        assert record["bytes_per_vector"] <= record["budget_bytes"]
        assert 0 <= record["gap"] <= 0.05, record  # 60 queries say no more; must-show 6 is in tests/advise
    assert len(out.read_text().splitlines()) == len(found)
    assert (tmp_path / "advise-made.png").exists()


def test_stages_of_a_collection(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "big.jsonl"
    big_collection.big_collection(str(file), "ivf(nlist=16) | lloyd_max", None, 60, 0.95, 10, str(tmp_path), str(out))
    stages = [json.loads(line) for line in out.read_text().splitlines()]
    assert [stage["stage"] for stage in stages] == ["build", "reopen", "merged", "reopen after merge"]
    for stage in stages:
        assert stage["recall"] >= 0.85
        assert stage["anon_mib"] > 0
        assert stage["first_answer_s"] > 0
    assert stages[1]["recall"] == stages[0]["recall"], "a restart changes no answer"
    assert stages[3]["recall"] == stages[2]["recall"]
