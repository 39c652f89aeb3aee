"""Haystack's `DocumentStore` and retrievers for it: `pip install 'vecstore[haystack]'`."""

from vecstore.integrations.haystack.retrievers import (
    VecstoreBM25Retriever,
    VecstoreEmbeddingRetriever,
    VecstoreHybridRetriever,
)
from vecstore.integrations.haystack.store import VecstoreDocumentStore

__all__ = [
    "VecstoreBM25Retriever",
    "VecstoreDocumentStore",
    "VecstoreEmbeddingRetriever",
    "VecstoreHybridRetriever",
]
