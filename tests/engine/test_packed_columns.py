"""Sparse rows of sealed segments are packed, come back bit for bit, and older segments are read beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_support import settle

from vecstore.config import Settings, Storage
from vecstore.engine import sparse_columns
from vecstore.engine.database import Database
from vecstore.engine.row_columns import held_rows
from vecstore.errors import Corruption
from vecstore.index_spec import Inverted
from vecstore.packed_sparse import PackedRows
from vecstore.rows import TextRows
from vecstore.schema import DataType, Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows, SparseVector, sparse_rows
from vecstore.types import DeleteRequest, GetRequest, PointBatch, QueryRequest, Selection, UpsertRequest, VectorBatch

SCHEMA = Schema({
    "half": VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT16),
    "single": VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT32, index=Inverted()),
    "text": VectorField(VectorKind.TEXT, 0, Metric.BM25),
})  # fmt: skip
WORDS = [f"w{i}" for i in range(300)]


def settings(worker: bool) -> Settings:
    return Settings(storage=Storage(seal_rows=1000, in_place_rows=0 if worker else 1_000_000, disk_reserve_bytes=0))


def vectors(rng: np.random.Generator, count: int) -> list[SparseVector]:
    out = []
    for _ in range(count):
        indices = np.sort(rng.choice(3000, int(rng.integers(0, 60)), replace=False)).astype(np.uint32)
        indices[indices > 2990] += np.uint32(2**32 - 3000)
        out.append(SparseVector(indices, (rng.random(len(indices)) + 0.01).astype(np.float16).astype(np.float32)))
    return out


def put(db: Database, ids: Any, rng: np.random.Generator) -> dict[int, SparseVector]:
    """Values of "single" need all of their bits; some points have no vector there."""
    given = vectors(rng, len(ids))
    rows = sparse_rows(given)
    fine = SparseRows(rows.offsets, rows.indices, rows.values + np.float32(2**-20))
    texts = TextRows([" ".join(rng.choice(WORDS, 30)) for _ in ids])
    has = rng.random(len(ids)) < 0.9
    batch = {"half": VectorBatch(rows), "single": VectorBatch(fine, has), "text": VectorBatch(texts)}
    db.write(UpsertRequest("c", PointBatch(list(ids), batch)))
    return dict(zip(ids, given, strict=True))


def columns_of(db: Database) -> list[set[str]]:
    segments = [one.segment for one in db.collection("c").view.segments]
    return [{column.name for column in segment.header.columns} for segment in segments if hasattr(segment, "header")]


def compact(db: Database) -> None:
    settle(db, db.compact("c"))


def asked(db: Database, rng: np.random.Generator) -> list[Any]:
    """Answers over every field, as bits."""
    found: list[Any] = []
    for name in ("half", "single"):
        for query in vectors(rng, 4):
            hits = db.query(QueryRequest("c", sparse_rows([query]), name, k=8))
            found.append([(hit.id, hit.score) for hit in hits])
    hits = db.query(QueryRequest("c", TextRows(["w1 w2 w3 w17"]), "text", k=8))
    return [*found, [(hit.id, hit.score) for hit in hits]]


def check(db: Database, wanted: dict[int, SparseVector]) -> None:
    got = {point.id: point.vectors or {} for point in db.get(GetRequest("c", list(wanted), Selection(vectors=True)))[0]}
    assert len(got) == len(wanted)
    for point_id, vector in wanted.items():
        half: Any = got[point_id]["half"]
        assert half.indices.tobytes() == vector.indices.tobytes()
        assert half.values.tobytes() == vector.values.tobytes()
        if "single" in got[point_id]:
            single: Any = got[point_id]["single"]
            assert single.values.tobytes() == (vector.values + np.float32(2**-20)).tobytes()


@pytest.mark.parametrize("worker", [False, True])
def test_sealed_rows_are_packed_and_come_back(tmp_path: Path, worker: bool) -> None:
    seed = int(np.random.default_rng().integers(1 << 31))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    with Database.open(tmp_path / "db", settings(worker)) as db:
        db.create_collection("c", SCHEMA)
        wanted = put(db, range(0, 900), rng) | put(db, range(500, 1200), rng)
        db.write(DeleteRequest("c", ids=list(range(0, 1200, 7))))
        wanted = {point_id: vector for point_id, vector in wanted.items() if point_id % 7}
        before = asked(db, np.random.default_rng(seed))
        compact(db)
        (columns,) = columns_of(db)
        for name in SCHEMA.vectors:
            assert f"vector.{name}.terms" in columns
            assert f"vector.{name}.indices" not in columns
        segment = db.collection("c").view.segments[0].segment
        stored: dict[str, Any] = {name: segment.vectors(name, len(wanted)) for name in SCHEMA.vectors}
        dtypes = {name: rows.values.dtype for name, rows in stored.items()}
        assert dtypes == {"half": np.float16, "single": np.float32, "text": np.uint8}
        assert all(rows.nbytes < 0.8 * rows[:].nbytes for rows in stored.values())
        assert stored["text"].nbytes < 0.5 * stored["text"][:].nbytes
        check(db, wanted)
        assert asked(db, np.random.default_rng(seed)) == before
    with Database.open(tmp_path / "db", settings(worker)) as db:
        check(db, wanted)
        assert asked(db, np.random.default_rng(seed)) == before


def test_older_segments_are_read_and_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    with Database.open(tmp_path / "db", settings(False)) as db:
        db.create_collection("c", SCHEMA)
        with monkeypatch.context() as patch:
            patch.setattr(sparse_columns, "TERMS_MAX", -1)  # as segments were before
            wanted = put(db, range(600), rng)
            compact(db)
        (columns,) = columns_of(db)
        assert "vector.half.indices" in columns
        assert "vector.half.terms" not in columns
    with Database.open(tmp_path / "db", settings(False)) as db:
        check(db, wanted)
        before = asked(db, np.random.default_rng(4))
        wanted |= put(db, range(600, 1300), rng)
        check(db, wanted)
        mixed = asked(db, np.random.default_rng(4))
        assert mixed != before
        compact(db)
        assert all("vector.half.terms" in columns for columns in columns_of(db))
        check(db, wanted)
        assert asked(db, np.random.default_rng(4)) == mixed


def test_rows_whose_terms_are_their_own_stay_as_they_are(tmp_path: Path) -> None:
    with Database.open(tmp_path / "db", settings(False)) as db:
        db.create_collection("c", Schema({"half": SCHEMA.vectors["half"]}))
        rows = sparse_rows([SparseVector(np.array([i * 1000 + 3], np.uint32), np.array([1.5])) for i in range(50)])
        db.write(UpsertRequest("c", PointBatch(list(range(50)), {"half": VectorBatch(rows)})))
        compact(db)
        assert "vector.half.indices" in columns_of(db)[0]
        assert [hit.id for hit in db.query(QueryRequest("c", rows.row(17)))] == [17]


def test_packed_columns_that_do_not_fit_are_damage() -> None:
    rng = np.random.default_rng(5)
    rows = sparse_rows(vectors(rng, 400)).astype(np.float16)
    gathered = sparse_columns.Gathered([rows], np.zeros(400, np.int32), np.arange(400), lambda done: None)
    field = SCHEMA.vectors["half"]
    made = {f"vector.half.{name}": np.concatenate(list(chunks)) for name, _, _, chunks in
            sparse_columns.sparse_columns(gathered, field)}  # fmt: skip
    whole = held_rows("half", field, made)
    assert isinstance(whole, PackedRows)
    assert whole[:].indices.tobytes() == rows.indices.tobytes()
    with pytest.raises(Corruption, match="terms"):
        held_rows("half", field, made | {"vector.half.terms": made["vector.half.terms"][:-1]})


def test_parts_are_gathered_alike_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    sources = [sparse_rows(vectors(rng, 30)).astype(np.float16) for _ in range(3)]
    origin, row = rng.integers(0, 3, 400).astype(np.int32), rng.integers(0, 30, 400)
    made = []
    for entries in (1, 100, 1 << 19):
        monkeypatch.setattr(sparse_columns, "PART_ENTRIES", entries)
        gathered = sparse_columns.Gathered(sources, origin, row, lambda done: None)
        columns = sparse_columns.sparse_columns(gathered, SCHEMA.vectors["half"])
        made.append({name: np.concatenate(list(chunks)).tobytes() for name, _, _, chunks in columns})
    assert made[0] == made[1] == made[2]
    wanted = SparseRows.concat([sources[o].row(r) for o, r in zip(origin.tolist(), row.tolist(), strict=True)])
    columns = sparse_columns.sparse_columns(gathered, SCHEMA.vectors["half"])
    arrays = {f"vector.half.{name}": np.concatenate(list(chunks)) for name, _, _, chunks in columns}
    got: Any = held_rows("half", SCHEMA.vectors["half"], arrays)
    assert got[:].indices.tobytes() == wanted.indices.tobytes()
    assert got[:].values.tobytes() == wanted.values.tobytes()
