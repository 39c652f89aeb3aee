"""Live queries that are answered again exactly: what they tell, and what they must not cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from engine_support import settle, vectors_of
from index_support import load, query, questions, schema

from vecstore.config import Search, Settings, Storage, load_settings
from vecstore.engine import observed, scan
from vecstore.engine import shadow as shadow_module
from vecstore.engine.database import Database
from vecstore.engine.observed import Seen
from vecstore.engine.shadow import WAITING_MAX
from vecstore.errors import InvalidArgument
from vecstore.index.base import SearchParams
from vecstore.index.familiar_limits import AT, Familiar
from vecstore.index_text import parse_index
from vecstore.kernels.stop import check_stop
from vecstore.quality import Quality
from vecstore.schema import Metric
from vecstore.types import OperationState

pytestmark = pytest.mark.usefixtures("no_scans")

STORAGE = Storage(seal_rows=10_000, in_place_rows=100_000, disk_reserve_bytes=0, index_rows_min=300)
ALL_UNFAMILIAR = Familiar(Metric.COSINE, ((-1.0,) * 3,) * len(AT), ((-1.0,) * 3,) * len(AT))


@pytest.fixture
def watched(reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    db = reopen(Settings(storage=STORAGE, search=Search(shadow_sample=1.0, shadow_cpu_share=1.0)))
    db.create_collection("c", schema(parse_index("ivf(nlist=32) | int8")))
    load(db, 0, 2_000, 1_000)
    settle(db, db.compact("c"))
    return db


def test_a_mistake_costs_one_check(watched: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = shadow_module.search_view
    mistakes = [ZeroDivisionError("planted")]

    def search(*arguments: Any) -> Any:
        if mistakes:
            raise mistakes.pop()
        return answered(*arguments)

    monkeypatch.setattr(shadow_module, "search_view", search)
    assert watched.reader.shadow is not None
    for vector in questions(2):
        query(watched, vector, params=SearchParams(nprobe=8))
        assert watched.reader.shadow.wait_idle(60)
    assert watched.reader.shadow.dropped == 1
    assert watched.stats("c")["observed_recall"][0]["checked"] == 1


def test_what_is_seen_is_the_recall_that_queries_got(watched: Database) -> None:
    asked = questions(40)
    recalls: list[float] = []
    told: list[tuple[str, str, float]] = []
    watched.probes.on_recall = lambda *seen: told.append(seen)
    for vector in asked:
        params = SearchParams(nprobe=8)
        got = query(watched, vector, params=params)
        truth = query(watched, vector, params=SearchParams(exact=True))
        recalls.append(np.isin(got.ids, truth.ids).mean())
        assert watched.reader.shadow is not None
        assert watched.reader.shadow.wait_idle(60)
    (seen,) = watched.stats("c")["observed_recall"]
    assert (seen["collection"], seen["using"], seen["strategy"]) == ("c", "v", "ivf")
    assert seen["checked"] == len(asked)  # exact answers are not checked
    assert seen["recall"] == pytest.approx(np.mean(recalls), abs=1e-3)
    assert seen["recall"] < 0.999
    assert seen["low"] < seen["recall"] < seen["high"]
    assert seen["est_recall"] is not None
    assert len(told) == len(asked)
    assert told[-1] == ("c", "v", pytest.approx(np.mean(recalls)))
    watched.delete_collection("c")
    assert watched.observed_recall() == []


def test_what_does_not_fit_is_dropped(watched: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = watched.reader.shadow
    assert shadow is not None
    held = []
    monkeypatch.setattr(shadow, "_recall", lambda sampled: held.append(sampled) or shadow._closing.wait(60) or None)
    asked = questions(WAITING_MAX + 10)
    wanted = asked.copy()
    for vector in asked:
        query(watched, vector, params=SearchParams(nprobe=3))
        vector[:] = 0  # a caller's array is its own again
    assert 8 <= shadow.dropped <= 10  # one or two are at work
    watched.close()  # does not wait for what is left
    assert len(held) <= 2
    for sampled in held:
        assert (sampled.query == wanted).all(axis=1).any()


def test_live_queries_that_got_too_little_are_tuned_on(watched: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries between clusters: rows, which calibration asks by, have their neighbours in fewer lists."""
    monkeypatch.setattr(observed, "LIVE_MIN", 60)
    shadow = watched.reader.shadow
    assert shadow is not None
    params = SearchParams(recall_target=0.9)
    rows = vectors_of(range(2_000))
    rng = np.random.default_rng(3)
    live = [-rows[rng.integers(2_000, size=40)].mean(axis=0) for _ in range(60)]
    monkeypatch.setattr(shadow, "_recall", lambda sampled: 0.5 + 0.1 * (len(told) % 2))
    told: list[object] = []
    watched.probes.on_recall = lambda *seen: told.append(seen)
    for place, vector in enumerate(live):
        assert not [one for one in watched.list_operations() if one.kind == "tune"], place
        query(watched, vector, params=params)
        assert shadow.wait_idle(60)
    (operation,) = [one for one in watched.list_operations() if one.kind == "tune"]
    assert watched.wait_operation(operation.id, 60).state is OperationState.DONE
    (segment,) = watched.collection("c").sealed.values()
    index = segment.index("v")
    assert index is not None
    np.testing.assert_array_equal(index.arrays()["asked"], np.array(live, np.float32))
    assert watched.observed_recall() == []  # begins anew


def test_queries_that_name_their_effort_are_checked_and_not_tuned_on(watched: Database) -> None:
    assert watched.reader.shadow is not None
    kept: list[bool] = []
    watched.reader.shadow.on_checked = lambda checked: kept.append(checked.query is not None)
    for params in (SearchParams(nprobe=1), SearchParams(recall_target=0.9), SearchParams()):
        query(watched, questions(1)[0], params=params)
        assert watched.reader.shadow.wait_idle(60)
    assert kept == [False, True, True]


def test_the_first_queries_of_a_field_are_checked_by_default_and_then_a_share(
    reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    monkeypatch.setattr(shadow_module._RANDOM, "random", lambda: 0.5)
    db = reopen(Settings(storage=STORAGE, search=Search(shadow_first=5, shadow_cpu_share=1.0)))
    shadow = db.reader.shadow
    assert shadow is not None
    assert shadow._thread is None  # nothing to do yet
    db.create_collection("c", schema(parse_index("ivf(nlist=32) | int8")))
    load(db, 0, 2_000, 1_000)
    settle(db, db.compact("c"))
    for vector in questions(12):
        query(db, vector, params=SearchParams(nprobe=3))
        assert shadow.wait_idle(60)
    assert [seen["checked"] for seen in db.observed_recall("c")] == [5]
    monkeypatch.setattr(shadow_module._RANDOM, "random", lambda: 0.005)
    query(db, questions(1)[0], params=SearchParams(nprobe=3))
    assert shadow.wait_idle(60)
    assert [seen["checked"] for seen in db.observed_recall("c")] == [6]


def test_queries_unlike_the_rows_are_tuned_on_although_they_got_enough(
    watched: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their margin costs more than it has to. What tuning does not mend takes twice as many next time."""
    monkeypatch.setattr(observed, "LIVE_MIN", 20)
    shadow = watched.reader.shadow
    assert shadow is not None
    told: list[int] = []
    shadow.observed.on_short = lambda collection, name, queries: told.append(len(queries))
    (segment,) = watched.collection("c").sealed.values()
    index = segment.index("v")
    assert index is not None
    index.familiar = ALL_UNFAMILIAR
    for place, vector in enumerate(questions(60)):
        assert query(watched, vector, params=SearchParams(recall_target=0.9)).quality.basis == "unfamiliar", place
        assert shadow.wait_idle(60)
    assert told == [20, 60]  # after 20 and, of those since, 40
    near = Seen()
    for _ in range(40):
        near.checked, near.looked_at = near.checked + 1, near.looked_at + 1
        near.unfamiliar.append(len(near.unfamiliar) % 5 == 0)
        near.recalls.append(0.95)
        near.promised.append(0.9)
    assert not near.fell_short(20)


def test_queries_that_come_too_fast_to_be_checked_are_tuned_on(
    watched: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That they are unfamiliar is known from their answers."""
    monkeypatch.setattr(observed, "LIVE_MIN", 60)
    shadow = watched.reader.shadow
    assert shadow is not None
    goes_on, told = threading.Event(), []
    monkeypatch.setattr(shadow, "_recall", lambda sampled: goes_on.wait(60) and None)
    monkeypatch.setattr(shadow, "_first", 50)
    shadow.observed.on_short = lambda collection, name, queries: told.append(np.array(queries))
    (segment,) = watched.collection("c").sealed.values()
    index = segment.index("v")
    assert index is not None
    asked = questions(WAITING_MAX + 80)
    for vector in asked[:40]:
        query(watched, vector, params=SearchParams(recall_target=0.9))
    index.familiar = ALL_UNFAMILIAR
    monkeypatch.setattr(shadow, "_first", 200)
    for vector in asked[40:]:
        query(watched, vector, params=SearchParams(recall_target=0.9))
    assert len(shadow._notes) >= 70
    assert told == []
    goes_on.set()
    assert shadow.wait_idle(60)
    assert len(told) == 1
    assert len(told[0]) == 60
    assert watched.observed_recall() == []  # nothing is known of what they got
    assert not shadow._notes


def test_a_field_may_be_noted_while_a_collection_is_forgotten(watched: Database) -> None:
    shadow = watched.reader.shadow
    assert shadow is not None
    quality = Quality(0.9, True, "ivf", "rows")
    noting = threading.Thread(target=lambda: shadow._note("other", "v", questions(1), None, quality, 0.5))

    class Noted(dict[tuple[str, str], int]):
        def items(self) -> Any:
            for pair in super().items():
                yield pair
                noting.start()
                noting.join(0.1)

    shadow._noted = Noted({("c", "v"): 1})
    shadow.forget("c")
    noting.join(60)
    assert shadow._noted == {("other", "v"): 1}


def test_closing_ends_a_check_that_runs(watched: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that takes too long is given up, and counts as a query that was looked at."""
    shadow = watched.reader.shadow
    assert shadow is not None
    monkeypatch.setattr(shadow_module, "CHECK_S", 0.01)
    going = threading.Event()

    def endless(*_args: object, **_named: object) -> None:
        going.set()
        while True:
            check_stop()
            time.sleep(0.001)

    monkeypatch.setattr(shadow_module, "search_view", endless)
    query(watched, questions(1)[0], params=SearchParams(nprobe=3))
    assert shadow.wait_idle(60)
    assert (shadow.dropped, shadow._checked) == (1, {("c", "v"): 1})
    going.clear()
    monkeypatch.setattr(shadow_module, "CHECK_S", 1e6)
    query(watched, questions(1)[0], params=SearchParams(nprobe=3))
    assert going.wait(60)
    watched.close()


def test_none_are_taken_where_the_share_is_none(reopen: Callable[..., Database]) -> None:
    assert reopen(Settings(storage=STORAGE, search=Search(shadow_sample=0.0))).reader.shadow is None
    for name, value in (("SAMPLE", "1.5"), ("SAMPLE", "-0.1"), ("CPU_SHARE", "0")):
        with pytest.raises(InvalidArgument, match="BAD_CONFIG"):
            load_settings(environ={f"VECSTORE_SEARCH_SHADOW_{name}": value})


def test_the_interval_of_a_perfect_record_is_no_point() -> None:
    seen = Seen()
    for _ in range(100):
        seen.recalls.append(1.0)
    assert seen.described()["recall"] == seen.described()["high"] == 1.0
    assert seen.described()["low"] == 0.97
