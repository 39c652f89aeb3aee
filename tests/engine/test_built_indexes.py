"""Real indexes in the engine: built by worker processes, opened after a restart and a crash, vectors read by rows."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from engine_support import batch_of, settle, vectors_of
from index_support import load, named_blobs, query, questions, recall, schema, stored_blobs, strategies
from waiting import wait_until

from vecstore.config import Search, Settings, Storage
from vecstore.engine import guard, scan
from vecstore.engine.builder import worker_error
from vecstore.engine.database import Database
from vecstore.engine.derived import PASSING, missing_vectors
from vecstore.engine.jobs import Job
from vecstore.engine.worker import Line
from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import SearchParams
from vecstore.index_text import format_index, parse_index
from vecstore.storage.format import CHUNK_BYTES
from vecstore.types import (
    DeleteRequest,
    GetRequest,
    PointBatch,
    QueryRequest,
    Selection,
    TuneRequest,
    UpsertRequest,
    VectorBatch,
    VectorIndexRequest,
)

SPEC = "ivf(nlist=16) | int8"
STORAGE = Storage(seal_rows=10_000, in_place_rows=100, merge_factor=4, disk_reserve_bytes=0, index_rows_min=300)
SETTINGS = Settings(storage=STORAGE, search=Search(shadow_sample=0.0))  # a check reads all rows
WIDE = np.random.default_rng(7).standard_normal((40_000, 16)).astype(np.float32)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "FEW_ROWS", 20)


@pytest.fixture
def indexed(reopen: Callable[..., Database]) -> Database:
    """2,000 points in one sealed segment, indexed by a worker process."""
    db = reopen(SETTINGS)
    db.create_collection("c", schema(parse_index(SPEC)))
    load(db, 0, 2_000, 1_000)
    settle(db, db.compact("c"))
    assert strategies(db) == ["ivf"]
    return db


def test_recall_stays_the_same_over_restart_and_compaction(indexed: Database, reopen: Callable[..., Database]) -> None:
    asked = questions(50)
    explained = query(indexed, asked[0], explain=True, params=SearchParams(nprobe=8)).explain["segments"][0]
    assert explained["counters"]["lists_probed"] == 8
    assert 10 <= explained["counters"]["reranked"] <= explained["counters"]["rows_scanned"] < 2_000
    before = recall(indexed, asked, nprobe=8)
    assert before > 0.8
    again = reopen(SETTINGS)
    assert strategies(again) == ["ivf"]
    assert recall(again, asked, nprobe=8) == before
    load(again, 2_000, 2_010)
    settle(again, again.compact("c"))  # a worker starts from the learned state of the large segment
    assert strategies(again) == ["ivf"]
    assert abs(recall(again, asked, nprobe=8) - before) <= 0.005
    assert recall(again, asked, nprobe=16) > 0.995
    described = again.stats("c")["vectors"]["v"]
    assert (described["index"], described["index_state"], described["rows_indexed"]) == (SPEC, "ready", 2_010)
    assert described["bytes"]["codes"] > 2_010 * 16
    assert described["bytes"]["vectors"] == 2_010 * (16 * 4 + 4)


def test_tuning_lasts_over_restart_and_merges_and_rewrites_no_codes(
    indexed: Database, reopen: Callable[..., Database]
) -> None:
    def codes(db: Database) -> set[str]:
        columns = [column for header in db.collection("c").manifest.segments for column in header.columns]
        return {column.ref.name for column in columns if ".codes." in column.name}

    def asked(db: Database) -> np.ndarray:
        (segment,) = db.collection("c").sealed.values()
        index = segment.index("v")
        assert index is not None
        return index.arrays()["asked"]

    queries, before = questions(64), codes(indexed)
    settle(indexed, indexed.tune(TuneRequest("c", queries, "v")))
    assert codes(indexed) == before
    assert stored_blobs(indexed) == named_blobs(indexed)
    assert (asked(indexed) == queries).all()
    assert recall(indexed, questions(50), recall_target=0.9) > 0.85
    again = reopen(SETTINGS)
    assert (asked(again) == queries).all()
    load(again, 2_000, 2_010)
    settle(again, again.compact("c"))
    assert (asked(again) == queries).all()
    assert strategies(again) == ["ivf"]


def test_what_cannot_be_tuned_is_refused(indexed: Database) -> None:
    with pytest.raises(InvalidArgument, match="TOO_FEW_QUERIES"):
        indexed.tune(TuneRequest("c", questions(19), "v"))
    with pytest.raises(InvalidArgument, match="DIMENSION_MISMATCH"):
        indexed.tune(TuneRequest("c", questions(20)[:, :5], "v"))
    with pytest.raises(InvalidArgument, match="VECTOR_NAME_UNKNOWN"):
        indexed.tune(TuneRequest("c", questions(20), "w"))
    bits = np.zeros((20, 2), np.uint8)
    failed = indexed.wait_operation(indexed.tune(TuneRequest("c", bits, "b")).id)
    assert failed.state == "failed"
    assert "NOTHING_TO_TUNE" in str(failed.error)


@pytest.mark.parametrize("text", ["flat | rabitq", "pca(12) | flat | int8", "ivf(nlist=8)"])
def test_changing_the_index_keeps_the_answers(indexed: Database, text: str) -> None:
    settle(indexed, indexed.update_index(VectorIndexRequest("c", "v", parse_index(text))))
    (entry,) = [one for header in indexed.collection("c").manifest.segments for one in header.indexes.values()]
    assert format_index(entry.spec) == format_index(parse_index(text))
    assert recall(indexed, questions(20), oversampling=8.0, nprobe=8) > 0.8
    for point in (3, 1_999):
        assert query(indexed, vectors_of([point])[0], k=1)[0].id == point


@pytest.mark.parametrize(
    ("field", "text"), [("v", "funnel([12])"), ("b", "hamming_ivf(nlist=8)"), ("b", "mih"), ("v", "flat | float16")]
)
def test_every_structure_is_built_opened_and_asked(
    indexed: Database, reopen: Callable[..., Database], field: str, text: str
) -> None:
    settle(indexed, indexed.update_index(VectorIndexRequest("c", field, parse_index(text))))
    again = reopen(SETTINGS)
    assert again.stats("c")["vectors"][field]["rows_indexed"] == 2_000
    for vector in questions(5):
        asked = vector if field == "v" else np.packbits(vector > 0)
        answers = [
            again.query(QueryRequest("c", asked, using=field, explain=True, params=params))
            for params in (SearchParams(exact=True), SearchParams(nprobe=8, oversampling=90.0))
        ]
        (segment,) = again.collection("c").sealed.values()
        assert segment.opened(field) is not None
        assert [hit.score for hit in answers[0]] == pytest.approx([hit.score for hit in answers[1]], abs=1e-5)


CHILD = """
import os, sys
sys.path[:0] = {paths!r}
from test_built_indexes import SETTINGS, SPEC
from index_support import load, schema
from vecstore.engine import changes, derived
from vecstore.engine.database import Database
from vecstore.index_text import parse_index
from vecstore.types import VectorIndexRequest

db = Database.open({directory!r}, SETTINGS)
real = changes.add_derived_columns
def stop(*arguments):
    if {after!r}:
        change = real(*arguments)
        apply = change.apply
        change.apply = lambda: os._exit(9)
        return change
    os._exit(9)
changes.add_derived_columns = stop
db.update_index(VectorIndexRequest("c", "v", parse_index("ivf(nlist=32) | int8")))
import time
time.sleep(60)
"""


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_the_end_of_a_build_leaves_the_old_index_or_the_new(
    indexed: Database, reopen: Callable[..., Database], tmp_path: Path, after: bool
) -> None:
    asked = questions(10)
    indexed.close()
    here = Path(__file__).parent
    paths = [str(here), str(here.parent)]
    script = CHILD.format(paths=paths, directory=str(tmp_path / "data"), after=after)
    assert subprocess.run([sys.executable, "-c", script], timeout=240).returncode == 9
    still = Settings(storage=Storage(**{**_fields(STORAGE), "maintenance": False}))
    db = reopen(still)
    (header,) = db.collection("c").manifest.segments
    assert header.indexes["v"].spec == parse_index("ivf(nlist=32) | int8" if after else SPEC)
    assert stored_blobs(db) == named_blobs(db)  # what the crash left is swept
    assert strategies(db) == ["ivf"]
    assert recall(db, asked, nprobe=32) > 0.99
    (segment,) = db.collection("c").sealed.values()
    assert bool(missing_vectors(segment, db.collection("c").schema, db._indexing)) is not after
    db = reopen(SETTINGS)
    collection = db.collection("c")
    wait_until(lambda: not missing_vectors(next(iter(collection.sealed.values())), collection.schema, db._indexing))
    assert recall(db, asked, nprobe=32) > 0.99


def test_a_mistake_in_a_worker_is_told_and_not_tried_for_ever(tmp_path: Path) -> None:
    job = Job(1, 1, schema(None), 1, indexes={"v": parse_index(SPEC)})  # without a source to read
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(job))
    command = [sys.executable, "-m", "vecstore.engine.worker", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        said, traceback = worker.stdout.read(), worker.stderr.read()
    line = msgspec.json.decode(said.splitlines()[-1], type=Line)
    assert line.error is not None
    assert line.error[0] == "INTERNAL"
    assert "IndexError" in line.error[1]
    assert b"Traceback" in traceback
    error = worker_error(*line.error)
    assert not isinstance(error, PASSING)
    assert isinstance(worker_error("RESOURCE_EXHAUSTED", "no memory"), PASSING)


def _fields(storage: Storage) -> dict[str, object]:
    return {name: getattr(storage, name) for name in storage.__struct_fields__}


def vector_file(db: Database, directory: Path) -> tuple[Path, str]:
    (header,) = db.collection("c").manifest.segments
    column = next(one for one in header.columns if one.name == "vector.v")
    return directory / "cache" / column.ref.name.replace("/", "+"), column.ref.name


@pytest.fixture
def wide(reopen: Callable[..., Database], tmp_path: Path) -> Database:
    """40,000 points: 2.5 chunks of vectors."""
    db = reopen(SETTINGS)
    db.create_collection("c", schema(parse_index("flat | int8")))
    for start in range(0, len(WIDE), 10_000):
        rows = WIDE[start : start + 10_000]
        vectors = {"v": VectorBatch(rows), "b": VectorBatch(np.packbits(rows > 0, axis=1))}
        db.write(UpsertRequest("c", PointBatch(list(range(start, start + len(rows))), vectors)))
    settle(db, db.compact("c"))
    return db


def test_rows_are_verified_when_they_are_read(
    wide: Database, reopen: Callable[..., Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = vector_file(wide, tmp_path / "data")
    assert 2 * CHUNK_BYTES < 40_000 * 64 < 3 * CHUNK_BYTES
    wide.close()
    content = bytearray(path.read_bytes())
    content[2 * CHUNK_BYTES + 999] ^= 1
    path.write_bytes(content)
    db = reopen(SETTINGS)
    (segment,) = db.collection("c").sealed.values()
    first = query(db, WIDE[5], k=1)[0]
    assert first.id == 5
    assert not segment.rows("v").checked, "a query reads the chunks of its rows"
    # The damaged chunk is repaired from RocksDB when it is needed, in the mapped file.
    last = 39_990
    assert query(db, WIDE[last], k=1)[0].id == last
    read, _ = db.get(GetRequest("c", [last], Selection(vectors=True)))
    np.testing.assert_array_equal(read[0].vectors["v"], WIDE[last])  # type: ignore[index]
    assert path.read_bytes()[2 * CHUNK_BYTES + 999] == content[2 * CHUNK_BYTES + 999] ^ 1
    assert query(db, WIDE[7], k=1, params=SearchParams(exact=True))[0].id == 7
    assert segment.rows("v").checked


def test_rows_are_verified_by_a_scan_that_comes_before_any_query_by_the_index(
    wide: Database, reopen: Callable[..., Database], tmp_path: Path
) -> None:
    path, _ = vector_file(wide, tmp_path / "data")
    wide.close()
    content = bytearray(path.read_bytes())
    content[39_990 * 64 + 3] ^= 0x40  # an exponent of the row that is asked for
    path.write_bytes(content)
    db = reopen(SETTINGS)
    assert query(db, WIDE[39_990], k=1, params=SearchParams(exact=True))[0].id == 39_990
    (segment,) = db.collection("c").sealed.values()
    assert segment.rows("v").checked


def test_a_chunk_that_is_lost_fails_what_needs_it_and_nothing_else(
    wide: Database, reopen: Callable[..., Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = vector_file(wide, tmp_path / "data")
    wide.close()
    content = bytearray(path.read_bytes())
    content[2 * CHUNK_BYTES + 999] ^= 1
    path.write_bytes(content)
    db = reopen(SETTINGS)

    def lost(*_: object) -> bytes:
        raise Corruption("the stored chunk is damaged, too")

    monkeypatch.setattr(type(db._storage.blobs), "_chunk", lost)
    assert query(db, WIDE[5], k=1)[0].id == 5
    for _ in range(2):
        with pytest.raises(Corruption, match="is damaged"):
            query(db, WIDE[39_990], k=1)
    assert query(db, WIDE[6], k=1)[0].id == 6
    with pytest.raises(Corruption):
        query(db, WIDE[5], k=1, params=SearchParams(exact=True))
    assert "vector.v" in db.stats("c")["segments"][0]["damaged"]
    assert db.query(QueryRequest("c", np.zeros(2, np.uint8), using="b", k=1))


def no_memory() -> Settings:
    """Settings by which no stored vectors stay in memory."""
    return Settings(storage=Storage(**{**_fields(STORAGE), "resident_vectors_bytes": 0}))  # type: ignore[arg-type]


def test_rows_that_may_not_stay_in_memory_are_copied(
    wide: Database, reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few are read from the file and many through the mapping; the answers are the same."""
    asked = np.concatenate([WIDE[:3] + np.float32(0.01), questions(20)])
    expected = [query(wide, vector, k=12, params=SearchParams(oversampling=2.0)) for vector in asked]
    (segment,) = wide.collection("c").sealed.values()
    assert segment.rows("v")._blob.stay()
    wide.close()
    db = reopen(no_memory())
    (segment,) = db.collection("c").sealed.values()
    query(db, asked[0])
    rows = segment.rows("v")
    assert not rows._blob.stay()
    copied: list[int] = []
    copy = rows.copy
    monkeypatch.setattr(rows, "copy", lambda numbers: copied.append(len(numbers)) or copy(numbers))
    for share, count in ((guard.FEW_SHARE, len(asked)), (1 << 40, 0)):
        monkeypatch.setattr(guard, "FEW_SHARE", share)
        assert [query(db, vector, k=12, params=SearchParams(oversampling=2.0)) for vector in asked] == expected
        assert copied == [24] * count
        copied.clear()
    monkeypatch.setattr(guard, "FEW_SHARE", 1)
    for at_once, blocks in ((guard.COPIED_AT_ONCE, 1), (24 * 64 * 5, 5), (1, len(asked))):
        monkeypatch.setattr(guard, "COPIED_AT_ONCE", at_once)
        many = QueryRequest("c", asked, using="v", k=12, params=SearchParams(oversampling=2.0))
        assert db.query_many(many) == expected
        assert len(copied) == blocks
        copied.clear()


def test_pages_are_given_back(wide: Database, reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch) -> None:
    """Once mapped files hold more memory than the bound, and only then."""
    wide.close()
    wide = reopen(no_memory())
    monkeypatch.setattr(guard, "FEW_SHARE", 1 << 40)  # no rows are few
    (segment,) = wide.collection("c").sealed.values()
    gone: list[None] = []
    query(wide, questions(1)[0])
    monkeypatch.setattr(type(segment.rows("v")), "let_go", lambda self: gone.append(None))
    monkeypatch.setattr(guard, "mapped_bytes", lambda: segment.rows("v")._mapped_before + guard.KEPT_MIN)
    query(wide, questions(1)[0])
    assert not gone
    monkeypatch.setattr(guard, "mapped_bytes", lambda: segment.rows("v")._mapped_before + guard.KEPT_MIN + 1)
    query(wide, questions(1)[0])
    assert gone


@pytest.mark.slow
def test_queries_and_writes_go_on_while_indexes_come_and_go(indexed: Database) -> None:
    """Every answer in between is whole: k points, each point finds itself, and no deleted one comes back."""
    stop = threading.Event()
    wrong: list[object] = []

    def ask(turn: int) -> None:
        while not stop.is_set():
            turn = (turn + 37) % 2_000
            try:
                hits = query(indexed, vectors_of([turn])[0], k=5, params=SearchParams(nprobe=16, oversampling=8.0))
            except Exception as error:
                wrong.append(error)
                return
            if len(hits) != 5 or hits[0].id != turn or any(hit.id >= 5_000 for hit in hits):
                wrong.append((turn, [hit.id for hit in hits]))

    indexed.write(UpsertRequest("c", batch_of(range(5_000, 5_100))))
    indexed.write(DeleteRequest("c", ids=list(range(5_000, 5_100))))
    threads = [threading.Thread(target=ask, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    try:
        for place, text in enumerate(["flat | int8", None, "ivf(nlist=16) | rabitq"]):
            spec = None if text is None else parse_index(text)
            operation = indexed.update_index(VectorIndexRequest("c", "v", spec))
            load(indexed, 3_000 + 10 * place, 3_010 + 10 * place)
            settle(indexed, operation)
            settle(indexed, indexed.compact("c"))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert strategies(indexed) == ["ivf"]


def test_in_memory_too() -> None:
    with Database.open(None, SETTINGS) as db:
        db.create_collection("c", schema(parse_index(SPEC)))
        load(db, 0, 1_000, 1_000)
        settle(db, db.compact("c"))
        assert strategies(db) == ["ivf"]
        assert recall(db, questions(5), nprobe=16) > 0.95
        settle(db, db.update_index(VectorIndexRequest("c", "v", None)))
        assert strategies(db) == ["exact_scan"]
        assert stored_blobs(db) == named_blobs(db)
