"""The references that a text field's ranking is compared with, and the comparison."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from bench import bm25
from bench.__main__ import main
from vecstore.schema import Analysis
from vecstore.sparse import SparseRows

pytest.importorskip("scipy")
WORDS = ["wing", "flow", "layer", "heat", "shock", "plate", "jet", "nose", "cone", "wake", "drag", "lift"]


def made(n: int, longest: int, seed: int) -> SparseRows:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    counts = [np.unique(rng.integers(0, 50, rng.integers(1, longest)) ** 2, return_counts=True) for _ in range(n)]
    offsets = np.concatenate([[0], np.cumsum([len(terms) for terms, _ in counts])])
    terms, times = (np.concatenate([one[part] for one in counts]) for part in (0, 1))
    return SparseRows(offsets, terms.astype(np.uint32), times.astype(np.float32))


def test_the_reference_follows_the_formula() -> None:
    docs, queries, analysis = made(40, 30, seed=1), made(15, 5, seed=2), Analysis(k1=1.4, b=0.6)
    scores = bm25.exact(docs, queries, analysis)
    lengths = [float(row.values.sum()) for row in docs]
    mean = sum(lengths) / len(docs)
    for place, query in enumerate(queries):
        for doc, row in enumerate(docs):
            held = dict(zip(row.indices.tolist(), row.values.tolist(), strict=True))
            wanted = 0.0
            for term, times in zip(query.indices.tolist(), query.values.tolist(), strict=True):
                df = sum(term in one.indices for one in docs)
                idf = np.log(1 + (len(docs) - df + 0.5) / (df + 0.5))
                tf = held.get(term, 0.0)
                share = 1 - analysis.b + analysis.b * lengths[doc] / mean
                wanted += times * idf * tf * (analysis.k1 + 1) / (tf + analysis.k1 * share)
            assert scores[place, doc] == pytest.approx(wanted)


def test_both_references_agree() -> None:
    pytest.importorskip("bm25s")
    docs, queries, analysis = made(300, 30, seed=3), made(40, 5, seed=4), Analysis()
    truth = bm25.exact(docs, queries, analysis)
    (rows, scores), _ = bm25.theirs(bm25.words(docs), bm25.words(queries), analysis, rounds=1)
    factor = analysis.k1 + 1
    assert bm25.score_error(rows, factor * scores, truth) < 1e-5
    assert bm25.score_error(rows, 1.01 * factor * scores, truth) > 1e-3
    own_rows, own = bm25.ranked(truth)
    assert np.allclose(own, factor * scores, rtol=1e-4)
    assert (rows[:, 0] == own_rows[:, 0]).mean() > 0.9


def test_a_text_field_ranks_as_the_reference_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    folder = tmp_path / "labelled-made"
    folder.mkdir()
    for name, count, longest in (("docs", 200, 40), ("queries", 20, 4)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            for one in range(count):
                text = " ".join(rng.choice(WORDS, rng.integers(1, longest)))
                file.write(json.dumps({"id": str(one), "text": text}) + "\n")
    with gzip.open(folder / "qrels.tsv.gz", "wt", encoding="utf-8") as file:
        file.writelines(f"{query}\t{doc}\t1\n" for query in range(20) for doc in range(query, 200, 20))
    out = tmp_path / "bm25.jsonl"
    assert main(["bm25", str(folder), "--rounds", "1", "--out", str(out)]) == 0
    records = {record["system"]: record for record in map(json.loads, out.read_text().splitlines())}
    assert records["vecstore"]["score_error"] < 1e-5
    assert abs(records["vecstore"]["of_reference"]) < 1e-3, "ties apart"
    assert records["float64"]["of_reference"] == 0
    assert "labelled-made" in capsys.readouterr().out
