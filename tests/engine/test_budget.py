"""One budget of memory: its parts, what contradicts it, and room for what is large."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_support import settle
from waiting import wait_until

from vecstore.config import MIB, Limits, Search, Settings, Storage
from vecstore.engine import prepare
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument, ResourceExhausted
from vecstore.memory import budget, machine, room
from vecstore.memory.room import SMALL, SPARE, Room
from vecstore.query.builder import F
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import DeleteRequest, GetRequest, PointBatch, QueryRequest, Selection, UpsertRequest, VectorBatch

BASE = 80 * MIB  # what a server takes before it has any data


def plan(memory_max: int, **storage: Any) -> Settings:
    return budget.planned(Settings(storage=Storage(memory_max=memory_max, **storage)))


@pytest.mark.parametrize("memory_max", [512 * MIB, 1024 * MIB, 4096 * MIB, 64 << 30])
def test_the_parts_fit_the_budget(memory_max: int) -> None:
    found = plan(memory_max)
    described = budget.described(found)
    assert described.pop("memory_max") == memory_max
    assert all(described.values())
    anonymous = sum(described[part.name] for part in budget.PARTS if part.anonymous)
    assert BASE + anonymous <= memory_max
    assert budget.planned(found) is found
    assert found.limits.request_bytes_held_max >= found.limits.message_bytes_max
    assert found.storage.segment_bytes_max >= 2 * found.storage.seal_bytes  # or there would be nothing to merge


def test_what_is_set_wins_and_what_contradicts_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(budget, "memory_bytes", lambda: 2048 * MIB)
    own = plan(512 * MIB, seal_bytes=1_000, wal_bytes_max=9 * MIB)
    assert (own.storage.seal_bytes, own.storage.wal_bytes_max) == (1_000, 9 * MIB)
    assert not caplog.records
    for wrong, said in (
        (Storage(memory_max=budget.LEAST - 1), "memory_max=134217727 must be at least 134217728"),
        (Storage(memory_max=512 * MIB, seal_bytes=513 * MIB), "storage.seal_bytes=537919488 is more than"),
    ):
        with pytest.raises(InvalidArgument, match=said) as raised:
            Database.open(None, Settings(storage=wrong))
        assert raised.value.reason == "BAD_CONFIG"
    with caplog.at_level(logging.WARNING):
        found = budget.planned(Settings(storage=Storage(seal_bytes=1 << 40), limits=Limits(message_bytes_max=MIB)))
    assert found.storage.seal_bytes == 1 << 40
    assert found.limits.request_bytes_held_max == 128 * MIB
    assert "seal_bytes=1099511627776 is more than storage.memory_max=2147483648" in caplog.text
    caplog.clear()
    plan(4096 * MIB, index_memory_bytes=1 << 40)  # of mapped files
    assert [record.message for record in caplog.records] == [
        "storage.memory_max=4294967296 is more than the machine has"
    ]


def test_the_budget_is_the_memory_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    assert 1 << 24 < machine.memory_bytes() < 1 << 50
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "_LIMITS", (tmp_path / "none", limit))
    for content, expected in (("268435456", 256 * MIB), ("max", None), ("", None)):
        limit.write_text(content)
        assert (machine.memory_bytes() == 256 * MIB) == (expected is not None)
    groups = tmp_path / "cgroup"
    monkeypatch.setattr(machine, "_ROOT", tmp_path)
    monkeypatch.setattr(machine, "_GROUPS", groups)
    for line, folder, name in (
        ("0::/a/b", "a", "memory.max"), ("4:cpu,memory:/c/d", "memory/c/d", "memory.limit_in_bytes"),
    ):  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_text("134217728")
        groups.write_text(f"9:pids:/x\n{line}\n")
        assert machine.memory_bytes() == 128 * MIB, line
    groups.write_text("9:pids:/a\n")
    limit.write_text("268435456")
    with Database.open(None) as db:
        assert db.settings.storage.index_memory_bytes == 64 * MIB
        assert db.info()["memory"]["seal_bytes"] == (1 + budget.BACKLOG_SEGMENTS) * 8 * MIB
        assert db.memory()["process"][1] == 256 * MIB


def test_what_is_held_is_seen() -> None:
    before = machine.held_bytes()
    if not before:
        pytest.skip("this system does not tell")
    block = np.ones(64 * MIB, np.uint8)
    assert machine.held_bytes() - before > 48 * MIB
    del block
    machine.WORKERS.add(1 << 30)  # one that has ended meanwhile
    try:
        assert machine.held_bytes() > 0
    finally:
        machine.WORKERS.clear()


def test_room_is_taken_and_given_back() -> None:
    held = [10 * SMALL]
    one = Room(lambda: held[0])
    assert one.take(1 << 50, "anything").free() is None  # without a budget
    one.budget = 16 * SMALL  # of which an eighth is spared
    assert SPARE == 8
    first = one.take(3 * SMALL, "the first")
    with pytest.raises(
        ResourceExhausted, match=r"the second takes about 524288 bytes; 2621440 bytes are held"
    ) as raised:
        one.take(2 * SMALL, "the second")
    assert raised.value.reason == "OVERLOADED"
    assert float(str(raised.value.metadata["retry_after_s"])) > 0
    one.take(SMALL - 1, "a small one")
    with one.take(SMALL, "the last"):
        assert one.taken == 4 * SMALL
    del first
    assert one.taken == 0
    held[0] = 20 * SMALL
    with pytest.raises(ResourceExhausted):
        one.take(SMALL, "the third")


@pytest.fixture
def small_room() -> Iterator[Room]:
    room.ROOM.budget = 1 << 50
    try:
        yield room.ROOM
    finally:
        room.ROOM.budget = 0
        assert room.ROOM.taken == 0


SCHEMA = Schema({"v": VectorField(VectorKind.DENSE, 256, Metric.COSINE)})


def filled(db: Database, name: str, count: int) -> np.ndarray:
    rows = np.random.default_rng(count).standard_normal((count, 256)).astype(np.float32)
    db.create_collection(name, SCHEMA)
    db.write(UpsertRequest(name, PointBatch(list(range(count)), {"v": VectorBatch(rows)}, [b'{"a":1}'] * count)))
    return rows


def test_large_answers_have_room_as_long_as_they_are_there(small_room: Room) -> None:
    with Database.open(None, Settings(search=Search(shadow_sample=0.0))) as db:
        rows = filled(db, "c", 2_000)
        everything = QueryRequest("c", rows[0], k=1_500, select=Selection(True, True))
        for _ in range(2):
            hits = db.query(everything)
            least = 1_500 * 256 * 4
            assert 2 * least < small_room.taken < 5 * least
            assert len(hits) == 1_500
            del hits
            assert small_room.taken == 0
            settle(db, db.compact("c"))
        few = QueryRequest("c", rows[0], k=10, select=Selection(True, True))
        small_room.budget = 1
        with pytest.raises(ResourceExhausted, match="reading 1500 points takes about"):
            db.query(everything)
        with pytest.raises(ResourceExhausted, match="takes about"):
            db.get(GetRequest("c", list(range(1_500)), Selection(True, True)))
        assert len(db.query(few)) == 10


def test_large_writes_keep_their_vectors_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "LARGE", 1_000)
    rows = np.random.default_rng(1).standard_normal((100, 256)).astype(np.float32)
    present = np.arange(100) % 3 > 0
    request = UpsertRequest("c", PointBatch(list(range(100)), {"v": VectorBatch(rows, present)}))
    write = prepare.prepare(request, SCHEMA, Limits())
    assert isinstance(write, prepare.Upsert)
    assert write.encoded is not None
    stored = write.batch.vectors["v"]
    assert np.shares_memory(stored.rows, np.frombuffer(write.encoded, np.uint8))  # type: ignore[arg-type]
    assert np.array_equal(np.asarray(stored.rows)[present], rows[present])
    assert stored.present is not None
    assert np.array_equal(stored.present, present)


def test_many_small_collections_are_bounded_together() -> None:
    settings = Settings(storage=Storage(seal_bytes=400_000, seal_rows=1 << 30, disk_reserve_bytes=0))
    with Database.open(None, settings) as db:
        for number in range(12):
            filled(db, f"c{number}", 200 + number)  # 200 KB each

        def growing() -> int:
            return sum(gauges.bytes_growing for gauges in db.gauges().values())

        wait_until(lambda: growing() <= budget.BACKLOG_SEGMENTS * 400_000)
        assert all(db.gauges()[f"c{number}"].points == 200 + number for number in range(12))


def test_every_part_is_a_setting() -> None:
    for part in budget.PARTS:
        fields = {one.name: one for one in msgspec.structs.fields(type(getattr(Settings(), part.section)))}
        assert fields[part.name].default == 0


def test_caches_forget_segments_that_are_gone() -> None:
    settings = Settings(storage=Storage(seal_rows=1 << 30, maintenance=False), search=Search(shadow_sample=0.0))
    with Database.open(None, settings) as db:
        rows = filled(db, "c", 1_000)

        def ask() -> int:
            for low in range(5):
                assert db.query(QueryRequest("c", rows[0], filter=F("a").gte(low - 3), k=1))
            return db.memory()["filter_cache"][0]

        assert ask() == 0  # what grows is not kept
        settle(db, db.compact("c"))
        first = ask()
        assert first > 0
        for _ in range(4):
            db.write(DeleteRequest("c", [0]))
            db.write(UpsertRequest("c", PointBatch([0], {"v": VectorBatch(rows[:1])}, [b'{"a":1}'])))
            settle(db, db.compact("c"))
            gc.collect()
            assert ask() <= 2 * first  # the last ones are let go of by the next
