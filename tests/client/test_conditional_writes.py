"""Conditions and idempotency keys through every door."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from vecstore import Batch, Dense, F, FailedPrecondition, InvalidArgument
from vecstore.config import Limits, Settings
from vecstore.engine.database import Database
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import PointBatch, UpsertRequest, WriteMode

ROWS = np.eye(4, dtype=np.float32)


@pytest.fixture
def docs(db: Any) -> Any:
    collection = db.create_collection("docs", vectors=Dense(4))
    collection.upsert([0, 1, 2], ROWS[:3], [{"v": n} for n in range(3)])
    collection.upsert([2], ROWS[3:], [{"v": 20}])
    return collection


def test_a_filter_that_a_point_has_to_satisfy(docs: Any) -> None:
    result = docs.upsert([1, 2, 9], ROWS[:3], [{"v": 5}] * 3, if_match=F("v").lt(5))
    assert (result.changed, result.skipped) == (2, 1)  # 9 is new
    assert [point.payload["v"] for point in docs.get([1, 2, 9])] == [5, 20, 5]
    assert docs.delete([0, 2], if_match=F("v").eq(20)).changed == 1
    assert docs.set_payload({"w": 1}, [0, 1], if_match=F("v").eq(5)).skipped == 1
    with pytest.raises(FailedPrecondition, match=r"VERSION_MISMATCH.*point 0 does not satisfy"):
        docs.overwrite_payload({}, [1, 0], if_match=F("v").eq(5), on_mismatch="fail")
    assert docs.get(1)[0].payload == {"v": 5, "w": 1}


def test_the_write_that_a_point_has_to_come_from(docs: Any) -> None:
    assert [point.seq for point in docs.get([0, 1, 2])] == [1, 1, 2]
    result = docs.upsert([0, 2, 5], ROWS[:3], expected_seqs=[1, 1, 0])
    assert (result.seq, result.changed, result.skipped) == (3, 2, 1)
    with pytest.raises(FailedPrecondition, match=r"VERSION_MISMATCH.*comes from write 3, not from write 1") as caught:
        docs.delete([0], expected_seqs=1, on_mismatch="fail")
    assert (caught.value.metadata["id"], caught.value.metadata["seq"]) == ("0", "3")
    with pytest.raises(FailedPrecondition, match="point 5 exists, from write 3; 1 of 2 points"):
        docs.upsert([5, 6], ROWS[:2], expected_seqs=0, on_mismatch="fail")
    with pytest.raises(FailedPrecondition, match="point 77 does not exist, not from write 3"):
        docs.update_vectors([77], ROWS[:1], expected_seqs=[3], on_mismatch="fail")
    assert docs.info().seq == 3
    assert docs.delete_vectors("default", [5, 1], expected_seqs=[3, 9]).changed == 1
    assert docs.clear_payload([1], expected_seqs=1).changed == 1


def test_one_mismatch_in_a_batch_that_is_to_fail_writes_nothing(docs: Any) -> None:
    batch = Batch().delete([0]).upsert([1], ROWS[:1], expected_seqs=7, on_mismatch="fail")
    with pytest.raises(FailedPrecondition, match=r"VERSION_MISMATCH.*operations\[1\]"):
        docs.update_batch(batch)
    assert docs.count() == 3
    skipping = Batch().delete([0]).set_payload({"v": 0}, [1, 2], if_match=F("v").eq(1))
    counts = [(one.changed, one.skipped) for one in docs.update_batch(skipping).operations]
    assert counts == [(1, 0), (1, 1)]


def test_of_many_who_count_up_at_once_nobody_is_lost(docs: Any) -> None:
    def add(_: int) -> None:
        while True:
            (point,) = docs.get([1])
            counted = {"v": point.payload["v"] + 1}
            if docs.overwrite_payload(counted, [1], expected_seqs=point.seq).changed:
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))
    assert docs.get([1])[0].payload == {"v": 13}


def test_a_write_under_a_name_is_done_once(docs: Any) -> None:
    first = docs.upsert([7, 8], ROWS[:2], mode="insert_only", idempotency_key="k")
    assert (first.seq, first.changed) == (3, 2)
    assert docs.upsert([7, 8], ROWS[:2], mode="insert_only", idempotency_key="k") == first
    batch = Batch().delete([7]).upsert([9], ROWS[:1])
    second = docs.update_batch(batch, idempotency_key="b")
    assert docs.update_batch(batch, idempotency_key="b") == second
    assert docs.info().seq == 4
    with pytest.raises(InvalidArgument, match="IDEMPOTENCY_KEY_REUSED"):
        docs.delete([1], idempotency_key="k")
    with pytest.raises(FailedPrecondition):
        docs.delete([1], expected_seqs=5, on_mismatch="fail", idempotency_key="f")
    assert docs.delete([1], expected_seqs=1, on_mismatch="fail", idempotency_key="f").changed == 1  # was not done
    for key in ("", "x" * 256, 7):
        with pytest.raises(InvalidArgument, match="idempotency_key"):
            docs.delete([1], idempotency_key=key)


def test_bad_conditions_are_refused(docs: Any) -> None:
    for call in (
        lambda: docs.delete(filter=F("v").eq(1), if_match=F("v").eq(1)),
        lambda: docs.delete([1, 2], expected_seqs=[1]),
        lambda: docs.delete([1], expected_seqs=[-1]),
        lambda: docs.delete([1], expected_seqs=1, on_mismatch="ask"),
    ):
        with pytest.raises(InvalidArgument):
            call()
    with pytest.raises(TypeError, match="no option 'if_matches'"):
        docs.delete([1], if_matches=F("v").eq(1))
    assert docs.info().seq == 2


SCHEMA = Schema({"v": VectorField(VectorKind.DENSE, 4, Metric.L2)})


def keyed(point_id: int, key: str) -> UpsertRequest:
    batch = PointBatch([point_id])
    return UpsertRequest("c", batch, WriteMode.INSERT_ONLY, idempotency_key=key)


def test_the_same_write_sent_by_many_at_once_is_done_once() -> None:
    with Database.open(None) as database:
        database.create_collection("c", SCHEMA)
        futures = [database.submit(keyed(n % 5, f"key-{n % 5}")) for n in range(200)]
        results = [future.result() for future in futures]
        assert {result.seq for result in results} == {1, 2, 3, 4, 5}
        assert all(result.changed == 1 for result in results)
        assert database.collection_info("c").seq == 5


def test_the_last_names_are_remembered_also_by_the_disk(tmp_path: Any) -> None:
    settings = Settings(limits=Limits(idempotency_keys_max=3))
    with Database.open(tmp_path, settings) as database:
        database.create_collection("c", SCHEMA)
        for n in range(10):
            database.write(keyed(n, f"key-{n}"))
    with Database.open(tmp_path, settings) as database:
        assert [database.write(keyed(n, f"key-{n}")).seq for n in (7, 8, 9)] == [8, 9, 10]
        assert database.write(keyed(5, "key-5")).changed == 0  # done again, and the point is there
        assert database.collection_info("c").seq == 11
        with pytest.raises(InvalidArgument, match="IDEMPOTENCY_KEY_REUSED"):
            database.write(keyed(1, "key-9"))
        assert len(database.collection("c").receipts) == 3
        database.delete_collection("c")
    none = Settings(limits=Limits(idempotency_keys_max=0))
    with Database.open(None, none) as database:
        database.create_collection("c", SCHEMA)
        with pytest.raises(InvalidArgument, match="idempotency_keys_max=1 exceeds"):
            database.write(keyed(1, "k"))
