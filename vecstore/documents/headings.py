"""The headings of a Markdown text, by the library markdown-it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vecstore.documents.tokenizing import library


@dataclass(frozen=True, slots=True)
class Heading:
    """`start` is the character at which its line begins; `level` is 1 to 6."""

    start: int
    level: int
    text: str


def headings_of(text: str) -> list[Heading]:
    """In order; what looks like a heading in a block of code is none. Raises FailedPrecondition (EXTRA_MISSING)."""
    tokens = library("markdown_it").MarkdownIt("commonmark").parse(text)
    starts = [0]
    starts += [place + 1 for place, letter in enumerate(text) if letter == "\n"]
    found = []
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.map and token.level == 0 and inline.content.strip():
            found.append(Heading(starts[token.map[0]], int(token.tag[1]), " ".join(inline.content.split())))
    return found


def path_at(headings: Sequence[Heading], place: int) -> tuple[str, ...]:
    """The texts of the headings that a character stands under, the highest level first."""
    open_ones: list[Heading] = []
    for heading in headings[: bisect_right([one.start for one in headings], place)]:
        open_ones = [one for one in open_ones if one.level < heading.level]
        open_ones.append(heading)
    return tuple(one.text for one in open_ones)
