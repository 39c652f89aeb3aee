"""Texts into chunks, by the library semantic-text-splitter: the largest parts that fit (headings, paragraphs,
sentences, words), joined with their neighbours as long as they fit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from vecstore.documents.headings import path_at
from vecstore.documents.reading import Read
from vecstore.documents.tokenizing import library, tokenizer
from vecstore.documents.types import Chunk, Chunking
from vecstore.errors import InvalidArgument, invalid, limit_exceeded

TOKENS_MIN, TOKENS_MAX = 8, 8_192


def check_chunking(chunking: Chunking) -> None:
    """Raises InvalidArgument (BAD_ARGUMENT, LIMIT_EXCEEDED)."""
    if not chunking.tokens >= TOKENS_MIN:
        raise _bad("tokens", f"{chunking.tokens} must be at least {TOKENS_MIN}")
    if chunking.tokens > TOKENS_MAX:
        raise limit_exceeded("TOKENS_MAX", chunking.tokens, TOKENS_MAX, path="chunking.tokens")
    if not 0 <= chunking.overlap < chunking.tokens:
        raise _bad("overlap", f"{chunking.overlap} must be at least 0 and below tokens={chunking.tokens}")


def chunks_of(read: Read, chunking: Chunking) -> list[Chunk]:
    """In order; every character but white space between chunks is in one. Raises what `check_chunking` raises, and
    FailedPrecondition (EXTRA_MISSING)."""
    check_chunking(chunking)
    splitter = _splitter(read.is_markdown, chunking.tokens, chunking.overlap, chunking.tokenizer)
    chunks: list[Chunk] = []
    for start, end in _without_last_headings(splitter.chunk_indices(read.text), read):
        text = read.text[start:end]
        page = bisect_right(read.pages, start) if read.pages else None
        # A chunk that begins with headings stands under these, too.
        under = path_at(read.headings, _under(read, start, end))
        chunks.append(Chunk(len(chunks), text, start, end, under, page))
    return chunks


def _without_last_headings(found: Sequence[tuple[int, str]], read: Read) -> Iterator[tuple[int, int]]:
    """Where chunks begin and end; headings at the end of one begin the next instead."""
    carried: int | None = None
    for place, (start, text) in enumerate(found):
        end = start + len(text)
        start = start if carried is None else min(start, carried)
        carried = None
        if place + 1 < len(found):
            for heading in reversed([one for one in read.headings if start < one.start < end]):
                line = read.text.find("\n", heading.start, end)
                if line >= 0 and read.text[line : end if carried is None else carried].strip():
                    break
                carried = heading.start
        yield start, end if carried is None else start + len(read.text[start:carried].rstrip())


def _under(read: Read, start: int, end: int) -> int:
    """The place of the last of the headings that a chunk begins with, or else its start."""
    place = at = start
    for heading in read.headings:
        if start <= heading.start < end:
            if read.text[at : heading.start].strip():
                break
            place, at = heading.start, read.text.find("\n", heading.start) % (len(read.text) + 1)
    return place


@lru_cache(maxsize=16)
def _splitter(is_markdown: bool, tokens: int, overlap: int, path: str) -> Any:
    splitters = library("semantic_text_splitter")
    kind = splitters.MarkdownSplitter if is_markdown else splitters.TextSplitter
    return kind.from_huggingface_tokenizer(tokenizer(path), tokens, overlap)


def searched_text(chunk: Chunk, title: str | None, chunking: Chunking) -> str:
    """What is embedded and searched for words."""
    if not chunking.headings:
        return chunk.text
    above = [title] if title else []
    above += [heading for heading in chunk.headings if heading != title and heading not in chunk.text[:200]]
    return "\n".join([*([" > ".join(above)] if above else []), chunk.text])


def _bad(name: str, problem: str) -> InvalidArgument:
    message = f"chunking.{name}={problem}"
    return invalid("BAD_ARGUMENT", message, f"chunking.{name}")
