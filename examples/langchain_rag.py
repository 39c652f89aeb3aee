"""Retrieval for a language model with LangChain: find by meaning and by words at once, and build the prompt.

python examples/langchain_rag.py
"""

from importlib import resources

import pyarrow.parquet as pq
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough

from vecstore.integrations.langchain import VecstoreVectorStore

folder = resources.files("vecstore") / "data"  # 4,000 WordNet senses, and 200 questions with one right answer each
senses = pq.read_table(str(folder / "wordnet-4k.parquet"))
asked = pq.read_table(str(folder / "wordnet-4k-queries.parquet"))


texts = senses["text"].to_pylist() + asked["text"].to_pylist()
vectors = dict(zip(texts, senses["dense"].to_pylist() + asked["dense"].to_pylist(), strict=True))


class Stored(Embeddings):
    """In place of a model: the vectors that one made of these texts."""

    def embed_documents(self, texts):
        return [vectors[text] for text in texts]

    def embed_query(self, text):
        return vectors[text]


store = VecstoreVectorStore(Stored(), ":memory:", "senses", bm25="english")  # or "./data", or "grpc://host:7334"
store.add_documents(
    [
        Document(id=str(id), page_content=text, metadata={"words": len(text.split())})
        for id, text in zip(senses["id"].to_pylist(), senses["text"].to_pylist(), strict=True)
    ]
)

long = {"must": [{"key": "words", "range": {"gte": 8}}]}
retriever = store.as_retriever(search_kwargs={"k": 3, "mode": "hybrid", "filter": long})
prompt = ChatPromptTemplate.from_template("Answer by these passages only.\n{passages}\nQuestion: {question}")
chain = {
    "passages": retriever | (lambda found: "\n".join(f"[{one.id}] {one.page_content}" for one in found)),
    "question": RunnablePassthrough(),
} | prompt  # | a chat model

question = asked["text"][3].as_py()
print(chain.invoke(question).to_string())

for mode in ("dense", "text", "hybrid"):
    right = 0
    for question, answer in zip(asked["text"].to_pylist(), asked["relevant"].to_pylist(), strict=True):
        right += str(answer) in [found.id for found in store.similarity_search(question, k=10, mode=mode)]
    print(f"{mode:6} finds {right} of {len(asked)} among the first ten")

varied = store.max_marginal_relevance_search(question, k=3, lambda_mult=0.3)
print("unlike each other:", *[found.page_content for found in varied], sep="\n  ")
store.close()
