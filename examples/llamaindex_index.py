"""An index of LlamaIndex whose nodes are in a directory of this program.

python examples/llamaindex_index.py
"""

import tempfile
from importlib import resources

import pyarrow.parquet as pq
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters

from vecstore.integrations.llamaindex import VecstoreVectorStore

folder = resources.files("vecstore") / "data"  # WordNet senses, and questions with one right answer each
senses = pq.read_table(str(folder / "wordnet-4k.parquet")).slice(0, 1_000)
asked = pq.read_table(str(folder / "wordnet-4k-queries.parquet"))
texts = senses["text"].to_pylist() + asked["text"].to_pylist()
VECTORS = dict(zip(texts, senses["dense"].to_pylist() + asked["dense"].to_pylist(), strict=True))


class Stored(BaseEmbedding):
    """In place of a model: the vectors that one made of these texts."""

    def _get_text_embedding(self, text):
        return VECTORS[text]

    def _get_query_embedding(self, query):
        return VECTORS[query]

    async def _aget_query_embedding(self, query):
        return VECTORS[query]


nodes = [
    TextNode(id_=str(id), text=text, metadata={"words": len(text.split())}, excluded_embed_metadata_keys=["words"])
    for id, text in zip(senses["id"].to_pylist(), senses["text"].to_pylist(), strict=True)
]
with tempfile.TemporaryDirectory() as directory:
    store = VecstoreVectorStore(f"{directory}/db", "senses", bm25="english")
    VectorStoreIndex(nodes, storage_context=StorageContext.from_defaults(vector_store=store), embed_model=Stored())
    store.close()

    store = VecstoreVectorStore(f"{directory}/db", "senses")  # as another program would, later
    index = VectorStoreIndex.from_vector_store(store, embed_model=Stored())
    question = asked["text"][0].as_py()
    print(f"{question}:")
    long = MetadataFilters(filters=[MetadataFilter(key="words", value=6, operator=FilterOperator.GTE)])
    for mode in ("default", "text_search", "hybrid", "mmr"):
        retriever = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=2, filters=long)
        print(f"  {mode}: {[found.text for found in retriever.retrieve(question)]}")
    print(len(store.get_nodes(filters=long)), "nodes of six words or more")
    store.close()
