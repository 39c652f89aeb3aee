"""Texts become terms: tokens, stop words, stems, numbers and counts."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pytest
import Stemmer

from vecstore.errors import InvalidArgument
from vecstore.schema import Analysis
from vecstore.text import analyze as analysis
from vecstore.text.analyze import analyze, check_analysis, languages, term_number
from vecstore.text.stop_words import LISTS, stop_words
from vecstore.text.tokenize import tokens

PLAIN = Analysis(language="none", stop_words=False)


def _terms(text: str, by: Analysis = PLAIN) -> dict[int, float]:
    row = analyze([text], by)
    return dict(zip(row.indices.tolist(), row.values.tolist(), strict=True))


def test_terms_are_counted_and_stand_in_order() -> None:
    rows = analyze(["b a b", "", "?!", "a c B"], PLAIN)
    assert rows.offsets.tolist() == [0, 2, 2, 2, 5]
    assert rows.values.dtype == np.float32
    assert rows.indices.dtype == np.uint32
    a, b, c = map(term_number, "abc")
    assert dict(zip(rows.indices[:2].tolist(), rows.values[:2].tolist(), strict=True)) == {a: 1, b: 2}
    assert dict(zip(rows.indices[2:].tolist(), rows.values[2:].tolist(), strict=True)) == {a: 1, b: 1, c: 1}
    for row in rows:
        assert (np.diff(row.indices.astype(np.int64)) > 0).all()


def test_no_texts() -> None:
    rows = analyze([], PLAIN)
    assert rows.offsets.tolist() == [0]
    assert rows.nnz == 0


def test_numbers_are_the_low_bits_of_xxh3() -> None:
    """A stored index depends on this: the number must not change."""
    known = {"": 0x38D394C2, "a": 0x1E964E1F, "search": 0x9BBE00DA, "naïve": 0xC2277808}
    assert {term: term_number(term) for term in known} == known


def test_stop_words_go_and_stems_stay() -> None:
    english = Analysis(language="english")
    assert _terms("The boats were boating", english) == {term_number("boat"): 2}
    with_them = Analysis(language="english", stop_words=False)
    assert set(_terms("The boats", with_them)) == {term_number("the"), term_number("boat")}
    assert set(_terms("I don't", english)) == set()
    assert _terms("Häuser", Analysis(language="german")) == {
        term_number(Stemmer.Stemmer("german").stemWord("häuser")): 1
    }


def test_texts_are_normalised() -> None:
    assert _terms("\uff37ide Straße") == _terms("wide STRASSE")


def test_against_a_plain_loop() -> None:
    seed = int(np.random.default_rng().integers(1 << 31))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    words = ["running", "runs", "the", "of", "naïve", "Zürich", "don't", "x1", "42", "数据库", "a" * 50, "café"]
    texts = [" ".join(rng.choice(words, rng.integers(0, 30))) for _ in range(200)]
    stemmer = Stemmer.Stemmer("english")
    rows = analyze(texts, Analysis())
    for place, text in enumerate(texts):
        kept = [token for token in tokens(text) if token not in stop_words("english")]
        expected = Counter(term_number(stemmer.stemWord(token)) for token in kept)
        row = rows.row(place)
        assert row.indices.tolist() == sorted(expected)
        assert row.values.tolist() == [expected[number] for number in sorted(expected)]


def test_the_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "_REMEMBERED", 100)
    numbers = analysis._Numbers("english", True)
    for token in range(1000):
        assert numbers[f"w{token}"] == term_number(f"w{token}")
        assert len(numbers) <= 100
    numbers["x" * 33]
    assert "x" * 33 not in numbers


def test_threads_share_the_memory() -> None:
    texts = [" ".join(f"walking{i * j % 977}" for j in range(50)) for i in range(100)]
    expected = analyze(texts, Analysis(language="english", stop_words=False))
    analysis._numbers.cache_clear()
    failures: list[int] = []

    def work(place: int) -> None:
        rows = analyze(texts, Analysis(language="english", stop_words=False))
        if rows.indices.tolist() != expected.indices.tolist() or rows.values.tolist() != expected.values.tolist():
            failures.append(place)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_every_list_has_a_stemmer_and_the_words_that_matter() -> None:
    assert set(LISTS) <= languages()
    for language, word in {
        "english": "the",
        "german": "und",
        "french": "les",
        "spanish": "del",
        "russian": "и",
    }.items():
        assert word in stop_words(language)
    for language in LISTS:
        words = stop_words(language)
        assert 50 < len(words) < 400
        assert all(tokens(word) == [word] for word in words)


@pytest.mark.parametrize(
    ("wrong", "path", "message"),
    [
        (Analysis(language="klingon"), "a.language", "'klingon' is not known; known: none, arabic"),
        (Analysis(language=""), "a.language", "is not known"),
        (Analysis(language="finnish"), "a.stop_words", "finnish has none; set it to false"),
        (Analysis(k1=-0.1), "a.k1", "-0.1 is not in 0..10"),
        (Analysis(k1=10.1), "a.k1", "10.1 is not in 0..10"),
        (Analysis(k1=float("nan")), "a.k1", "nan is not in 0..10"),
        (Analysis(b=-0.1), "a.b", "-0.1 is not in 0..1"),
        (Analysis(b=1.1), "a.b", "1.1 is not in 0..1"),
    ],
)
def test_analyses_that_are_refused(wrong: Analysis, path: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as raised:
        check_analysis(wrong, "a")
    assert raised.value.reason == "BAD_SCHEMA"
    assert [violation[0] for violation in raised.value.field_violations] == [path]


def test_analyses_at_their_bounds() -> None:
    for right in (
        Analysis(),
        Analysis(k1=0, b=0),
        Analysis(k1=10, b=1),
        Analysis(language="none"),
        Analysis(language="finnish", stop_words=False),
        *(Analysis(language=language) for language in LISTS),
    ):
        check_analysis(right)
        analyze(["some text"], right)


def test_the_core_install_says_what_is_missing() -> None:
    """Without the extra, only tokens as they are."""
    script = """
import sys
sys.modules["Stemmer"] = sys.modules["bm25s"] = None
from vecstore.errors import FailedPrecondition
from vecstore.schema import Analysis
from vecstore.text.analyze import analyze, check_analysis
check_analysis(Analysis(language="none"))
print(analyze(["a b"], Analysis(language="none")).nnz)
for call in (check_analysis, lambda one: analyze(["a"], one)):
    for one in (Analysis(), Analysis(stop_words=False)):
        try:
            call(one)
        except FailedPrecondition as error:
            print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, *errors = done.stdout.splitlines()
    assert first == "2"
    assert len(errors) == 4
    assert all(error.startswith("EXTRA_MISSING: ") and "vecstore[text]" in error for error in errors)
