"""Stop words by language, from the lists that the bm25s library keeps (those of the Snowball project and NLTK)."""

from __future__ import annotations

import runpy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vecstore.errors import FailedPrecondition
from vecstore.text.tokenize import tokens

LISTS = {
    "danish": "STOPWORDS_DANISH",
    "dutch": "STOPWORDS_DUTCH",
    "english": "STOPWORDS_EN_PLUS",
    "french": "STOPWORDS_FRENCH",
    "german": "STOPWORDS_GERMAN",
    "italian": "STOPWORDS_ITALIAN",
    "norwegian": "STOPWORDS_NORWEGIAN",
    "portuguese": "STOPWORDS_PORTUGUESE",
    "russian": "STOPWORDS_RUSSIAN",
    "spanish": "STOPWORDS_SPANISH",
    "swedish": "STOPWORDS_SWEDISH",
    "turkish": "STOPWORDS_TURKISH",
}


@cache
def stop_words(language: str) -> frozenset[str]:
    """Tokens, of a language in LISTS, that say nothing of what a text is about; not stemmed.

    Raises FailedPrecondition (EXTRA_MISSING)."""
    return frozenset(word for listed in _lists()[LISTS[language]] for word in tokens(listed))


@cache
def _lists() -> dict[str, Any]:
    """The module of lists alone: importing the package takes a second, for all that it searches with."""
    package = find_spec("bm25s")
    if package is None or not package.submodule_search_locations:
        raise extra_missing("stop words", "bm25s")
    return runpy.run_path(str(Path(package.submodule_search_locations[0]) / "stopwords.py"))


def extra_missing(what: str, package: str) -> FailedPrecondition:
    message = f"{what} come from {package}, which is not installed: pip install 'vecstore[text]'"
    return FailedPrecondition(message, reason="EXTRA_MISSING")
