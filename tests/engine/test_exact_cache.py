"""Exact searches that read bytes first: when these are made, what they may take, and that answers stay the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_support import settle
from seeds import seeded

from vecstore.config import Search, Settings, Storage
from vecstore.engine import exact_cache
from vecstore.engine.database import Database
from vecstore.engine.exact_cache import _Waits
from vecstore.engine.guard import CheckedRows, guarded
from vecstore.errors import Cancelled, Corruption
from vecstore.index import flat, maxsim_flat
from vecstore.index.base import SearchParams
from vecstore.index.flat import FlatIndex
from vecstore.index_spec import IVF, RaBitQ
from vecstore.kernels.base import Kernels
from vecstore.kernels.row_bytes import RowBytes
from vecstore.kernels.select import get_kernels
from vecstore.kernels.stop import Stop
from vecstore.query.builder import F
from vecstore.schema import DataType, Metric, Schema, VectorField, VectorKind
from vecstore.storage.interfaces import CheckedBlob
from vecstore.tokens import TokenRows
from vecstore.types import DeleteRequest, PointBatch, QueryRequest, UpsertRequest, VectorBatch

DIM = 64
SCHEMA = Schema(
    {
        "cosine": VectorField(VectorKind.DENSE, DIM, Metric.COSINE),
        "l2": VectorField(VectorKind.DENSE, DIM, Metric.L2, DataType.FLOAT16),
        "dot": VectorField(VectorKind.DENSE, DIM, Metric.DOT, DataType.BFLOAT16),
    }
)
SETTINGS = Settings(
    storage=Storage(maintenance=False, index_rows_min=1 << 30, disk_reserve_bytes=0), search=Search(shadow_sample=0.0)
)
ROUNDS = get_kernels().round_rows(Metric.DOT, np.ones((1, 8), np.float32), None) is not None
pytestmark = pytest.mark.skipif(not ROUNDS, reason="these kernels read rows themselves")


def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that bytes are made of few rows, and soon."""
    for module, name, value in (
        (flat, "ROWS_MIN", 64),
        (maxsim_flat, "TOKENS_MIN", 64),
        (exact_cache, "GROWN_MIN", 32),
        (exact_cache, "SCANS", 2),
    ):
        monkeypatch.setattr(module, name, value)


def _database(exact_cache_bytes: int = 0) -> Database:
    search = msgspec.structs.replace(SETTINGS.search, exact_cache_bytes=exact_cache_bytes)
    db = Database.open(None, msgspec.structs.replace(SETTINGS, search=search))
    db.create_collection("c", SCHEMA)
    return db


def _put(db: Database, ids: range | np.ndarray, seed: int = 0) -> None:
    rows = np.random.default_rng([seed, len(ids)]).standard_normal((len(ids), DIM)).astype(np.float32)
    stored = {"cosine": rows, "l2": rows.astype(np.float16), "dot": (rows.view(np.uint32) >> 16).astype(np.uint16)}
    numbers = np.asarray(ids).tolist()
    payloads = [msgspec.json.encode({"n": n}) for n in numbers]
    db.write(UpsertRequest("c", PointBatch(numbers, {name: VectorBatch(r) for name, r in stored.items()}, payloads)))


def _ask(db: Database, name: str = "cosine", seed: int = 0, **given: Any) -> tuple[list[Any], np.ndarray]:
    query = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    hits = db.query(QueryRequest("c", query, using=name, **{"k": 10, **given}))
    return hits.ids.tolist(), hits.scores


def _kept(db: Database) -> int:
    return db.memory()["exact_cache"][0]


def _bytes_of(n: int, l2: bool = False) -> int:
    return n * (DIM + (8 if l2 else 4)) + -(-n // 32) * 8 + -n % 32 * DIM


def test_answers_stay_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """While points come, change, go and are sealed, against a database that keeps nothing."""
    _eager(monkeypatch)
    rng = seeded()
    with _database() as db, _database(exact_cache_bytes=1) as plain:
        both, used = (db, plain), False
        for step in range(25):
            ids = rng.choice(3_000, int(rng.integers(1, 300)), replace=False)
            for one in both:
                _put(one, ids, seed=step)
            for one in both if rng.random() < 0.5 else ():
                one.write(DeleteRequest("c", ids[:20].tolist()))
            if step % 8 == 7:
                for one in both:
                    settle(one, one.compact("c"))
            for name in SCHEMA.vectors:
                for where in (None, F("n").gte(int(rng.integers(3_000)))):
                    seed, k = int(rng.integers(1 << 30)), int(rng.choice([1, 10, 60]))
                    for _ in range(3):
                        ours, theirs = (_ask(one, name, seed, k=k, filter=where) for one in both)
                        assert ours[0] == theirs[0]
                        assert ours[1].tobytes() == theirs[1].tobytes()
            used = used or _kept(db) > 0
        assert used
        assert _kept(plain) == 0


def test_bytes_come_with_the_fourth_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, given = type(get_kernels()), []
    scan = kind.scan

    def watched(self: Kernels, *args: Any) -> None:
        given.append(0 if args[-1] is None else len(args[-1]))
        scan(self, *args)

    monkeypatch.setattr(kind, "scan", watched)
    with _database() as db:
        _put(db, range(4_000))
        seen = []
        for _ in range(6):
            _ask(db)
            seen.append(_kept(db))
        assert seen == [0, 0, 0, *[_bytes_of(4_000)] * 3]
        assert given == [0, 0, 0, *[4_000] * 3]
        _ask(db, "l2")
        assert _kept(db) == _bytes_of(4_000)
        many = np.random.default_rng(1).standard_normal((128, DIM)).astype(np.float32)
        db.query_many(QueryRequest("c", many, using="l2"))
        assert _kept(db) == _bytes_of(4_000) + _bytes_of(4_000, l2=True)


@pytest.mark.parametrize(
    "given",
    [
        {"filter": F("n").lt(400)},
        {"k": 300},
        {"params": SearchParams(truncate_dim=32)},
    ],
    ids=["few rows are allowed", "many are asked for", "prefixes"],
)
def test_where_bytes_would_not_pay_none_are_made(given: dict[str, Any]) -> None:
    with _database() as db:
        _put(db, range(4_000))
        for _ in range(6):
            _ask(db, **given)
        assert _kept(db) == 0


def test_few_rows_are_scanned_as_they_are() -> None:
    with _database() as db:
        _put(db, range(flat.ROWS_MIN - 1))
        for _ in range(6):
            _ask(db)
        assert _kept(db) == 0


def test_those_of_a_growing_segment_grow() -> None:
    with _database() as db:
        _put(db, range(4_000))
        for _ in range(4):
            _ask(db)
        _put(db, range(4_000, 4_900))  # fewer than are worth it
        _ask(db)
        assert _kept(db) == _bytes_of(4_000)
        _put(db, range(4_900, 5_300))
        _ask(db)
        assert _kept(db) == _bytes_of(5_300)
        best = _ask(db)
        for _ in range(2):
            assert _ask(db)[0] == best[0]


def test_they_stay_within_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least used go; and what comes back has to be scanned more often."""
    bound = 4_000 * (DIM + 8) + 1_000
    with _database(bound) as db:
        _put(db, range(4_000))
        for _ in range(4):
            _ask(db)
        assert _kept(db) == _bytes_of(4_000)
        for _ in range(4):
            _ask(db, "dot")
        assert _kept(db) == _bytes_of(4_000)
        made = []
        rounded = FlatIndex.rounded

        def counting(self: FlatIndex, kernels: Kernels, first: int) -> RowBytes | None:
            made.append(first)
            return rounded(self, kernels, first)

        monkeypatch.setattr(FlatIndex, "rounded", counting)
        for _ in range(15):
            _ask(db)
        assert not made
        _ask(db)
        assert made == [0]
        _put(db, range(4_000, 9_000))
        for _ in range(20):
            _ask(db)
        assert _kept(db) <= bound


def test_those_of_a_segment_that_is_gone_go() -> None:
    with _database() as db:
        _put(db, range(4_000))
        for _ in range(4):
            _ask(db)
        settle(db, db.compact("c"))  # the growing segment is sealed
        for _ in range(4):
            _ask(db)
        assert _kept(db) == _bytes_of(4_000)


def test_an_indexed_segment_has_them_for_exact_searches() -> None:
    storage = msgspec.structs.replace(SETTINGS.storage, index_rows_min=500, in_place_rows=100_000)
    with Database.open(None, msgspec.structs.replace(SETTINGS, storage=storage)) as db:
        spec = IVF(8, RaBitQ(bits=4))
        db.create_collection("c", Schema({"cosine": VectorField(VectorKind.DENSE, DIM, Metric.COSINE, index=spec)}))
        rows = np.random.default_rng(0).standard_normal((4_000, DIM)).astype(np.float32)
        db.write(UpsertRequest("c", PointBatch(list(range(4_000)), {"cosine": VectorBatch(rows)}, None)))
        settle(db, db.compact("c"))
        for _ in range(6):
            _ask(db)
        assert _kept(db) == 0
        asked = [_ask(db, params=SearchParams(exact=True)) for _ in range(6)]
        assert _kept(db) == _bytes_of(4_000)
        assert {scores.tobytes() for _, scores in asked} == {asked[0][1].tobytes()}


def test_who_stops_while_they_are_made_leaves_none() -> None:
    with _database() as db:
        _put(db, range(9_000))
        for _ in range(3):
            _ask(db)
        looks = 0
        while True:
            looks += 1
            stop = Stop()
            stop.flag[0] = looks  # when it is asked so many times
            db.reader.exact._waits.clear()
            db.reader.exact._waits.keep((db.collection("c").view.segments[0].segment.uid, "cosine"), _Waits(3, 4))
            try:
                with stop:
                    _ask(db)
                break
            except Cancelled:
                assert not db.reader.exact._making
        assert looks > 3
        assert _kept(db) == _bytes_of(9_000)


def test_multi_vectors_have_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """While points come, go and are sealed, against a database that keeps nothing."""
    _eager(monkeypatch)
    rng, made = seeded(), 0
    schema = Schema({"t": VectorField(VectorKind.MULTI, DIM, Metric.MAXSIM, DataType.FLOAT16)})
    search = msgspec.structs.replace(SETTINGS.search, exact_cache_bytes=1)
    with (
        Database.open(None, SETTINGS) as db,
        Database.open(None, msgspec.structs.replace(SETTINGS, search=search)) as plain,
    ):
        both = db, plain
        for one in both:
            one.create_collection("c", schema)
        for step in range(12):
            ids = rng.choice(600, int(rng.integers(1, 120)), replace=False).tolist()
            tokens = [rng.standard_normal((int(rng.integers(0, 6)), DIM)) for _ in ids]
            rows = TokenRows.of(tokens, DIM, np.float16)
            for one in both:
                one.write(UpsertRequest("c", PointBatch(ids, {"t": VectorBatch(rows)}, None)))
                if step % 3 == 2:
                    one.write(DeleteRequest("c", ids[:20]))
                if step % 5 == 4:
                    settle(one, one.compact("c"))
            query = TokenRows.of([rng.standard_normal((5, DIM))], DIM, np.float32)
            for _ in range(3):
                ours, theirs = (one.query(QueryRequest("c", query, using="t", k=10)) for one in both)
                assert ours.ids.tolist() == theirs.ids.tolist()
                assert ours.scores.tobytes() == theirs.scores.tobytes()
            made += _kept(db) > 0
        pays = get_kernels().round_tokens(TokenRows.of([np.ones((1, DIM))], DIM, np.float32)) is not None
        assert bool(made) == pays
        assert _kept(plain) == 0


def test_threads_that_ask_at_once() -> None:
    with _database() as db:
        _put(db, range(6_000))
        expected = [_ask(db, seed=seed) for seed in range(3)]
        wrong: list[int] = []

        def ask(thread: int) -> None:
            for at in range(30):
                seed = (thread + at) % 3
                if _ask(db, seed=seed)[0] != expected[seed][0]:
                    wrong.append(seed)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert _kept(db) == _bytes_of(6_000)


def test_rows_are_checked_before_they_are_rounded() -> None:
    class Damaged(CheckedBlob):
        checked = False

        def check_all(self) -> None:
            raise Corruption("damaged")

    rows = np.ones((100, DIM), np.float32)
    kernels = guarded(get_kernels(), CheckedRows(Damaged(memoryview(rows).cast("B")), rows, lambda damage: damage))
    with pytest.raises(Corruption, match="damaged"):
        kernels.round_rows(Metric.DOT, rows, None)
    assert kernels.round_rows(Metric.DOT, rows.copy(), None) is not None  # not the column


def test_rows_that_may_not_stay_in_memory_do_not_as_bytes(tmp_path: Path) -> None:
    storage = Storage(index_rows_min=500, in_place_rows=100_000, resident_vectors_bytes=0, disk_reserve_bytes=0)
    with Database.open(tmp_path, msgspec.structs.replace(SETTINGS, storage=storage)) as db:
        spec = IVF(8, RaBitQ(bits=4))
        db.create_collection("c", Schema({"cosine": VectorField(VectorKind.DENSE, DIM, Metric.COSINE, index=spec)}))
        rows = np.random.default_rng(0).standard_normal((4_000, DIM)).astype(np.float32)
        db.write(UpsertRequest("c", PointBatch(list(range(4_000)), {"cosine": VectorBatch(rows)}, None)))
        settle(db, db.compact("c"))
        _ask(db)
        for _ in range(6):
            _ask(db, params=SearchParams(exact=True))
        assert _kept(db) == 0
