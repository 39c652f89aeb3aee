"""A Haystack pipeline that finds by meaning and by words at once, written to a file and read again.

python examples/haystack_pipeline.py
"""

import os
import tempfile
from importlib import resources

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")

import pyarrow.parquet as pq
from haystack import Document, Pipeline

from vecstore.integrations.haystack import VecstoreDocumentStore, VecstoreHybridRetriever

folder = resources.files("vecstore") / "data"  # WordNet senses, and questions with one right answer each
senses = pq.read_table(str(folder / "wordnet-4k.parquet"))
asked = pq.read_table(str(folder / "wordnet-4k-queries.parquet"))

with tempfile.TemporaryDirectory() as directory:
    store = VecstoreDocumentStore(f"{directory}/db", "senses", indexes={"words": "integer"})
    store.write_documents(
        [
            Document(id=str(id), content=text, meta={"words": len(text.split())}, embedding=vector)
            for id, text, vector in zip(*(senses[name].to_pylist() for name in ("id", "text", "dense")), strict=True)
        ]
    )
    pipeline = Pipeline()
    filters = {"field": "meta.words", "operator": ">=", "value": 8}
    pipeline.add_component("retriever", VecstoreHybridRetriever(store, filters=filters, top_k=3))

    text = pipeline.dumps()
    again = Pipeline.loads(text, allowed_modules=["vecstore.integrations.haystack"])
    for question, vector in zip(asked["text"].to_pylist()[:2], asked["dense"].to_pylist()[:2], strict=True):
        found = again.run({"retriever": {"query": question, "query_embedding": vector}})
        print(f"{question}:", *[one.content for one in found["retriever"]["documents"]], sep="\n  ")
    print(store.count_documents_by_filter(filters), "documents of eight words or more")
    again.get_component("retriever").document_store.close()
    store.close()
