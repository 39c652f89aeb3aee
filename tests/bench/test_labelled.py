"""Judged text collections, nDCG, and the references that a text field's ranking is compared with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from bench import labelled

DOCS = {"a": "wings in a slipstream", "b": "a boundary layer", "c": "wings"}
QUERIES = {"1": "wings", "2": "nothing judged", "3": "layer"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, texts in (("docs", DOCS), ("queries", QUERIES)):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps({"id": one, "text": text}) + "\n" for one, text in texts.items())
    with gzip.open(tmp_path / "qrels.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("1\ta\t2\n1\tc\t4\n1\tmissing\t1\n3\tb\t1\n")
    return tmp_path


def test_a_collection_is_read_by_rows(folder: Path) -> None:
    data = labelled.load(folder)
    assert (data.docs, data.queries) == (list(DOCS.values()), list(QUERIES.values()))
    assert data.gains == [{0: 2, 2: 4, 3: 1}, {}, {1: 1}], "what is judged and not there is a row past the end"
    assert labelled.load(folder, 2).gains == data.gains[:2]
    (folder / "qrels.tsv.gz").unlink()
    with pytest.raises(ValueError, match=r"qrels\.tsv\.gz"):
        labelled.load(folder)


def test_mrr_is_of_the_first_answer_with_a_gain(folder: Path) -> None:
    data = labelled.load(folder)
    assert data.mrr([[1, 2, 0], [0], [0, 2, 1]]) == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert data.mrr([[1, 2], [0], [0, 2, 1]], k=1) == 0


def test_ndcg_is_the_mean_over_judged_queries(folder: Path) -> None:
    data = labelled.load(folder)
    log3, log4 = np.log2(3), np.log2(4)
    ideal = 4 + 2 / log3 + 1 / log4
    assert data.ndcg([[2, 0, 3], [0], [1]]) == pytest.approx(1)
    assert data.ndcg([[0, 1, 2], [], [0, 1]]) == pytest.approx(((2 + 4 / log4) / ideal + 1 / log3) / 2)
    assert data.ndcg([[-1], [], []]) == 0
    assert data.ndcg([[1, 2], [], [1]], k=1) == pytest.approx(1 / 2)
    queries_alone = labelled.load(folder, 1)
    assert queries_alone.ndcg([[2]]) == pytest.approx(4 / ideal)


@pytest.mark.data
def test_the_shared_collections_score_what_their_readme_says() -> None:
    shared = Path(__file__).parents[3] / "shared" / "data"
    for name, expected in (("npl", 0.370), ("cranfield", 0.359), ("cisi", 0.302)):
        folder = shared / f"labelled-{name}"
        if not folder.exists():
            pytest.skip(f"{folder} is not there")
        with np.load(folder / "sparse-splade-ip.npz") as arrays:
            assert labelled.load(folder).ndcg(arrays["neighbors"]) == pytest.approx(expected, abs=0.0006)
