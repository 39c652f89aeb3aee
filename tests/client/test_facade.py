"""The same bodies on every way to reach a database: in memory, in a directory and over gRPC, sync and async."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pytest

from vecstore import Binary, Dense, F, Filter, NotFound, OperationState
from vecstore.errors import AlreadyExists

RNG = np.random.default_rng(20261121)
ROWS = RNG.standard_normal((200, 16)).astype(np.float32)
PAYLOADS = [{"n": row, "lang": "en" if row % 3 else "fr", "text": f"row {row}"} for row in range(200)]


@pytest.fixture
def docs(db: Any) -> Any:
    collection = db.create_collection("docs", vectors=Dense(16), indexes={"n": "integer"})
    collection.upsert(range(200), ROWS, PAYLOADS)
    return collection


def cosine_order(query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.argsort(-(unit @ (query / np.linalg.norm(query))), kind="stable")


def test_query_finds_what_numpy_finds(docs: Any) -> None:
    hits = docs.query(ROWS[7], k=5)
    assert hits.ids.tolist() == cosine_order(ROWS[7], ROWS)[:5].tolist()
    assert hits.scores[0] == pytest.approx(1.0, abs=1e-6)
    assert hits[0].payload == PAYLOADS[7]
    assert hits.seq == docs.last_seq


def test_filters_as_dictionaries_and_as_values(docs: Any) -> None:
    allowed = [row for row in range(200) if row % 3 == 0 and row >= 50]
    tree = {"must": [{"key": "lang", "match": {"value": "fr"}}, {"key": "n", "range": {"gte": 50}}]}
    hits = docs.query(ROWS[0], k=200, filter=tree)
    assert sorted(hits.ids.tolist()) == allowed
    assert docs.count(tree) == len(allowed)
    assert docs.count() == docs.count(Filter()) == 200


def test_filters_as_expressions(docs: Any) -> None:
    expression = F("lang").eq("fr") & F("n").between(50, 99)
    assert docs.count(expression) == len([row for row in range(50, 100) if row % 3 == 0])
    assert docs.count(~expression) == 200 - docs.count(expression)


def test_offset_threshold_and_selection(docs: Any) -> None:
    best = docs.query(ROWS[1], k=8)
    assert docs.query(ROWS[1], k=3, offset=5).ids.tolist() == best.ids[5:].tolist()
    bound = float(best.scores[3])
    assert len(docs.query(ROWS[1], k=8, score_threshold=bound - 1e-6)) == 4
    hit = docs.query(ROWS[1], k=1, with_payload=["n"], with_vectors=True)[0]
    assert hit.payload == {"n": 1}
    np.testing.assert_allclose(hit.vectors["default"], ROWS[1], rtol=1e-6)
    assert docs.query(ROWS[1], k=1, with_payload=False)[0].payload is None


def test_query_batch_equals_single_queries_and_passes_the_request_limit(docs: Any) -> None:
    queries = np.vstack([ROWS, ROWS[:100]])  # 300, more than queries_per_request_max
    answers = docs.query_batch(queries, k=3)
    assert len(answers) == 300
    for row in (0, 255, 256, 299):
        assert answers[row].ids.tolist() == docs.query(queries[row], k=3).ids.tolist()
    assert docs.query_batch(np.zeros((0, 16), dtype=np.float32)) == []


def test_get_keeps_the_order_asked_and_leaves_out_what_is_not_there(docs: Any) -> None:
    points = docs.get([5, 999, 3], with_vectors=True)
    assert [point.id for point in points] == [5, 3]
    assert points[0].payload == PAYLOADS[5]
    np.testing.assert_allclose(points[1].vectors["default"], ROWS[3], rtol=1e-6)
    assert docs.get(4)[0].id == 4


def test_scroll_walks_everything_in_order(docs: Any) -> None:
    assert [point.id for point in docs.scroll(page=7)] == list(range(200))
    after = [point.id for point in docs.scroll({"key": "n", "range": {"lt": 20}}, after=10, page=3)]
    assert after == list(range(11, 20))


def test_deletes_by_ids_and_by_filter(docs: Any) -> None:
    assert docs.delete([1, 2, 777]).changed == 2
    assert docs.delete(filter={"key": "n", "range": {"gte": 100}}).changed == 100
    assert docs.count() == 98
    assert docs.get([1, 100]) == []
    assert 1 not in docs.query(ROWS[1], k=200).ids.tolist()


def test_payload_calls(docs: Any) -> None:
    docs.set_payload({"lang": "de", "new": [1, 2]}, [1])
    assert docs.get(1)[0].payload == {"n": 1, "lang": "de", "text": "row 1", "new": [1, 2]}
    docs.delete_payload(["text", "n"], [1])
    assert docs.get(1)[0].payload == {"lang": "de", "new": [1, 2]}
    docs.overwrite_payload({"only": True}, filter={"key": "n", "range": {"gte": 198}})
    assert [point.payload for point in docs.get([198, 199])] == [{"only": True}] * 2
    docs.clear_payload([1])
    assert not docs.get(1)[0].payload
    assert docs.count({"key": "only", "match": {"value": True}}) == 2


def test_write_modes(docs: Any) -> None:
    changed = np.ones((2, 16), dtype=np.float32)
    result = docs.upsert([0, 500], changed, mode="insert_only")
    assert (result.changed, result.skipped) == (1, 1)
    result = docs.upsert([0, 501], changed, mode="update_only")
    assert (result.changed, result.skipped) == (1, 1)
    assert [point.id for point in docs.get([500, 501])] == [500]


def test_of_an_id_given_twice_the_last_one_wins(docs: Any) -> None:
    docs.upsert([900, 901, 900], ROWS[:3], [{"v": 1}, {"v": 2}, {"v": 3}])
    assert docs.get(900)[0].payload == {"v": 3}
    assert docs.count() == 202


def test_ids_of_all_kinds_in_order(db: Any) -> None:
    things = db.create_collection("things", vectors={"v": Dense(4)})
    ids = ["b", UUID(int=7), 2**64 - 1, 0, "ä", UUID(int=3)]
    things.upsert(ids, np.eye(6, 4) + 1)
    expected = [0, 2**64 - 1, UUID(int=3), UUID(int=7), "b", "ä"]
    assert [point.id for point in things.scroll(page=2)] == expected
    assert {hit.id for hit in things.query([1, 1, 1, 1], k=6)} == set(ids)
    assert things.query([1, 1, 1, 1], k=6).ids.dtype == object


def test_several_named_vectors_and_points_without_some(db: Any) -> None:
    both = db.create_collection(
        "both", vectors={"a": Dense(4, metric="l2", datatype="float16")}, binary={"b": {"dim": 16}}
    )
    bits = RNG.random((3, 16)) > 0.5
    both.upsert([1, 2, 3], {"a": [[1, 2, 3, 4], None, [5, 6, 7, 8]], "b": bits})
    assert both.query([1, 2, 3, 5], using="a").ids.tolist() == [1, 3]
    assert both.query([1, 2, 3, 5], using="a").scores[0] == pytest.approx(1.0)
    packed = np.packbits(bits, axis=1)
    for query in (bits[1], packed[1], packed[1].tolist()):
        hits = both.query(query, k=3, using="b")
        assert (hits[0].id, hits[0].score) == (2, 0.0)
        assert sorted(hits.scores.tolist()) == sorted((bits ^ bits[1]).sum(axis=1).tolist())
    point = both.get(2, with_vectors=True)[0]
    assert set(point.vectors) == {"b"}
    np.testing.assert_array_equal(point.vectors["b"], packed[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("datatype", ["float32", "float16", "bfloat16"])
def test_number_types_go_in(db: Any, dtype: Any, datatype: str) -> None:
    numbers = db.create_collection("numbers", vectors={"v": Dense(4, metric="l2", datatype=datatype)})
    rows = np.arange(12, dtype=dtype).reshape(3, 4)
    numbers.upsert([1, 2, 3], rows)
    assert numbers.query(rows[2], k=1).ids.tolist() == [3]
    np.testing.assert_array_equal(numbers.get(2, with_vectors=True)[0].vectors["v"], rows[1].astype(np.float32))


def test_collections_come_and_go(db: Any) -> None:
    db.create_collection("one", vectors={"v": {"dim": 8, "metric": "dot"}})
    with pytest.raises(AlreadyExists) as refused:
        db.create_collection("one", vectors={"v": {"dim": 8, "metric": "dot"}})
    assert refused.value.reason == "COLLECTION_EXISTS"
    db.create_collection("one", vectors={"v": {"dim": 8, "metric": "dot"}}, exist_ok=True)
    db.create_collection("two", binary=Binary(64))
    assert sorted(info.name for info in db.list_collections()) == ["one", "two"]
    assert db.has_collection("one")
    assert db.get_collection("two").schema().vectors["default"].dim == 64
    assert db.delete_collection("one")
    assert not db.delete_collection("one")
    with pytest.raises(NotFound) as missing:
        db.get_collection("one")
    assert missing.value.reason == "COLLECTION_NOT_FOUND"
    with pytest.raises(NotFound):
        db.collection("one").count()


def test_a_second_handle_sees_writes_and_reads_its_own(docs: Any, db: Any) -> None:
    other = db.collection("docs")
    result = other.upsert([1000], ROWS[:1])
    assert other.last_seq == result.seq
    assert docs.get(1000)[0].seq == result.seq


def test_field_indexes_compaction_and_operations(docs: Any, db: Any) -> None:
    assert docs.create_field_index("lang", "keyword").state is OperationState.DONE
    assert "lang" in docs.schema().fields
    assert docs.count({"key": "lang", "match": {"value": "fr"}}) == 67
    assert docs.delete_field_index("lang")
    assert not docs.delete_field_index("lang")
    assert docs.compact().state is OperationState.DONE
    assert docs.query(ROWS[7], k=5).ids.tolist() == cosine_order(ROWS[7], ROWS)[:5].tolist()
    assert docs.verify().state is OperationState.DONE
    assert db.verify().state is OperationState.DONE
    listed = docs.operations()
    assert listed
    assert db.operation(listed[0].id).kind == listed[0].kind
    with pytest.raises(NotFound) as missing:
        db.operation("none-such")
    assert missing.value.reason == "OPERATION_NOT_FOUND"


def test_stats_and_info(docs: Any, db: Any) -> None:
    assert docs.stats()["points"] == 200
    assert docs.info().points == 200
    assert db.info()["version"]


def test_explain_comes_on_request(docs: Any) -> None:
    assert docs.query(ROWS[0], k=1).explain is None
    assert docs.query(ROWS[0], k=1, explain=True).explain
