"""Documents: what is put in, found and listed."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Annotated, TypeAlias

import msgspec

from vecstore.documents import types as t
from vecstore.documents.asking import Wanted
from vecstore.documents.chunking import TOKENS_MAX, TOKENS_MIN
from vecstore.wire.rest.base import Answer, Body, Count, JsonObject, bad_argument
from vecstore.wire.rest.conditions import FilterSpec
from vecstore.wire.rest.ids import Id, Unsigned
from vecstore.wire.rest.queries import Seqs, TimeoutMs
from vecstore.wire.rest.ranking import FusionName, FusionSpec

CUT, WANTED = t.Chunking(), Wanted()  # the defaults
Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
AtLeastOne: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]


class DocumentSpec(Body):
    """A document: `text`, or the bytes of a file in base64 as `data`. `media_type` is text/plain, text/markdown,
    text/html or application/pdf; left out, the ending of `uri` or `id` tells, else it is plain text. Left out, `id` is
    the `uri`, or else made from the content."""

    text: str | None = None
    data: str | None = None
    id: Text | None = None
    title: str | None = None
    uri: str | None = None
    media_type: str | None = None
    metadata: JsonObject = msgspec.field(default_factory=dict)


class ChunkingSpec(Body):
    """At most `tokens` a chunk, of which up to `overlap` are the end of the chunk before. With `headings`, a chunk is
    searched with its title and headings before it."""

    tokens: Annotated[int, msgspec.Meta(ge=TOKENS_MIN, le=TOKENS_MAX)] = CUT.tokens
    overlap: Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)] = CUT.overlap
    headings: bool = CUT.headings


class PutDocumentsBody(Body):
    """Documents are replaced by id, each as a whole; one that is the same is neither embedded nor written."""

    documents: Annotated[list[DocumentSpec], msgspec.Meta(min_length=1)]
    chunking: ChunkingSpec = msgspec.field(default_factory=ChunkingSpec)


class IngestedAnswer(msgspec.Struct, omit_defaults=True):
    """What became of a document; `error` says why one failed, which leaves what was stored of it as it was."""

    id: str
    state: t.State
    chunks: int
    seq: int
    error: str | None = None


class PutDocumentsAnswer(Answer):
    documents: list[IngestedAnswer]


class SearchDocumentsBody(Body):
    """A question. Passages that share `duplicates` of their words with a better one are left out; `diversity` above 0
    prefers passages that are unlike each other. At most `per_document` are of one document; with `by_document`, the `k`
    best documents are found, and a document's passages stand together. `neighbours` chunks before and after belong to
    a passage. All of it in at most `budget` tokens."""

    question: Text
    k: AtLeastOne = WANTED.k
    budget: AtLeastOne = WANTED.budget
    neighbours: Count = WANTED.neighbours
    candidates: AtLeastOne = WANTED.candidates
    duplicates: Share = WANTED.duplicates
    diversity: Share = WANTED.diversity
    per_document: AtLeastOne | None = None
    by_document: bool = False
    fusion: FusionSpec | FusionName | None = None
    filter: FilterSpec = None
    min_seq: Unsigned = 0
    min_seqs: Seqs = msgspec.field(default_factory=dict)
    timeout_ms: TimeoutMs | None = None


class DocumentInfoAnswer(Answer):
    id: str
    title: str | None
    uri: str | None
    media_type: str
    hash: str
    chunks: int
    metadata: JsonObject


class PassageAnswer(Answer):
    """`text` is characters `start` to `end` of the document as it was read, chunks `first` to `last`, of which `number`
    was found. `legs` are scores by field; `citation` is the number in the context."""

    citation: int
    text: str
    score: float
    document: DocumentInfoAnswer
    number: int
    first: int
    last: int
    start: int
    end: int
    headings: list[str]
    page: int | None
    legs: dict[str, float]


class SearchDocumentsAnswer(Answer):
    """Passages, best first, and the `context` that they make, each under its number in brackets."""

    passages: list[PassageAnswer]
    context: str
    tokens: int
    omitted: int
    seq: int


class ChunkAnswer(Answer):
    number: int
    text: str
    start: int
    end: int
    headings: list[str]
    page: int | None


class DocumentAnswer(Answer):
    document: DocumentInfoAnswer
    chunks: list[ChunkAnswer]


class ListDocumentsAnswer(Answer):
    """`next_after` goes on as `after`; null at the end."""

    documents: list[DocumentInfoAnswer]
    next_after: Id | None


class DeletedDocument(Answer):
    """How many chunks there were."""

    chunks: int


def document_from_json(given: DocumentSpec, path: str) -> t.Document:
    """Raises InvalidArgument (BAD_DOCUMENT)."""
    if (given.text is None) == (given.data is None):
        raise bad_argument(path, "needs either text or data", "BAD_DOCUMENT")
    content: str | bytes | None = given.text
    if given.data is not None:
        try:
            content = b64decode(given.data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise bad_argument(f"{path}.data", f"is no base64: {error}", "BAD_DOCUMENT") from None
    assert content is not None
    return t.Document(content, given.id, given.title, given.uri, given.media_type, given.metadata)


def chunking_from_json(given: ChunkingSpec) -> t.Chunking:
    return t.Chunking(given.tokens, given.overlap, given.headings)


def ingested_to_json(one: t.Ingested) -> IngestedAnswer:
    return IngestedAnswer(one.id, one.state, one.chunks, one.seq, one.error)


def found_to_json(found: t.Found) -> SearchDocumentsAnswer:
    return msgspec.convert(found, SearchDocumentsAnswer, from_attributes=True)


def info_to_json(info: t.DocumentInfo) -> DocumentInfoAnswer:
    return msgspec.convert(info, DocumentInfoAnswer, from_attributes=True)


def stored_to_json(stored: t.StoredDocument) -> DocumentAnswer:
    chunks = [msgspec.convert(chunk, ChunkAnswer, from_attributes=True) for chunk in stored.chunks]
    return DocumentAnswer(document=info_to_json(stored.info), chunks=chunks)
