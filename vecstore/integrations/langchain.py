"""LangChain's `VectorStore`: `pip install 'vecstore[langchain]'`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from vecstore.client._sync.client import Client
from vecstore.client.fields import IndexKind
from vecstore.client.filters import FilterLike
from vecstore.client.stages import MMR
from vecstore.errors import InvalidArgument
from vecstore.index_check import IndexLike
from vecstore.integrations.metadata import as_metadata_filter, relevance
from vecstore.integrations.points import Plan, Points, Search, SearchMode, Store
from vecstore.types import Hit, Mmr, Point

Scored = list[tuple[Document, float]]


class VecstoreVectorStore(VectorStore):
    """Documents in a collection: the metadata is the payload, `content_key` of it the text.

    `target` is a directory, ":memory:", "grpc://host:7334", or an open embedded `Client`; `connect_options` are others
    of `vecstore.connect`, such as `ca`. The collection is made by the first write, with the dimension of its vectors;
    one that is there already is used as it is. With `bm25` (a language, such as "english") texts are also indexed for
    words, which `mode` "text" searches and "hybrid" fuses with vectors.

    Searches take `filter`: a plain {key: value or list of values} of metadata, or a filter as vecstore has it;
    `mode`, `fusion` and `candidates` (of "hybrid"), and other options of `Collection.query`, such as `recall`.
    Scores are vecstore's: similarity, but distance where the metric is l2; fused scores where the mode is "hybrid".
    """

    def __init__(
        self,
        embedding: Embeddings,
        target: str | Path | Client,
        collection_name: str = "langchain",
        *,
        api_key: str | None = None,
        connect_options: Mapping[str, Any] | None = None,
        metric: Literal["cosine", "dot", "l2"] = "cosine",
        index: IndexLike = None,
        indexes: Mapping[str, IndexKind] | None = None,
        bm25: str | None = None,
        mode: SearchMode = "dense",
        content_key: str = "page_content",
        vector_name: str = "dense",
        text_name: str = "text",
    ) -> None:
        plan = Plan(
            collection=collection_name, metric=metric, index=index, indexes=indexes, bm25=bm25, dense=vector_name,
            text=text_name,
        )  # fmt: skip
        self._embedding, self._mode, self._content_key = embedding, mode, content_key
        self._store = Store(target, plan, api_key=api_key, **(connect_options or {}))

    @property
    def embeddings(self) -> Embeddings:
        return self._embedding

    def close(self) -> None:
        """Close the database or the connection, unless others of this process use it."""
        self._store.close()

    async def aclose(self) -> None:
        """`close` where an event loop runs: closes its connection to a server too."""
        await self._store.aclose()

    # Writing

    def add_texts(
        self, texts: Iterable[str], metadatas: list[dict[str, Any]] | None = None, *,
        ids: Sequence[str | None] | None = None, **kwargs: Any,
    ) -> list[str]:  # fmt: skip
        """Embed and write texts; one with the id of another replaces it. Ids that are not given are made."""
        listed = list(texts)
        names, payloads = self._rows(listed, metadatas, ids, kwargs)
        vectors = self._embedding.embed_documents(listed) if listed else []
        self._store.run(lambda points: points.write(names, vectors, listed, payloads))
        return names

    async def aadd_texts(
        self, texts: Iterable[str], metadatas: list[dict[str, Any]] | None = None, *,
        ids: Sequence[str | None] | None = None, **kwargs: Any,
    ) -> list[str]:  # fmt: skip
        listed = list(texts)
        names, payloads = self._rows(listed, metadatas, ids, kwargs)
        vectors = await self._embedding.aembed_documents(listed) if listed else []
        await self._store.arun(lambda points: points.write(names, vectors, listed, payloads))
        return names

    def _rows(
        self,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any]] | None,
        ids: Sequence[str | None] | None,
        unknown: Mapping[str, Any],
    ) -> tuple[list[str], list[dict[str, Any]]]:
        for name in unknown:
            raise TypeError(f"adding has no option {name!r}")
        for what, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(texts):
                raise ValueError(f"{len(given)} {what} for {len(texts)} texts")
        names = [given or str(uuid.uuid4()) for given in ids or [None] * len(texts)]
        payloads = []
        for text, metadata in zip(texts, metadatas or [{}] * len(texts), strict=True):
            if self._content_key in metadata:
                message = f"metadata has the key {self._content_key!r}, which holds the text; name another content_key"
                raise InvalidArgument(message, reason="BAD_PAYLOAD")
            payloads.append({**metadata, self._content_key: text})
        return names, payloads

    def delete(self, ids: list[str] | None = None, *, filter: FilterLike | None = None, **kwargs: Any) -> bool:
        """Delete the documents listed, or those that match; with neither, all."""
        self._store.run(lambda points: points.delete(ids, as_metadata_filter(filter)))
        return True

    async def adelete(self, ids: list[str] | None = None, *, filter: FilterLike | None = None, **kwargs: Any) -> bool:
        await self._store.arun(lambda points: points.delete(ids, as_metadata_filter(filter)))
        return True

    # Reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        return [self._document(point) for point in self._store.run(lambda points: points.get(ids))]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        return [self._document(point) for point in await self._store.arun(lambda points: points.get(ids))]

    def _document(self, point: Point) -> Document:
        metadata = dict(point.payload or {})
        return Document(id=str(point.id), page_content=metadata.pop(self._content_key, ""), metadata=metadata)

    # Searching

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Scored:
        vector = None if self._mode_of(kwargs) == "text" else self._embedding.embed_query(query)
        return self._scored(self._store.run(lambda points: points.search(self._asked(query, vector, k, kwargs))))

    async def asimilarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Scored:
        vector = None if self._mode_of(kwargs) == "text" else await self._embedding.aembed_query(query)
        return self._scored(await self._store.arun(lambda points: points.search(self._asked(query, vector, k, kwargs))))

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in await self.asimilarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> Scored:
        return self._scored(self._store.run(lambda points: points.search(self._near(embedding, k, kwargs))))

    async def asimilarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> Scored:
        return self._scored(await self._store.arun(lambda points: points.search(self._near(embedding, k, kwargs))))

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score_by_vector(embedding, k, **kwargs)]

    async def asimilarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in await self.asimilarity_search_with_score_by_vector(embedding, k, **kwargs)]

    def _mode_of(self, given: Mapping[str, Any]) -> SearchMode:
        mode: SearchMode = given.get("mode", self._mode)
        if mode not in ("dense", "text", "hybrid"):
            raise InvalidArgument(f"mode={mode!r} is not one of dense, text, hybrid", reason="BAD_ARGUMENT")
        return mode

    def _asked(self, query: str, vector: list[float] | None, k: int, given: Mapping[str, Any]) -> Search:
        return self._search(k, given, vector=vector, text=None if self._mode_of(given) == "dense" else query)

    def _near(self, vector: list[float], k: int, given: Mapping[str, Any], mmr: Mmr | None = None) -> Search:
        if self._mode_of({"mode": "dense", **given}) != "dense":
            message = f"mode={given['mode']!r} needs a text, and only a vector is given"
            raise InvalidArgument(message, reason="BAD_ARGUMENT")
        return self._search(k, given, vector=vector, mmr=mmr)

    def _search(self, k: int, given: Mapping[str, Any], **queries: Any) -> Search:
        options = {name: value for name, value in given.items() if name != "mode"}
        own: dict[str, Any] = {"fusion": options.pop("fusion", None)}
        if "candidates" in options:
            own["candidates"] = (options.pop("candidates"),) * 2
        filter = as_metadata_filter(options.pop("filter", None))
        return Search(k=k, filter=filter, options=options, **own, **queries)

    def _scored(self, hits: Sequence[Hit]) -> Scored:
        return [(self._document(hit), hit.score) for hit in hits]

    # Relevance, from 0 to 1

    def _similarity_search_with_relevance_scores(self, query: str, k: int = 4, **kwargs: Any) -> Scored:
        self._relevant(kwargs)
        metric = self._store.run(Points.metric)
        found = self.similarity_search_with_score(query, k, **kwargs)
        return [(document, relevance(metric, score)) for document, score in found]

    async def _asimilarity_search_with_relevance_scores(self, query: str, k: int = 4, **kwargs: Any) -> Scored:
        self._relevant(kwargs)
        metric = await self._store.arun(Points.metric)
        found = await self.asimilarity_search_with_score(query, k, **kwargs)
        return [(document, relevance(metric, score)) for document, score in found]

    def _relevant(self, given: Mapping[str, Any]) -> None:
        if (mode := self._mode_of(given)) != "dense":
            message = f'a relevance from 0 to 1 is known of mode "dense" only, not of {mode!r}'
            raise InvalidArgument(message, reason="BAD_ARGUMENT")

    # Maximal marginal relevance, by the engine

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        search = self._near(embedding, k, kwargs, _mmr(k, fetch_k, lambda_mult))
        return [self._document(hit) for hit in self._store.run(lambda points: points.search(search))]

    async def amax_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        search = self._near(embedding, k, kwargs, _mmr(k, fetch_k, lambda_mult))
        return [self._document(hit) for hit in await self._store.arun(lambda points: points.search(search))]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        vector = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        vector = await self._embedding.aembed_query(query)
        return await self.amax_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    # Making

    @classmethod
    def from_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: list[dict[str, Any]] | None = None, *,
        ids: list[str] | None = None, **kwargs: Any,
    ) -> Self:  # fmt: skip
        """A store with these texts; `kwargs` are those of the constructor, `target` among them."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: list[dict[str, Any]] | None = None, *,
        ids: list[str] | None = None, **kwargs: Any,
    ) -> Self:  # fmt: skip
        store = cls(embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store


def _mmr(k: int, fetch_k: int, lambda_mult: float) -> Mmr:
    """LangChain's lambda is 1 for nearness alone, which is a diversity of 0."""
    return MMR(1 - lambda_mult, max(k, fetch_k))
