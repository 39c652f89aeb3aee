"""How documents lie in a collection: a point for each chunk, with everything about it in its payload.

    {"text": ..., "document": {id, title, uri, media_type, hash, chunks}, "chunk": {number, start, end, headings, page},
     "metadata": {...}}

A chunk's id is a UUID made of the document's id and the chunk's number, so that writing a document again writes over
it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec

from vecstore.config import Limits
from vecstore.documents.chunking import chunks_of, searched_text
from vecstore.documents.reading import bad_document, read
from vecstore.documents.types import Chunk, Chunking, Document, DocumentInfo
from vecstore.errors import FailedPrecondition, limit_exceeded
from vecstore.query.filter import Filter, MatchAny, MatchValue, PointId
from vecstore.rows import TextRows
from vecstore.schema import Analysis, DataType, FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import DeleteRequest, Point, PointBatch, UpsertRequest, VectorBatch
from vecstore.validate import check_payload_json

SPACE = UUID("6f4c1c0e-6d0e-5a52-9c55-3a3b1f0f6d11")
ID_LENGTH_MAX = 1_024  # characters of a document's id
CONTENT_BYTES_MAX = 64 << 20
DOCUMENT_ID, CHUNK_NUMBER = "document.id", "chunk.number"
CHUNK_OVERHEAD_BYTES = 128  # of a point on its way, beside its texts and payload
VERSION = 1  # of the layout and of how documents are read: another one makes every document a changed one

_encode = msgspec.json.Encoder(order="sorted").encode


class Laid(msgspec.Struct):
    """A document as it is to be stored."""

    info: DocumentInfo
    chunks: list[Chunk]
    texts: list[str]  # what is embedded and searched for words
    payloads: list[bytes]


def fields_of(
    embedder: str | None, sparse_embedder: str | None, multi_embedder: str | None, language: str
) -> dict[str, VectorField]:
    """The vector fields of a new collection of documents."""
    fields = {"body": VectorField(VectorKind.TEXT, 0, Metric.BM25, analysis=Analysis(language=language))}
    if embedder is not None:
        fields["dense"] = VectorField(VectorKind.DENSE, 0, Metric.COSINE, embedder=embedder)
    if sparse_embedder is not None:
        fields["sparse"] = VectorField(VectorKind.SPARSE, 0, Metric.DOT, embedder=sparse_embedder)
    if multi_embedder is not None:
        fields["tokens"] = VectorField(VectorKind.MULTI, 0, Metric.MAXSIM, DataType.FLOAT16, embedder=multi_embedder)
    return fields


INDEXES = {DOCUMENT_ID: FieldKind.KEYWORD, CHUNK_NUMBER: FieldKind.INTEGER}


def searched_fields(schema: Schema) -> dict[str, VectorField]:
    """The fields that texts go into. Raises FailedPrecondition (NOT_FOR_DOCUMENTS)."""
    fields = {
        name: field
        for name, field in schema.vectors.items()
        if field.kind is VectorKind.TEXT or field.embedder is not None
    }
    if not fields:
        message = "the collection has no text field and no field with an embedder, so documents cannot be found in it"
        raise FailedPrecondition(message, reason="NOT_FOR_DOCUMENTS")
    return fields


def chunk_id(document_id: str, number: int) -> UUID:
    return uuid5(SPACE, f"{document_id}\n{number}")


def identified(document: Document) -> tuple[str, str]:
    """A document's id, and the hash of all that is stored of it but the way it is cut. Raises InvalidArgument
    (BAD_DOCUMENT, LIMIT_EXCEEDED)."""
    if not isinstance(document.content, str | bytes):
        raise bad_document("content", f"must be text or bytes, not {type(document.content).__name__}")
    try:
        content = document.content.encode() if isinstance(document.content, str) else document.content
    except UnicodeEncodeError:
        raise bad_document("content", "is not valid Unicode") from None
    if len(content) > CONTENT_BYTES_MAX:
        raise limit_exceeded("CONTENT_BYTES_MAX", len(content), CONTENT_BYTES_MAX, path="content bytes")
    try:
        about = _encode([VERSION, document.title, document.uri, document.media_type, dict(document.metadata)])
    except (TypeError, ValueError, OverflowError, UnicodeEncodeError) as error:
        raise bad_document("metadata", f"is no JSON object: {error!s:.200}") from None
    digest = hashlib.blake2b(content, digest_size=16)
    name = document.id or document.uri or digest.hexdigest()
    if not isinstance(name, str) or len(name) > ID_LENGTH_MAX:
        raise limit_exceeded("ID_LENGTH_MAX", len(str(name)), ID_LENGTH_MAX, path="id characters")
    digest.update(about)
    return name, digest.hexdigest()


def hash_with(content_hash: str, chunking: Chunking) -> str:
    """The hash that is stored: of the content, and of how it was cut."""
    cut = _encode([content_hash, chunking.tokens, chunking.overlap, chunking.headings, chunking.tokenizer])
    return hashlib.blake2b(cut, digest_size=16).hexdigest()


def lay(document: Document, schema: Schema, chunking: Chunking, limits: Limits) -> Laid:
    """Read, cut and name, so that it can be written as a whole. Raises InvalidArgument (BAD_DOCUMENT, BAD_PAYLOAD,
    BAD_ARGUMENT, LIMIT_EXCEEDED), FailedPrecondition (EXTRA_MISSING)."""
    name, content_hash = identified(document)
    found = read(document)
    title = document.title if document.title is not None else found.title
    chunks = chunks_of(found, chunking)
    info = DocumentInfo(
        name, title, document.uri, found.media_type, hash_with(content_hash, chunking), len(chunks), document.metadata
    )
    if len(chunks) > limits.batch_points_max:
        raise limit_exceeded("batch_points_max", len(chunks), limits.batch_points_max, path="chunks of a document")
    texts = [searched_text(chunk, title, chunking) for chunk in chunks]
    payloads = [payload_of(info, chunk) for chunk in chunks]
    for payload in payloads:
        check_payload_json(payload, limits)
    size = sum(map(len, payloads)) + len(searched_fields(schema)) * sum(len(text.encode()) for text in texts)
    if size + len(chunks) * CHUNK_OVERHEAD_BYTES > limits.message_bytes_max:
        raise limit_exceeded("message_bytes_max", size, limits.message_bytes_max, path="bytes of a document's chunks")
    return Laid(info, chunks, texts, payloads)


def payload_of(info: DocumentInfo, chunk: Chunk) -> bytes:
    about: dict[str, Any] = {
        "id": info.id, "title": info.title, "uri": info.uri, "media_type": info.media_type, "hash": info.hash,
        "chunks": info.chunks,
    }  # fmt: skip
    place = {"number": chunk.number, "start": chunk.start, "end": chunk.end, "headings": chunk.headings}
    if chunk.page is not None:
        place["page"] = chunk.page
    return msgspec.json.encode({"text": chunk.text, "document": about, "chunk": place, "metadata": dict(info.metadata)})


def read_point(point: Point) -> tuple[DocumentInfo, Chunk]:
    """Raises FailedPrecondition (NOT_FOR_DOCUMENTS) for a point that no document was cut into."""
    try:
        payload = point.payload or {}
        info = DocumentInfo(**payload["document"], metadata=payload["metadata"])
        place = payload["chunk"]
        chunk = Chunk(**{**place, "headings": tuple(place["headings"])}, text=payload["text"])
    except (KeyError, TypeError):
        message = f"point {point.id} is no chunk of a document: keep documents in a collection of their own"
        raise FailedPrecondition(message, reason="NOT_FOR_DOCUMENTS") from None
    return info, chunk


def operations(laid: Sequence[Laid], collection: str, schema: Schema) -> list[DeleteRequest | UpsertRequest]:
    """What replaces these documents' chunks by new ones, as one batch."""
    ids: list[PointId] = [chunk_id(one.info.id, chunk.number) for one in laid for chunk in one.chunks]
    texts = TextRows([text for one in laid for text in one.texts])
    vectors = {name: VectorBatch(texts) for name in searched_fields(schema)}
    payloads: list[bytes | None] = [payload for one in laid for payload in one.payloads]
    delete = DeleteRequest(collection, filter=of_documents([one.info.id for one in laid]))
    return [delete, UpsertRequest(collection, PointBatch(ids, vectors, payloads))]


def of_documents(names: Sequence[str]) -> Filter:
    """The chunks of the documents named."""
    return Filter(must=(MatchAny(DOCUMENT_ID, tuple(names)),))


def first_chunks() -> Filter:
    """One chunk of each document."""
    return Filter(must=(MatchValue(CHUNK_NUMBER, 0),))
