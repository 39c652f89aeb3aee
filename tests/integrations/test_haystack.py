"""What the Haystack store does beyond Haystack's own suites: retrievers, pipelines in files, exact filters."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("haystack", reason="needs the haystack extra")
from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy
from haystack.errors import FilterError
from haystack.utils import Secret
from haystack.utils.filters import document_matches_filter
from word_embedding import embed

from vecstore.errors import InvalidArgument
from vecstore.integrations.haystack import (
    VecstoreBM25Retriever,
    VecstoreDocumentStore,
    VecstoreEmbeddingRetriever,
    VecstoreHybridRetriever,
)

TEXTS = ["a whale and its captain", "the captain of a spaceship", "bread and cakes", "two sisters and a bakery"]
YEARS = [1851, 2010, 2020, 2010]


@pytest.fixture
def store(target: str, collection: str) -> Iterator[VecstoreDocumentStore]:
    store = VecstoreDocumentStore(target, collection)
    store.write_documents(documents())
    yield store
    store.close()


def documents() -> list[Document]:
    return [
        Document(id=str(place), content=text, meta={"year": year}, embedding=embed(text))
        for place, (text, year) in enumerate(zip(TEXTS, YEARS, strict=True))
    ]


def ids(answer: dict[str, list[Document]]) -> list[str]:
    return [document.id for document in answer["documents"]]


RECENT = {"field": "meta.year", "operator": ">", "value": 2000}


def test_retrievers(store: VecstoreDocumentStore) -> None:
    nearest = VecstoreEmbeddingRetriever(store, top_k=2).run(embed(TEXTS[0]))
    assert nearest["documents"][0] == Document(id="0", content=TEXTS[0], meta={"year": 1851}, score=pytest.approx(1))
    assert len(nearest["documents"]) == 2
    scaled = VecstoreEmbeddingRetriever(store, scale_score=True).run(embed(TEXTS[0]))["documents"]
    assert [one.score for one in scaled] == sorted((one.score for one in scaled), reverse=True)
    assert 0 <= (scaled[-1].score or 0) < (scaled[0].score or 0) <= 1
    assert sorted(ids(VecstoreBM25Retriever(store).run("captains"))) == ["0", "1"]
    assert ids(VecstoreBM25Retriever(store, filters=RECENT).run("captains")) == ["1"]
    both = VecstoreHybridRetriever(store, filters=RECENT).run("captain", embed(TEXTS[0]), top_k=1)
    assert ids(both) == ["1"]
    query, near_bread = "captain spaceship", embed(TEXTS[2])
    assert ids(VecstoreHybridRetriever(store, alpha=1.0).run(query, near_bread, top_k=1)) == ["2"]
    assert ids(VecstoreHybridRetriever(store, alpha=0.0).run(query, near_bread, top_k=1)) == ["1"]


def test_the_same_without_blocking(store: VecstoreDocumentStore) -> None:
    near, words, both = (
        VecstoreEmbeddingRetriever(store), VecstoreBM25Retriever(store), VecstoreHybridRetriever(store)
    )  # fmt: skip

    async def ask() -> list[dict[str, Any]]:
        answers = [await near.run_async(embed("whale"), RECENT), await words.run_async("captain")]
        answers.append(await both.run_async("captain", embed("whale"), top_k=2))
        await store.close_async()
        return answers

    blocking = [near.run(embed("whale"), RECENT), words.run("captain"), both.run("captain", embed("whale"), top_k=2)]
    assert asyncio.run(ask()) == blocking


def test_filters_of_a_run_replace_or_merge(store: VecstoreDocumentStore) -> None:
    ship = {"field": "content", "operator": "==", "value": TEXTS[1]}
    replacing = VecstoreBM25Retriever(store, filters=RECENT)
    assert ids(replacing.run("captain", filters={"field": "meta.year", "operator": "==", "value": 1851})) == ["0"]
    merging = VecstoreBM25Retriever(store, filters=RECENT, filter_policy=FilterPolicy.MERGE)
    assert sorted(ids(merging.run("captain bakery whale"))) == ["1", "3"]
    assert ids(merging.run("captain bakery whale", filters=ship)) == ["1"]


def test_pipelines_are_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_FOR_TESTS", "secret")
    store = VecstoreDocumentStore(
        str(tmp_path / "db"), "books", api_key=Secret.from_env_var("KEY_FOR_TESTS"), indexes={"year": "integer"}
    )
    store.write_documents(documents())
    pipeline = Pipeline()
    pipeline.add_component("near", VecstoreEmbeddingRetriever(store, top_k=1, scale_score=True))
    pipeline.add_component("words", VecstoreBM25Retriever(store, filters=RECENT, filter_policy="merge"))
    pipeline.add_component("both", VecstoreHybridRetriever(store, alpha=0.25))
    text = pipeline.dumps()
    assert "secret" not in text
    assert "KEY_FOR_TESTS" in text
    again = Pipeline.loads(text, allowed_modules=["vecstore.integrations.haystack"])
    assert again.to_dict() == pipeline.to_dict()
    question = {"near": {"query_embedding": embed("whale")}, "words": {"query": "captain"},
                "both": {"query": "captain", "query_embedding": embed("whale")}}  # fmt: skip
    assert again.run(question) == pipeline.run(question), "each component opens the same directory"
    with pytest.raises(ValueError, match="token"):
        VecstoreDocumentStore(api_key=Secret.from_token("in the open")).to_dict()
    for name in ("near", "words", "both"):
        again.get_component(name).document_store.close()  # type: ignore[attr-defined]
    store.close()


def test_filters_are_those_of_haystack() -> None:
    """Against `document_matches_filter` on random documents and filters."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    # Python takes True for 1, JSON does not, so that there are no booleans here.
    values: list[Any] = [None, 0, 1, 2.5, -3, "a", "b", "2024-05-01", "1999-12-31T23:59:59"]
    some = [
        Document(
            id=str(n),
            content=rng.choice(["a", "b"]),
            meta={key: rng.choice([*values, []]) for key in ("x", "y") if rng.random() < 0.8},
            embedding=[1.0],
        )
        for n in range(60)
    ]

    def condition(depth: int = 0) -> dict[str, Any]:
        if depth < 3 and rng.random() < 0.5:
            conditions = [condition(depth + 1) for _ in range(rng.randrange(1, 4))]
            return {"operator": rng.choice(["AND", "OR", "NOT"]), "conditions": conditions}
        field = rng.choice(["meta.x", "meta.y", "y", "meta.z", "content", "id"])
        if field in ("meta.x", "y") and rng.random() < 0.3:
            return {"field": field, "operator": rng.choice(["in", "not in"]), "value": rng.sample(values, 4)}
        operator = rng.choice(["==", "!=", "in", "not in"])
        pool = ["a", "b", "7"] if field in ("content", "id") else values
        several = operator.endswith("in")
        value = rng.sample(pool, rng.randrange(len(pool))) if several else rng.choice(pool)
        return {"field": field, "operator": operator, "value": value}

    store = VecstoreDocumentStore(bm25=None)
    store.write_documents(some)
    for _ in range(300):
        filters = condition()
        right = {document.id for document in some if document_matches_filter(filters, document)}
        found = {document.id for document in store.filter_documents(filters)}
        assert found == right, f"seed {seed}: {filters}"
    store.close()


@pytest.mark.parametrize(
    ("filters", "what"),
    [
        ({"field": "meta.x", "operator": "contains", "value": 1}, "unknown operator 'contains'"),
        ({"operator": "XOR", "conditions": []}, "unknown logical operator 'XOR'"),
        ({"field": "embedding", "operator": "==", "value": 1}, "cannot be filtered by 'embedding'"),
        ({"field": "id", "operator": ">", "value": "a"}, "ids are compared by"),
        ({"field": "meta.x", "operator": "==", "value": [1]}, "== and != take"),
        ({"field": "meta.x", "operator": ">", "value": "soon"}, "not an RFC 3339"),
        ({"operator": "AND", "conditions": ["x"]}, "is not a filter"),
    ],
)
def test_bad_filters(filters: dict[str, Any], what: str) -> None:
    with pytest.raises(FilterError, match=what):
        VecstoreDocumentStore().filter_documents(filters)


def test_policies_within_one_batch() -> None:
    store = VecstoreDocumentStore(embedding_dim=2)
    first, second = Document(id="1", content="first"), Document(id="1", content="second")
    with pytest.raises(DuplicateDocumentError):
        store.write_documents([first, second])
    assert store.count_documents() == 0
    assert store.write_documents([first, second], DuplicatePolicy.SKIP) == 1
    assert store.filter_documents()[0].content == "first"
    assert store.write_documents([first, second], DuplicatePolicy.OVERWRITE) == 1
    assert store.filter_documents()[0].content == "second"
    store.close()


def test_what_a_document_may_hold() -> None:
    store = VecstoreDocumentStore(embedding_dim=2)
    blob = Document(blob=ByteStream(b"\x00\xff", meta={"k": 1}, mime_type="x/y"), meta={"a": {"b": [1, None]}})
    store.write_documents([blob])
    assert store.filter_documents() == [blob]
    with pytest.raises(InvalidArgument, match="sparse embedding"):
        store.write_documents([Document(content="x", sparse_embedding=SparseEmbedding([1], [0.5]))])
    with pytest.raises(InvalidArgument, match="'content'"):
        store.write_documents([Document(content="x", meta={"content": "y"})])
    with pytest.raises(InvalidArgument, match="'_blob'"):
        store.update_by_filter(RECENT, {"_blob": 1})
    with pytest.raises(InvalidArgument, match="filters are empty"):
        store.delete_by_filter({})
    with pytest.raises(InvalidArgument, match="no vector says how many dimensions"):
        VecstoreDocumentStore().write_documents([Document(content="x")])
    with pytest.raises(InvalidArgument, match="alpha=2"):
        store.search(query="x", query_embedding=[1.0, 0.0], alpha=2)
    with pytest.raises(TypeError, match="VecstoreDocumentStore"):
        VecstoreBM25Retriever(42)  # type: ignore[arg-type]
    store.close()


def test_embeddings_come_back_when_asked_for() -> None:
    store = VecstoreDocumentStore(metric="dot", return_embedding=True)
    store.write_documents([Document(id="1", content="x", embedding=[3.0, 4.0])])
    assert VecstoreEmbeddingRetriever(store).run([1.0, 0.0])["documents"][0].embedding == [3.0, 4.0]
    store.close()
