"""Text into tokens: normalised to NFKC, casefolded, then every run of Unicode letters, digits and underscores."""

from __future__ import annotations

import re
import unicodedata

TOKEN = re.compile(r"\w+")


def tokens(text: str) -> list[str]:
    """The tokens of `text` in order, repeats kept. Text without letters or digits has none."""
    return TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def contains_phrase(haystack: list[str], phrase: list[str]) -> bool:
    """Whether the tokens of `phrase` occur in `haystack` one after another. An empty phrase occurs nowhere."""
    if not phrase:
        return False
    first, length = phrase[0], len(phrase)
    return any(token == first and haystack[i : i + length] == phrase for i, token in enumerate(haystack))
