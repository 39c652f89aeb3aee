"""Passages with their neighbours, numbered and packed into a budget of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from vecstore.documents.asking import Wanted
from vecstore.documents.choosing import Candidate
from vecstore.documents.layout import chunk_id
from vecstore.documents.tokenizing import count_tokens
from vecstore.documents.types import Chunk, DocumentInfo, Found, Passage


def neighbours_of(chosen: Sequence[Candidate], wanted: Wanted) -> list[UUID]:
    """The ids of the chunks around those chosen, without these."""
    own = {(one.document.id, one.chunk.number) for one in chosen}
    around = {
        (one.document.id, number): None
        for one in chosen
        for number in _window(one, wanted)
        if number != one.chunk.number
    }
    return [chunk_id(*place) for place in around if place not in own]


def packed(chosen: Sequence[Candidate], around: Mapping[tuple[str, int], Chunk], wanted: Wanted, seq: int) -> Found:
    """`around` are chunks by document and number. A passage that lies within another one's neighbours is part of that
    one; one that does not fit what is left of the budget is left out."""
    chunks = {(one.document.id, one.chunk.number): one.chunk for one in chosen} | dict(around)
    covered: dict[str, set[int]] = {}
    passages: list[Passage] = []
    blocks: list[str] = []
    used, omitted = 0, 0
    for one in chosen:
        if one.chunk.number in covered.get(one.document.id, ()):
            continue
        window = _whole(one, wanted, chunks, covered.get(one.document.id, set()))
        passage = _passage(len(passages) + 1, one, window)
        block = cited(passage)
        cost = count_tokens(block, wanted.tokenizer)
        if used + cost > wanted.budget:
            omitted += 1
            continue
        used += cost
        passages.append(passage)
        blocks.append(block)
        covered.setdefault(one.document.id, set()).update(chunk.number for chunk in window)
    return Found(passages, "\n\n".join(blocks), used, omitted, seq)


def _window(one: Candidate, wanted: Wanted) -> range:
    number = one.chunk.number
    return range(max(0, number - wanted.neighbours), min(one.document.chunks, number + wanted.neighbours + 1))


def _whole(one: Candidate, wanted: Wanted, chunks: Mapping[tuple[str, int], Chunk], taken: set[int]) -> list[Chunk]:
    """The run of chunks around the one that was found, as far as they are there and in no passage yet."""
    run = [one.chunk]
    for step in (-1, 1):
        number = one.chunk.number + step
        while number in _window(one, wanted) and number not in taken:
            chunk = chunks.get((one.document.id, number))
            if chunk is None:
                break
            run.insert(0 if step < 0 else len(run), chunk)
            number += step
    return run


def _passage(citation: int, one: Candidate, run: Sequence[Chunk]) -> Passage:
    text, end = run[0].text, run[0].end
    for chunk in run[1:]:
        text += chunk.text[end - chunk.start :] if chunk.start < end else "\n" + chunk.text
        end = max(end, chunk.end)
    return Passage(
        citation, text, one.score, one.document, one.chunk.number, run[0].number, run[-1].number, run[0].start, end,
        one.chunk.headings, one.chunk.page, one.legs,
    )  # fmt: skip


def cited(passage: Passage) -> str:
    """A passage as a reader is given it: its number and where it is from on a line, and its text."""
    return f"[{passage.citation}] {source(passage.document, passage.headings, passage.page)}\n{passage.text}"


def source(document: DocumentInfo, headings: Sequence[str] = (), page: int | None = None) -> str:
    """Where a passage is from: title, headings, page, and address."""
    title = document.title or document.id
    place = " > ".join([title, *(heading for heading in headings if heading != title)])
    if page is not None:
        place += f", page {page}"
    return f"{place} ({document.uri})" if document.uri and document.uri != title else place
