"""Haystack components that search a `VecstoreDocumentStore`."""

from __future__ import annotations

from typing import Any, Self

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from vecstore.integrations.haystack.metadata import Filters
from vecstore.integrations.haystack.store import VecstoreDocumentStore


class _Retriever:
    """What the three have in common. `filter_policy` says whether filters of a run take the place of the component's,
    or are merged with them, as Haystack does it. `component` makes classes anew, so they call this one by name."""

    def __init__(
        self,
        document_store: VecstoreDocumentStore,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
    ) -> None:
        if not isinstance(document_store, VecstoreDocumentStore):
            raise TypeError(f"document_store must be a VecstoreDocumentStore, not {type(document_store).__name__}")
        self.document_store, self.filters, self.top_k = document_store, filters, top_k
        self.filter_policy = FilterPolicy(filter_policy)

    def to_dict(self) -> dict[str, Any]:
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
            **self._options(),
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        return default_from_dict(cls, data)

    def _options(self) -> dict[str, Any]:
        return {}

    def _asked(self, filters: Filters | None, top_k: int | None) -> dict[str, Any]:
        merged = apply_filter_policy(self.filter_policy, self.filters, filters)
        return {"filters": merged, "top_k": self.top_k if top_k is None else top_k, **self._options()}


@component
class VecstoreEmbeddingRetriever(_Retriever):
    """Documents whose embeddings are nearest to the query's. `scale_score` maps scores to 0..1, 1 nearest."""

    def __init__(
        self,
        document_store: VecstoreDocumentStore,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
        scale_score: bool = False,
    ) -> None:
        _Retriever.__init__(self, document_store, filters=filters, top_k=top_k, filter_policy=filter_policy)
        self.scale_score = scale_score

    def _options(self) -> dict[str, Any]:
        return {"scale_score": self.scale_score}

    @component.output_types(documents=list[Document])
    def run(
        self, query_embedding: list[float], filters: Filters | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        asked = self._asked(filters, top_k)
        return {"documents": self.document_store.search(query_embedding=query_embedding, **asked)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query_embedding: list[float], filters: Filters | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        asked = self._asked(filters, top_k)
        return {"documents": await self.document_store.search_async(query_embedding=query_embedding, **asked)}


@component
class VecstoreBM25Retriever(_Retriever):
    """Documents with words of the query, by BM25."""

    @component.output_types(documents=list[Document])
    def run(self, query: str, filters: Filters | None = None, top_k: int | None = None) -> dict[str, list[Document]]:
        return {"documents": self.document_store.search(query=query, **self._asked(filters, top_k))}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: Filters | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        return {"documents": await self.document_store.search_async(query=query, **self._asked(filters, top_k))}


@component
class VecstoreHybridRetriever(_Retriever):
    """Documents by their embeddings and their words at once, fused by reciprocal ranks, or with `alpha` (0..1) by
    scores, of which `alpha` is the embedding's weight."""

    def __init__(
        self,
        document_store: VecstoreDocumentStore,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
        alpha: float | None = None,
    ) -> None:
        _Retriever.__init__(self, document_store, filters=filters, top_k=top_k, filter_policy=filter_policy)
        self.alpha = alpha

    def _options(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, query_embedding: list[float], filters: Filters | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        asked = {"query": query, "query_embedding": query_embedding, **self._asked(filters, top_k)}
        return {"documents": self.document_store.search(**asked)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, query_embedding: list[float], filters: Filters | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        asked = {"query": query, "query_embedding": query_embedding, **self._asked(filters, top_k)}
        return {"documents": await self.document_store.search_async(**asked)}
