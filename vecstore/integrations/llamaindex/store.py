"""LlamaIndex's `BasePydanticVectorStore` over a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from vecstore.client._sync.client import Client
from vecstore.client.fields import IndexKind
from vecstore.client.stages import MMR
from vecstore.errors import InvalidArgument
from vecstore.index_check import IndexLike
from vecstore.integrations.llamaindex.filters import REF_DOC_ID, to_filter
from vecstore.integrations.metadata import relevance
from vecstore.integrations.points import CANDIDATES, Plan, Points, Search, Store, weighted
from vecstore.query.builder import F
from vecstore.query.filter import Filter
from vecstore.schema import Metric
from vecstore.types import Point, WriteResult

MODES = VectorStoreQueryMode
TEXTS = (MODES.TEXT_SEARCH, MODES.SPARSE)


class VecstoreVectorStore(BasePydanticVectorStore):
    """Nodes in a collection: the payload is what LlamaIndex makes of a node's metadata, content and relations.

    `target` is a directory, ":memory:", "grpc://host:7334", or an open embedded `Client`; `connect_options` are others
    of `vecstore.connect`, such as `ca`. The collection is made by the first write, with the dimension of its vectors;
    one that is there already is used as it is, and a point of it that holds no node is given as a `TextNode` with
    `text_key` of the payload for its text. With `bm25`, the language of the texts, nodes are indexed for words too,
    which the modes TEXT_SEARCH and SPARSE (BM25 both) and HYBRID need.

    Modes: DEFAULT, TEXT_SEARCH, SPARSE, HYBRID, MMR; others are refused. HYBRID fuses by reciprocal ranks, or with
    `alpha` by scores. `query` takes `mmr_threshold` (1 for nearness alone) and `mmr_prefetch_k`, and other options of
    `Collection.query`. Similarities are vecstore's scores, of l2 1 / (1 + distance)."""

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False
    collection_name: str
    text_key: str

    _store: Store = PrivateAttr()

    def __init__(
        self,
        target: str | Path | Client,
        collection_name: str = "llamaindex",
        *,
        api_key: str | None = None,
        connect_options: Mapping[str, Any] | None = None,
        metric: Literal["cosine", "dot", "l2"] = "cosine",
        index: IndexLike = None,
        indexes: Mapping[str, IndexKind] | None = None,
        bm25: str | None = None,
        text_key: str = "text",
        vector_name: str = "dense",
        text_name: str = "text",
    ) -> None:
        fields: dict[str, Any] = {"collection_name": collection_name, "text_key": text_key}
        super().__init__(**fields)
        plan = Plan(
            collection=collection_name, metric=metric, index=index, bm25=bm25, dense=vector_name, text=text_name,
            indexes={REF_DOC_ID: "keyword", **(indexes or {})},
        )  # fmt: skip
        self._store = Store(target, plan, api_key=api_key, **(connect_options or {}))

    @classmethod
    def class_name(cls) -> str:
        return "VecstoreVectorStore"

    @property
    def client(self) -> Client:
        """The SDK's client."""
        return self._store.connection.client

    def close(self) -> None:
        """Close the database or the connection, unless others of this process use it."""
        self._store.close()

    async def aclose(self) -> None:
        """`close` where an event loop runs: closes its connection to a server too."""
        await self._store.aclose()

    # Writing

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Write nodes, which have embeddings; one with the id of another replaces it."""
        self._store.run(lambda points: _write(points, nodes))
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        await self._store.arun(lambda points: _write(points, nodes))
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes of a document."""
        self._store.run(lambda points: points.delete(filter=F(REF_DOC_ID).eq(ref_doc_id)))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        await self._store.arun(lambda points: points.delete(filter=F(REF_DOC_ID).eq(ref_doc_id)))

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Delete the nodes that are listed, that match, or both where both are given."""
        self._store.run(lambda points: points.delete(filter=_some(filters, node_ids)))

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        await self._store.arun(lambda points: points.delete(filter=_some(filters, node_ids)))

    def clear(self) -> None:
        """Delete every node; the collection stays."""
        self._store.run(lambda points: points.delete())

    async def aclear(self) -> None:
        await self._store.arun(lambda points: points.delete())

    # Reading

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes that are listed, that match, or both where both are given, with their embeddings; with neither,
        all. The order is that of ids."""
        where = to_filter(filters, node_ids)
        return self._nodes(self._store.run(lambda points: points.scroll(where, with_vectors=True)))

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        where = to_filter(filters, node_ids)
        return self._nodes(await self._store.arun(lambda points: points.scroll(where, with_vectors=True)))

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        search = _search(query, kwargs)
        return self._store.run(lambda points: self._found(points, search))

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        search = _search(query, kwargs)
        return await self._store.arun(lambda points: self._found(points, search))

    async def _found(self, points: Points, search: Search) -> VectorStoreQueryResult:
        hits = await points.search(search)
        far = search.text is None and await points.metric() is Metric.L2
        scores = [relevance(Metric.L2, hit.score) if far else hit.score for hit in hits]
        return VectorStoreQueryResult(nodes=self._nodes(hits), similarities=scores, ids=[str(hit.id) for hit in hits])

    def _nodes(self, points: Sequence[Point]) -> list[BaseNode]:
        return [self._node(point) for point in points]

    def _node(self, point: Point) -> BaseNode:
        payload = dict(point.payload or {})
        if "_node_content" in payload:
            node = metadata_dict_to_node(payload)
        else:
            text = payload.pop(self.text_key, "")
            node = TextNode(id_=str(point.id), text=str(text), metadata=payload)
        vector: Any = (point.vectors or {}).get(self._store.plan.dense)
        node.embedding = None if vector is None else vector.tolist()
        return node


async def _write(points: Points, nodes: Sequence[BaseNode]) -> WriteResult:
    return await points.write(
        [node.node_id for node in nodes],
        [node.get_embedding() for node in nodes],
        [node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes],
        [node_to_metadata_dict(node) for node in nodes],
    )


def _some(filters: MetadataFilters | None, node_ids: Sequence[str] | None) -> Filter:
    """A filter that says something: to delete all nodes is another call."""
    where = to_filter(filters, node_ids)
    if where is None or where == Filter():
        message = "neither node_ids nor filters say which nodes to delete; clear() deletes all"
        raise InvalidArgument(message, reason="BAD_ARGUMENT")
    return where


def _search(query: VectorStoreQuery, options: Mapping[str, Any]) -> Search:
    mode = query.mode
    if mode not in (MODES.DEFAULT, MODES.HYBRID, MODES.MMR, *TEXTS):
        known = "default, text_search, sparse, hybrid, mmr"
        raise InvalidArgument(f"mode {mode.value!r} is not one of {known}", reason="BAD_ARGUMENT")
    vector = None if mode in TEXTS else query.query_embedding
    text = query.query_str if mode in (MODES.HYBRID, *TEXTS) else None
    for missing, what in ((vector, "query_embedding"), (text, "query_str")):
        if missing is None and (mode is MODES.HYBRID or (what == "query_str") == (mode in TEXTS)):
            raise InvalidArgument(f"mode {mode.value!r} needs {what}", reason="BAD_ARGUMENT")
    options = dict(options)
    threshold = options.pop("mmr_threshold", query.mmr_threshold)
    prefetch = options.pop("mmr_prefetch_k", CANDIDATES)
    k = query.similarity_top_k
    if mode in TEXTS:
        k = query.sparse_top_k or k
    legs = None  # LlamaIndex takes similarity_top_k for the vectors' leg only where the answer's size is given apart
    if query.hybrid_top_k or query.sparse_top_k:
        legs = (k if query.hybrid_top_k else max(k, CANDIDATES), query.sparse_top_k or k)
    return Search(
        vector=vector,
        text=text,
        k=query.hybrid_top_k or k if mode is MODES.HYBRID else k,
        filter=to_filter(query.filters, query.node_ids or None, query.doc_ids or None),  # an index gives [] for all
        fusion=None if query.alpha is None or mode is not MODES.HYBRID else weighted(query.alpha),
        candidates=legs,
        mmr=MMR(1 - (0.5 if threshold is None else threshold), max(k, prefetch)) if mode is MODES.MMR else None,
        options=options,
    )
