"""Uploads: any iterable or arrays, batches by bytes, a count to go on from after a failure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import Dense, InvalidArgument, Multi, PointBatch, Sparse, Text

ROWS = np.random.default_rng(5).standard_normal((1000, 8)).astype(np.float32)


def points(count: int) -> list[dict[str, Any]]:
    return [{"id": row, "vector": ROWS[row], "payload": {"n": row}} for row in range(count)]


@pytest.fixture
def docs(db: Any) -> Any:
    return db.create_collection("docs", vectors={"v": Dense(8)})


def test_dictionaries_arrays_and_batches(docs: Any) -> None:
    assert docs.upload(iter(points(700))).points == 700
    result = docs.upload(ids=range(700, 1000), vectors=ROWS[700:], payloads=[{"n": n} for n in range(700, 1000)])
    assert (result.points, result.changed) == (300, 300)
    assert docs.count() == 1000
    assert docs.get(650)[0].payload == {"n": 650}
    assert docs.query(ROWS[999], k=1).ids.tolist() == [999]
    batch = PointBatch(["x"], {"v": vecstore.types.VectorBatch(ROWS[:1])})
    assert docs.upload([batch]).points == 1


def test_points_as_they_are_read_are_written(db: Any) -> None:
    """So a collection is copied into one of another index, with texts and all."""
    fields = {"text": Text(), "sparse": Sparse(), "dense": Dense(4, datatype="float16"), "multi": Multi(4)}
    old = db.create_collection("old", fields)
    vectors = {"text": ["a white whale", "bread"], "dense": np.eye(4)[:2], "sparse": [{3: 1.0}, None]}
    old.upsert([1, "b"], {**vectors, "multi": [np.eye(4), None]}, [{"n": 2**70}, None])
    new = db.create_collection("new", {**fields, "dense": Dense(4, datatype="float16", index="flat")})
    before = list(old.scroll(with_vectors=True))
    assert new.upload(before).points == 2
    after = list(new.scroll(with_vectors=True))
    assert [(one.id, one.payload) for one in after] == [(1, {"n": 2**70}), ("b", {})]
    assert [set(one.vectors) for one in after] == [set(one.vectors) for one in before]
    assert new.query("whales", using="text").scores.tolist() == old.query("whales", using="text").scores.tolist()


def test_requests_are_cut_by_bytes(docs: Any) -> None:
    small = docs.upload(ids=range(1000), vectors=ROWS, batch_bytes=2_000)
    large = docs.upload(ids=range(1000), vectors=ROWS)
    assert small.requests > 50
    assert large.requests == 1
    assert small.seq < large.seq == docs.last_seq


def test_a_failure_says_where_to_go_on(docs: Any) -> None:
    broken = points(1000)
    broken[600]["vector"] = np.full(8, np.nan)
    with pytest.raises(InvalidArgument) as stopped:
        docs.upload(broken, batch_bytes=10_000)
    done = int(stopped.value.metadata["points_done"])
    assert 512 <= done <= 600
    assert docs.count() == done
    assert sorted(point.id for point in docs.scroll(with_payload=False)) == list(range(done))
    assert docs.upload(points(1000), skip=done).points == 1000 - done
    assert docs.count() == 1000


def test_progress_is_told_point_by_point(docs: Any) -> None:
    steps: list[int] = []
    docs.upload(ids=range(1000), vectors=ROWS, batch_bytes=20_000, progress=steps.append, skip=100)
    assert sum(steps) == 900
    assert len(steps) > 3


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ({"vector": [1.0] * 8}, "BAD_ID"),
        ("text", "BAD_ID"),
        ({"id": 1, "vector": [1.0] * 8, "colour": "red"}, "BAD_PAYLOAD"),
        ({"id": 1, "vectors": {"w": [1.0] * 8}}, "VECTOR_NAME_UNKNOWN"),
        ({"id": 1, "vector": [1.0] * 7}, "DIMENSION_MISMATCH"),
    ],
)
def test_bad_points_are_named(docs: Any, point: Any, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        docs.upload([point])
    assert refused.value.reason == reason
    assert docs.count() == 0


def test_the_progress_bar_draws(docs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    docs.upload(ids=range(1000), vectors=ROWS, batch_bytes=20_000, progress=True)
    assert "upload to docs" in capsys.readouterr().err
