"""The seqs of a collection go on where one of the same name ended: nobody waits for the writes of the old one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecstore
from vecstore.config import Settings, Storage
from vecstore.engine import ended, keys
from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.engine.header import encode_meta
from vecstore.errors import Corruption
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.memory import MemoryKV
from vecstore.types import CountRequest, PointBatch, UpsertRequest, VectorBatch

SCHEMA = Schema({"v": VectorField(VectorKind.DENSE, 2, Metric.L2)})
FED = Settings(storage=Storage(feed=True, maintenance=False))


def put(db: Database, name: str, *ids: int) -> int:
    seq = 0
    for one in ids:
        seq = db.write(UpsertRequest(name, PointBatch([one], {"v": VectorBatch(np.ones((1, 2), np.float32))}))).seq
    return seq


def test_a_client_reads_a_collection_that_another_made_anew() -> None:
    with vecstore.connect(":memory:", timeout_s=60) as one:
        other = vecstore.Client(one._transport, target=":memory:", timeout_s=60)
        docs = one.create_collection("c", vecstore.Dense(2))
        for id in range(5):
            docs.upsert([id], [[1, id]])
        assert docs.last_seq == 5
        other.delete_collection("c")
        other.create_collection("c", vecstore.Dense(2)).upsert([7], [[1, 1]])
        assert docs.count() == 1
        assert docs.query([1, 1], k=3).ids.tolist() == [7]


def test_seqs_go_on_after_a_restart_and_for_who_follows(tmp_path: Path) -> None:
    with Database.open(tmp_path, FED) as db:
        for name in ("c", "d"):
            db.create_collection(name, SCHEMA)
        assert put(db, "c", 1, 2, 3) == 3
        db.delete_collection("c")
    with Database.open(tmp_path, FED) as db:
        assert db.create_collection("c", SCHEMA).seq == 3
        assert db.create_collection("e", SCHEMA).seq == 0
        with Follower.open(tmp_path, FED) as follower:
            assert follower.count(CountRequest("c", min_seq=3, min_seqs={"c": 3})) == (0, 3)
            assert put(db, "c", 9) == 4
            assert follower.count(CountRequest("c", min_seq=4)) == (1, 4)
            db.delete_collection("c")
            db.create_collection("c", SCHEMA)
            db.shown()
            assert follower.count(CountRequest("c", min_seqs={"c": 4})) == (0, 4)
        put(db, "c", 5)
    with Database.open(tmp_path, FED) as db:
        assert db.count(CountRequest("c")) == (1, 5)


def test_so_many_names_are_remembered_those_made_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "ENDED_MAX", 2)
    with Database.open(None) as db:
        for name in ("a", "b", "c", "unwritten"):
            db.create_collection(name, SCHEMA)
        put(db, "c", 1), put(db, "b", 1, 2), put(db, "a", 1, 2, 3)
        for name in ("c", "b", "unwritten", "a"):
            db.delete_collection(name)
        stored = dict(db._storage.kv.scan(Family.META, keys.ENDED_LOW, keys.ENDED_HIGH))
        assert list(stored) == [b"ended/b", b"ended/c"]
        assert [db.create_collection(name, SCHEMA).seq for name in ("a", "b", "c", "unwritten")] == [0, 2, 1, 0]


@pytest.mark.parametrize("record", [ended.EndedRecord("other", 1, 1), ended.EndedRecord("c", 1, -1)])
def test_a_wrong_record_is_damage(record: ended.EndedRecord) -> None:
    kv = MemoryKV()
    kv.write([Put(Family.META, keys.ended("c"), encode_meta(record))])
    with pytest.raises(Corruption, match="ended/c"):
        ended.Ended(kv)
