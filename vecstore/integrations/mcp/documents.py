"""The tools for documents: texts of any length, of which passages are found."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from pydantic import BaseModel, Field

from vecstore.access import Action
from vecstore.client._async.documents import AsyncDocuments
from vecstore.documents.types import Document, Found, Ingested, Passage
from vecstore.integrations.mcp.callers import Callers
from vecstore.integrations.mcp.tools import Filter, Name, told


class FoundPassage(BaseModel):
    citation: int = Field(description="its number in the context, to cite it by")
    text: str
    score: float
    document_id: str
    title: str | None
    uri: str | None
    headings: list[str]
    page: int | None
    metadata: dict[str, Any]

    @classmethod
    def of(cls, one: Passage) -> FoundPassage:
        info = one.document
        return cls(
            citation=one.citation, text=one.text, score=one.score, document_id=info.id, title=info.title, uri=info.uri,
            headings=list(one.headings), page=one.page, metadata=dict(info.metadata),
        )  # fmt: skip


class Answer(BaseModel):
    context: str = Field(description="the passages as one text, each under its number in brackets and its source")
    passages: list[FoundPassage]
    omitted: int = Field(description="passages that were found and did not fit into max_tokens")

    @classmethod
    def of(cls, found: Found) -> Answer:
        passages = [FoundPassage.of(one) for one in found.passages]
        return cls(context=found.context, passages=passages, omitted=found.omitted)


class Kept(BaseModel):
    id: str
    state: Literal["added", "replaced", "unchanged"]
    chunks: int = Field(description="points that it was cut into; 0 where it is unchanged")

    @classmethod
    def of(cls, one: Ingested) -> Kept:
        return cls.model_validate({"id": one.id, "state": one.state.value, "chunks": one.chunks})


class DocumentTools:
    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def _documents(self, ctx: Context[Any, Any], action: Action, collection: str) -> AsyncDocuments:
        client, name = await self._callers.reach(ctx.request_context.request, action, collection)
        return client.documents(name)

    @told
    async def search_documents(
        self,
        ctx: Context[Any, Any],
        collection: Name,
        question: Annotated[str, Field(description="What the passages should answer, in plain words.")],
        filter: Filter = None,
        limit: Annotated[int, Field(ge=1, le=50, description="How many passages at most.")] = 8,
        max_tokens: Annotated[int, Field(ge=50, le=100_000, description="Of the context, about.")] = 2_000,
        neighbours: Annotated[int, Field(ge=0, le=5, description="Chunks before and after that belong along.")] = 0,
    ) -> Answer:
        """Find the passages of documents that answer a question best, by words and, where the collection has an
        embedder, by meaning. Cite a passage by its number. Keys of filters are such as "metadata.lang" and
        "document.id"."""
        documents = await self._documents(ctx, Action.READ, collection)
        found = await documents.search(question, limit, filter=filter, budget=max_tokens, neighbours=neighbours)
        return Answer.of(found)

    @told
    async def add_document(
        self,
        ctx: Context[Any, Any],
        collection: Name,
        content: Annotated[str, Field(description="The whole text; it is cut into passages.")],
        id: Annotated[str | None, Field(description="Replaces the document with this id; left out: the uri.")] = None,
        title: str | None = None,
        uri: Annotated[str | None, Field(description="Where it comes from.")] = None,
        media_type: Annotated[Literal["text/plain", "text/markdown", "text/html"], Field()] = "text/plain",
        metadata: Annotated[
            dict[str, Any] | None, Field(description='Any JSON object; filters reach it as "metadata.KEY".')
        ] = None,
    ) -> Kept:
        """Keep a document in a collection that has a text field or an embedder. All of its passages are found by the
        next search, and those of an older version no more."""
        documents = await self._documents(ctx, Action.WRITE, collection)
        return Kept.of(await documents.add(Document(content, id, title, uri, media_type, metadata or {})))
