"""LlamaIndex's vector store: `pip install 'vecstore[llamaindex]'`."""

from vecstore.integrations.llamaindex.store import VecstoreVectorStore

__all__ = ["VecstoreVectorStore"]
