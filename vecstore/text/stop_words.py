"""Stop words by language, from the lists that the bm25s library keeps (those of the Snowball project and NLTK)."""

from __future__ import annotations

from functools import cache

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
    try:
        from bm25s import stopwords
    except ImportError:
        raise extra_missing("stop words", "bm25s") from None
    return frozenset(word for listed in getattr(stopwords, LISTS[language]) for word in tokens(listed))


def extra_missing(what: str, package: str) -> FailedPrecondition:
    message = f"{what} come from {package}, which is not installed: pip install 'vecstore[text]'"
    return FailedPrecondition(message, reason="EXTRA_MISSING")
