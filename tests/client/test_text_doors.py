"""Text fields through every client: BM25 that follows inserts and deletes, the same answers and refusals everywhere."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from vecstore import F, InvalidArgument, Text

pytest.importorskip("Stemmer", reason="needs the text extra")

TEXTS = [
    "The quick brown fox jumps over the lazy dog",
    "A fox, a fox and one more fox",
    "Dogs bark at night",
    None,
    "Nothing to see here",
    "The lazy fox sleeps",
    "",
]


@pytest.fixture
def docs(db: Any) -> Any:
    docs = db.create_collection("docs", text={"plain": Text("none", k1=1.4, b=0.5), "stemmed": Text()})
    docs.upsert(list(range(len(TEXTS))), {"plain": TEXTS, "stemmed": TEXTS}, [{"n": i} for i in range(len(TEXTS))])
    return docs


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def bm25(query: str, texts: dict[int, str], k1: float, b: float) -> dict[int, float]:
    """Robertson & Zaragoza's BM25 with Lucene's idf, of the texts that share a word with the query."""
    counts = {i: Counter(words(text)) for i, text in texts.items()}
    mean = sum(sum(one.values()) for one in counts.values()) / len(counts)
    scores: dict[int, float] = {}
    for word, times in Counter(words(query)).items():
        df = sum(word in one for one in counts.values())
        idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
        for i, one in counts.items():
            if word in one:
                norm = k1 * (1 - b + b * sum(one.values()) / mean)
                scores[i] = scores.get(i, 0.0) + times * idf * one[word] * (k1 + 1) / (one[word] + norm)
    return scores


def same(hits: Any, scores: dict[int, float]) -> None:
    assert {hit.id for hit in hits} == set(scores)
    np.testing.assert_allclose([hit.score for hit in hits], [scores[hit.id] for hit in hits], rtol=1e-5)
    assert (np.diff(hits.scores) <= 0).all()


def test_scores_are_bm25_of_the_live_texts(docs: Any) -> None:
    live = {i: text for i, text in enumerate(TEXTS) if text is not None}
    same(docs.query("lazy fox fox", using="plain"), bm25("lazy fox fox", live, 1.4, 0.5))
    same(docs.query("the", using="plain"), bm25("the", live, 1.4, 0.5))
    docs.delete([1])
    docs.upsert([2, 50], {"plain": ["a dog and a fox", "fox"]})
    del live[1]
    live |= {2: "a dog and a fox", 50: "fox"}
    same(docs.query("lazy fox", using="plain"), bm25("lazy fox", live, 1.4, 0.5))
    docs.compact()
    same(docs.query("lazy fox", using="plain"), bm25("lazy fox", live, 1.4, 0.5))
    filtered = {i: s for i, s in bm25("lazy fox", live, 1.4, 0.5).items() if i < len(TEXTS) and i > 1 and i != 2}
    same(docs.query("lazy fox", using="plain", filter=F("n").gt(2)), filtered)
    batch = docs.query_batch(["lazy fox", "nowhere", "dog"], using="plain")
    assert [len(one) for one in batch] == [len(bm25(q, live, 1.4, 0.5)) for q in ("lazy fox", "nowhere", "dog")]


def test_words_are_stemmed_and_stop_words_left_out(docs: Any) -> None:
    assert {hit.id for hit in docs.query("sleeping foxes", using="stemmed")} == {0, 1, 5}
    assert {hit.id for hit in docs.query("dog", using="stemmed")} == {0, 2}
    assert list(docs.query("the and a", using="stemmed")) == []
    assert {hit.id for hit in docs.query("dog", using="plain")} == {0}


def test_texts_come_back_as_terms(docs: Any) -> None:
    first, none, empty = docs.get([1, 3, 6], with_vectors=["plain"])
    assert sorted(first.vectors["plain"].values.tolist()) == [1.0, 1.0, 1.0, 2.0, 3.0]  # and, one, more; a; fox
    assert not none.vectors
    assert len(empty.vectors["plain"].indices) == 0
    docs.upsert([60], {"plain": [first.vectors["plain"]]})  # as it was stored
    again = docs.query("fox more", using="plain")
    assert dict(zip(again.ids.tolist(), again.scores.tolist(), strict=True))[60] == pytest.approx(again.scores[0])


def test_text_beside_filters_of_words(docs: Any) -> None:
    docs.set_payload({"body": "the lazy fox sleeps"}, [5])
    docs.set_payload({"body": "the fox is lazy"}, [0])
    both = docs.query("fox", using="plain", filter=F("body").text("lazy fox"))
    assert {hit.id for hit in both} == {0, 5}
    assert [hit.id for hit in docs.query("fox", using="plain", filter=F("body").phrase("lazy fox"))] == [5]


@pytest.mark.parametrize(
    ("field", "path"),
    [(Text("klingon"), "vectors.t.analysis.language"), (Text(k1=-1), "vectors.t.analysis.k1"),
     (Text(b=2), "vectors.t.analysis.b"), (Text(k1=float("nan")), "vectors.t.analysis.k1")],
)  # fmt: skip
def test_a_bad_analysis_is_named(db: Any, field: Any, path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        db.create_collection("bad", text={"t": field})
    assert caught.value.reason == "BAD_SCHEMA"
    assert [found for found, _ in caught.value.field_violations] == [path]


def test_what_is_no_text_is_refused(docs: Any) -> None:
    for given in ([np.ones(3)], [3.5], ["x" * 1_000_001]):
        with pytest.raises(InvalidArgument):
            docs.upsert([70], {"plain": given})
    with pytest.raises(InvalidArgument):
        docs.query(np.ones(3), using="plain")
    assert docs.get([70]) == []
