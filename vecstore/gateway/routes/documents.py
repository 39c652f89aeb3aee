"""Documents: put in, with progress or without, searched, listed, taken out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import msgspec

from vecstore.access import Action
from vecstore.client._async.documents import AsyncDocuments
from vecstore.documents.types import Document, State
from vecstore.errors import Unavailable, VecstoreError
from vecstore.gateway import document_bodies as d
from vecstore.gateway.call import Call, Reply
from vecstore.gateway.route import Example, Route
from vecstore.gateway.routes.collections import COLLECTION
from vecstore.wire.rest.ids import Unsigned, id_from_json, id_to_json
from vecstore.wire.rest.points import filter_from_json
from vecstore.wire.rest.query_requests import seq_from_json, seqs_from_json
from vecstore.wire.rest.ranking import fusion_from_json

LIMIT_DEFAULT = 100
PART = 16  # documents between two looks at the key and at the server's end
READ, WRITE = Action.READ, Action.WRITE

_encode = msgspec.json.Encoder().encode


class ListQuery(msgspec.Struct):
    """`after` is the `next_after` of the page before."""

    limit: d.AtLeastOne = LIMIT_DEFAULT
    after: str | None = None
    min_seq: Unsigned = 0


class DocumentQuery(msgspec.Struct):
    min_seq: Unsigned = 0


def _documents(call: Call, min_seq: int = 0, min_seqs: Mapping[str, int] | None = None) -> AsyncDocuments:
    seqs = seqs_from_json(min_seqs or {})
    return AsyncDocuments(
        call.transport, call.collection, timeout_s=call.deadline_s, seq=seq_from_json(min_seq), seqs=seqs
    )


def _given(body: d.PutDocumentsBody) -> list[Document]:
    return [d.document_from_json(one, f"documents[{place}]") for place, one in enumerate(body.documents)]


async def put(call: Call) -> d.PutDocumentsAnswer:
    given = await call.in_thread(_given, call.body)
    chunking = d.chunking_from_json(call.body.chunking)
    done = [d.ingested_to_json(one) async for one in _documents(call).ingest(given, chunking=chunking)]
    return d.PutDocumentsAnswer(documents=done)


async def ingest(call: Call) -> Reply:
    given = await call.in_thread(_given, call.body)
    await call.transport.collection_info(call.collection)  # what is wrong at once is told by the status
    return Reply(_events(call, given), media=b"text/event-stream", headers=[(b"cache-control", b"no-store")])


async def _events(call: Call, given: list[Document]) -> AsyncIterator[bytes]:
    """One event for each document once it is durable, and one at the end; an error is an event, too, as the status has
    gone by then."""
    counts: dict[State, int] = {}
    documents = _documents(call)
    chunking = d.chunking_from_json(call.body.chunking)
    yield b": %d documents\n\n" % len(given)
    try:
        for part in _parts(given):
            # What a key may do can end while a long body is worked on.
            call.services.access.check(call.principal, WRITE, call.collection)
            if call.services.admission.draining.is_set():
                raise Unavailable("the server is shutting down")
            async for one in documents.ingest(part, chunking=chunking):
                counts[one.state] = counts.get(one.state, 0) + 1
                yield _event("document", d.ingested_to_json(one))
    except VecstoreError as error:
        yield _event("error", {"reason": error.reason, "detail": error.message})
        return
    await call.shown(WRITE)
    yield _event("done", {state.value: counts.get(state, 0) for state in State})


def _parts(given: list[Document]) -> Iterator[list[Document]]:
    for start in range(0, len(given), PART):
        yield given[start : start + PART]


def _event(name: str, data: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode(data))


async def search(call: Call) -> d.SearchDocumentsAnswer:
    body: d.SearchDocumentsBody = call.body
    found = await _documents(call, body.min_seq, body.min_seqs).search(
        body.question,
        body.k,
        filter=filter_from_json(body.filter, call.limits),
        budget=body.budget,
        neighbours=body.neighbours,
        candidates=body.candidates,
        duplicates=body.duplicates,
        diversity=body.diversity,
        per_document=body.per_document,
        by_document=body.by_document,
        fusion=None if body.fusion is None else fusion_from_json(body.fusion, "fusion"),
        timeout_s=call.bound_time(None if body.timeout_ms is None else body.timeout_ms / 1000),
    )
    return d.found_to_json(found)


async def list_all(call: Call) -> d.ListDocumentsAnswer:
    after = None if call.query.after is None else id_from_json(call.query.after)
    found, following = await _documents(call, call.query.min_seq).list(call.query.limit, after=after)
    return d.ListDocumentsAnswer(
        documents=[d.info_to_json(info) for info in found],
        next_after=None if following is None else id_to_json(following),
    )


async def get(call: Call) -> d.DocumentAnswer:
    return d.stored_to_json(await _documents(call, call.query.min_seq).get(call.params["document"]))


async def delete(call: Call) -> d.DeletedDocument:
    return d.DeletedDocument(chunks=await _documents(call).delete(call.params["document"]))


DOCUMENTS = COLLECTION + "/documents"
IN_TEXTS = {"collection": "texts"}
TIDES = {"id": "tides.md", "text": "# Tides\n\nHigh water comes twice a day.", "metadata": {"lang": "en"}}
FOG = {"text": "<h1>Fog</h1><p>It hides the harbour.</p>", "media_type": "text/html", "uri": "https://example.org/fog"}

ROUTES = (
    Route("PUT", DOCUMENTS, "put_documents", "Keep documents: read, cut, embedded and searchable when this answers.",
          WRITE, put, body=d.PutDocumentsBody, answer=d.PutDocumentsAnswer,
          examples={"Markdown and HTML": Example({"documents": [TIDES, FOG], "chunking": {"tokens": 120}}, IN_TEXTS)}),
    Route("POST", f"{DOCUMENTS}/ingest", "ingest_documents",
          "The same with progress, as server-sent events: `document` for each that is durable, then `done` or `error`.",
          WRITE, ingest, body=d.PutDocumentsBody, gives=("text/event-stream",), stream=True,
          examples={"one": Example({"documents": [TIDES]}, IN_TEXTS)}),
    Route("POST", f"{DOCUMENTS}/search", "search_documents",
          "The passages that answer a question best, with their sources, and the context that they make.", READ, search,
          body=d.SearchDocumentsBody, answer=d.SearchDocumentsAnswer,
          examples={"a question": Example({"question": "When is high water?", "k": 3, "neighbours": 1}, IN_TEXTS)}),
    Route("GET", DOCUMENTS, "list_documents", "Documents, in an order of no meaning.", READ, list_all, query=ListQuery,
          answer=d.ListDocumentsAnswer, examples={"a page": Example(params=IN_TEXTS, query={"limit": "10"})}),
    Route("GET", DOCUMENTS + "/{document}", "get_document", "A document with all its chunks.", READ, get,
          query=DocumentQuery, answer=d.DocumentAnswer,
          examples={"tides": Example(params={**IN_TEXTS, "document": "tides.md"})}),
    Route("DELETE", DOCUMENTS + "/{document}", "delete_document", "Delete a document.", WRITE, delete,
          answer=d.DeletedDocument, examples={"tides": Example(params={**IN_TEXTS, "document": "tides.md"})}),
)  # fmt: skip
