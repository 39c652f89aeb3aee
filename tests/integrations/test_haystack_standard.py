"""Haystack's own suites for document stores: blocking in memory, awaiting over gRPC."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("haystack", reason="needs the haystack extra")
from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.testing.document_store import (
    CountDocumentsByFilterTest,
    CountUniqueMetadataByFilterTest,
    DocumentStoreBaseExtendedTests,
    GetMetadataFieldMinMaxTest,
    GetMetadataFieldsInfoTest,
    GetMetadataFieldUniqueValuesTest,
)
from haystack.testing.document_store_async import (
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    CountUniqueMetadataByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    GetMetadataFieldMinMaxAsyncTest,
    GetMetadataFieldsInfoAsyncTest,
    GetMetadataFieldUniqueValuesAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
)

from vecstore.integrations.haystack import VecstoreDocumentStore


class Equality:
    """What the suites leave to a store: the order of documents, and embeddings kept as float32."""

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        assert len(received) == len(expected)
        for one, other in zip(sorted(received, key=id_of), sorted(expected, key=id_of), strict=True):
            assert one.to_dict(flatten=False) | {"embedding": None} == other.to_dict(flatten=False) | {
                "embedding": None
            }
            assert (one.embedding is None) == (other.embedding is None)
            assert np.array_equal(np.float32(one.embedding or 0), np.float32(other.embedding or 0))


def id_of(document: Document) -> str:
    return document.id


class TestBlocking(
    Equality, DocumentStoreBaseExtendedTests, CountDocumentsByFilterTest, CountUniqueMetadataByFilterTest,
    GetMetadataFieldMinMaxTest, GetMetadataFieldsInfoTest, GetMetadataFieldUniqueValuesTest,
):  # fmt: skip
    @pytest.fixture
    def document_store(self) -> Iterator[VecstoreDocumentStore]:
        store = VecstoreDocumentStore(embedding_dim=768)
        yield store
        store.close()

    def test_write_documents(self, document_store: VecstoreDocumentStore) -> None:
        """The suite wants the default policy tested here: it is to fail."""
        documents = [Document(content="test doc"), Document(content="another")]
        assert document_store.write_documents(documents) == 2
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([Document(content="a third"), documents[0]])
        self.assert_documents_are_equal(document_store.filter_documents(), documents)


class TestAwaiting(
    Equality, CountDocumentsAsyncTest, CountDocumentsByFilterAsyncTest, DeleteAllAsyncTest, DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest, FilterDocumentsAsyncTest, UpdateByFilterAsyncTest, WriteDocumentsAsyncTest,
    CountUniqueMetadataByFilterAsyncTest, GetMetadataFieldMinMaxAsyncTest, GetMetadataFieldsInfoAsyncTest,
    GetMetadataFieldUniqueValuesAsyncTest,
):  # fmt: skip
    @pytest.fixture
    def document_store(self, server: str, collection: str) -> Iterator[VecstoreDocumentStore]:
        store = VecstoreDocumentStore(server, collection, embedding_dim=768)
        yield store
        store.close()

    async def test_write_documents_async(self, document_store: VecstoreDocumentStore) -> None:
        documents = [Document(content="test doc")]
        assert await document_store.write_documents_async(documents) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async(documents)
