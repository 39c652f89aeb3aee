"""Vector indexes of sealed segments: built in the background, stored, opened again, replaced, damaged, cancelled."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine_support import put, settle, vectors_of
from index_support import (
    INDEXED,
    ToyIVF,
    index_columns,
    load,
    named_blobs,
    query,
    questions,
    recall,
    schema,
    stored_blobs,
    strategies,
)
from waiting import wait_until

from vecstore.engine import scan, stepper
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.index.base import SearchParams
from vecstore.index.registry import BUILT
from vecstore.index_spec import IVF, MIH, Auto, Flat
from vecstore.query.builder import F
from vecstore.schema import Metric
from vecstore.types import (
    DeleteRequest,
    OperationInfo,
    OperationState,
    PointBatch,
    QueryRequest,
    UpsertRequest,
    VectorBatch,
    VectorIndexRequest,
)

SPEC, OTHER = IVF(16), IVF(32)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> type[ToyIVF]:
    monkeypatch.setitem(BUILT, "ivf", ToyIVF)
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    monkeypatch.setattr(stepper, "RETRY_S", 0.05)
    monkeypatch.setattr(ToyIVF, "trained", 0)
    return ToyIVF


@pytest.fixture
def indexed(reopen: Callable[..., Database]) -> Database:
    """2,000 points in sealed segments, indexed, and 100 growing ones."""
    db = reopen(INDEXED)
    db.create_collection("c", schema(SPEC))
    load(db, 0, 2_000)
    settle(db, db.compact("c"))
    wait_indexed(db)
    load(db, 2_000, 2_100)
    return db


def wait_indexed(db: Database) -> None:
    wait_until(lambda: set(strategies(db)) <= {"toy_ivf"})


def change(db: Database, spec: object) -> OperationInfo:
    return db.update_index(VectorIndexRequest("c", "v", spec))  # type: ignore[arg-type]


def check_exact(db: Database) -> None:
    """exact=True finds what a scan by numpy finds among all points."""
    ids = np.arange(2_100)
    rows = vectors_of(range(2_100))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for vector in questions(5):
        truth = ids[np.argsort(-(rows @ vector), kind="stable")[:10]]
        assert [hit.id for hit in query(db, vector, params=SearchParams(exact=True))] == truth.tolist()


def test_sealed_segments_are_indexed_and_merge_with_growing_ones(indexed: Database) -> None:
    assert strategies(indexed) == ["toy_ivf", "exact_scan"]
    check_exact(indexed)
    assert recall(indexed, questions(20)) > 0.8
    assert recall(indexed, questions(20), nprobe=16) == 1.0
    assert recall(indexed, questions(20), nprobe=1) < 0.8
    for point in (5, 1_999, 2_050):  # sealed, sealed, growing
        assert query(indexed, vectors_of([point])[0], k=1)[0].id == point
    explained = query(indexed, questions(1)[0], explain=True).explain["segments"][0]
    assert explained["counters"]["lists_probed"] == 8
    assert 0 < explained["counters"]["rows_scanned"] < 2_000


def test_recall_is_the_same_after_restart_and_compaction(indexed: Database, reopen: Callable[..., Database]) -> None:
    before = recall(indexed, questions(50))
    again = reopen(INDEXED)
    assert strategies(again)[0] == "toy_ivf"
    assert abs(recall(again, questions(50)) - before) <= 0.005
    settle(again, again.compact("c"))  # 2,000 + 100 rows
    assert strategies(again) == ["toy_ivf"]
    assert ToyIVF.trained == 1, "a merge trains nothing"
    assert abs(recall(again, questions(50)) - before) <= 0.02
    check_exact(again)


def test_small_segments_are_scanned(reopen: Callable[..., Database]) -> None:
    db = reopen(INDEXED)
    db.create_collection("c", schema(SPEC))
    load(db, 0, 299)
    settle(db, db.compact("c"))
    assert strategies(db) == ["exact_scan"]
    load(db, 299, 300)
    settle(db, db.compact("c"))
    assert strategies(db) == ["toy_ivf"]


def test_filters_get_their_k(indexed: Database) -> None:
    """Few matches are scanned; where lists do not hold enough matches, the rest is found by a scan."""
    vector = questions(1)[0]
    for high in (5, 15, 60, 400):
        where = F("n").lt(high)
        expected = sum(high for _ in range(4)) + min(high, 100)  # n counts from 0 in each of the batches
        got = query(indexed, vector, k=min(expected, 300), filter=where, params=SearchParams(nprobe=1))
        assert len(got) == min(expected, 300)
    explained = query(indexed, vector, k=300, filter=F("n").lt(60), params=SearchParams(nprobe=1), explain=True).explain
    assert explained["segments"][0]["counters"]["queries_rescanned"] == 1
    assert query(indexed, vector, filter=F("n").lt(4), explain=True).explain["segments"][0]["strategy"] == "exact_scan"


def test_deletes_and_rewrites_after_the_build_hold(indexed: Database) -> None:
    victim = query(indexed, questions(1)[0], k=1)[0].id
    indexed.write(DeleteRequest("c", ids=[victim]))
    assert victim not in [hit.id for hit in query(indexed, questions(1)[0], k=50)]


def test_points_without_the_vector_are_no_answers(reopen: Callable[..., Database]) -> None:
    db = reopen(INDEXED)
    db.create_collection("c", schema(SPEC))
    load(db, 0, 400)
    bits = VectorBatch(np.zeros((400, 2), np.uint8))
    db.write(UpsertRequest("c", PointBatch(list(range(400, 800)), {"b": bits})))
    settle(db, db.compact("c"))
    assert strategies(db) == ["toy_ivf"]
    hits = query(db, questions(1)[0], k=390, params=SearchParams(nprobe=1))
    assert len(hits) == 390
    assert max(hit.id for hit in hits) < 400


def test_update_index_rebuilds_while_queries_and_writes_go_on(
    indexed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go.wait(60)

    monkeypatch.setattr(ToyIVF, "before_step", staticmethod(hold))
    before = index_columns(indexed)
    operation = change(indexed, OTHER)
    assert held.wait(60)
    assert strategies(indexed) == ["toy_ivf", "exact_scan"]  # the old one serves
    put(indexed, range(3_000, 3_600))  # sealed meanwhile, too: sealing does not wait for the index
    wait_until(
        lambda: any(one.kind == "seal" and one.state is OperationState.DONE for one in indexed.list_operations())
    )
    assert query(indexed, vectors_of([3_100])[0], k=1)[0].id == 3_100
    go.set()
    settle(indexed, operation)
    wait_indexed_or_growing(indexed)
    assert not index_columns(indexed) & before
    assert all(entry.spec == OTHER for header in headers(indexed) for entry in header.indexes.values())
    wait_until(lambda: stored_blobs(indexed) == named_blobs(indexed))
    assert recall(indexed, questions(20), nprobe=32) == 1.0


def wait_indexed_or_growing(db: Database) -> None:
    wait_until(lambda: all(entry == "toy_ivf" for entry in strategies(db)[:-1]))


def headers(db: Database) -> list:
    return list(db.collection("c").manifest.segments)


def test_update_index_to_exact_search_and_back(indexed: Database, reopen: Callable[..., Database]) -> None:
    settle(indexed, change(indexed, Flat()))
    assert strategies(indexed) == ["exact_scan"] * 2
    assert not index_columns(indexed)
    assert stored_blobs(indexed) == named_blobs(indexed)
    again = reopen(INDEXED)
    assert again.collection_info("c").schema.vectors["v"].index == Flat()
    settle(again, change(again, None))  # left to the engine, which does not index as few rows
    assert again.collection_info("c").schema.vectors["v"].index == Auto()
    assert strategies(again) == ["exact_scan"] * 2
    settle(again, change(again, SPEC))
    assert strategies(again)[0] == "toy_ivf"


def test_a_spec_that_does_not_suit_is_refused_with_nothing_changed(indexed: Database) -> None:
    with pytest.raises(InvalidArgument) as error:
        change(indexed, MIH())
    assert error.value.reason == "BAD_INDEX_SPEC"
    assert error.value.field_violations[0][0] == "vectors.v.index"
    with pytest.raises(InvalidArgument, match="VECTOR_NAME_UNKNOWN"):
        indexed.update_index(VectorIndexRequest("c", "w", SPEC))
    with pytest.raises(InvalidArgument, match="BAD_INDEX_SPEC"):
        indexed.create_collection("d", schema(IVF(0)))
    assert not indexed.has_collection("d")
    assert indexed.collection_info("c").schema.vectors["v"].index == SPEC


def test_an_index_that_cannot_be_built_leaves_the_old_one(indexed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for failure in (InvalidArgument("no such shape", reason="BAD_INDEX_SPEC"), ZeroDivisionError("oops")):
        monkeypatch.setattr(ToyIVF, "fail", failure)
        operation = change(indexed, OTHER)
        ended = indexed.wait_operation(operation.id, 60)
        assert ended.state is OperationState.FAILED
        assert str(failure).split(": ")[-1] in (ended.error or "")
        assert strategies(indexed)[0] == "toy_ivf"
        builds = len([one for one in indexed.list_operations("c") if one.kind == "index"])
        time.sleep(0.2)  # a few retries' time
        assert len([one for one in indexed.list_operations("c") if one.kind == "index"]) <= builds + 1
    monkeypatch.setattr(ToyIVF, "fail", None)
    settle(indexed, change(indexed, OTHER))  # asked again, tried again


def test_a_build_can_be_cancelled(indexed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go.wait(60)

    monkeypatch.setattr(ToyIVF, "before_step", staticmethod(hold))
    operation = change(indexed, OTHER)
    assert held.wait(60)
    indexed.cancel_operation(operation.id)
    go.set()
    assert indexed.wait_operation(operation.id, 60).state is OperationState.CANCELLED
    time.sleep(0.2)
    assert [one.spec for header in headers(indexed) for one in header.indexes.values()] == [SPEC]
    assert strategies(indexed)[0] == "toy_ivf"
    assert stored_blobs(indexed) == named_blobs(indexed)
    monkeypatch.setattr(ToyIVF, "before_step", None)
    settle(indexed, change(indexed, OTHER))


def test_closing_during_a_build_leaves_the_old_state_and_it_is_taken_up_again(
    indexed: Database, reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()

    def hold() -> None:
        held.set()
        time.sleep(0.02)

    monkeypatch.setattr(ToyIVF, "before_step", staticmethod(hold))
    change(indexed, OTHER)
    assert held.wait(60)
    again = reopen(INDEXED)
    assert recall(again, questions(10), nprobe=32) == 1.0
    wait_until(lambda: [one.spec for header in headers(again) for one in header.indexes.values()] == [OTHER])
    wait_until(lambda: stored_blobs(again) == named_blobs(again))


def damage(directory: Path, db: Database, array: str) -> None:
    """Flip a byte of the blob that holds an index array, in the cache file and in RocksDB's file."""
    header = headers(db)[0]
    column = next(one for one in header.columns if one.name.startswith("index.") and one.name.endswith(array))
    path = directory / "cache" / column.ref.name.replace("/", "+")
    content = path.read_bytes()[32:96]
    db.close()
    files = [path, *(directory / "rocksdb").glob("*.sst")]
    hits = 0
    for file in files:
        data = bytearray(file.read_bytes())
        at = data.find(content)
        if at >= 0:
            data[at + 7] ^= 0x10
            file.write_bytes(data)
            hits += 1
    assert hits >= 2


@pytest.mark.parametrize("array", ["centroids", "lists"])
def test_a_damaged_index_is_served_by_scan_and_built_again(
    indexed: Database, reopen: Callable[..., Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, array: str
) -> None:
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go.wait(60)

    damage(tmp_path / "data", indexed, array)
    monkeypatch.setattr(ToyIVF, "before_step", staticmethod(hold))
    again = reopen(INDEXED)
    assert strategies(again)[0] == "exact_scan"  # finds the damage
    check_exact(again)
    assert "v" in str(again.stats("c")["segments"][0]["damaged"])
    assert held.wait(60)
    go.set()
    wait_until(lambda: strategies(again)[0] == "toy_ivf")
    assert again.stats("c")["state"] == "ok"


def test_parameters_are_checked(indexed: Database) -> None:
    vector = questions(1)[0]
    bad = [
        ("nprobe", -1),
        ("nprobe", 1 << 21),
        ("nprobe", 1.5),
        ("oversampling", 0.5),
        ("oversampling", 101.0),
        ("oversampling", float("nan")),
        ("recall_target", 1.1),
        ("recall_target", -0.1),
        ("truncate_dim", 17),
        ("truncate_dim", -1),
        ("exact", 1),
        ("rescore", None),
    ]
    for name, value in bad:
        with pytest.raises(InvalidArgument) as error:
            query(indexed, vector, params=SearchParams(**{name: value}))
        assert error.value.field_violations[0][0] == f"params.{name}", (name, value)
    bits = np.zeros(2, np.uint8)
    with pytest.raises(InvalidArgument, match="truncate_dim"):
        indexed.query(QueryRequest("c", bits, using="b", params=SearchParams(truncate_dim=8)))
    short = np.zeros(16, np.float32)
    short[15] = 1
    with pytest.raises(InvalidArgument, match="ZERO_VECTOR"):
        query(indexed, short, params=SearchParams(truncate_dim=15))


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2])
def test_prefixes_are_compared_exactly(reopen: Callable[..., Database], metric: Metric) -> None:
    db = reopen(INDEXED)
    db.create_collection("c", schema(SPEC, metric))
    load(db, 0, 1_000)
    settle(db, db.compact("c"))
    load(db, 1_000, 1_100)
    rows = vectors_of(range(1_100)).astype(np.float64)
    for dim in (1, 7, 16):
        for vector in questions(3):
            part, q = rows[:, :dim], vector[:dim].astype(np.float64)
            if metric is Metric.COSINE:
                distance = 1 - part @ q / np.linalg.norm(part, axis=1) / np.linalg.norm(q)
            elif metric is Metric.DOT:
                distance = -(part @ q)
            else:
                distance = ((part - q) ** 2).sum(axis=1)
            got = query(db, vector, params=SearchParams(truncate_dim=dim, exact=True))
            np.testing.assert_allclose(distance[[hit.id for hit in got]], np.sort(distance)[:10], rtol=1e-4, atol=1e-5)


def test_random_histories_answer_like_a_scan(reopen: Callable[..., Database]) -> None:
    """Writes, deletes, compactions, new specs and restarts in random order."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    db = reopen(INDEXED)
    db.create_collection("c", schema(SPEC))
    alive: set[int] = set()
    for _ in range(14):
        action = rng.choice(["write", "write", "write", "delete", "compact", "spec", "reopen"])
        if action == "write":
            start = rng.randrange(3_000)
            end = start + rng.randrange(1, 700)
            load(db, start, end)
            alive |= set(range(start, end))
        elif action == "delete" and alive:
            gone = rng.sample(sorted(alive), min(len(alive), rng.randrange(1, 200)))
            db.write(DeleteRequest("c", ids=gone))
            alive -= set(gone)
        elif action == "compact":
            settle(db, db.compact("c"))
        elif action == "spec":
            settle(db, change(db, rng.choice([SPEC, OTHER, None])))
        else:
            db = reopen(INDEXED)
        compare(db, alive)
    settle(db, change(db, SPEC))
    settle(db, db.compact("c"))
    compare(db, alive)


def known(db: Database) -> set[int]:
    view = db.collection("c").view
    found: set[int] = set()
    for segment in view.segments:
        bits = np.unpackbits(segment.alive.view(np.uint8), bitorder="little")[: segment.n_rows]
        found |= set(segment.segment.take_ids(np.flatnonzero(bits)).tolist())  # type: ignore[arg-type]
    return found


def compare(db: Database, alive: set[int]) -> None:
    assert known(db) == alive
    if not alive:
        return
    ids = np.array(sorted(alive))
    rows = vectors_of(ids.tolist())
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for vector in questions(3):
        k = min(10, len(ids))
        truth = set(ids[np.argsort(-(rows @ vector), kind="stable")[:k]].tolist())
        assert {hit.id for hit in query(db, vector, k, params=SearchParams(exact=True))} == truth
        got = {hit.id for hit in query(db, vector, k)}
        assert len(got) == k
        assert got <= alive
        assert {hit.id for hit in query(db, vector, k, params=SearchParams(nprobe=64))} == truth
