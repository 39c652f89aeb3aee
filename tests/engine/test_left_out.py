"""Answers in time in place of whole ones: segments that wait for an index, and those for which time ran out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from engine_support import batch_of, settle
from index_support import load, query, questions, schema

from vecstore.config import Settings, Storage
from vecstore.engine import left_out, scan, search
from vecstore.engine.database import Database
from vecstore.errors import DeadlineExceeded, InvalidArgument
from vecstore.grouping import GroupsRequest
from vecstore.index import costs
from vecstore.index.base import SearchParams
from vecstore.index_text import parse_index
from vecstore.kernels.stop import Stop
from vecstore.query.fusion import Fusion
from vecstore.ranking import Discover, OrderBy, Recommend, Strategy
from vecstore.types import Prefetch, QueryRequest, UpsertRequest

ROWS, FRESH = 1_200, 150
STORAGE = Storage(seal_rows=10_000, in_place_rows=100_000, disk_reserve_bytes=0, index_rows_min=300, maintenance=True)
ONLY, PARTIAL = SearchParams(indexed_only=True), SearchParams(allow_partial=True)


@pytest.fixture
def db(reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch) -> Database:
    """An indexed segment, and points that were just written."""
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    monkeypatch.setattr(costs, "EXACT_FIXED", 1e12)
    opened = reopen(Settings(storage=STORAGE))
    opened.create_collection("c", schema(parse_index("ivf(nlist=16) | int8")))
    load(opened, 0, ROWS, ROWS)
    settle(opened, opened.compact("c"))
    opened.write(UpsertRequest("c", batch_of(range(ROWS, ROWS + FRESH))))
    return opened


def ids(hits: Any) -> list[Any]:
    return [hit.id for hit in hits]


def test_what_waits_for_an_index_is_left_out_and_counted(db: Database) -> None:
    vector = questions(2)[1]
    whole, only = query(db, vector, 200), query(db, vector, 200, params=ONLY, explain=True)
    assert whole.quality.complete
    assert max(ids(whole)) >= ROWS > max(ids(only))
    quality = only.quality
    assert (quality.complete, quality.skipped_segments, quality.skipped_points) == (False, 1, FRESH)
    assert (quality.timed_out, quality.strategy) == (False, "ivf")
    assert [one["strategy"] for one in only.explain["segments"]] == ["ivf", "left_out"]
    plan = db.explain(QueryRequest("c", vector, using="v", k=200, params=ONLY))["plan"]
    assert [one["strategy"] for one in plan["segments"]] == ["ivf", "left_out"]
    exact = query(db, vector, ROWS + FRESH, params=SearchParams(exact=True))
    only = query(db, vector, 200, params=SearchParams(exact=True, indexed_only=True))
    assert ids(only) == [one for one in ids(exact) if one < ROWS][:200]
    settle(db, db.compact("c"))
    again = query(db, vector, 200, params=ONLY)
    assert (again.quality.complete, again.quality.skipped_points) == (True, 0)
    assert max(ids(again)) >= ROWS


def test_where_a_scan_is_meant_nothing_waits(db: Database) -> None:
    bits = np.packbits(questions(1) > 0, axis=1)[0]
    found = db.query(QueryRequest("c", bits, using="b", k=ROWS + FRESH, params=ONLY))
    assert (len(found), found.quality.complete) == (ROWS + FRESH, True)  # a field without an index
    db.create_collection("flat", schema(parse_index("flat")))
    db.write(UpsertRequest("flat", batch_of(range(100))))
    assert db.query(QueryRequest("flat", questions(1)[0], using="v", params=ONLY)).quality.complete
    db.create_collection("few", schema(parse_index("ivf(nlist=4)")))
    db.write(UpsertRequest("few", batch_of(range(100))))
    asked = QueryRequest("few", questions(1)[0], using="v", params=ONLY)
    nothing = db.query(asked)
    assert (len(nothing), nothing.quality.est_recall, nothing.quality.basis) == (0, None, "")
    assert (nothing.quality.complete, nothing.quality.skipped_points) == (False, 100)
    settle(db, db.compact("few"))  # too few for an index, by the settings
    assert (len(db.query(asked)), db.query(asked).quality.complete) == (10, True)


def test_a_sealed_segment_waits_until_its_index_is_there(db: Database) -> None:
    segment = db.collection("c").view.segments[0].segment
    field = db.collection("c").schema.vectors["v"]
    left = left_out.LeftOut(ONLY, STORAGE)
    view = db.collection("c").view.segments[0]
    assert not left.waits(view, "v", field)
    segment.quarantined["index.v"] = "damaged"  # type: ignore[attr-defined]
    segment._built.clear()  # type: ignore[attr-defined]
    assert left.waits(view, "v", field)
    assert (left.segments, left.points) == (1, ROWS)


def test_stages_leave_out_what_those_above_allow(db: Database) -> None:
    vector = questions(1)[0]
    below = [Prefetch(vector, "v", k=200), Prefetch(vector, "v", k=200, params=SearchParams(recall_target=0.9))]
    for request in (
        QueryRequest("c", prefetch=below, fusion=Fusion(), k=300, params=ONLY),
        QueryRequest("c", vector, using="v", prefetch=below, k=300, params=ONLY),
        QueryRequest("c", prefetch=below, ranking=OrderBy("n"), k=300, params=ONLY),
    ):
        found = db.query(request)
        assert max(ids(found)) < ROWS
        assert (found.quality.complete, found.quality.skipped_points) == (False, FRESH)
    one = [below[0], Prefetch(vector, "v", k=200, params=ONLY)]
    mixed = db.query(QueryRequest("c", prefetch=one, fusion=Fusion(), k=400))
    assert max(ids(mixed)) >= ROWS
    assert (mixed.quality.complete, mixed.quality.skipped_points) == (False, FRESH)
    under = [Prefetch(ranking=OrderBy("n"), k=5), below[0]]
    assert len(db.query(QueryRequest("c", prefetch=under, fusion=Fusion(), params=ONLY)))
    groups = db.query_groups(GroupsRequest(QueryRequest("c", vector, using="v", k=5, params=ONLY), "n", 1))
    assert (groups.quality.complete, groups.quality.skipped_points) == (False, FRESH)  # type: ignore[union-attr]


def test_what_scores_by_many_examples_leaves_nothing_out(db: Database) -> None:
    average = db.query(QueryRequest("c", using="v", ranking=Recommend((1, 2)), params=ONLY))
    assert average.quality.skipped_points == FRESH
    for ranking in (Recommend((1, 2), (), Strategy.BEST_SCORE), Discover(1, ((2, 3),))):
        for params, name in ((ONLY, "indexed_only"), (PARTIAL, "allow_partial")):
            with pytest.raises(InvalidArgument, match=f"params.{name} does not apply"):
                db.query(QueryRequest("c", using="v", ranking=ranking, params=params))
    with pytest.raises(InvalidArgument, match="params do not apply"):
        db.query(QueryRequest("c", ranking=OrderBy("n"), params=ONLY))
    for bad in (SearchParams(indexed_only=1), SearchParams(allow_partial="yes")):  # type: ignore[arg-type]
        for request in (
            QueryRequest("c", questions(1)[0], using="v", params=bad),
            QueryRequest("c", prefetch=[Prefetch(questions(1)[0], "v")], fusion=Fusion(), params=bad),
        ):
            with pytest.raises(InvalidArgument, match="must be true or false"):
                db.query(request)


def test_why_a_point_is_left_out(db: Database) -> None:
    request = QueryRequest("c", questions(1)[0], using="v", k=ROWS + FRESH, params=ONLY)
    assert db.why_not(request, ROWS)[0]["verdict"] == "left_out"
    assert db.why_not(request, 0)[0]["verdict"] == "answer"
    request = QueryRequest("c", questions(1)[0], using="v", k=1, params=ONLY)
    assert db.why_not(request, ids(query(db, questions(1)[0], ROWS))[-1])[0]["verdict"] == "rank"


@pytest.fixture
def slow(db: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """No segment but the first is searched before time is up."""
    real = search.search_segment

    def searched(kernels: Any, segment: Any, *rest: Any) -> Any:
        if not segment.segment.sorted_by_id:
            stop = left_out.current_stop()
            assert stop is not None
            stop.expire_by(0.0)
            stop.check()
        return real(kernels, segment, *rest)

    monkeypatch.setattr(search, "search_segment", searched)
    return db


def test_an_answer_in_time_has_what_was_searched_by_then(slow: Database) -> None:
    vector = questions(1)[0]
    with pytest.raises(DeadlineExceeded):
        query(slow, vector)
    found = query(slow, vector, 50, params=PARTIAL, explain=True)
    quality = found.quality
    assert (quality.complete, quality.timed_out, quality.skipped_segments, quality.skipped_points) == (
        False, True, 1, FRESH,
    )  # fmt: skip
    assert (len(found), max(ids(found)) < ROWS, quality.strategy) == (50, True, "ivf")
    assert [one["strategy"] for one in found.explain["segments"]] == ["ivf", "timed_out"]
    many = slow.query_many(QueryRequest("c", questions(3), using="v", params=PARTIAL))
    assert [len(hits) for hits in many] == [10, 10, 10]
    below = [Prefetch(vector, "v"), Prefetch(vector, "v", params=SearchParams(exact=True))]
    fused = slow.query(QueryRequest("c", prefetch=below, fusion=Fusion(), params=PARTIAL))
    assert (len(fused), fused.quality.complete, fused.quality.timed_out) == (10, False, True)
    with pytest.raises(DeadlineExceeded):
        slow.query(QueryRequest("c", prefetch=[Prefetch(vector, "v", params=PARTIAL), below[1]], fusion=Fusion()))
    fresh = [Prefetch(ranking=OrderBy("n"), k=ROWS + FRESH)]
    scored = slow.query(QueryRequest("c", vector, using="v", prefetch=fresh, k=400, params=PARTIAL))
    assert (len(scored), scored.quality.skipped_points, max(ids(scored)) < ROWS) == (400, FRESH, True)
    assert slow.reader.shadow is not None
    assert slow.reader.shadow._thread is None  # a part of an answer is not checked


def test_groups_do_not_begin_anew_when_time_is_up(slow: Database) -> None:
    asked = GroupsRequest(QueryRequest("c", questions(1)[0], using="v", k=5, params=PARTIAL, explain=True), "n", 2)
    grouped = slow.query_groups(asked)
    assert grouped.quality is not None
    assert grouped.quality.timed_out
    assert [one["strategy"] for one in grouped.explain["segments"]] == ["ivf", "timed_out"]  # type: ignore[index]
    assert [len(group.hits) for group in grouped.groups] == [1] * 5


def test_time_is_left_for_what_comes_after(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is searched with less than that, and a Stop around the search goes on to its own end."""
    view = db.collection("c").view.segments[0]
    monkeypatch.setattr(left_out, "RESERVE_MAX_S", 30.0)
    for timeout_s, searched in ((0.001, False), (300.0, True)):
        left, stop = left_out.LeftOut(PARTIAL, STORAGE), Stop(timeout_s)
        done = []
        with stop:
            with left.in_time(view):
                inner = left_out.current_stop()
                assert inner is not None
                inner.check()
                assert 31 > stop.deadline - inner.deadline >= 20  # less what a busy machine takes in between
                done.append(True)
            assert (bool(done), left.timed_out) == (searched, not searched)
            if searched:
                stop.check()


def test_a_flag_set_by_the_inner_alarm_does_not_stop_the_rest(db: Database) -> None:
    view = db.collection("c").view.segments[0]
    left = left_out.LeftOut(PARTIAL, STORAGE)
    with Stop(30.0) as stop:
        with left.in_time(view):
            inner = left_out.current_stop()
            assert inner is not None
            inner.flag[0] = left_out.EXPIRED
            inner.check()
        assert left.timed_out
        stop.check()
        stop.cancel()
        with pytest.raises(Exception, match="the caller went away"), left.in_time(view):
            stop.check()
        stop.flag[0] = 0
