"""LangChain's own suite for vector stores, in each place a database may be, with and without a BM25 field."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("langchain_core", reason="needs the langchain extra")
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from vecstore.integrations.langchain import VecstoreVectorStore


class TestStandard(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, target: str, collection: str) -> Iterator[VecstoreVectorStore]:
        store = VecstoreVectorStore(self.get_embeddings(), target, collection)
        yield store
        store.close()


class TestStandardWithText(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VecstoreVectorStore]:
        store = VecstoreVectorStore(self.get_embeddings(), ":memory:", bm25="english")
        yield store
        store.close()
