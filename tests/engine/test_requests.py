"""What a request may not be, and what the settings change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from engine_support import DIM, SCHEMA, SMALL, batch_of, put, settle, vectors_of

from vecstore.config import Limits, Search
from vecstore.engine.database import Database
from vecstore.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    Unavailable,
    VecstoreError,
)
from vecstore.query.builder import F, has_vector
from vecstore.schema import DataType, FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import (
    CountRequest,
    DeleteRequest,
    FieldIndexRequest,
    GetRequest,
    IfMatch,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    QueryRequest,
    Selection,
    UpsertRequest,
    VectorBatch,
    WriteMode,
)

GOOD = vectors_of(["good"])


def with_value(value: float) -> np.ndarray:
    rows = GOOD.copy()
    rows[0, 3] = value
    return rows


BAD_BATCHES = [
    ("EMPTY_BATCH", PointBatch([])),
    ("BAD_ID", PointBatch([-1])),
    ("BAD_ID", PointBatch([2**64])),
    ("BAD_ID", PointBatch([True])),
    ("BAD_ID", PointBatch([1.5])),
    ("BAD_ID", PointBatch([""])),
    ("BAD_ID", PointBatch(["\ud800"])),
    ("LIMIT_EXCEEDED", PointBatch(["x" * 129])),
    ("LIMIT_EXCEEDED", PointBatch(list(range(10_001)))),
    ("VECTOR_NAME_UNKNOWN", PointBatch([1], {"w": VectorBatch(GOOD)})),
    ("DIMENSION_MISMATCH", PointBatch([1], {"v": VectorBatch(GOOD[:, :-1])})),
    ("BAD_VECTOR", PointBatch([1], {"v": VectorBatch(GOOD[0])})),
    ("BAD_VECTOR", PointBatch([1, 2], {"v": VectorBatch(GOOD)})),
    ("BAD_VECTOR", PointBatch([1], {"v": VectorBatch(GOOD.astype(complex))})),
    ("BAD_VECTOR", PointBatch([1], {"b": VectorBatch(GOOD[:, :2])})),
    ("DIMENSION_MISMATCH", PointBatch([1], {"b": VectorBatch(np.zeros((1, 3), np.uint8))})),
    ("NAN_OR_INF", PointBatch([1], {"v": VectorBatch(with_value(np.nan))})),
    ("NAN_OR_INF", PointBatch([1], {"v": VectorBatch(with_value(np.inf))})),
    ("NAN_OR_INF", PointBatch([1], {"v": VectorBatch(with_value(1e30))})),
    ("NAN_OR_INF", PointBatch([1], {"v": VectorBatch(with_value(0).astype(float) + 1e39)})),
    ("ZERO_VECTOR", PointBatch([1], {"v": VectorBatch(GOOD * 0)})),
    ("ZERO_VECTOR", PointBatch([1], {"v": VectorBatch(GOOD * 1e-30)})),
    ("BAD_PAYLOAD", PointBatch([1], payloads=[b"{"])),
    ("BAD_PAYLOAD", PointBatch([1], payloads=[b"[1]"])),
    ("BAD_PAYLOAD", PointBatch([1], payloads=[b'{"x": NaN}'])),
    ("BAD_PAYLOAD", PointBatch([1], payloads=[None, None])),
    ("LIMIT_EXCEEDED", PointBatch([1], payloads=[b'{"x":' + b"[" * 16 + b"]" * 16 + b"}"])),
    ("LIMIT_EXCEEDED", PointBatch([1], payloads=[b'{"x":"' + b"y" * 65_536 + b'"}'])),
]


@pytest.mark.parametrize(("reason", "batch"), BAD_BATCHES)
def test_a_bad_batch_writes_nothing(db: Database, reason: str, batch: PointBatch) -> None:
    put(db, [7])
    bad = PointBatch([*batch.ids, 8], batch.vectors, batch.payloads) if reason == "BAD_ID" else batch
    with pytest.raises(InvalidArgument) as caught:
        db.write(UpsertRequest("c", bad))
    assert caught.value.reason == reason
    assert db.collection_info("c").seq == 1
    assert db.count(CountRequest("c"))[0] == 1


def test_what_stands_at_a_bound_is_accepted(db: Database) -> None:
    deep = b'{"x":' + b"[" * 15 + b"]" * 15 + b"}"
    db.write(UpsertRequest("c", PointBatch(["x" * 128, 2**64 - 1], payloads=[deep, b'{"y":"[[[[[[[[[[[[[[[[[[[[["}'])))
    db.write(UpsertRequest("c", batch_of(range(10_000))))
    assert db.collection_info("c").points == 10_002


def test_the_last_of_points_that_share_an_id_wins(db: Database) -> None:
    batch = batch_of(["a", "b", "a"])
    assert db.write(UpsertRequest("c", batch)).changed == 2
    points, _ = db.get(GetRequest("c", ["a"], Selection(True, True)))
    assert points[0].payload == {"n": 2, "id": "a"}


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("BAD_ARGUMENT", {"k": 0}),
        ("BAD_ARGUMENT", {"k": 1.5}),
        ("BAD_ARGUMENT", {"offset": -1}),
        ("LIMIT_EXCEEDED", {"k": 10_001}),
        ("LIMIT_EXCEEDED", {"k": 10_000, "offset": 1}),
        ("LIMIT_EXCEEDED", {"k": 2**63 - 1}),
        ("VECTOR_NAME_UNKNOWN", {"using": "w"}),
        ("VECTOR_NAME_UNKNOWN", {"using": None}),
        ("VECTOR_NAME_UNKNOWN", {"select": Selection(True, ["w"])}),
        ("DIMENSION_MISMATCH", {"vector": GOOD[0][:5]}),
        ("BAD_VECTOR", {"vector": GOOD}),
        ("NAN_OR_INF", {"vector": with_value(np.nan)[0]}),
        ("NAN_OR_INF", {"vector": with_value(1e30)[0]}),
        ("ZERO_VECTOR", {"vector": GOOD[0] * 0}),
        ("BAD_VECTOR", {"using": "b", "vector": GOOD[0][:2]}),
        ("NAN_OR_INF", {"score_threshold": np.nan}),
        ("BAD_ARGUMENT", {"timeout_s": 0.0}),
        ("COLLECTION_NOT_FOUND", {"collection": "d"}),
        ("BAD_NAME", {"collection": "../c"}),
    ],
)
def test_a_bad_query_is_refused(db: Database, reason: str, change: dict) -> None:
    request = dataclasses.replace(QueryRequest("c", GOOD[0], "v"), **change)
    with pytest.raises(VecstoreError) as caught:
        db.query(request)
    assert caught.value.reason == reason
    if "k" in change or "vector" in change:
        with pytest.raises(VecstoreError, match=r"queries\[1\]: "):
            db.query_batch([QueryRequest("c", GOOD[0], "v"), request])


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("BAD_SCHEMA", VectorField(VectorKind.DENSE, 0, Metric.L2)),
        ("LIMIT_EXCEEDED", VectorField(VectorKind.DENSE, 8193, Metric.L2)),
        ("BAD_SCHEMA", VectorField(VectorKind.DENSE, 8, Metric.HAMMING)),
        ("BAD_SCHEMA", VectorField(VectorKind.BINARY, 8, Metric.L2)),
        ("BAD_SCHEMA", VectorField(VectorKind.BINARY, 9, Metric.HAMMING)),
        ("BAD_SCHEMA", VectorField(VectorKind.BINARY, 8, Metric.HAMMING, DataType.FLOAT16)),
    ],
)
def test_a_bad_schema_is_refused(db: Database, name: str, field: VectorField) -> None:
    with pytest.raises(InvalidArgument) as caught:
        db.create_collection("d", Schema({"v": field}))
    assert caught.value.reason == name
    assert not db.has_collection("d")


def test_creating_twice(db: Database) -> None:
    assert db.create_collection("c", SCHEMA, exist_ok=True).name == "c"
    with pytest.raises(AlreadyExists, match="exists"):
        db.create_collection("c", SCHEMA)
    with pytest.raises(AlreadyExists, match="another schema"):
        db.create_collection("c", Schema({"v": SCHEMA.vectors["v"]}), exist_ok=True)


def test_values_that_overflow_the_stored_type_are_refused(db: Database) -> None:
    db.create_collection("h", Schema({"v": VectorField(VectorKind.DENSE, 4, Metric.L2, DataType.FLOAT16)}))
    with pytest.raises(InvalidArgument, match="float16"):
        db.write(UpsertRequest("h", PointBatch([1], {"v": VectorBatch(np.full((1, 4), 70_000.0))})))


@pytest.mark.parametrize("datatype", DataType)
@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2])
def test_every_datatype_and_metric_agrees_with_numpy(db: Database, datatype: DataType, metric: Metric) -> None:
    db.create_collection("d", Schema({"v": VectorField(VectorKind.DENSE, DIM, metric, datatype)}))
    rows = vectors_of(range(200))
    db.write(UpsertRequest("d", PointBatch(list(range(200)), {"v": VectorBatch(rows)})))
    points, _ = db.get(GetRequest("d", list(range(200)), Selection(False, True)))
    stored = np.stack([point.vectors["v"] for point in points if point.vectors]).astype(np.float64)
    precision = {DataType.FLOAT32: 0, DataType.FLOAT16: 2**-11, DataType.BFLOAT16: 2**-8}[datatype]
    np.testing.assert_allclose(stored, rows, rtol=precision, atol=1e-7)
    query = vectors_of(["q"])[0]
    expected = {
        Metric.COSINE: stored @ query / np.linalg.norm(stored, axis=1) / np.linalg.norm(query),
        Metric.DOT: stored @ query,
        Metric.L2: np.linalg.norm(stored - query, axis=1),
    }[metric]
    order = np.argsort(expected if metric is Metric.L2 else -expected, kind="stable")[:10]
    hits = db.query(QueryRequest("d", query, k=10))
    assert [hit.id for hit in hits] == order.tolist()
    np.testing.assert_allclose([hit.score for hit in hits], expected[order], rtol=1e-5)
    bound = float(expected[order][4]) + (1e-4 if metric is Metric.L2 else -1e-4)
    near = db.query(QueryRequest("d", query, k=10, score_threshold=bound))
    assert [hit.id for hit in near] == order[:5].tolist()
    paged = db.query(QueryRequest("d", query, k=4, offset=3))
    assert [hit.id for hit in paged] == order[3:7].tolist()


def test_selection_limits_what_comes_back(db: Database) -> None:
    put(db, ["a"])
    hit = db.query(QueryRequest("c", GOOD[0], "v", select=Selection(["n", "zz"], ["b"])))[0]
    assert hit.payload == {"n": 0}
    assert hit.vectors is not None
    assert list(hit.vectors) == ["b"]
    hit = db.query(QueryRequest("c", GOOD[0], "v", select=Selection(False)))[0]
    assert (hit.payload, hit.vectors) == (None, None)


def test_min_seq_is_waited_for(db: Database) -> None:
    seq = put(db, ["a"]).seq
    assert db.query(QueryRequest("c", GOOD[0], "v", min_seq=seq)).seq == seq
    with pytest.raises(DeadlineExceeded, match=f"min_seq={seq + 1}"):
        db.query(QueryRequest("c", GOOD[0], "v", min_seq=seq + 1, timeout_s=0.05))


def test_strict_filters_want_an_index(reopen: Callable[..., Database]) -> None:
    db = reopen(msgspec.structs.replace(SMALL, search=Search(strict_filters=True)))
    db.create_collection("c", SCHEMA)
    put(db, range(10))
    assert db.count(CountRequest("c", F("n").lt(3)))[0] == 3
    for call in (
        lambda: db.count(CountRequest("c", F("id").eq("1"))),
        lambda: db.query(QueryRequest("c", GOOD[0], "v", F("id").eq("1"))),
        lambda: db.write(DeleteRequest("c", filter=F("id").eq("1"))),
    ):
        with pytest.raises(InvalidArgument, match="INDEX_REQUIRED"):
            call()
    settle(db, db.create_field_index(FieldIndexRequest("c", "id", FieldKind.KEYWORD)))
    assert db.write(DeleteRequest("c", filter=F("id").eq("1"))).changed == 1


@pytest.mark.parametrize("sealed", [False, True])
def test_a_filter_may_not_name_a_vector_that_is_not_there(db: Database, sealed: bool) -> None:
    put(db, range(10))
    if sealed:
        settle(db, db.compact("c"))
    where = ~has_vector("misspelt") & F("n").gte(0)
    requests: list[Callable[[], object]] = [
        lambda: db.count(CountRequest("c", where)),
        lambda: db.query(QueryRequest("c", GOOD[0], "v", where)),
        lambda: db.write(DeleteRequest("c", filter=where)),
        lambda: db.write(PayloadRequest("c", PayloadOp.CLEAR, filter=where)),
        lambda: db.write(DeleteRequest("c", ids=[1], if_match=IfMatch(where))),
    ]
    for request in requests:
        with pytest.raises(InvalidArgument, match="misspelt") as bad:
            request()
        assert bad.value.reason == "VECTOR_NAME_UNKNOWN"
    assert db.count(CountRequest("c"))[0] == 10


def test_a_payload_change_by_filter_is_bounded_and_whole(reopen: Callable[..., Database]) -> None:
    db = reopen(msgspec.structs.replace(SMALL, limits=Limits(filtered_update_points_max=5, payload_bytes_max=40)))
    db.create_collection("c", SCHEMA)
    put(db, range(10))
    change = PayloadRequest("c", PayloadOp.SET, filter=F("n").gte(0), payload=b'{"x":1}')
    with pytest.raises(InvalidArgument, match="filtered_update_points_max=5"):
        db.write(change)
    grow = PayloadRequest("c", PayloadOp.SET, filter=F("n").lt(5), payload=b'{"x":"yyyyyyyyyyyyyyyyyyyy"}')
    with pytest.raises(InvalidArgument, match="payload_bytes_max=40"):
        db.write(grow)
    assert db.count(CountRequest("c", F("x").exists()))[0] == 0
    assert db.write(dataclasses.replace(change, filter=F("n").lt(5))).changed == 5


@pytest.mark.parametrize(
    "request_",
    [
        DeleteRequest("c"),
        DeleteRequest("c", ids=[1], filter=F("n").eq(1)),
        PayloadRequest("c", PayloadOp.SET, ids=[1]),
        PayloadRequest("c", PayloadOp.CLEAR, ids=[1], payload=b"{}"),
        PayloadRequest("c", PayloadOp.DELETE_KEYS, ids=[1]),
    ],
)
def test_a_change_that_says_too_little_or_too_much(db: Database, request_: DeleteRequest | PayloadRequest) -> None:
    with pytest.raises(InvalidArgument):
        db.write(request_)
    assert db.collection_info("c").seq == 0


def test_one_process_per_directory_and_nothing_after_close(tmp_path: Path, reopen: Callable[..., Database]) -> None:
    db = reopen()
    db.create_collection("c", SCHEMA)
    with pytest.raises(FailedPrecondition, match="DIRECTORY_LOCKED"):
        Database.open(tmp_path / "data", SMALL)
    db.close()
    db.close()
    with pytest.raises(Unavailable, match="closed"):
        put(db, [1])
    Database.open(tmp_path / "data", SMALL).close()


def test_write_modes_count_what_they_skip(db: Database) -> None:
    put(db, ["a", "b"])
    for mode, expected in ((WriteMode.INSERT_ONLY, (1, 2)), (WriteMode.UPDATE_ONLY, (3, 0))):
        result = db.write(UpsertRequest("c", batch_of(["a", "b", "c"]), mode))
        assert (result.changed, result.skipped) == expected


def test_in_memory_offers_the_same(reopen: Callable[..., Database]) -> None:
    with Database.open(None, SMALL) as db:
        db.create_collection("c", SCHEMA)
        put(db, range(700))
        settle(db, db.compact("c"))
        assert [segment["kind"] for segment in db.stats("c")["segments"]] == ["sealed"]
        assert db.query(QueryRequest("c", vectors_of([5])[0], "v", k=1))[0].id == 5
        assert db.wait_operation(db.verify().id, 60).error is None


def test_a_closed_database_answers_nothing(tmp_path: Path) -> None:
    for place in (None, tmp_path / "db"):
        database = Database.open(place, SMALL)
        database.create_collection("c", SCHEMA)
        put(database, ["a"])
        database.close()
        database.close()
        for call in (
            lambda: database.query(QueryRequest("c", GOOD[0])),  # noqa: B023
            lambda: database.get(GetRequest("c", ["a"])),  # noqa: B023
            lambda: database.count(CountRequest("c")),  # noqa: B023
            lambda: database.stats("c"),  # noqa: B023
            lambda: database.has_collection("c"),  # noqa: B023
            database.list_collections,
            database.list_aliases,
            lambda: put(database, ["b"]),  # noqa: B023
        ):
            with pytest.raises(Unavailable, match="the database is closed"):
                call()
