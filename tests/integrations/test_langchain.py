"""What the LangChain store does beyond LangChain's own suite: filters, hybrid search, MMR, relevance, where data is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("langchain_core", reason="needs the langchain extra")
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from word_embedding import DIM, embed

import vecstore
from vecstore import F, RelativeScore
from vecstore.errors import FailedPrecondition, InvalidArgument, VecstoreError
from vecstore.integrations.langchain import VecstoreVectorStore

TEXTS = [
    "a whale and the captain who hunts it",
    "a detective hunts the thief of a painting",
    "two sisters inherit a bakery",
    "the captain of a spaceship loses her way",
    "recipes for bread and cakes",
]
METADATA = [{"genre": "sea", "year": 1851}, {"genre": "crime", "year": 1999}, {"genre": "family", "year": 2010},
            {"genre": "space", "year": 2010}, {"genre": "food", "year": 2020, "tags": ["bread", "cake"]}]  # fmt: skip


class Words(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return embed(text)


@pytest.fixture
def store(target: str, collection: str) -> Iterator[VecstoreVectorStore]:
    store = VecstoreVectorStore.from_texts(
        TEXTS, Words(), METADATA, ids=list("abcde"), target=target, collection_name=collection, bm25="english"
    )
    yield store
    store.close()


@pytest.fixture
def small() -> Iterator[VecstoreVectorStore]:
    store = VecstoreVectorStore.from_texts(
        TEXTS, Words(), METADATA, ids=list("abcde"), target=":memory:", bm25="english"
    )
    yield store
    store.close()


def ids(documents: list[Document]) -> list[str]:
    return [document.id or "" for document in documents]


@pytest.mark.parametrize(
    ("filter", "right"),
    [
        ({"year": 2010}, "cd"),
        ({"year": 2010, "genre": "space"}, "d"),
        ({"genre": ["sea", "food"]}, "ae"),
        ({"tags": None}, "abcd"),
        (F("year").gte(2010) & ~F("tags").exists(), "cd"),
        ({"must_not": [{"key": "year", "range": {"gte": 2000}}]}, "ab"),
        ({"key": "genre", "match": {"prefix": "s"}}, "ad"),
        ({}, "abcde"),
        (None, "abcde"),
    ],
)
def test_filters(small: VecstoreVectorStore, filter: object, right: str) -> None:
    assert sorted(ids(small.similarity_search("captain", k=9, filter=filter))) == list(right)
    found = small.similarity_search("captain bread hunts sisters", k=9, filter=filter, mode="hybrid")
    assert sorted(ids(found)) == list(right)


def test_a_bad_filter_names_the_place(small: VecstoreVectorStore) -> None:
    with pytest.raises(InvalidArgument, match="filter"):
        small.similarity_search("captain", filter={"must": [{"key": "year", "range": {"above": 3}}]})


def test_scores_and_modes(store: VecstoreVectorStore) -> None:
    (best, score), *_ = store.similarity_search_with_score(TEXTS[2], k=2)
    assert best.id == "c"
    assert score == pytest.approx(1)
    assert ids(store.similarity_search("captains", mode="text")) in (["a", "d"], ["d", "a"])
    (both, fused), *_ = store.similarity_search_with_score(
        "captain spaceship", k=3, mode="hybrid", fusion=RelativeScore()
    )
    assert (both.id, fused) == ("d", 2.0), "first by vectors and by words"
    assert ids(store.similarity_search_by_vector(embed(TEXTS[4]), k=1)) == ["e"]
    assert both == Document(id="d", page_content=TEXTS[3], metadata=METADATA[3])


async def test_the_same_without_blocking(store: VecstoreVectorStore) -> None:
    for options in ({}, {"mode": "hybrid"}, {"mode": "text"}, {"filter": {"year": 2010}}):
        blocking = store.similarity_search_with_score("the captain", k=5, **options)
        assert await store.asimilarity_search_with_score("the captain", k=5, **options) == blocking
    assert await store.asimilarity_search_by_vector(embed("whale"), k=2) == store.similarity_search_by_vector(
        embed("whale"), k=2
    )
    relevant = store.similarity_search_with_relevance_scores("whale", k=2)
    assert await store.asimilarity_search_with_relevance_scores("whale", k=2) == relevant
    diverse = store.max_marginal_relevance_search("captain", k=3, fetch_k=5)
    assert await store.amax_marginal_relevance_search("captain", k=3, fetch_k=5) == diverse
    await store.adelete(["a"])
    assert store.get_by_ids(["a", "b"]) == await store.aget_by_ids(["a", "b"])
    assert ids(store.get_by_ids(["a", "b"])) == ["b"]
    await store.aclose()


def test_each_event_loop_is_served(store: VecstoreVectorStore) -> None:
    async def one(number: int) -> list[Document]:
        await store.aadd_texts([f"number {number}"], ids=[str(number)])
        return await store.asimilarity_search(f"number {number}", k=1)

    for number in range(3):
        assert ids(asyncio.run(one(number))) == [str(number)]


def test_mmr_is_by_lambda(small: VecstoreVectorStore) -> None:
    small.add_texts([f"{TEXTS[0]} again"], ids=["a2"])
    near = small.max_marginal_relevance_search(TEXTS[0], k=2, fetch_k=6, lambda_mult=1.0)
    assert ids(near) == ["a", "a2"], "1 is nearness alone"
    unlike = small.max_marginal_relevance_search(TEXTS[0], k=2, fetch_k=6, lambda_mult=0.1)
    assert ids(unlike)[0] == "a"
    assert ids(unlike)[1] != "a2"


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_relevance_is_from_0_to_1_in_the_order_of_scores(metric: str) -> None:
    store = VecstoreVectorStore.from_texts(TEXTS, Words(), target=":memory:", metric=metric)
    scored = store.similarity_search_with_relevance_scores("the captain hunts bread", k=5)
    relevances = [relevance for _, relevance in scored]
    assert relevances == sorted(relevances, reverse=True)
    assert 0 <= min(relevances) < max(relevances) <= 1
    threshold = relevances[1]
    retriever = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": threshold}
    )
    assert len(retriever.invoke("the captain hunts bread")) == 2
    store.close()


def test_retrievers(small: VecstoreVectorStore) -> None:
    search = {"k": 2, "mode": "hybrid", "filter": {"year": 2010}}
    assert ids(small.as_retriever(search_kwargs=search).invoke("captain"))[0] == "d"
    mmr = small.as_retriever(search_type="mmr", search_kwargs={"k": 2, "fetch_k": 5})
    assert ids(asyncio.run(mmr.ainvoke("captain")))[0] in "ad"


def test_refusals(small: VecstoreVectorStore) -> None:
    with pytest.raises(InvalidArgument, match="mode='words' is not one of"):
        small.similarity_search("x", mode="words")
    with pytest.raises(InvalidArgument, match="a relevance from 0 to 1"):
        small.similarity_search_with_relevance_scores("x", mode="hybrid")
    with pytest.raises(InvalidArgument, match="needs a text"):
        small.similarity_search_by_vector(embed("x"), mode="text")
    with pytest.raises(InvalidArgument, match=r"page_content.*another content_key"):
        small.add_texts(["x"], [{"page_content": "y"}])
    with pytest.raises(InvalidArgument, match="BAD_PAYLOAD"):
        small.add_texts(["x"], [{"score": float("nan")}])
    with pytest.raises(TypeError, match="'batch'"):
        small.add_texts(["x"], batch=3)
    with pytest.raises(TypeError, match="'ef_search'"):
        small.similarity_search("x", ef_search=3)
    with pytest.raises(ValueError, match="2 ids for 1 texts"):
        small.add_texts(["x"], ids=["1", "2"])
    assert len(small.similarity_search("x", k=10)) == 5, "nothing was written"


def test_without_a_bm25_field_the_field_is_named() -> None:
    store = VecstoreVectorStore.from_texts(TEXTS, Words(), target=":memory:")
    with pytest.raises(InvalidArgument, match="'text' is unknown; the collection has: dense"):
        store.similarity_search("captain", mode="text")
    store.close()


def test_deleting_by_filter_and_all(small: VecstoreVectorStore) -> None:
    small.delete(filter={"year": 2010})
    assert sorted(ids(small.similarity_search("x", k=9))) == list("abe")
    small.delete([])
    assert len(small.similarity_search("x", k=9)) == 3, "an empty list is nothing"
    small.delete()
    assert small.similarity_search("x", k=9) == []


def test_a_directory_is_opened_once_and_kept(tmp_path: Path) -> None:
    first = VecstoreVectorStore.from_texts(TEXTS, Words(), METADATA, target=tmp_path / "db", collection_name="books")
    second = VecstoreVectorStore(Words(), str(tmp_path / "db"), "books")
    first.close()
    first.close()
    assert len(second.similarity_search("captain", k=9)) == 5, "closing one, even twice, leaves the other"
    with pytest.raises(VecstoreError, match="DIRECTORY_LOCKED"):
        vecstore.connect(tmp_path / "db")
    second.close()
    with pytest.raises(FailedPrecondition, match="CLOSED"):
        second.similarity_search("captain")
    with vecstore.connect(tmp_path / "db") as client:
        assert client.get_collection("books").count(F("year").eq(2010)) == 2


def test_a_collection_made_elsewhere(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "db") as client:
        docs = client.create_collection("mine", {"vec": vecstore.Dense(DIM, metric="l2")})
        docs.upsert([7], {"vec": [embed("whale")]}, [{"body": "whale", "n": 1}])
        store = VecstoreVectorStore(Words(), client, "mine", content_key="body", vector_name="vec")
        assert store.similarity_search("whale") == [Document(id="7", page_content="whale", metadata={"n": 1})]
        assert asyncio.run(store.asimilarity_search("whale"))[0].id == "7"
        assert store.similarity_search_with_relevance_scores("whale")[0][1] == pytest.approx(1, abs=1e-3)
        store.close()
        assert docs.count() == 1, "a client that was given is its owner's to close"


def test_over_http(addresses: dict[str, str], collection: str) -> None:
    store = VecstoreVectorStore.from_texts(
        TEXTS, Words(), METADATA, ids=list("abcde"), target=addresses["http"], collection_name=collection, bm25="none"
    )
    found = store.similarity_search_with_score("the captain", mode="hybrid", filter={"year": [2010, 1851]})
    assert ids([document for document, _ in found])[:2] in (["a", "d"], ["d", "a"])

    async def same() -> bool:
        await store.aadd_texts(["a new one"], ids=["f"])
        again = await store.asimilarity_search_with_score("the captain", mode="hybrid", filter={"year": [2010, 1851]})
        await store.adelete(["f"])
        await store.aclose()
        return again == found

    assert asyncio.run(same())


def test_options_of_connect() -> None:
    settings = vecstore.Settings(limits=vecstore.Limits(k_max=3))
    store = VecstoreVectorStore.from_texts(TEXTS, Words(), target=":memory:", connect_options={"settings": settings})
    with pytest.raises(InvalidArgument, match="exceeds k_max=3"):
        store.similarity_search("captain", k=4)
    with pytest.raises(InvalidArgument, match="exceeds k_max=3"):
        asyncio.run(store.asimilarity_search("captain", k=4))
    store.close()
    with pytest.raises(TypeError, match="'kind'"):
        VecstoreVectorStore(Words(), ":memory:", connect_options={"kind": 1})


def test_the_size_of_the_first_vectors_holds(small: VecstoreVectorStore) -> None:
    with pytest.raises(InvalidArgument, match="DIMENSION_MISMATCH"):
        small.similarity_search_by_vector(np.ones(DIM + 1).tolist())


def test_vecstore_itself_imports_no_framework() -> None:
    code = "import sys, vecstore, vecstore.integrations.points; sys.exit('langchain_core' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_store_by_an_alias_goes_where_it_is_switched_to(tmp_path: Path) -> None:
    """Its reads wait for its own writes, and for no seq of the collection that the alias stood for before."""
    with vecstore.connect(tmp_path / "db") as db:
        for name in ("v1", "v2"):
            VecstoreVectorStore(Words(), db, collection_name=name).add_texts(["bread"])
        db.update_aliases([vecstore.CreateAlias("docs", "v1")])
        store = VecstoreVectorStore(Words(), db, collection_name="docs")
        for text in TEXTS[:3]:
            store.add_texts([text])
        assert len(store.similarity_search("captain", k=9)) == 4
        db.update_aliases([vecstore.CreateAlias("docs", "v2")])
        assert len(store.similarity_search("captain", k=9)) == 1
        assert len(asyncio.run(store.asimilarity_search("captain", k=9))) == 1
        store.add_texts(TEXTS[3:4])
        assert len(asyncio.run(store.asimilarity_search("captain", k=9))) == 2
