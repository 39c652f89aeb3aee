"""Bad input through the SDK, on every way to reach a database: a typed error that names the thing, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecstore import (
    DBSF,
    RRF,
    Binary,
    Dense,
    InvalidArgument,
    NearestId,
    NotFound,
    OrderBy,
    Prefetch,
    Query,
    Sample,
    VecstoreError,
)

GOOD = np.eye(3, 4, dtype=np.float32)


def with_value(value: float) -> np.ndarray:
    rows = GOOD.copy()
    rows[1, 2] = value
    return rows


BAD_UPSERTS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "wrong dimension": ("DIMENSION_MISMATCH", lambda c: c.upsert([1, 2], {"v": np.ones((2, 5))})),
    "wrong bits": ("DIMENSION_MISMATCH", lambda c: c.upsert([1], {"b": np.ones((1, 24), dtype=bool)})),
    "NaN": ("NAN_OR_INF", lambda c: c.upsert([1, 2, 3], {"v": with_value(np.nan)})),
    "Inf": ("NAN_OR_INF", lambda c: c.upsert([1, 2, 3], {"v": with_value(-np.inf)})),
    "beyond float32": ("NAN_OR_INF", lambda c: c.upsert([1], {"v": np.array([[1e39, 0, 0, 0]])})),
    "zero vector under cosine": ("ZERO_VECTOR", lambda c: c.upsert([1, 2, 3], {"v": GOOD * [[1], [0], [1]]})),
    "unknown vector name": ("VECTOR_NAME_UNKNOWN", lambda c: c.upsert([1, 2, 3], {"w": GOOD})),
    "which vector is meant": ("VECTOR_NAME_UNKNOWN", lambda c: c.upsert([1, 2, 3], GOOD)),
    "empty batch": ("EMPTY_BATCH", lambda c: c.upsert([], {"v": np.zeros((0, 4))})),
    "fewer rows than ids": ("BAD_VECTOR", lambda c: c.upsert([1, 2, 3, 4], {"v": GOOD})),
    "ragged rows": ("DIMENSION_MISMATCH", lambda c: c.upsert([1, 2], {"v": [[1, 2, 3, 4], [1, 2, 3]]})),
    "text for numbers": ("BAD_VECTOR", lambda c: c.upsert([1], {"v": [["a", "b", "c", "d"]]})),
    "numbers for bits": ("BAD_VECTOR", lambda c: c.upsert([1], {"b": np.full((1, 2), 0.5)})),
    "negative id": ("BAD_ID", lambda c: c.upsert([-1, 2, 3], {"v": GOOD})),
    "id beyond u64": ("BAD_ID", lambda c: c.upsert([1, 2, 2**64], {"v": GOOD})),
    "empty string id": ("BAD_ID", lambda c: c.upsert(["a", "", "c"], {"v": GOOD})),
    "float id": ("BAD_ID", lambda c: c.upsert([1, 2.5, 3], {"v": GOOD})),
    "long string id": ("LIMIT_EXCEEDED", lambda c: c.upsert(["a", "x" * 129, "c"], {"v": GOOD})),
    "payload that is no object": ("BAD_PAYLOAD", lambda c: c.upsert([1, 2, 3], {"v": GOOD}, [{}, [1], {}])),
    "NaN in a payload": ("BAD_PAYLOAD", lambda c: c.upsert([1, 2, 3], {"v": GOOD}, [{}, {"a": [{"b": np.nan}]}, {}])),
    "payload without JSON form": ("BAD_PAYLOAD", lambda c: c.upsert([1, 2, 3], {"v": GOOD}, [{}, {"a": object()}, {}])),
    "broken JSON bytes": ("BAD_PAYLOAD", lambda c: c.upsert([1, 2, 3], {"v": GOOD}, [None, b'{"a":', None])),
    "large payload": ("LIMIT_EXCEEDED", lambda c: c.upsert([1, 2, 3], {"v": GOOD}, [{}, {"a": "x" * 65_600}, {}])),
    "deep payload": ("LIMIT_EXCEEDED", lambda c: c.upsert([1, 2, 3], {"v": GOOD}, [{}, {"a": nested(17)}, {}])),
    "too few payloads": ("BAD_PAYLOAD", lambda c: c.upsert([1, 2, 3], {"v": GOOD}, [{}])),
    "unknown mode": ("BAD_MODE", lambda c: c.upsert([1, 2, 3], {"v": GOOD}, mode="replace")),
    "NaN in a set payload": ("BAD_PAYLOAD", lambda c: c.set_payload({"a": float("inf")}, [10])),
    "ids and filter": ("*", lambda c: c.delete([10], filter={"key": "n", "match": {"value": 0}})),
    "neither ids nor filter": ("*", lambda c: c.delete()),
}

BAD_READS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "wrong dimension": ("DIMENSION_MISMATCH", lambda c: c.query(np.ones(5), using="v")),
    "a matrix": ("BAD_VECTOR", lambda c: c.query(np.ones((1, 4)), using="v")),
    "NaN": ("NAN_OR_INF", lambda c: c.query([1, 2, np.nan, 4], using="v")),
    "Inf": ("NAN_OR_INF", lambda c: c.query([1, 2, np.inf, 4], using="v")),
    "zero vector": ("ZERO_VECTOR", lambda c: c.query(np.zeros(4), using="v")),
    "unknown vector name": ("VECTOR_NAME_UNKNOWN", lambda c: c.query(np.ones(4), using="w")),
    "which vector is meant": ("VECTOR_NAME_UNKNOWN", lambda c: c.query(np.ones(4))),
    "k past the limit": ("LIMIT_EXCEEDED", lambda c: c.query(np.ones(4), k=10_001, using="v")),
    "absurd k": ("LIMIT_EXCEEDED", lambda c: c.query(np.ones(4), k=10**30, using="v")),
    "k that is no number": ("BAD_ARGUMENT", lambda c: c.query(np.ones(4), k="ten", using="v")),
    "k of zero": ("*", lambda c: c.query(np.ones(4), k=0, using="v")),
    "negative offset": ("*", lambda c: c.query(np.ones(4), offset=-1, using="v")),
    "a field that is no name": ("VECTOR_NAME_UNKNOWN", lambda c: c.query(np.ones(4), using=["v"])),
    "threshold that is no number": ("BAD_ARGUMENT", lambda c: c.query(np.ones(4), using="v", score_threshold=[1])),
    "text for a threshold": ("BAD_ARGUMENT", lambda c: c.query(np.ones(4), using="v", score_threshold="high")),
    "infinite threshold": ("*", lambda c: c.query(np.ones(4), using="v", score_threshold=np.inf)),
    "a prefetch's threshold": (
        "BAD_ARGUMENT",
        lambda c: c.query(prefetch=[Prefetch(vector=np.ones(4), using="v", score_threshold="high")], fusion=RRF()),
    ),
    "payload by number": ("BAD_ARGUMENT", lambda c: c.query(np.ones(4), using="v", with_payload=3)),
    "vectors by number": ("BAD_ARGUMENT", lambda c: c.get([10], with_vectors=[3])),
    "text for a timeout": ("BAD_ARGUMENT", lambda c: c.query(np.ones(4), using="v", timeout_s="soon")),
    "timeout of nothing": ("BAD_ARGUMENT", lambda c: c.query(np.ones(4), using="v", timeout_s=0)),
    "unknown condition": ("BAD_FILTER", lambda c: c.query(np.ones(4), using="v", filter={"key": "a", "like": "x"})),
    "filter that is no filter": ("BAD_FILTER", lambda c: c.count("n = 1")),
    "NaN in a filter": ("BAD_FILTER", lambda c: c.count({"key": "a", "range": {"gte": np.nan}})),
    "deep filter": ("LIMIT_EXCEEDED", lambda c: c.count(deep_filter(33))),
    "one bad row of a batch": ("NAN_OR_INF", lambda c: c.query_batch(with_value(np.nan), using="v")),
    "a bad id": ("BAD_ID", lambda c: c.get([1.5])),
}

LEG = Prefetch(vector=np.ones(4), using="v")
WRONG_TYPES: dict[str, Callable[[Any], object]] = {
    "order_by.key": lambda c: c.query(OrderBy(5)),  # type: ignore[arg-type]
    "order_by.start_from": lambda c: c.query(OrderBy("n", start_from=[1])),  # type: ignore[arg-type]
    "order_by.start_from=True": lambda c: c.query(OrderBy("n", start_from=True)),
    "order_by.start_from='yesterday'": lambda c: c.query(OrderBy("at", start_from="yesterday")),
    "order_by.after": lambda c: c.query(OrderBy("n", start_from=1, after=1.5)),  # type: ignore[arg-type]
    "order_by.descending": lambda c: c.query(OrderBy("n", descending="yes")),  # type: ignore[arg-type]
    "queries[0]: order_by.key": lambda c: c.query_batch([Query(OrderBy(5), 3)]),  # type: ignore[arg-type]
    "sample.seed": lambda c: c.query(Sample("x")),  # type: ignore[arg-type]
    "nearest_id": lambda c: c.query(NearestId(1.5), using="v"),  # type: ignore[arg-type]
    "fusion": lambda c: c.query(prefetch=[LEG], fusion="rrf"),
    "fusion.weights[0]": lambda c: c.query(prefetch=[LEG], fusion=DBSF(["x"])),  # type: ignore[list-item]
    "prefetch[0]: score_threshold": lambda c: c.query(
        prefetch=[Prefetch(vector=np.ones(4), using="v", score_threshold="a")],  # type: ignore[arg-type]
        fusion=DBSF(),
    ),
    "score_threshold": lambda c: c.query(np.ones(4), using="v", score_threshold="a"),
    "mmr": lambda c: c.query(np.ones(4), using="v", mmr="x"),
    "group_by": lambda c: c.query_groups(np.ones(4), using="v", group_by=5),
    "key": lambda c: c.facet(5),
    "with_payload": lambda c: c.query(np.ones(4), using="v", with_payload=3),
    "with_vectors": lambda c: c.query(np.ones(4), using="v", with_vectors=[3]),
    "timeout_s": lambda c: c.query(np.ones(4), using="v", timeout_s="x"),
    "timeout_s=-1": lambda c: c.query(np.ones(4), using="v", timeout_s=-1),
    "explain": lambda c: c.query(np.ones(4), using="v", explain="x"),
}

BAD_SCHEMAS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "name": ("BAD_NAME", lambda db: db.create_collection("../up", vectors=Dense(4))),
    "vector name": ("BAD_NAME", lambda db: db.create_collection("x", vectors={"a b": Dense(4)})),
    "nothing": ("BAD_SCHEMA", lambda db: db.create_collection("x")),
    "metric": ("BAD_SCHEMA", lambda db: db.create_collection("x", vectors={"dim": 4, "metric": "manhattan"})),
    "unknown key": ("BAD_SCHEMA", lambda db: db.create_collection("x", vectors={"v": {"dim": 4, "size": 4}})),
    "bits": ("BAD_SCHEMA", lambda db: db.create_collection("x", binary=Binary(12))),
    "zero dim": ("BAD_SCHEMA", lambda db: db.create_collection("x", vectors=Dense(0))),
    "dim past the limit": ("LIMIT_EXCEEDED", lambda db: db.create_collection("x", vectors=Dense(8_193))),
    "absurd dim": ("*", lambda db: db.create_collection("x", vectors=Dense(2**70))),
    "twice": ("BAD_SCHEMA", lambda db: db.create_collection("x", vectors={"v": Dense(8)}, binary={"v": Binary(8)})),
    "index kind": ("BAD_SCHEMA", lambda db: db.create_collection("x", vectors=Dense(8), indexes={"a": "number"})),
}


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def deep_filter(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"key": "a", "match": {"value": 1}}
    for _ in range(depth):
        tree = {"must": [tree]}
    return tree


def check(reason: str, call: Callable[[Any], object], subject: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        call(subject)
    assert refused.value.message
    if reason != "*":
        assert refused.value.reason == reason, refused.value


def test_bad_writes_write_nothing(db: Any) -> None:
    docs = db.create_collection("docs", vectors={"v": Dense(4)}, binary={"b": Binary(16)})
    docs.upsert([10], {"v": GOOD[:1]}, [{"n": 0}])
    seq = docs.info().seq
    for name, (reason, call) in BAD_UPSERTS.items():
        try:
            check(reason, call, docs)
        except BaseException as error:
            error.add_note(f"case: {name}")
            raise
    assert docs.count() == 1
    assert docs.info().seq == seq
    assert docs.get(10)[0].payload == {"n": 0}


def test_bad_reads(db: Any) -> None:
    docs = db.create_collection("docs", vectors={"v": Dense(4)}, binary={"b": Binary(16)})
    docs.upsert([10], {"v": GOOD[:1]})
    for name, (reason, call) in BAD_READS.items():
        try:
            check(reason, call, docs)
        except BaseException as error:
            error.add_note(f"case: {name}")
            raise


def test_values_of_wrong_types_are_named(db: Any) -> None:
    """By the same words, whatever would carry them."""
    docs = db.create_collection("docs", vectors={"v": Dense(4)})
    for name, call in WRONG_TYPES.items():
        with pytest.raises(InvalidArgument) as refused:
            call(docs)
        assert refused.value.message.startswith(name), refused.value
        assert refused.value.reason in ("BAD_ARGUMENT", "BAD_ID")
    numbers = docs.query(np.ones(4), np.int64(2), using="v", score_threshold=np.float32(1), timeout_s=np.float32(5))
    assert len(numbers) == 0


def test_bad_schemas_create_nothing(db: Any) -> None:
    for name, (reason, call) in BAD_SCHEMAS.items():
        try:
            check(reason, call, db)
        except BaseException as error:
            error.add_note(f"case: {name}")
            raise
    assert db.list_collections() == []


def test_limits_are_accepted_at_their_bound(db: Any) -> None:
    docs = db.create_collection("docs", vectors={"v": Dense(4)})
    docs.upsert(["x" * 128], GOOD[:1], [{"a": nested(15)}])
    assert len(docs.query(GOOD[0], k=10_000)) == 1


def test_a_dropped_collection_answers_not_found(db: Any) -> None:
    docs = db.create_collection("docs", vectors={"v": Dense(4)})
    db.delete_collection("docs")
    for call in (lambda: docs.upsert([1], GOOD[:1]), lambda: docs.query(GOOD[0]), lambda: list(docs.scroll())):
        with pytest.raises(NotFound) as missing:
            call()
        assert missing.value.reason == "COLLECTION_NOT_FOUND"


def test_errors_read_as_reason_and_message(db: Any) -> None:
    with pytest.raises(VecstoreError, match=r"^COLLECTION_NOT_FOUND: .*nothing-here"):
        db.get_collection("nothing-here")
