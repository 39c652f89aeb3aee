"""A merge tells the index that it starts from where its rows went: by ids of every kind, here and in a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec
import numpy as np
import pytest
import xxhash
from engine_support import put, settle
from hypothesis import given
from hypothesis import strategies as st
from index_support import load, schema

from vecstore.config import Settings, Storage
from vecstore.engine import builder, id_match, jobs
from vecstore.engine.database import Database
from vecstore.engine.header import SegmentHeader
from vecstore.engine.id_match import rows_in
from vecstore.engine.ids import IdColumn, encode_id, sealed_ids
from vecstore.errors import Corruption
from vecstore.index.base import Warm
from vecstore.index.coded import IVFIndex
from vecstore.index_text import parse_index
from vecstore.types import DeleteRequest

numbers = st.integers(0, 2**64 - 1)
strings = st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable())
only_numbers = st.lists(numbers, max_size=40, unique=True)
some_ids = only_numbers | st.lists(numbers | st.uuids() | strings, max_size=60, unique=True)


def column(ids: list[Any]) -> tuple[IdColumn, list[Any]]:
    ordered = sorted(ids, key=encode_id)
    return IdColumn(sealed_ids([encode_id(i) for i in ordered]), len(ids)), ordered


@given(some_ids, some_ids, st.randoms(use_true_random=False))
def test_rows_are_found_by_their_ids(ids: list[Any], others: list[Any], draw: Any) -> None:
    kept = [i for i in ids if draw.random() < 0.6]
    old, old_ids = column(ids)
    new, new_ids = column(list({encode_id(i): i for i in [*kept, *others]}.values()))
    places = {encode_id(point_id): row for row, point_id in enumerate(new_ids)}
    assert rows_in(old, new).tolist() == [places.get(encode_id(i), -1) for i in old_ids]


@pytest.mark.parametrize("shared", [lambda key: 7, lambda key: len(key) % 3])
def test_keys_that_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch, shared: Callable[[bytes], int]) -> None:
    monkeypatch.setattr(xxhash, "xxh3_64_intdigest", shared)
    monkeypatch.setattr(id_match, "CHUNK_ROWS", 3)
    ids = ["a", "b", uuid4(), "cc", UUID(int=5), 3, "dd", "e" * 30, 9]
    old, old_ids = column(ids)
    new, new_ids = column([*ids[2:], "x", "yy", 4])
    expected = [new_ids.index(i) if i in new_ids else -1 for i in old_ids]
    assert rows_in(old, new).tolist() == expected


def test_ids_that_are_none_are_corruption() -> None:
    good, _ = column([1, 2, "a"])
    arrays = sealed_ids([encode_id(i) for i in (1, 2, "a")])
    for offsets in ([0, 9, 9, 20], [0, 8, 18, 20]):
        damaged = IdColumn({**arrays, "ids.offsets": np.array(offsets, np.uint64)}, 3)
        with pytest.raises(Corruption):
            rows_in(damaged, good)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Warm[Any], SegmentHeader | None]]:
    """What builds of vector indexes started from: in process, and as a worker reads it from its job."""
    seen: list[Any] = []
    build, in_worker = IVFIndex.build.__func__, builder.Builder._in_worker  # type: ignore[attr-defined]

    def build_here(cls: Any, *arguments: Any) -> Any:
        seen.append(("here", arguments[-1]))
        return build(cls, *arguments)

    def build_there(self: Any, job: Any, sources: Any, place: Any, progress: Any) -> SegmentHeader:
        if job.indexes:
            read = msgspec.json.decode(msgspec.json.encode(job), type=jobs.Job)
            seen.append(("worker", jobs.open_warm(read).get("v")))
            assert not seen[-1][1] or isinstance(seen[-1][1].rows, np.memmap), "rows are mapped, not read"
        header: SegmentHeader = in_worker(self, job, sources, place, progress)
        return header

    monkeypatch.setattr(IVFIndex, "build", classmethod(build_here))
    monkeypatch.setattr(builder.Builder, "_in_worker", build_there)
    return seen


def ids_of_segments(db: Database) -> list[tuple[list[Any], np.ndarray]]:
    """Ids and which of them are alive, for each sealed segment."""
    views = [view for view in db.collection("c").view.segments if view.segment.sorted_by_id]
    alive = [np.unpackbits(v.alive.view(np.uint8), bitorder="little")[: v.n_rows].astype(bool) for v in views]
    return [
        (view.segment.take_ids(np.arange(view.n_rows)).tolist(), live) for view, live in zip(views, alive, strict=True)
    ]


@pytest.mark.parametrize(
    ("kind", "place", "in_place_rows"),
    [*((kind, "here", 100_000) for kind in ("numbers", "strings", "mixed")), ("mixed", "worker", 0)],
)
def test_a_merge_says_where_rows_went(
    reopen: Callable[..., Database], starts: list[Any], kind: str, place: str, in_place_rows: int
) -> None:
    storage = Storage(seal_rows=10_000, in_place_rows=in_place_rows, merge_factor=99, disk_reserve_bytes=0,
                      index_rows_min=100, compact_deleted_ratio=1.0)  # fmt: skip
    db = reopen(Settings(storage=storage))
    db.create_collection("c", schema(parse_index("ivf(nlist=4) | int8")))
    make: dict[str, Callable[[int], Any]] = {
        "numbers": lambda n: 3 * n,
        "strings": lambda n: f"point-{n}",
        "mixed": lambda n: (n, UUID(int=n), f"p{n}")[n % 3],
    }
    name = make[kind]
    put(db, [name(n) for n in range(600)])
    settle(db, db.compact("c"))
    db.write(DeleteRequest("c", [name(n) for n in range(0, 600, 7)]))
    put(db, [name(n) for n in range(400, 700, 5)], {"again": True})  # supersedes some, adds some
    ((old_ids, alive),) = ids_of_segments(db)
    assert 0 < np.count_nonzero(~alive) < 600
    settle(db, db.compact("c"))
    ((new_ids, _),) = ids_of_segments(db)
    where, warm = starts[-1]
    assert where == place
    assert warm.index.ntotal == 600
    places = {encode_id(i): row for row, i in enumerate(new_ids)}
    expected = [places.get(encode_id(i), -1) if live else -1 for i, live in zip(old_ids, alive, strict=True)]
    assert np.asarray(warm.rows).tolist() == expected
    kept = [row for row in expected if row >= 0]
    assert kept == sorted(kept)
    assert len(kept) == np.count_nonzero(alive)


def test_a_compaction_of_one_segment_says_so_too(reopen: Callable[..., Database], starts: list[Any]) -> None:
    storage = Storage(seal_rows=10_000, merge_factor=99, disk_reserve_bytes=0, index_rows_min=100)
    db = reopen(Settings(storage=storage))
    db.create_collection("c", schema(parse_index("ivf(nlist=4) | int8")))
    load(db, 0, 500)
    settle(db, db.compact("c"))
    assert starts == [("here", None)], "the first build starts from nothing"
    db.write(DeleteRequest("c", list(range(0, 500, 5))))
    settle(db, db.compact("c"))
    _, warm = starts[-1]
    expected = np.full(500, -1)
    expected[np.arange(500) % 5 != 0] = np.arange(400)
    assert np.asarray(warm.rows).tolist() == expected.tolist()
