"""The LIMIT data made from its recipe is what the recipe says, and what is measured on it is what numpy finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.intruders import intruders
from bench.limit import limit, recall
from bench.limit_data import generate


def test_the_recipe() -> None:
    data = generate(60, 50, 3)
    assert (len(data.docs), len(data.queries), len(set(data.queries))) == (60, 1_000, 1_000)
    assert (data.relevant[0], data.relevant[44], data.relevant[45], data.relevant[-1]) == (
        [0, 1],
        [0, 45],
        [1, 2],
        [37, 38],
    )
    things = [text.split(" likes ")[1].rstrip(".").replace(" and ", ", ").split(", ") for text in data.docs]
    assert {len(one) for one in things} == {50}
    asked = [query.removeprefix("Who likes ").rstrip("?") for query in data.queries]
    assert len(set().union(*things) - set(asked)) <= 848
    for query, pair in zip(asked, data.relevant, strict=True):
        assert [row for row, own in enumerate(things) if query in own] == pair
    names = [text.split(" likes ")[0] for text in data.docs]
    assert len(set(names)) == 60
    assert not {word for name in names for word in name.split()} & {
        word for every in things for one in every for word in one.split()
    }
    own = [sum(one in set(asked) for one in every) for every in things]
    assert (max(own[:46]), min(own[:46]), set(own[46:])) == (45, 37, {0})
    assert generate(60, 50, 3).docs == data.docs != generate(60, 50, 4).docs


def test_recall_is_the_share_of_both() -> None:
    data = generate(46, 50, 1)
    ids = [np.array([5, 0, 1]), np.array([0, 2, 9])]
    assert recall(ids, data, np.array([0, 1]), 2) == (0.5 + 1.0) / 2
    assert recall(ids, data, np.array([0, 1]), 3) == 1.0


def test_words_find_what_the_reference_finds(tmp_path: Path) -> None:
    records = limit(None, 200, 50, 64, 32, 60, 30, 1, "none", str(tmp_path / "out.jsonl"))
    by_name = {one["search"]: one for one in records}
    assert by_name["text"]["R@2"] == by_name["BM25, float64"]["R@2"] > 0.9
    assert by_name["words"]["R@2"] < 0.5 < by_name["tokens"]["R@2"]
    assert by_name["text + tokens, tuned"]["R@2"] >= by_name["text"]["R@2"] - 0.02


def test_draws_agree_with_the_formula(tmp_path: Path) -> None:
    records = intruders([16], 50_000, 1, str(tmp_path / "out.jsonl"))
    assert records[0]["formula"] == pytest.approx(0.3507, abs=0.01)
    assert all(abs(one["off"]) < 0.05 for one in records)
