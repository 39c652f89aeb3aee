"""Haystack's `DocumentStore` over a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Self

from haystack import Document, default_from_dict, default_to_dict
from haystack.dataclasses import ByteStream
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret

from vecstore.errors import InvalidArgument
from vecstore.integrations.haystack.filters import to_filter
from vecstore.integrations.haystack.metadata import BLOB, CONTENT, Filters, MetadataMethods
from vecstore.integrations.metadata import relevance
from vecstore.integrations.points import Plan, Points, Search, Store, weighted
from vecstore.query.filter import Filter
from vecstore.types import Hit, Point


class VecstoreDocumentStore(MetadataMethods):
    """Documents in a collection: the metadata is the payload, its key "content" the text.

    `target` is a directory, ":memory:" or "grpc://host:7334"; it is opened at the first use. The collection is made by
    the first write; `embedding_dim` may be left out if that has embeddings. With `bm25`, the language of the texts,
    they are indexed for words too. `index` and `indexes` (of metadata keys) are as in `Client.create_collection`,
    `connect_options` others of `vecstore.connect`, such as `ca`; for pipelines in files, plain values.
    Embeddings are kept as float32."""

    def __init__(
        self,
        target: str = ":memory:",
        collection_name: str = "haystack",
        *,
        api_key: Secret | None = None,
        connect_options: dict[str, Any] | None = None,
        embedding_dim: int | None = None,
        metric: Literal["cosine", "dot", "l2"] = "cosine",
        index: str | None = None,
        indexes: dict[str, str] | None = None,
        bm25: str | None = "english",
        return_embedding: bool = False,
    ) -> None:
        self.target, self.collection_name, self.api_key = target, collection_name, api_key
        self.connect_options = connect_options
        self.embedding_dim, self.metric, self.index, self.indexes = embedding_dim, metric, index, indexes
        self.bm25, self.return_embedding = bm25, return_embedding

    @cached_property
    def _store(self) -> Store:
        plan = Plan(
            collection=self.collection_name, dim=self.embedding_dim, metric=self.metric, index=self.index,
            indexes=self.indexes, bm25=self.bm25,
        )  # fmt: skip
        key = None if self.api_key is None else self.api_key.resolve_value()
        return Store(self.target, plan, api_key=key, **(self.connect_options or {}))

    def to_dict(self) -> dict[str, Any]:
        """As pipelines are written to files. A key that is no environment variable is refused."""
        return default_to_dict(
            self,
            target=self.target,
            collection_name=self.collection_name,
            api_key=None if self.api_key is None else self.api_key.to_dict(),
            connect_options=self.connect_options,
            embedding_dim=self.embedding_dim,
            metric=self.metric,
            index=self.index,
            indexes=self.indexes,
            bm25=self.bm25,
            return_embedding=self.return_embedding,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        return default_from_dict(cls, data)

    def close(self) -> None:
        """Close the database or the connection, unless others of this process use it."""
        self._store.close()

    async def close_async(self) -> None:
        """`close` where an event loop runs: closes its connection to a server too."""
        await self._store.aclose()

    # Writing

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write documents and say how many were written. NONE is FAIL: with an id that is there, none is written."""
        return self._store.run(lambda points: self._write(points, documents, policy))

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        return await self._store.arun(lambda points: self._write(points, documents, policy))

    async def _write(self, points: Points, documents: list[Document], policy: DuplicatePolicy) -> int:
        if not isinstance(documents, list) or not all(isinstance(one, Document) for one in documents):
            raise ValueError("documents must be a list of Document")
        # Of one id given twice, the first is written by SKIP, the last by OVERWRITE.
        ordered = documents if policy is DuplicatePolicy.OVERWRITE else documents[::-1]
        once = list({document.id: document for document in ordered}.values())
        fail = policy in (DuplicatePolicy.NONE, DuplicatePolicy.FAIL)
        if fail:
            there = {str(point.id) for point in await points.get([document.id for document in once])}
            if there or len(once) < len(documents):
                raise DuplicateDocumentError(f"documents with these ids are there already: {sorted(there)[:10]}")
        result = await points.write(
            [document.id for document in once],
            [document.embedding for document in once],
            [document.content for document in once],
            [_payload(document) for document in once],
            mode="upsert" if policy is DuplicatePolicy.OVERWRITE else "insert_only",
        )
        if fail and result.skipped:
            raise DuplicateDocumentError(f"{result.skipped} documents were written by another at the same time")
        return result.changed

    def delete_documents(self, document_ids: list[str]) -> None:
        self._store.run(lambda points: points.delete(document_ids))

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        await self._store.arun(lambda points: points.delete(document_ids))

    def delete_all_documents(self, recreate_index: bool = False) -> None:
        """Delete every document; with `recreate_index` the collection too, which the next write makes anew."""
        self._store.run(lambda points: _delete_all(points, recreate_index))

    async def delete_all_documents_async(self, recreate_index: bool = False) -> None:
        await self._store.arun(lambda points: _delete_all(points, recreate_index))

    def delete_by_filter(self, filters: Filters) -> int:
        """Delete the documents that match, and say how many there were."""
        where = _some(filters)
        return self._store.run(lambda points: points.delete(filter=where))

    async def delete_by_filter_async(self, filters: Filters) -> int:
        where = _some(filters)
        return await self._store.arun(lambda points: points.delete(filter=where))

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Set keys of the metadata of the documents that match, and say how many there were."""
        where = _some(filters)
        return self._store.run(lambda points: points.set_payload(_meta(meta), where))

    async def update_by_filter_async(self, filters: Filters, meta: dict[str, Any]) -> int:
        where = _some(filters)
        return await self._store.arun(lambda points: points.set_payload(_meta(meta), where))

    # Reading

    def count_documents(self) -> int:
        return self._store.run(lambda points: points.count())

    async def count_documents_async(self) -> int:
        return await self._store.arun(lambda points: points.count())

    def count_documents_by_filter(self, filters: Filters) -> int:
        return self._store.run(lambda points: points.count(to_filter(filters, CONTENT)))

    async def count_documents_by_filter_async(self, filters: Filters) -> int:
        return await self._store.arun(lambda points: points.count(to_filter(filters, CONTENT)))

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """Every document that matches, with its embedding, in the order of ids."""
        where = to_filter(filters, CONTENT)
        return [_document(one) for one in self._store.run(lambda points: points.scroll(where, with_vectors=True))]

    async def filter_documents_async(self, filters: Filters | None = None) -> list[Document]:
        where = to_filter(filters, CONTENT)
        found = await self._store.arun(lambda points: points.scroll(where, with_vectors=True))
        return [_document(one) for one in found]

    # Searching, for the retrievers

    def search(
        self, *, query: str | None = None, query_embedding: list[float] | None = None, filters: Filters | None = None,
        top_k: int = 10, scale_score: bool = False, alpha: float | None = None,
    ) -> list[Document]:  # fmt: skip
        """By an embedding, by words (BM25), or by both, fused by reciprocal ranks, or by scores with `alpha` of the
        embedding's. `scale_score` maps scores of an embedding alone to 0..1."""
        search = self._search(query, query_embedding, filters, top_k, scale_score, alpha)
        return self._store.run(lambda points: self._found(points, search, scale_score))

    async def search_async(
        self, *, query: str | None = None, query_embedding: list[float] | None = None, filters: Filters | None = None,
        top_k: int = 10, scale_score: bool = False, alpha: float | None = None,
    ) -> list[Document]:  # fmt: skip
        search = self._search(query, query_embedding, filters, top_k, scale_score, alpha)
        return await self._store.arun(lambda points: self._found(points, search, scale_score))

    def _search(
        self, query: str | None, embedding: list[float] | None, filters: Filters | None, top_k: int, scale: bool,
        alpha: float | None,
    ) -> Search:  # fmt: skip
        if scale and query is not None:
            raise InvalidArgument("scale_score is of embeddings alone", reason="BAD_ARGUMENT")
        return Search(
            vector=embedding,
            text=query,
            k=top_k,
            filter=to_filter(filters, CONTENT),
            fusion=None if alpha is None else weighted(alpha),
            with_vectors=self.return_embedding,
        )

    async def _found(self, points: Points, search: Search, scale: bool) -> list[Document]:
        hits = await points.search(search)
        if not scale:
            return [_document(hit) for hit in hits]
        metric = await points.metric()
        return [_document(hit, relevance(metric, hit.score)) for hit in hits]


async def _delete_all(points: Points, recreate: bool) -> None:
    if recreate:
        await points.drop()
    else:
        await points.delete()


def _some(filters: Filters) -> Filter:
    """A filter that says something: to change all documents is another call."""
    where = to_filter(filters, CONTENT)
    if where is None:
        raise InvalidArgument("filters are empty, which would be every document", reason="BAD_FILTER")
    return where


def _meta(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in (CONTENT, BLOB):
        if key in meta:
            message = f"meta has the key {key!r}, which the store needs for itself"
            raise InvalidArgument(message, reason="BAD_PAYLOAD")
    return meta


def _payload(document: Document) -> dict[str, Any]:
    if document.sparse_embedding is not None:
        message = f"document {document.id} has a sparse embedding, which this store does not keep"
        raise InvalidArgument(message, reason="BAD_VECTOR")
    payload = dict(_meta(document.meta))
    if document.content is not None:
        payload[CONTENT] = document.content
    if document.blob is not None:
        payload[BLOB] = document.blob.to_dict()
    return payload


def _document(point: Point, score: float | None = None) -> Document:
    meta = dict(point.payload or {})
    content, blob = meta.pop(CONTENT, None), meta.pop(BLOB, None)
    vectors: Sequence[Any] = [vector for vector in (point.vectors or {}).values() if hasattr(vector, "tolist")]
    return Document(
        id=str(point.id),
        content=content,
        blob=None if blob is None else ByteStream.from_dict(blob),
        meta=meta,
        score=point.score if score is None and isinstance(point, Hit) else score,
        embedding=vectors[0].tolist() if vectors else None,
    )
