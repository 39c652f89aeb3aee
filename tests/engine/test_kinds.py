"""What is kept of a kind of query with the view: answers are those of the path that keeps nothing, whatever happened to
the collection between them, and what is refused once is refused again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from engine_support import IN_PLACE, SCHEMA, put, vectors_of

import vecstore
from vecstore.config import Search, Settings, Storage
from vecstore.engine import kinds, scan
from vecstore.engine.collection import KINDS_REMEMBERED
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument
from vecstore.index import base
from vecstore.index.base import allowed_count
from vecstore.kernels.select import available_backends, get_kernels
from vecstore.types import DeleteRequest, QueryRequest, Selection

SETTINGS = Settings(
    search=Search(shadow_sample=0.0),
    storage=Storage(seal_rows=10_000, in_place_rows=100_000, disk_reserve_bytes=0, index_rows_min=200),
)
ASKED: list[dict[str, Any]] = [
    {}, {"with_payload": False}, {"offset": 3}, {"nprobe": 2}, {"exact": True}, {"recall": 0.9}, {"truncate_dim": 8},
    {"with_payload": ["n"], "with_vectors": True}, {"score_threshold": 0.1}, {"rescore": False},
]  # fmt: skip


@pytest.fixture(params=["native", "numpy"])
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[vecstore.Collection]:
    if request.param not in available_backends():
        pytest.skip(f"{request.param} is not installed")
    monkeypatch.setenv("VECSTORE_KERNELS", request.param)
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    get_kernels.cache_clear()
    with vecstore.connect(":memory:", settings=SETTINGS) as db:
        yield db.create_collection("c", {"v": vecstore.Dense(16, index="ivf(nlist=8) | int8")})
    monkeypatch.undo()
    get_kernels.cache_clear()


def _told(hits: vecstore.Hits) -> tuple[Any, ...]:
    usage = hits.usage
    assert usage is not None
    rows = [(hit.id, hit.seq, hit.score, hit.payload_json, None if hit.vectors is None else hit.vectors["v"].tolist())
            for hit in hits]  # fmt: skip
    return rows, hits.seq, hits.quality, usage.segments, usage.rows_scored, usage.queries


def _agree(made: vecstore.Collection, live: set[int]) -> None:
    """Each query twice, by what was kept, and as explained, which looks at every segment anew."""
    queries = vectors_of([f"q{n}" for n in range(2)])
    for options in ASKED:
        anew = made.query(queries[0], 7, explain=True, **options)
        assert anew.explain is not None
        for _ in range(2):
            assert _told(made.query(queries[0], 7, **options)) == _told(anew), options
        assert set(anew.ids.tolist()) <= live
        for one, query in zip(made.query_batch(queries, 7, **options), queries, strict=True):
            assert one.ids.tolist() == made.query(query, 7, **options).ids.tolist(), options
    ids = sorted(live)
    rows, lengths = vectors_of(ids), np.linalg.norm(vectors_of(ids), axis=1)
    nearest = np.argsort(-(rows @ queries[0]) / lengths, kind="stable")[:7]
    assert made.query(queries[0], 7, exact=True).ids.tolist() == [ids[place] for place in nearest]


def test_what_is_kept_answers_as_what_is_found_anew(made: vecstore.Collection) -> None:
    live: set[int] = set()

    def write(low: int, high: int) -> None:
        ids = list(range(low, high))
        made.upsert(ids, vectors_of(ids), [{"n": n, "other": "x"} for n in ids])
        live.update(ids)

    def delete(ids: list[int]) -> None:
        made.delete(ids)
        live.difference_update(ids)

    write(0, 5)
    _agree(made, live)  # fewer than are asked for
    write(5, 300)
    _agree(made, live)
    made.compact()
    _agree(made, live)
    delete(made.query(vectors_of(["q0"])[0], 12).ids.tolist())  # not so many that the index is built anew
    _agree(made, live)
    write(290, 520)  # some anew, beside the sealed ones
    _agree(made, live)
    made.compact()
    _agree(made, live)
    made.update(vectors={"v": {"search": {"nprobe": 1}}})  # what a query takes that says nothing of it
    assert (
        made.query(vectors_of(["q"])[0], 7).usage.rows_scored
        < made.query(vectors_of(["q"])[0], 7, nprobe=8).usage.rows_scored
    )
    _agree(made, live)
    made.update_index("v", "graph" if get_kernels().name == "native" else "ivf(nlist=4)")
    _agree(made, live)


def test_what_is_refused_is_refused_again(made: vecstore.Collection) -> None:
    """What is equal to what was right before may be wrong."""
    made.upsert([1, 2], vectors_of([1, 2]))
    query, wrong = vectors_of([1])[0], np.full(16, np.nan, np.float32)
    for _ in range(2):
        assert len(made.query(query, 1)) == 1
        assert len(made.query(query, 1, offset=1, nprobe=1, exact=True)) == 1
        for options in ({"k": True}, {"k": 1.0}, {"offset": True}, {"nprobe": True}, {"exact": 1}, {"using": "w"},
                        {"score_threshold": np.nan}, {"truncate_dim": 17}, {"with_vectors": ["w"]}):  # fmt: skip
            with pytest.raises(InvalidArgument):
                made.query(query, **{"k": 1, "exact": True, "nprobe": 1, "offset": 1, **options})
        for vector in (wrong, query[:8], np.zeros(16, np.float32), 1e30 * query, "text", query[None]):
            with pytest.raises(InvalidArgument):
                made.query(vector, 1)


def test_a_number_that_is_no_count_is_refused_by_the_engine() -> None:
    with Database.open(None, IN_PLACE) as db:
        db.create_collection("c", SCHEMA)
        put(db, [1, 2, 3])
        query = vectors_of([1])[0]
        assert len(db.query(QueryRequest("c", query, "v", k=1, offset=1))) == 1
        for wrong in ({"k": True}, {"k": 1.0}, {"offset": True}, {"offset": 1.0}):
            with pytest.raises(InvalidArgument, match="must be an integer"):
                db.query(QueryRequest("c", query, "v", **{"k": 1, "offset": 1, **wrong}))


def test_a_list_may_hold_something_else_next_time() -> None:
    names = ["b"]
    with Database.open(None, IN_PLACE) as db:
        db.create_collection("c", SCHEMA)
        put(db, [1, 2, 3])
        request = QueryRequest("c", vectors_of([1])[0], "v", k=2, select=Selection(vectors=names))
        assert db.query(request)[0].vectors.keys() == {"b"}
        names[0] = "v"
        assert db.query(request)[0].vectors.keys() == {"v"}
        names[0] = "w"
        with pytest.raises(InvalidArgument, match="'w'"):
            db.query(request)


def test_live_rows_are_counted_once_a_view() -> None:
    with Database.open(None, IN_PLACE) as db:
        db.create_collection("c", SCHEMA)
        put(db, list(range(300)))
        db.write(DeleteRequest("c", list(range(0, 100, 3))))
        view = db.collection("c").view
        assert len(db.query(QueryRequest("c", vectors_of([1])[0], "v", k=300))) == view.points == 266
        (whole,) = kinds.wholes_of(view, "v")
        assert whole.allowed is not None
        assert id(whole.allowed) in base._counts


def test_a_count_is_known_as_long_as_its_bitmap_lives() -> None:
    words = np.array([0b1011, 1], np.uint64)
    assert allowed_count(128, words) == base.keep_count(words) == 4
    words[0] = 0  # which is not allowed, and which nothing but another count would see
    assert allowed_count(128, words) == 4
    assert allowed_count(3, words) == 3
    assert allowed_count(128, words.copy()) == 1
    key = id(words)
    del words
    gc.collect()
    assert key not in base._counts


def test_kinds_are_bounded_and_go_with_their_view() -> None:
    with Database.open(None, IN_PLACE) as db:
        db.create_collection("c", SCHEMA)
        put(db, list(range(300)))
        for k in range(1, 2 * KINDS_REMEMBERED):
            assert len(db.query(QueryRequest("c", vectors_of([1])[0], "v", k=k))) == k
        view = db.collection("c").view
        assert 0 < len(view.kinds) <= KINDS_REMEMBERED
        put(db, [300])
        assert not db.collection("c").view.kinds
        assert len(db.query(QueryRequest("c", vectors_of([1])[0], "v", k=301))) == 301
