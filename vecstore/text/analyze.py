"""Texts into rows of terms: tokens without stop words, stemmed, numbered, and counted.

A term's number is the low 32 bits of the XXH3 hash of its UTF-8 bytes. So no dictionary has to be kept, and a term has
the same number in every segment and process. Terms of one number count as one term: one pair of 100,000 terms, on
average.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import xxhash

from vecstore.errors import InvalidArgument, invalid
from vecstore.memory.remembered import Remembered
from vecstore.schema import Analysis
from vecstore.sparse import SparseRows
from vecstore.text.stop_words import LISTS, extra_missing, stop_words
from vecstore.text.tokenize import tokens

K1_MAX = 10.0
NO_LANGUAGE = "none"  # tokens are terms as they are
_STOP = -1
_REMEMBERED = 1 << 18  # tokens whose numbers are kept, of each language
_REMEMBERED_LENGTH = 32  # longer ones are rare, and could fill the memory


@cache
def languages() -> frozenset[str]:
    """Languages with a stemmer. Raises FailedPrecondition (EXTRA_MISSING)."""
    return frozenset(_stemmers().algorithms())


def check_analysis(analysis: Analysis, path: str = "analysis") -> None:
    """Raises InvalidArgument (BAD_SCHEMA) for a language that has no stemmer, or no stop words where they are asked
    for, and for k1 outside 0..10 or b outside 0..1; FailedPrecondition (EXTRA_MISSING)."""
    language = analysis.language
    if language != NO_LANGUAGE:
        if language not in languages():
            known = ", ".join([NO_LANGUAGE, *sorted(languages())])
            raise _bad(f"{path}.language", f"{language!r:.80} is not known; known: {known}")
        if analysis.stop_words and language not in LISTS:
            raise _bad(
                f"{path}.stop_words", f"true needs a list of stop words, and {language} has none; set it to false"
            )
        if analysis.stop_words:
            stop_words(language)
    if not 0 <= analysis.k1 <= K1_MAX:
        raise _bad(f"{path}.k1", f"{analysis.k1} is not in 0..{K1_MAX:g}")
    if not 0 <= analysis.b <= 1:
        raise _bad(f"{path}.b", f"{analysis.b} is not in 0..1")


def analyze(texts: Sequence[str], analysis: Analysis) -> SparseRows:
    """One row of terms for each text: term numbers, and how often each term occurs, as float32. A text without a term
    is an empty row. `analysis` is a checked one. Raises FailedPrecondition (EXTRA_MISSING)."""
    number_of = _numbers(analysis.language, analysis.stop_words and analysis.language != NO_LANGUAGE)
    listed = [[number_of[token] for token in tokens(text)] for text in texts]
    lengths = np.fromiter(map(len, listed), np.int64, len(listed))
    numbers = np.fromiter(chain.from_iterable(listed), np.int64, int(lengths.sum()))
    rows = np.repeat(np.arange(len(listed), dtype=np.int64), lengths)
    kept = numbers != _STOP
    # Row and term in one number, so that one sort brings repeats of a term together.
    terms, counts = np.unique(rows[kept] << 32 | numbers[kept], return_counts=True)
    offsets = np.searchsorted(terms, np.arange(len(listed) + 1, dtype=np.int64) << 32).astype(np.int64)
    return SparseRows(offsets, (terms & 0xFFFFFFFF).astype(np.uint32), counts.astype(np.float32))


def term_number(term: str) -> int:
    """The index by which a stemmed token stands in rows."""
    return xxhash.xxh3_64_intdigest(term.encode()) & 0xFFFFFFFF


class _Numbers(Remembered[str, int]):
    """Term numbers of tokens of one language, computed when first asked for. Threads may share one."""

    def __init__(self, language: str, without_stop_words: bool) -> None:
        super().__init__(_REMEMBERED)
        self._language = language
        self._stop = stop_words(language) if without_stop_words else frozenset()
        self._local = threading.local()  # a stemmer serves one thread

    def __missing__(self, token: str) -> int:
        number = _STOP if token in self._stop else term_number(self._stem(token))
        if len(token) <= _REMEMBERED_LENGTH:
            self.keep(token, number)
        return number

    def _stem(self, token: str) -> str:
        if self._language == NO_LANGUAGE:
            return token
        stemmer = getattr(self._local, "stemmer", None)
        if stemmer is None:
            stemmer = self._local.stemmer = _stemmers().Stemmer(self._language, 0)
        stem: str = stemmer.stemWord(token)
        return stem


@cache
def _numbers(language: str, without_stop_words: bool) -> _Numbers:
    return _Numbers(language, without_stop_words)


def _stemmers() -> Any:
    try:
        import Stemmer
    except ImportError:
        raise extra_missing("stemmers", "PyStemmer") from None
    return Stemmer


def _bad(path: str, problem: str) -> InvalidArgument:
    message = f"{path}={problem}"
    return invalid("BAD_SCHEMA", message, path)
