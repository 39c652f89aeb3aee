"""Aliases in the engine: what changes them, what refuses to, and that they are there after a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_support import SCHEMA, SMALL, batch_of, settle, vectors_of

import vecstore
from vecstore.aliases import Alias, AliasAction, CreateAlias, DeleteAlias, RenameAlias, SwapAliases
from vecstore.config import Limits
from vecstore.engine import aliases, keys
from vecstore.engine.aliases import AliasRecord
from vecstore.engine.database import Database
from vecstore.engine.header import encode_meta
from vecstore.errors import AlreadyExists, Corruption, FailedPrecondition, InvalidArgument, NotFound, VecstoreError
from vecstore.schema import FieldKind, Schema
from vecstore.storage.interfaces import Family, Put
from vecstore.types import (
    CountRequest,
    DeleteRequest,
    FieldIndexRequest,
    GetRequest,
    QueryRequest,
    ScrollRequest,
    TuneRequest,
    UpdateBatchRequest,
    UpsertRequest,
)


@pytest.fixture
def two(db: Database) -> Database:
    """Collection c with points 0 to 4 and d with 10 and 11."""
    db.create_collection("d", SCHEMA)
    db.write(UpsertRequest("c", batch_of(range(5))))
    db.write(UpsertRequest("d", batch_of([10, 11])))
    return db


def table(db: Database) -> dict[str, str]:
    return {one.alias: one.collection for one in db.list_aliases()}


def test_each_action_sees_what_those_before_it_leave(two: Database) -> None:
    made = two.update_aliases([CreateAlias("b", "d"), CreateAlias("a", "c")])
    assert made == two.list_aliases() == [Alias("a", "c"), Alias("b", "d")]
    two.update_aliases([SwapAliases("a", "b")])
    assert table(two) == {"a": "d", "b": "c"}
    two.update_aliases([RenameAlias("a", "x"), CreateAlias("a", "c"), DeleteAlias("b"), RenameAlias("x", "b")])
    assert table(two) == {"a": "c", "b": "d"}
    assert two.list_aliases("d") == [Alias("b", "d")]
    assert two.list_aliases("b") == [Alias("b", "d")]


REFUSED: list[tuple[str, type[VecstoreError], AliasAction]] = [
    ("COLLECTION_EXISTS", AlreadyExists, CreateAlias("c", "d")),
    ("COLLECTION_EXISTS", AlreadyExists, RenameAlias("a", "d")),
    ("COLLECTION_NOT_FOUND", NotFound, CreateAlias("new", "nowhere")),
    ("ALIAS_OF_ALIAS", InvalidArgument, CreateAlias("new", "a")),
    ("ALIAS_OF_ALIAS", InvalidArgument, CreateAlias("new", "new")),
    ("ALIAS_NOT_FOUND", NotFound, DeleteAlias("nowhere")),
    ("ALIAS_NOT_FOUND", NotFound, DeleteAlias("c")),
    ("ALIAS_NOT_FOUND", NotFound, RenameAlias("nowhere", "new")),
    ("ALIAS_NOT_FOUND", NotFound, SwapAliases("a", "nowhere")),
    ("ALIAS_EXISTS", AlreadyExists, RenameAlias("a", "other")),
    ("BAD_NAME", InvalidArgument, CreateAlias("a b", "c")),
    ("BAD_NAME", InvalidArgument, CreateAlias("new", "a/b")),
    ("BAD_NAME", InvalidArgument, RenameAlias("a", "")),
    ("BAD_NAME", InvalidArgument, DeleteAlias("../a")),
    ("LIMIT_EXCEEDED", InvalidArgument, CreateAlias("x" * 256, "c")),
]


def test_what_is_wrong_names_the_action_and_nothing_is_done(two: Database) -> None:
    two.update_aliases([CreateAlias("a", "c"), CreateAlias("other", "d")])
    before = table(two)
    for reason, kind, action in REFUSED:
        with pytest.raises(kind, match=r"actions\[1\]") as caught:
            two.update_aliases([CreateAlias("first", "c"), action])
        assert caught.value.reason == reason, action
        assert table(two) == before


def test_bounds(reopen: Callable[..., Database]) -> None:
    limits = Limits(aliases_max=2, batch_operations_max=3)
    db = reopen(msgspec.structs.replace(SMALL, limits=limits))
    db.create_collection("c", SCHEMA)
    with pytest.raises(InvalidArgument, match="EMPTY_BATCH"):
        db.update_aliases([])
    with pytest.raises(InvalidArgument, match="aliases_max=2"):
        db.update_aliases([CreateAlias(name, "c") for name in "xyz"])
    db.update_aliases([CreateAlias("x", "c"), CreateAlias("y", "c"), CreateAlias("x", "c")])
    with pytest.raises(InvalidArgument, match="batch_operations_max=3"):
        db.update_aliases([DeleteAlias("x")] * 4)
    assert table(db) == {"x": "c", "y": "c"}


def test_names_are_taken_both_ways(two: Database) -> None:
    two.update_aliases([CreateAlias("a", "c")])
    for exist_ok in (False, True):
        with pytest.raises(AlreadyExists, match="ALIAS_EXISTS"):
            two.create_collection("a", SCHEMA, exist_ok=exist_ok)
    with pytest.raises(FailedPrecondition, match="COLLECTION_HAS_ALIASES"):
        two.delete_collection("c")
    with pytest.raises(FailedPrecondition, match="NAME_IS_ALIAS"):
        two.delete_collection("a")
    assert two.has_collection("a")
    assert two.count(CountRequest("a"))[0] == 5
    two.update_aliases([CreateAlias("a", "d")])
    assert two.delete_collection("c")
    two.update_aliases([DeleteAlias("a")])
    assert not two.has_collection("a")
    two.create_collection("a", SCHEMA)
    with pytest.raises(NotFound, match="COLLECTION_NOT_FOUND"):
        two.list_aliases("c")


def test_an_alias_stands_for_its_collection_in_every_call(two: Database) -> None:
    two.update_aliases([CreateAlias("a", "c")])
    vector = vectors_of([3])[0]
    assert two.collection_info("a").name == "c"
    assert [one.name for one in two.list_collections()] == ["c", "d"]
    assert two.query(QueryRequest("a", vector, "v", k=1))[0].id == 3
    assert two.query_many(QueryRequest("a", vector[None], "v", k=1))[0][0].id == 3
    mixed = two.query_batch([QueryRequest(name, vector, "v", k=5) for name in ("a", "d", "c")])
    assert [len(hits) for hits in mixed] == [5, 2, 5]
    assert [one.id for one in two.get(GetRequest("a", [1, 9]))[0]] == [1]
    page = two.scroll(ScrollRequest("a", limit=2))
    assert ([one.id for one in page.points], page.collection) == ([0, 1], "c")
    assert two.count(CountRequest("a")) == (5, 1)
    assert two.why_not(QueryRequest("a", vector, "v", k=1), 2)[0]["rank"] > 1
    written = two.write(UpsertRequest("a", batch_of([7])))
    assert (written.seq, written.collection) == (2, "c")
    batch = UpdateBatchRequest("a", [DeleteRequest("a", ids=[7]), DeleteRequest("", ids=[0])])
    assert two.write(batch).changed == 2
    settle(two, two.create_field_index(FieldIndexRequest("a", "id", FieldKind.KEYWORD)))
    assert two.delete_field_index(FieldIndexRequest("c", "id"))
    assert settle(two, two.compact("a")).collection == "c"
    assert settle(two, two.verify("a")).collection == "c"
    assert two.list_operations("a") == two.list_operations("c") != []
    assert two.stats("a")["points"] == 4
    with pytest.raises(InvalidArgument, match="TOO_FEW_QUERIES"):
        two.tune(TuneRequest("a", vector[None], "v"))


def test_keys_of_idempotency_are_the_collections(two: Database) -> None:
    """A write that is sent again after a switch was not done in the collection that the alias stands for now."""
    two.update_aliases([CreateAlias("a", "c")])
    request = UpsertRequest("a", batch_of([70]), idempotency_key="once")
    first = two.write(request)
    assert two.write(request) == first == two.write(UpsertRequest("c", batch_of([70]), idempotency_key="once"))
    two.update_aliases([CreateAlias("a", "d")])
    assert two.write(request).collection == "d"
    assert two.write(UpsertRequest("c", batch_of([70]), idempotency_key="once")) == first


def test_aliases_are_there_after_a_restart(reopen: Callable[..., Database], two: Database) -> None:
    two.update_aliases([CreateAlias("a", "c"), CreateAlias("b", "d")])
    two.update_aliases([DeleteAlias("a"), RenameAlias("b", "e")])
    assert table(reopen()) == {"e": "d"}


def test_snapshots_hold_aliases(two: Database, tmp_path: Path) -> None:
    two.update_aliases([CreateAlias("a", "c")])
    settle(two, two.snapshot(tmp_path / "kept"))
    two.update_aliases([CreateAlias("a", "d"), CreateAlias("later", "d")])
    vecstore.restore(tmp_path / "kept", tmp_path / "back")
    with Database.open(tmp_path / "back") as restored:
        assert table(restored) == {"a": "c"}
        assert restored.count(CountRequest("a"))[0] == 5


def test_damaged_and_dangling_records(reopen: Callable[..., Database], two: Database) -> None:
    two.update_aliases([CreateAlias("a", "c")])
    store = two._storage.kv
    store.durable(store.write([Put(Family.META, keys.alias("lost"), encode_meta(AliasRecord("lost", 99)))]))
    store.durable(store.write([Put(Family.META, keys.alias("d"), encode_meta(AliasRecord("d", 1)))]))
    two = reopen()
    assert table(two) == {"a": "c"}  # as versions that knew no aliases may have left it
    store = two._storage.kv
    store.durable(store.write([Put(Family.META, keys.alias("x"), encode_meta(AliasRecord("y", 1)))]))
    with pytest.raises(Corruption, match="that of alias 'y'"):
        reopen()


def test_readers_during_switches_see_one_collection_or_the_other(two: Database) -> None:
    """Never a part of either, never none; and a collection that an alias has left may be dropped at once."""
    ids = {"c": set(range(5)), "d": {10, 11}}
    two.update_aliases([CreateAlias("a", "c")])
    stop, seen, wrong = threading.Event(), set(), []

    def read() -> None:
        vector = vectors_of([3])[0]
        while not stop.is_set():
            try:
                found = {hit.id for hit in two.query(QueryRequest("a", vector, "v", k=9))}
                seen.add(frozenset(found))
                if found not in ids.values():
                    wrong.append(found)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    live, other = "c", "d"
    for _ in range(12):
        two.update_aliases([CreateAlias("a", other)])
        two.delete_collection(live)
        two.create_collection(live, SCHEMA)
        two.write(UpsertRequest(live, batch_of(sorted(ids[live]))))
        live, other = other, live
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(seen) == 2


def test_a_batch_looks_its_names_up_at_once(two: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    two.update_aliases([CreateAlias("a", "c")])
    look_up = aliases.by_own_name

    def then_switched(request: Any, table: Any) -> Any:
        found = look_up(request, table)
        two.update_aliases([CreateAlias("a", "d")])
        return found

    monkeypatch.setattr(aliases, "by_own_name", then_switched)
    request = QueryRequest("a", vectors_of([3])[0], "v", k=9)
    assert [len(hits) for hits in two.query_batch([request, request])] == [5, 5]
    assert [len(hits) for hits in two.query_batch([request, request])] == [2, 2]


def test_a_schema_may_be_another_one(two: Database) -> None:
    two.create_collection("plain", Schema({"v": SCHEMA.vectors["v"]}))
    two.update_aliases([CreateAlias("a", "c")])
    two.update_aliases([CreateAlias("a", "plain")])
    assert set(two.collection_info("a").schema.vectors) == {"v"}


def test_what_a_caller_may_not_see_is_not_there(two: Database) -> None:
    two.update_aliases([CreateAlias("a", "c"), CreateAlias("b", "d")])

    def only_c(name: str) -> bool:
        return name == "c"

    actions: list[Any] = [DeleteAlias("b"), RenameAlias("b", "x"), SwapAliases("a", "b")]
    for action in actions:
        with pytest.raises(NotFound, match="ALIAS_NOT_FOUND"):
            two.update_aliases([action], may_see=only_c)
    with pytest.raises(AlreadyExists, match="ALIAS_EXISTS"):
        two.update_aliases([CreateAlias("b", "c")], may_see=only_c)
    assert two.update_aliases([CreateAlias("x", "c")], may_see=only_c) == [Alias("a", "c"), Alias("x", "c")]
