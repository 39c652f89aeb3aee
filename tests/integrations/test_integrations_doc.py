"""The code of docs/INTEGRATIONS.md runs as written."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
DOC = (HERE.parents[1] / "docs" / "INTEGRATIONS.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^## (\w+)\n```python\n(.*?)^```", DOC, flags=re.M | re.S)

# What each block takes for granted, and what must hold after it.
AROUND = {
    "LangChain": (
        "langchain_core",
        """
from langchain_core.embeddings import Embeddings
from vecstore import F, RRF
class Words(Embeddings):
    embed_query = staticmethod(embed)
    def embed_documents(self, texts): return [embed(text) for text in texts]
embedding = Words()
""",
        'assert [one.id for one in retriever.invoke("captain")] == ["a", "b"]; store.close()',
    ),
    "LlamaIndex": (
        "llama_index.core",
        """
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import TextNode
class Words(BaseEmbedding):
    def _get_text_embedding(self, text): return embed(text)
    _get_query_embedding = _get_text_embedding
    async def _aget_query_embedding(self, query): return embed(query)
nodes, model = [TextNode(text="a captain", metadata={"year": 2021}), TextNode(text="bread")], Words()
""",
        'assert [one.metadata for one in store.get_nodes(filters=recent)] == [{"year": 2021}]; store.close()',
    ),
    "Haystack": (
        "haystack",
        "vector = embed('whale')\n",
        'assert again.to_dict() == pipeline.to_dict(); assert store.count_documents() == 1; store.close()',
    ),
}  # fmt: skip


def test_every_block_is_tried() -> None:
    assert [name for name, _ in BLOCKS] == list(AROUND)


@pytest.mark.parametrize(("name", "block"), BLOCKS)
def test_block(name: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, before, after = AROUND[name]
    pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    file = tmp_path / "block.py"
    file.write_text("from word_embedding import embed\n" + before + block + after, encoding="utf-8")
    runpy.run_path(str(file))
