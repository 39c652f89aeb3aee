"""Writes of a part of a point, and several writes as one, through every door."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from vecstore import Batch, Dense, F, InvalidArgument, Multi, Sparse, Text
from vecstore.types import PointBatch, UpsertRequest, VectorBatch

RNG = np.random.default_rng(20261127)
ROWS = RNG.standard_normal((20, 8)).astype(np.float32)


@pytest.fixture
def docs(db: Any) -> Any:
    collection = db.create_collection(
        "docs", {"v": Dense(8)}, sparse={"terms": Sparse()}, text={"body": Text()}, multi={"tokens": Multi(2)}
    )
    vectors = {
        "v": ROWS,
        "terms": [{row: 1.0} for row in range(20)],
        "body": [f"word{row} whale" for row in range(20)],
        "tokens": [np.full((2, 2), row) for row in range(20)],
    }
    collection.upsert(range(20), vectors, [{"doc": row // 5} for row in range(20)])
    return collection


def test_vectors_of_every_kind_are_replaced_and_the_rest_is_kept(docs: Any) -> None:
    new = {
        "v": [ROWS[9] * 2, None],
        "terms": [{100: 2.0}, {3: 4.0, 7: 1.0}],
        "body": [None, "shark"],
        "tokens": [np.ones((3, 2)), None],
    }
    result = docs.update_vectors([1, 2], new)
    assert (result.changed, result.skipped) == (2, 0)
    one, two, three = docs.get([1, 2, 3], with_vectors=True)
    np.testing.assert_allclose(one.vectors["v"], ROWS[9] * 2)
    np.testing.assert_allclose(two.vectors["v"], ROWS[2])
    assert one.vectors["terms"].indices.tolist() == [100]
    assert two.vectors["terms"].values.tolist() == [4.0, 1.0]
    assert one.vectors["tokens"].shape == (3, 2)
    assert two.vectors["tokens"].tolist() == [[2, 2], [2, 2]]
    assert [one.payload, two.payload] == [{"doc": 0}] * 2
    assert three.seq < one.seq == result.seq
    assert docs.query("shark", using="body").ids.tolist() == [2]
    assert docs.query("word1", using="body").ids.tolist() == [1]
    assert docs.query({7: 1.0}, using="terms").ids.tolist() == [2, 7]


def test_a_batch_may_have_no_row_of_a_field(docs: Any) -> None:
    """As a chunk of a file does, where the vectors of its points are missing."""
    batch = PointBatch([1, 40], {"v": VectorBatch(np.zeros((2, 8), np.float32), np.zeros(2, bool))})
    written = docs._transport.write(UpsertRequest("docs", batch))
    assert (docs._run(written) if inspect.iscoroutine(written) else written).changed == 2
    assert [one.vectors for one in docs.get([1, 40], with_vectors=True)] == [{}, {}]


def test_a_timeout_may_be_as_long_as_one_likes(docs: Any) -> None:
    for timeout_s in (1e7, 1e12, 1e300):
        assert docs.query(ROWS[3], using="v", k=1, timeout_s=timeout_s).ids.tolist() == [3]


def test_vectors_of_every_kind_are_taken_away(docs: Any) -> None:
    assert docs.delete_vectors(["v", "body"], [3, 4, 99]).skipped == 1
    assert set(docs.get(3, with_vectors=True)[0].vectors) == {"terms", "tokens"}
    assert docs.delete_vectors("terms", filter=F("doc").eq(0)).changed == 5
    assert set(docs.get(3, with_vectors=True)[0].vectors) == {"tokens"}
    assert not {3, 4} & set(docs.query(ROWS[3], using="v", k=20).ids.tolist())
    assert docs.query({3: 1.0}, using="terms").ids.tolist() == []
    assert docs.query("whale", using="body", k=30).ids.size == 18
    docs.update_vectors([3], {"v": ROWS[3:4]})
    assert docs.query(ROWS[3], using="v", k=1).ids.tolist() == [3]


def test_points_that_do_not_exist_are_skipped_not_made(docs: Any) -> None:
    result = docs.update_vectors([1, 500], {"v": ROWS[:2]})
    assert (result.changed, result.skipped) == (1, 1)
    assert docs.count() == 20


def test_a_document_is_replaced_as_one_write(docs: Any) -> None:
    before = docs.last_seq
    chunks = {"v": ROWS[:3], "body": ["the new whale"] * 3}
    batch = Batch().delete(filter=F("doc").eq(1)).upsert([5, 6, 700], chunks, [{"doc": 1}] * 3)
    result = docs.update_batch(batch)
    assert result.seq == docs.last_seq == before + 1
    assert [(one.changed, one.skipped) for one in result.operations] == [(5, 0), (3, 0)]
    assert (result.changed, result.skipped) == (8, 0)
    assert [point.id for point in docs.scroll(F("doc").eq(1))] == [5, 6, 700]
    assert docs.get(5, with_vectors=True)[0].vectors.keys() == {"v", "body"}


def test_every_operation_in_a_batch_sees_those_before_it(docs: Any) -> None:
    batch = (
        Batch()
        .upsert([30], {"v": ROWS[:1]}, [{"doc": 9}])
        .set_payload({"mark": 1}, filter=F("doc").eq(9))
        .upsert([30, 31], {"v": ROWS[:2]}, [{"doc": 0}] * 2, mode="insert_only")
        .update_vectors([30], {"body": ["octopus"]})
        .delete_vectors("v", filter=F("mark").eq(1))
        .delete([31])
        .delete_payload("doc", [0])
        .overwrite_payload({"only": 1}, [1])
        .clear_payload([2])
        .delete(filter=F("only").eq(1))
    )
    result = docs.update_batch(batch)
    counts = [(one.changed, one.skipped) for one in result.operations]
    assert counts == [(1, 0), (1, 0), (1, 1), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0)]
    assert docs.get(30)[0].payload == {"doc": 9, "mark": 1}
    assert docs.query("octopus", using="body").ids.tolist() == [30]
    assert docs.get(30, with_vectors=True)[0].vectors.keys() == {"body"}
    assert docs.get([31, 1]) == []
    assert [point.payload or {} for point in docs.get([0, 2])] == [{}, {}]


@pytest.mark.parametrize(
    ("last", "reason", "place"),
    [
        (lambda batch: batch.upsert([1], {"v": ROWS[:1, :4]}), "DIMENSION_MISMATCH", "operations[1]"),
        (lambda batch: batch.delete([1], filter=F("doc").eq(1)), "BAD_ARGUMENT", "operations[1]"),
        (lambda batch: batch.delete_vectors("nothing", [1]), "VECTOR_NAME_UNKNOWN", "operations[1]"),
        (lambda batch: batch.update_vectors([1], {}), "BAD_VECTOR", "operations[1]"),
        (lambda batch: batch.upsert([], {}), "EMPTY_BATCH", "operations[1]"),
        (lambda batch: batch.set_payload({"x": "y" * 70_000}, [1]), "LIMIT_EXCEEDED", "operations[1]"),
        (lambda batch: batch.delete(range(10_000)), "LIMIT_EXCEEDED", "batch_points_max"),
        (lambda batch: [batch.delete([1]) for _ in range(1_000)][-1], "LIMIT_EXCEEDED", "batch_operations_max"),
    ],
)
def test_a_batch_with_one_bad_operation_writes_nothing(docs: Any, last: Any, reason: str, place: str) -> None:
    batch = Batch().delete([0])
    with pytest.raises(InvalidArgument) as caught:
        docs.update_batch(last(batch))
    assert caught.value.reason == reason
    assert place in caught.value.message
    assert docs.count() == 20
    assert docs.info().seq == 1


def test_a_batch_that_no_message_holds_is_refused_whole(docs: Any) -> None:
    batch = Batch().delete([0])
    for _ in range(9):
        batch.upsert([1], {"body": ["x" * 900_000]})
    with pytest.raises(InvalidArgument, match="message_bytes_max"):
        docs.update_batch(batch)
    with pytest.raises(InvalidArgument, match="operations is empty"):
        docs.update_batch(Batch())
    assert docs.info().seq == 1
