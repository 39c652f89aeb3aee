"""The LlamaIndex store: what the packages of other stores test of theirs, filters against LlamaIndex's own, and an
index over it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llama_index.core", reason="needs the llamaindex extra")
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import BaseNode, ImageNode, IndexNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn
from word_embedding import embed

import vecstore
from vecstore.errors import InvalidArgument
from vecstore.integrations.llamaindex import VecstoreVectorStore

Mode = VectorStoreQueryMode
Op = FilterOperator


def node(id: str, text: str, doc: str, embedding: list[float], **metadata: Any) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=doc)}
    return TextNode(id_=id, text=text, metadata=metadata, relationships=source, embedding=embedding)


NODES = [
    node("aaa", "lorem ipsum", "first", [0.1, 1.0], n=1),
    node("bbb", "dolor sit amet", "second", [1.0, 1.0], n=2, key="value"),
    node("ccc", "The quick brown fox jumped over the lazy dog.", "second", [5.0, 1.0], tags=["red", "blue"]),
    node("ddd", "The fox and the hound", "third", [10.0, 1.0], key="value", n=4),
]


@pytest.fixture
def store(target: str, collection: str) -> Iterator[VecstoreVectorStore]:
    store = VecstoreVectorStore(target, collection, bm25="english")
    assert store.add(NODES) == ["aaa", "bbb", "ccc", "ddd"]
    yield store
    store.close()


def asked(store: VecstoreVectorStore, **query: Any) -> list[str]:
    """The ids of the answer, which is the same without blocking."""
    given = VectorStoreQuery(**{"query_embedding": [0.1, 1.0], "similarity_top_k": 10, **query})
    blocking, awaiting = store.query(given), asyncio.run(store.aquery(given))
    assert (blocking.ids, blocking.similarities) == (awaiting.ids, awaiting.similarities)
    assert [one.node_id for one in blocking.nodes or []] == blocking.ids
    return blocking.ids or []


def where(*filters: Any, condition: FilterCondition = FilterCondition.AND) -> MetadataFilters:
    return MetadataFilters(filters=list(filters), condition=condition)


def ids(nodes: list[BaseNode]) -> list[str]:
    return [one.node_id for one in nodes]


def test_it_is_a_vector_store(store: VecstoreVectorStore) -> None:
    assert isinstance(store, BasePydanticVectorStore)
    assert isinstance(store.client, vecstore.Client)
    assert store.class_name() == "VecstoreVectorStore"
    assert store.stores_text


def test_queries_by_mode(store: VecstoreVectorStore) -> None:
    assert asked(store) == ["aaa", "bbb", "ccc", "ddd"]
    assert asked(store, query_embedding=[1.0, 1.0], similarity_top_k=1) == ["bbb"]
    for mode in (Mode.SPARSE, Mode.TEXT_SEARCH):
        assert asked(store, mode=mode, query_str="who is the fox?", sparse_top_k=2) == ["ddd", "ccc"]
        assert asked(store, mode=mode, query_str="fox", query_embedding=None, similarity_top_k=1) == ["ddd"]
    hybrid: dict[str, Any] = {"mode": Mode.HYBRID, "query_str": "fox"}
    assert set(asked(store, **hybrid)) == {"aaa", "bbb", "ccc", "ddd"}
    assert asked(store, **hybrid, alpha=1.0)[:2] == ["aaa", "bbb"]
    assert asked(store, **hybrid, alpha=0.0)[0] == "ddd"
    assert asked(store, **hybrid, alpha=0.5, hybrid_top_k=3, sparse_top_k=1, similarity_top_k=1) == ["aaa", "ddd"]
    same = where(MetadataFilter(key="key", value="value"))
    assert set(asked(store, **hybrid, filters=same)) == {"bbb", "ddd"}


def test_similarities(store: VecstoreVectorStore) -> None:
    found = store.query(VectorStoreQuery(query_embedding=[5.0, 1.0], similarity_top_k=4))
    assert found.similarities == sorted(found.similarities or [], reverse=True)
    assert (found.similarities or [0])[0] == pytest.approx(1)
    with_l2 = VecstoreVectorStore(":memory:", metric="l2")
    with_l2.add(NODES)
    found = with_l2.query(VectorStoreQuery(query_embedding=[5.0, 1.0], similarity_top_k=2))
    assert (found.ids, found.similarities) == (["ccc", "bbb"], [1.0, pytest.approx(1 / 5)]), "large is near"
    with_l2.close()


def test_mmr() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=8)
    store = VecstoreVectorStore(":memory:")
    nodes = [node(f"near{i}", "x", "d", (base + 0.01 * rng.normal(size=8)).tolist()) for i in range(3)]
    store.add([*nodes, node("far", "x", "d", (base + 0.9 * rng.normal(size=8)).tolist())])
    query = VectorStoreQuery(query_embedding=base.tolist(), similarity_top_k=2, mode=Mode.MMR)
    assert "far" not in (store.query(query, mmr_threshold=1.0).ids or [])
    assert "far" in (store.query(query, mmr_threshold=0.1).ids or [])
    query.mmr_threshold = 0.1
    assert "far" in (store.query(query).ids or [])
    assert "far" not in (store.query(query, mmr_prefetch_k=3).ids or []), "is no candidate"
    store.close()


@pytest.mark.parametrize("mode", ["svm", "linear_regression", "logistic_regression", "semantic_hybrid"])
def test_modes_that_there_are_not(mode: str) -> None:
    store = VecstoreVectorStore(":memory:")
    with pytest.raises(InvalidArgument, match=f"mode '{mode}' is not one of default, text_search"):
        store.query(VectorStoreQuery(query_embedding=[1.0], mode=Mode(mode)))


@pytest.mark.parametrize(("mode", "what"), [("default", "query_embedding"), ("mmr", "query_embedding"),
                                            ("sparse", "query_str"), ("hybrid", "query_embedding")])  # fmt: skip
def test_what_a_mode_needs(mode: str, what: str) -> None:
    with pytest.raises(InvalidArgument, match=f"mode '{mode}' needs {what}"):
        VecstoreVectorStore(":memory:").query(VectorStoreQuery(mode=Mode(mode)))


def test_deleting(store: VecstoreVectorStore) -> None:
    store.delete("second")
    assert ids(store.get_nodes()) == ["aaa", "ddd"]
    store.delete("no such document")
    store.delete_nodes(["aaa", "no such node"])
    assert ids(store.get_nodes()) == ["ddd"]
    for nothing in ({}, {"filters": where()}):
        with pytest.raises(InvalidArgument, match=r"clear\(\) deletes all"):
            store.delete_nodes(**nothing)
    store.delete_nodes(filters=where(MetadataFilter(key="n", value=3, operator=Op.GT)))
    assert store.get_nodes() == []
    store.add(NODES)
    store.clear()
    assert store.get_nodes() == []
    assert asked(store) == []


async def test_the_same_without_blocking(server: str, collection: str) -> None:
    store = VecstoreVectorStore(server, collection)
    assert await store.aget_nodes() == []
    assert await store.async_add(NODES) == ["aaa", "bbb", "ccc", "ddd"]
    await store.adelete("second")
    assert ids(await store.aget_nodes()) == ["aaa", "ddd"]
    await store.adelete_nodes(["aaa"])
    assert ids(await store.aget_nodes(["aaa", "ddd"])) == ["ddd"]
    await store.aclear()
    assert await store.aget_nodes() == []
    await store.aclose()


def test_nodes_come_back_as_they_were(store: VecstoreVectorStore) -> None:
    image = ImageNode(id_="img", text="a picture", image_url="file:///x.png", embedding=[1.0, 2.0])
    index = IndexNode(id_="ref", text="points to aaa", index_id="aaa", embedding=[2.0, 1.0])
    store.add([image, index])
    nested = node("aaa", "replaced", "first", [0.5, 1.0], deep={"a": [1, {"b": None}]})
    store.add([nested])
    found = {one.node_id: one for one in store.get_nodes(["img", "ref", "aaa"])}
    for right in (image, index, nested):
        one = found[right.node_id]
        assert type(one) is type(right)
        assert one.model_dump(exclude={"embedding"}) == right.model_dump(exclude={"embedding"})
    assert len(store.get_nodes()) == 6
    with pytest.raises(ValueError, match="embedding not set"):
        store.add([TextNode(text="no embedding")])


@pytest.mark.parametrize(
    ("filters", "right"),
    [
        (where(MetadataFilter(key="tags", value="red", operator=Op.CONTAINS)), "c"),
        (where(MetadataFilter(key="tags", value=["red", "green"], operator=Op.ANY)), "c"),
        (where(MetadataFilter(key="tags", value=["red", "green"], operator=Op.ALL)), ""),
        (where(MetadataFilter(key="tags", value=["red", "blue"], operator=Op.ALL)), "c"),
        (where(MetadataFilter(key="tags", value=None, operator=Op.IS_EMPTY)), "abd"),
        (where(MetadataFilter(key="key", value="VALUE", operator=Op.TEXT_MATCH_INSENSITIVE)), "bd"),
        (where(MetadataFilter(key="key", value="value", operator=Op.TEXT_MATCH)), "bd"),
        (where(MetadataFilter(key="n", value=2), where(MetadataFilter(key="n", value=4))), ""),
        (where(MetadataFilter(key="n", value=2), MetadataFilter(key="n", value=4), condition=FilterCondition.OR), "bd"),
        (where(MetadataFilter(key="n", value=2), MetadataFilter(key="key", value="value"),
               condition=FilterCondition.NOT), "ac"),
        (where(MetadataFilter(key="key", value="value"),
               where(MetadataFilter(key="n", value=2), condition=FilterCondition.NOT)), "d"),
        (where(), "abcd"),
    ],
)  # fmt: skip
def test_filters(filters: MetadataFilters, right: str) -> None:
    store = VecstoreVectorStore(":memory:")
    store.add(NODES)
    assert ids(store.get_nodes(filters=filters)) == [3 * letter for letter in right]
    assert sorted(asked(store, filters=filters)) == [3 * letter for letter in right]
    store.close()


def test_queries_within_nodes_and_documents(store: VecstoreVectorStore) -> None:
    assert asked(store, node_ids=["ddd", "ccc"]) == ["ccc", "ddd"]
    assert asked(store, doc_ids=["second"]) == ["bbb", "ccc"]
    assert asked(store, doc_ids=["second"], node_ids=["ccc", "ddd"]) == ["ccc"]
    assert len(asked(store, node_ids=[], doc_ids=[])) == 4, "as an index without nodes of its own asks"
    assert store.get_nodes([]) == []
    some = where(MetadataFilter(key="n", value=[1, 2], operator=Op.NIN))
    assert ids(store.get_nodes(["aaa", "ddd"], some)) == ["ddd"]


def test_filters_are_those_of_llamaindex() -> None:
    """Against the filter function of LlamaIndex's own store, on random metadata and filters."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    pools: dict[str, list[Any]] = {"n": [0, 1, 2, -1.5], "s": ["a", "b", "c"], "l": ["x", "y", "z"]}

    def metadata() -> dict[str, Any]:
        some = {key: rng.choice(pools[key]) for key in ("n", "s") if rng.random() < 0.7}
        return some | ({"l": rng.sample(pools["l"], rng.randrange(1, 4))} if rng.random() < 0.7 else {})

    operators: dict[str, list[Op]] = {
        "n": [Op.EQ, Op.NE, Op.GT, Op.GTE, Op.LT, Op.LTE, Op.IN, Op.NIN, Op.IS_EMPTY],
        "s": [Op.EQ, Op.NE, Op.IN, Op.NIN, Op.IS_EMPTY, Op.TEXT_MATCH, Op.TEXT_MATCH_INSENSITIVE],
        "l": [Op.CONTAINS, Op.ANY, Op.ALL, Op.IS_EMPTY],
    }

    def one() -> MetadataFilter:
        key = rng.choice(list(pools))
        operator = rng.choice(operators[key])
        several = operator in (Op.IN, Op.NIN, Op.ANY, Op.ALL)
        pool = pools[key] if key != "n" or not several else [0, 1, 2]
        value = rng.sample(pool, rng.randrange(1, 3)) if several else rng.choice(pool)
        return MetadataFilter(key=key, value=value, operator=operator)

    nodes = {f"n{i}": node(f"n{i}", "x", "d", [1.0, 0.0], **metadata()) for i in range(50)}
    store = VecstoreVectorStore(":memory:")
    store.add(list(nodes.values()))
    for _ in range(200):
        filters = where(*(one() for _ in range(rng.randrange(1, 4))), condition=rng.choice(list(FilterCondition)))
        holds: Callable[[str], bool] = build_metadata_filter_fn(lambda id: nodes[id].metadata, filters)
        assert set(ids(store.get_nodes(filters=filters))) == {id for id in nodes if holds(id)}, f"{seed}: {filters}"
    store.close()


@pytest.mark.parametrize(
    ("filter", "what"),
    [
        (MetadataFilter(key="n", value=[1]), "== takes one value, not"),
        (MetadataFilter(key="n", value=1, operator=Op.IN), "in takes a list, not 1"),
        (MetadataFilter(key="n", value=None), "== takes one value, not None"),
        (MetadataFilter(key="n", value="soon", operator=Op.GT), "not an RFC 3339"),
        (MetadataFilter(key="n[]", value=1), "n"),
    ],
)
def test_bad_filters(filter: MetadataFilter, what: str) -> None:
    with pytest.raises(InvalidArgument, match=what):
        VecstoreVectorStore(":memory:").get_nodes(filters=where(filter))


def test_every_operator_is_mapped() -> None:
    from vecstore.integrations.llamaindex.filters import OPERATORS

    assert set(OPERATORS) == set(Op)


class Words(BaseEmbedding):
    def _get_text_embedding(self, text: str) -> list[float]:
        return embed(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return embed(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return embed(query)


def test_an_index_over_it(tmp_path: Path) -> None:
    store = VecstoreVectorStore(tmp_path / "db", bm25="english")
    texts = ["a whale and its captain", "the captain of a spaceship", "bread and cakes"]
    index = VectorStoreIndex(
        [TextNode(id_=f"t{i}", text=text, metadata={"n": i}) for i, text in enumerate(texts)],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=Words(),
    )
    store.close()
    again = VecstoreVectorStore(tmp_path / "db")
    index = VectorStoreIndex.from_vector_store(again, embed_model=Words())
    found = index.as_retriever(similarity_top_k=1).retrieve("whale")
    assert (found[0].node.node_id, found[0].text) == ("t0", texts[0])
    hybrid = index.as_retriever(vector_store_query_mode="hybrid", similarity_top_k=1, alpha=0.5)
    assert asyncio.run(hybrid.aretrieve("spaceship captain"))[0].node.node_id == "t1"
    by_words = index.as_retriever(
        vector_store_query_mode="text_search", filters=where(MetadataFilter(key="n", value=0))
    )
    assert [one.node.node_id for one in by_words.retrieve("captain")] == ["t0"]
    index.insert_nodes([TextNode(id_="t3", text="two sisters")])
    index.delete_nodes(["t0"])
    assert ids(again.get_nodes()) == ["t1", "t2", "t3"]
    again.close()


def test_points_that_hold_no_node() -> None:
    with vecstore.connect(":memory:") as client:
        docs = client.create_collection("mine", {"dense": vecstore.Dense(2)})
        docs.upsert([7], {"dense": [[1, 0]]}, [{"body": "whale", "n": 1}])
        store = VecstoreVectorStore(client, "mine", text_key="body")
        (found,) = store.query(VectorStoreQuery(query_embedding=[1.0, 0.0])).nodes or []
        assert (found.node_id, found.get_content(), found.metadata) == ("7", "whale", {"n": 1})
