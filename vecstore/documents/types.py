"""What goes in and comes out: documents, chunks, passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """A document to be kept: its `content` is text, or the bytes of a file. `media_type` is "text/plain",
    "text/markdown", "text/html" or "application/pdf"; left out, the ending of `uri` or `id` tells, else it is plain
    text. Left out, `id` is the `uri`, or else made from the content."""

    content: str | bytes
    id: str | None = None
    title: str | None = None
    uri: str | None = None
    media_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunking:
    """How documents are cut: at most `tokens` a chunk, of which up to `overlap` are the end of the chunk before, at
    headings, paragraphs and sentences where that fits. With `headings`, a chunk is searched with its title and headings
    before it. Tokens are those of BERT's uncased WordPiece, or of the `tokenizer` in a local tokenizer.json."""

    tokens: int = 200
    overlap: int = 30
    headings: bool = True
    tokenizer: str = ""


class State(StrEnum):
    ADDED = "added"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"  # nothing was embedded or written
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one document; `error` says why one failed, which leaves what was stored of it as it was."""

    id: str
    state: State
    chunks: int = 0
    seq: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is characters `start` to `end` of the document's text as it was read, under `headings`; `page` from 1,
    where there are pages."""

    number: int
    text: str
    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A stored document."""

    id: str
    title: str | None
    uri: str | None
    media_type: str
    hash: str
    chunks: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A stored document with all its chunks."""

    info: DocumentInfo
    chunks: Sequence[Chunk]


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that a question found: chunk `number` and, where neighbours were asked for, the chunks
    `first` to `last` around it, as one `text` of characters `start` to `end`. `citation` is its number in the context,
    from 1; `legs` are its scores by each field that was searched."""

    citation: int
    text: str
    score: float
    document: DocumentInfo
    number: int
    first: int
    last: int
    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None
    legs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """Passages, best first, and the `context` that they make: each under its number in brackets, title and place, in
    `tokens` tokens. `omitted` passages did not fit the budget."""

    passages: Sequence[Passage]
    context: str
    tokens: int
    omitted: int
    seq: int
