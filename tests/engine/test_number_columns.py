"""What formulas and orders read at payload keys, against payloads in a dictionary, while these are written, moved and
deleted; and what is kept of it."""

from __future__ import annotations

import gc
import math
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_support import settle
from seeds import seeded

from vecstore.config import Search, Settings, Storage
from vecstore.engine.database import Database
from vecstore.engine.key_values import best_at, values_at
from vecstore.engine.number_columns import NumberColumns
from vecstore.engine.number_values import number_of
from vecstore.errors import Corruption
from vecstore.query.formula import FieldValue
from vecstore.query.path import found_at, parse_path, values_of
from vecstore.ranking import Formula, OrderBy
from vecstore.schema import FieldKind, Metric, Schema, VectorField, VectorKind
from vecstore.types import (
    DeleteRequest,
    PayloadOp,
    PayloadRequest,
    PointBatch,
    Prefetch,
    QueryRequest,
    UpsertRequest,
    VectorBatch,
)

N = 60
KEYS = ("n", "m.n", "indexed", 'odd."a\\"b"', "name é")
ODD: list[Any] = ["x", None, [], [4, 2.5, "y", None], [-7, [3]], True, {"n": 1}, 2**70, -0.5, "2024-02-30"]
OFF = Settings(storage=Storage(seal_rows=1 << 30, maintenance=False), search=Search(shadow_sample=0.0))
SCHEMA = Schema({"v": VectorField(VectorKind.DENSE, 2, Metric.L2)}, {"indexed": FieldKind.FLOAT})


def value(rng: np.random.Generator) -> Any:
    draw = rng.random()
    if draw < 0.3:
        return ODD[int(rng.integers(len(ODD)))]
    return int(rng.integers(-9, 9)) if draw < 0.6 else round(float(rng.normal()), 2)


def payload(rng: np.random.Generator) -> dict[str, Any]:
    moment = f"2024-02-{int(rng.integers(1, 29)):02}T0{int(rng.integers(10))}:00:00.000001Z"
    found = {
        "n": value(rng), "indexed": value(rng), "name é": value(rng), "odd": {'a"b': value(rng)},
        "m": {"n": value(rng)} if rng.random() < 0.5 else [{"n": value(rng)}, {"n": value(rng)}],
        "at": moment if rng.random() < 0.7 else [moment, 3, "2024-01-01T00:00:00Z"],
    }  # fmt: skip
    return {key: one for key, one in found.items() if rng.random() < 0.9}


def numbers_of(given: dict[str, Any], key: str, moments: bool) -> list[float]:
    found = values_of(found_at(given, parse_path(key)))
    if moments:
        return [datetime.fromisoformat(one).timestamp() for one in found if isinstance(one, str)]
    return [float(one) for one in found if isinstance(one, int | float) and not isinstance(one, bool)]


def check(db: Database, payloads: dict[int, dict[str, Any]], among: list[int], key: str, moments: bool) -> None:
    """A formula over some points, and an order of all of them, both ways."""
    best = {i: numbers_of(payloads[i], key, moments) for i in payloads}
    prefetch = [Prefetch(np.float32([i, 0]), "v", k=1) for i in among]
    formula = Formula(FieldValue(key, None, moments))
    hits = db.query(QueryRequest("c", ranking=formula, prefetch=prefetch, k=N))
    expected = {i: np.float32(min(best[i])) for i in among if best[i] and np.isfinite(np.float32(min(best[i])))}
    assert {int(str(hit.id)): np.float32(hit.score) for hit in hits} == expected, key
    for descending, pick, sign in ((False, min, 1), (True, max, -1)):
        keyed = {i: sign * pick(found) for i, found in best.items() if found}
        expected_order = sorted((i for i in keyed if keyed[i] < math.inf), key=lambda i: (keyed[i], i))
        order = OrderBy(key, descending, datetime=moments)
        assert db.query(QueryRequest("c", ranking=order, k=N)).ids.tolist() == expected_order, (key, descending)


@pytest.mark.parametrize("bytes_max", [1 << 20, 3_000, 1])
def test_columns_follow_what_is_written(bytes_max: int) -> None:
    rng = seeded()
    settings = msgspec.structs.replace(OFF, search=Search(shadow_sample=0.0, number_cache_bytes=bytes_max))
    with Database.open(None, settings) as db:
        db.create_collection("c", SCHEMA)
        payloads: dict[int, dict[str, Any]] = {}
        for _ in range(40):
            draw = rng.random()
            ids = sorted(set(rng.integers(0, N, 8).tolist()))
            if draw < 0.4 or not payloads:
                fresh = {i: payload(rng) for i in ids}
                vectors = VectorBatch(np.array([[i, 0] for i in ids], np.float32))
                encoded: list[bytes | None] = [msgspec.json.encode(one) for one in fresh.values()]
                db.write(UpsertRequest("c", PointBatch(list(ids), {"v": vectors}, encoded)))
                payloads |= fresh
            elif draw < 0.55:
                known = [i for i in ids if i in payloads] or list(payloads)[:1]
                new = {"n": value(rng)}
                db.write(PayloadRequest("c", PayloadOp.SET, known, payload=msgspec.json.encode(new)))
                payloads |= {i: payloads[i] | new for i in known}
            elif draw < 0.65:
                db.write(DeleteRequest("c", ids=ids[:3]))
                payloads = {i: one for i, one in payloads.items() if i not in ids[:3]}
            elif draw < 0.8:
                settle(db, db.compact("c"))
            if not payloads:
                continue
            among = sorted(set(rng.choice(list(payloads), 5).tolist()))
            for key in rng.permutation(KEYS)[:2].tolist():
                check(db, payloads, among, key, moments=False)
            check(db, payloads, among, "at", moments=True)
            assert db.memory()["number_cache"][0] <= bytes_max


def test_payloads_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    count = 0

    def counted(view: Any, rows: np.ndarray, *rest: Any) -> np.ndarray:
        read.append(len(rows))
        return best_at(view, rows, *rest)

    monkeypatch.setattr("vecstore.engine.number_columns.best_at", counted)
    with Database.open(None, OFF) as db:
        db.create_collection("c", SCHEMA)
        columns = NumberColumns(1 << 20)

        def put(count: int) -> None:
            ids = list(range(count))
            vectors = VectorBatch(np.zeros((count, 2), np.float32))
            encoded: list[bytes | None] = [msgspec.json.encode({"n": i, "indexed": i}) for i in ids]
            db.write(UpsertRequest("c", PointBatch(ids, {"v": vectors}, encoded)))

        def values(rows: list[int], key: str = "n") -> list[float]:
            (view,) = (one for one in db.collection("c").view.segments if one.n_rows)
            return columns.values(view, np.array(rows), key, False).tolist()

        put(2_000)
        assert values([3, 5, 1_999]) == [3, 5, 1_999]
        assert values([5, 3, 7, 3]) == [5, 3, 7, 3]
        assert read == [3, 1]
        put(2_100)  # rows of the same segment, which is wider than its column now
        assert values([5, 7, 2_048, 4_000]) == [5, 7, 48, 2_000]
        assert read == [3, 1, 2]
        settle(db, db.compact("c"))
        gc.collect()
        assert values([3, 5]) == [3, 5] == values([3, 5])
        assert read == [3, 1, 2, 2]
        assert values([9], "indexed") == [9]
        assert values(list(range(2_100)), "indexed") == list(range(2_100))
        assert read == [3, 1, 2, 2]  # the index gave all
        assert columns.cached_bytes == 9 * 2 * 2_100
        for count in (1_500, 1_000):
            db.write(DeleteRequest("c", ids=list(range(count, 2_100))))
            settle(db, db.compact("c"))
            gc.collect()
            values([3])
            assert columns.cached_bytes == 9 * count, "what was read of segments that are gone is let go"


class Stored:
    def __init__(self, payloads: list[bytes | None]) -> None:
        self.segment, self.payloads = self, payloads

    def take_payloads(self, rows: np.ndarray) -> list[bytes | None]:
        return [self.payloads[row] for row in rows.tolist()]


@pytest.mark.parametrize("key", KEYS)
def test_values_at_a_key_are_those_of_whole_payloads(key: str) -> None:
    rng = seeded()
    payloads = [payload(rng) for _ in range(300)]
    stored: Any = Stored([None, b"{}", *(msgspec.json.encode(one) for one in payloads)])
    found = list(values_at(stored, np.arange(302), key))
    assert found == [[], [], *(values_of(found_at(one, parse_path(key))) for one in payloads)]


@pytest.mark.parametrize("bad", [b"[1]", b'{"n": 1', b'{"n": \xff}', b'{"n":' + b"[" * 100_000])
@pytest.mark.parametrize("key", ["n", 'a."b"', '"a\\"b"'])
def test_a_payload_that_is_none_is_corruption(bad: bytes, key: str) -> None:
    stored: Any = Stored([b'{"n": 1}', bad])
    with pytest.raises(Corruption, match="no JSON object"):
        best_at(stored, np.array([0, 1]), key, number_of)
