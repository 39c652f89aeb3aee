"""A field without an index setting: the engine chooses by rows and memory, says so, and leaves what is there alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_support import batch_of, settle
from index_support import load, query, questions, recall, schema, strategies
from waiting import wait_until

from vecstore.config import Settings, Storage
from vecstore.engine import collecting, maintenance, scan
from vecstore.engine.database import Database
from vecstore.errors import AlreadyExists, Cancelled, InvalidArgument
from vecstore.index import auto
from vecstore.index.base import SearchParams
from vecstore.index.coded import IVFIndex
from vecstore.index.registry import built_index
from vecstore.index_spec import IVF, Auto, Flat, Float16, Index, Int8
from vecstore.index_text import format_index
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import DeleteRequest, PointBatch, QueryRequest, UpsertRequest, VectorBatch, VectorIndexRequest

ROWS_MIN = 1_000
FAST, SMALL = IVF(8, Float16()), IVF(8, Int8())
SIZES = {FAST: 32.0, SMALL: 16.0}


def settings(memory: int = 1 << 30, **more: Any) -> Settings:
    storage = Storage(
        seal_rows=100_000, in_place_rows=100_000, merge_factor=99, disk_reserve_bytes=0, auto_index_rows_min=ROWS_MIN,
        index_memory_bytes=memory, **more,
    )  # fmt: skip
    return Settings(storage=storage)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two choices that suit short vectors, of 2 bytes and of 1 for a component."""
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    monkeypatch.setattr(auto, "tiers", lambda field: () if field.kind is VectorKind.BINARY else (FAST, SMALL))
    monkeypatch.setattr(auto, "row_bytes", lambda spec, field: SIZES[spec])


@pytest.fixture
def sealed(reopen: Callable[..., Database]) -> Callable[..., Database]:
    """A database whose collection holds 2,000 points in one sealed segment, with nothing said of an index."""

    def make(chosen: Settings) -> Database:
        db = reopen(chosen)
        db.create_collection("c", schema(None))
        load(db, 0, 2_000, 1_000)
        settle(db, db.compact("c"))
        return db

    return make


def specs(db: Database) -> list[Index | None]:
    headers = db.collection("c").manifest.segments
    return [header.indexes["v"].spec if "v" in header.indexes else None for header in headers]


def test_it_chooses_by_rows_and_says_so(reopen: Callable[..., Database]) -> None:
    db = reopen(settings())
    info = db.create_collection("c", schema(None))
    assert info.schema.vectors["v"].index == info.schema.vectors["b"].index == Auto()
    load(db, 0, ROWS_MIN - 1)
    settle(db, db.compact("c"))
    assert strategies(db) == ["exact_scan"]
    stats = db.stats("c")
    described = stats["vectors"]["v"]
    assert (described["index"], described["index_state"], described["rows_indexed"]) == ("auto", "ready", 0)
    assert described["served_by"] == {"flat": ROWS_MIN - 1}
    assert stats["segments"][0]["chosen"]["v"] == {"index": "flat", "why": "fewer than 1,000 rows are scanned exactly"}
    load(db, ROWS_MIN - 1, 2_000)
    settle(db, db.compact("c"))
    assert strategies(db) == [built_index(FAST).name]
    stats = db.stats("c")
    described = stats["vectors"]["v"]
    assert (described["index"], described["index_state"], described["rows_indexed"]) == ("auto", "ready", 2_000)
    assert described["served_by"] == {format_index(FAST): 2_000}
    assert stats["segments"][0]["vector_indexes"] == {"v": format_index(FAST)}
    assert stats["segments"][0]["chosen"]["v"]["index"] == format_index(FAST)
    assert "MiB that all may take" in stats["segments"][0]["chosen"]["v"]["why"]
    assert stats["segments"][0]["chosen"]["b"] == {"index": "flat", "why": "binary vectors are scanned exactly"}
    assert stats["index_bytes"] == {"used": db._indexing.used(), "budget": 1 << 30}
    assert 2_000 < stats["index_bytes"]["used"] == stats["segments"][0]["bytes"]["index"]
    assert recall(db, questions(20)) > 0.8
    load(db, 2_000, 2_010)
    assert db.stats("c")["vectors"]["v"]["served_by"] == {format_index(FAST): 2_000, "flat": 10}


def test_with_little_memory_codes_are_short(sealed: Callable[..., Database]) -> None:
    db = sealed(settings(memory=1))
    assert specs(db) == [SMALL]
    assert strategies(db) == [built_index(SMALL).name]
    described = db.stats("c")["vectors"]["v"]
    assert (described["index_state"], described["served_by"]) == ("ready", {format_index(SMALL): 2_000})
    assert "would take" in db.stats("c")["segments"][0]["chosen"]["v"]["why"]


def test_what_is_there_stays_until_memory_clearly_changes(
    sealed: Callable[..., Database], reopen: Callable[..., Database]
) -> None:
    db = sealed(settings())
    assert specs(db) == [FAST]
    used = db._indexing.used()

    def after(memory: int) -> list[Index | None]:
        db = reopen(settings(memory))
        settle(db, db.update_index(VectorIndexRequest("c", "v", None)))
        return specs(db)

    generation = db.collection("c").manifest.segments[0].generation
    assert after(int(0.95 * used)) == [FAST]
    db = reopen(settings(int(0.95 * used)))
    assert db.collection("c").manifest.segments[0].generation == generation, "it was built again"
    assert after(1) == [SMALL]
    assert after(1 << 30) == [FAST]


def test_another_collection_leaves_less_memory(sealed: Callable[..., Database]) -> None:
    db = sealed(settings())
    used = db._indexing.used()
    db.create_collection("other", schema(None))
    db._indexing.budget = used + 1
    db.write(UpsertRequest("other", batch_of(range(2_000))))
    settle(db, db.compact("other"))
    (header,) = db.collection("other").manifest.segments
    assert header.indexes["v"].spec == SMALL
    assert specs(db) == [FAST]
    assert db.delete_collection("c")
    settle(db, db.update_index(VectorIndexRequest("other", "v", None)))
    (header,) = db.collection("other").manifest.segments
    assert db._indexing.used() == sum(header.index_bytes().values())


def test_a_merge_is_not_put_back_to_scanning(sealed: Callable[..., Database], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when what it should be indexed by now is none that the merged segments have."""
    db = sealed(settings(memory=1))
    db._indexing.budget = 1 << 30
    monkeypatch.setattr(maintenance.DerivedData, "build", lambda *_: None)  # nothing is indexed after the swap
    monkeypatch.setattr(maintenance.DerivedData, "lacking", lambda *_: False)
    load(db, 2_000, 2_100)
    settle(db, db.compact("c"))
    assert specs(db) == [FAST]
    assert [header.n_rows for header in db.collection("c").manifest.segments] == [2_100]


def test_rows_at_rest_are_sealed_once_they_are_worth_an_index(reopen: Callable[..., Database]) -> None:
    db = reopen(settings(seal_idle_s=0.1))
    for name, field in (("c", None), ("exact", Flat())):
        db.create_collection(name, schema(field))
        db.write(UpsertRequest(name, batch_of(range(ROWS_MIN))))
    wait_until(lambda: specs(db) == [FAST])  # nobody writes, asks or compacts
    assert not db.collection("exact").manifest.segments, "an exact scan gains nothing"


def test_what_is_at_rest_and_what_is_not(reopen: Callable[..., Database]) -> None:
    db = reopen(settings(seal_idle_s=1_000.0, maintenance=False))
    db.create_collection("c", schema(None))
    collection, at_rest = db.collection("c"), db._maintenance._is_at_rest
    for rows, expected in ((ROWS_MIN - 1, False), (ROWS_MIN, True), (ROWS_MIN + 1, True)):
        load(db, collection.growing.n_rows, rows)
        assert not at_rest(collection), "just written"
        collection.written_at -= 1_001
        assert at_rest(collection) is expected
    collection.record = msgspec.structs.replace(collection.record, schema=schema(IVF(8)))
    assert not at_rest(collection), "an index of one's own is built from 10,000 rows on"


def test_the_dead_rows_of_an_index_are_counted(sealed: Callable[..., Database]) -> None:
    db = sealed(settings(compact_deleted_ratio=0.2))
    assert (db.stats("c")["vectors"]["v"]["rows_dead"], db.stats("c")["vectors"]["v"]["dead_share"]) == (0, 0.0)
    db.write(DeleteRequest("c", list(range(300))))
    described = db.stats("c")["vectors"]["v"]
    assert (described["rows_dead"], described["dead_share"], described["rows_indexed"]) == (300, 0.15, 2_000)
    assert db.stats("c")["segments"][0]["dead_share"] == 0.15
    db.write(DeleteRequest("c", list(range(300, 450))))  # more than the ratio: the segment is rewritten
    wait_until(lambda: db.stats("c")["segments"][0]["rows"] == 1_550)
    described = db.stats("c")["vectors"]["v"]
    assert (described["rows_dead"], described["rows_indexed"]) == (0, 1_550)


def test_a_store_of_before_stays_exact(
    sealed: Callable[..., Database], reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then, a schema that said nothing meant exact search."""
    with monkeypatch.context() as patched:
        patched.setattr(collecting, "with_defaults", lambda schema, _: schema)
        db = sealed(settings(maintenance=False))
        assert db.collection("c").schema.vectors["v"].index is None
    db = reopen(settings())
    assert db.collection("c").schema.vectors["v"].index == Flat()
    settle(db, db.compact("c"))
    assert strategies(db) == ["exact_scan"]
    described = db.stats("c")["vectors"]["v"]
    assert (described["index"], described["index_state"]) == ("flat", "none")
    assert db.create_collection("c", schema(None), exist_ok=True).schema.vectors["v"].index == Flat()
    settle(db, db.update_index(VectorIndexRequest("c", "v", Auto())))
    assert specs(db) == [FAST]


def test_a_schema_that_says_nothing_is_content_with_any_index(reopen: Callable[..., Database]) -> None:
    db = reopen(settings())
    db.create_collection("c", schema(IVF(quantizer=Int8())))
    db.create_collection("c", schema(None), exist_ok=True)
    for other in (Auto(), Flat(), IVF()):
        with pytest.raises(AlreadyExists):
            db.create_collection("c", schema(other), exist_ok=True)


def test_from_an_index_of_ones_own_to_auto_and_to_exact(sealed: Callable[..., Database]) -> None:
    db = sealed(settings())
    own = IVF(8, Int8())
    settle(db, db.update_index(VectorIndexRequest("c", "v", own)))
    assert specs(db) == [own]
    settle(db, db.update_index(VectorIndexRequest("c", "v", Auto())))
    assert specs(db) == [FAST]
    settle(db, db.update_index(VectorIndexRequest("c", "v", Flat())))
    assert specs(db) == [None]
    assert strategies(db) == ["exact_scan"]


def test_what_cannot_be_built_leaves_the_next_and_at_last_the_scan(
    sealed: Callable[..., Database], reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    build, refused = IVFIndex.build.__func__, [FAST]  # type: ignore[attr-defined]

    def refuse(cls: Any, field: VectorField, spec: Any, *rest: Any) -> Any:
        if spec in refused:
            raise InvalidArgument("no, thanks", reason="BAD_INDEX_SPEC")
        return build(cls, field, spec, *rest)

    monkeypatch.setattr(IVFIndex, "build", classmethod(refuse))
    db = sealed(settings())
    assert specs(db) == [SMALL]
    described = db.stats("c")
    assert (described["vectors"]["v"]["index_state"], described["vectors"]["v"]["rows_indexed"]) == ("ready", 2_000)
    assert (
        f"{format_index(FAST)} could not be built: BAD_INDEX_SPEC: no" in described["segments"][0]["chosen"]["v"]["why"]
    )
    refused.append(SMALL)
    db.delete_collection("c")
    db.create_collection("c", schema(None))
    load(db, 0, 2_000, 1_000)
    assert "BAD_INDEX_SPEC: no" in str(db.wait_operation(db.compact("c").id, 60).error)
    assert strategies(db) == ["exact_scan"]
    described = db.stats("c")["vectors"]["v"]
    assert described["index_state"] == "failed"
    assert "no, thanks" in described["index_error"]
    exact = query(db, questions(1)[0], params=SearchParams(exact=True))
    assert [hit.id for hit in query(db, questions(1)[0])] == [hit.id for hit in exact]
    refused.clear()
    db = reopen(settings())  # it is tried again
    wait_until(lambda: specs(db) == [FAST])


def test_a_cancelled_build_is_not_followed_by_another(
    reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(*_: Any) -> Any:
        raise Cancelled("enough")

    monkeypatch.setattr(IVFIndex, "build", cancel)
    db = reopen(settings())
    db.create_collection("c", schema(None))
    load(db, 0, 2_000, 1_000)
    db.wait_operation(db.compact("c").id, 60)
    (segment,) = db.collection("c").sealed.values()
    assert db._indexing.wanted(segment, "v", db.collection("c").schema.vectors["v"]).spec == FAST
    assert not db._maintenance._derived.lacking(segment, db.collection("c"))


def test_the_real_choices_can_be_built(reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch) -> None:
    """At the shortest vectors that each is chosen for."""
    monkeypatch.undo()
    rng = np.random.default_rng(3)
    for dim in (2, 64, 128, 256):
        field = VectorField(VectorKind.DENSE, dim, Metric.L2)
        rows = rng.standard_normal((1_500, dim)).astype(np.float32)
        rows[:, : dim // 2] *= 4
        least = auto.row_bytes(auto.tiers(field)[-1], field) * 1_500
        for memory in (1 << 30, int(least)):
            db = reopen(settings(memory))
            db.delete_collection("c")
            db.create_collection("c", Schema({"v": field}))
            db.write(UpsertRequest("c", PointBatch(list(range(1_500)), {"v": VectorBatch(rows)}, [b"{}"] * 1_500)))
            settle(db, db.compact("c"))
            assert specs(db) == [auto.tiers(field)[0 if memory == 1 << 30 else -1]]
            hits = [db.query(QueryRequest("c", row, using="v", k=1))[0].id for row in rows[:50]]
            assert sum(hit == row for row, hit in enumerate(hits)) >= 48
