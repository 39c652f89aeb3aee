"""Which lists a query visits: the geometry against sampling and closed forms, the calibration against measurement."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from ivf_support import clustered, dense, exact, recall, silent, stored

from vecstore.errors import Corruption
from vecstore.index import costs, ivf_plan
from vecstore.index.base import SearchParams
from vecstore.index.calibration import CAP_FACTOR, Calibration, uncalibrated
from vecstore.index.coarse import Coarse, Ranked
from vecstore.index.coded import IVFIndex
from vecstore.index.ivf_plan import plan
from vecstore.index.probing import excess
from vecstore.index.recall_axis import TARGETS
from vecstore.index_spec import IVF
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

pytestmark = pytest.mark.usefixtures("no_scans", "many_rows")


@pytest.fixture
def many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The few rows of a test count as enough for lists to end by distance."""
    monkeypatch.setattr(costs, "CACHED_BYTES", 0)
    monkeypatch.setattr(ivf_plan, "STOP_FROM", 0)


def _excess(squares: list[float], near: float) -> list[float]:
    """As it is described, one list at a time."""
    nearest = max(squares[0], near)
    return [(square - squares[0]) / nearest * math.sqrt(j + 1) for j, square in enumerate(squares)]


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
def test_lists_are_visited_up_to_their_bounds(metric: Metric) -> None:
    """The bounds of distances say of each list what its excess does, for one query and for many to the bit."""
    rng = np.random.default_rng(5)
    queries = (rng.standard_normal((40, 12)) * rng.uniform(0.2, 5, (40, 1))).astype(np.float32)
    centroids = rng.standard_normal((64, 12)).astype(np.float32)
    if metric is Metric.DOT:
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    coarse = Coarse(metric, centroids, np.ones(64, np.float32))
    queries[0] = centroids[3]  # nothing is nearer than `near`
    ranked = coarse.rank(queries, 64, get_kernels())
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True) if metric is Metric.DOT else queries
    near = 0.5
    for stop in (0.3, 2.0, 9.0):
        keep = ranked.distances <= ranked.bounds(metric, stop, near)
        for q in range(40):
            squares = ((centroids[ranked.lists[q]].astype(np.float64) - unit[q]) ** 2).sum(axis=1)
            expected = _excess(squares.tolist(), near)
            sure = np.abs(np.array(expected) - stop) > 1e-3
            assert (keep[q] == (np.array(expected) <= stop))[sure].all()
            assert (np.diff(keep[q].astype(int)) <= 0).all()
            alone = Ranked(ranked.lists[q : q + 1], ranked.distances[q : q + 1], ranked.squares[q : q + 1])
            assert (alone.distances <= alone.bounds(metric, stop, near)).tolist() == keep[q : q + 1].tolist()
        found = excess(ranked.gaps(metric), near)
        assert ((found <= stop) == keep)[np.abs(found - stop) > 1e-3].all()


def test_searches_end_by_distance_and_say_so() -> None:
    rng = np.random.default_rng(6)
    field, rows = dense(16, Metric.L2), clustered(rng, 20_000, 16, clusters=300, spread=0.6)
    index = IVFIndex.build(field, IVF(), rows, None, get_kernels(), silent)
    queries = rows[:200] + np.float32(0.1) * rng.standard_normal((200, 16)).astype(np.float32)
    params = SearchParams(recall_target=0.98)
    how = index._planner.plan(10, params, len(rows))
    assert how.stop > 0
    found = index.search(get_kernels(), queries, 10, None, params)
    assert 0 < found.counters["stopped_early"] <= 200
    assert found.counters["lists_probed"] < 200 * how.lists
    visited = set()
    for q in range(50):  # a query alone is answered as among others
        one = index.search(get_kernels(), queries[q : q + 1], 10, None, params)
        assert one.rows.tolist() == found.rows[q : q + 1].tolist()
        assert one.counters["stopped_early"] == (one.counters["lists_probed"] < how.lists)
        visited.add(one.counters["lists_probed"])
    assert len(visited) > 5  # to each as many as it needs
    few = replace(how, lists=4)
    short = index._candidates(get_kernels(), queries, 10, None, few, True).counters
    alone = [index._candidates(get_kernels(), queries[q : q + 1], 10, None, few, True).counters for q in range(200)]
    assert short["stopped_early"] == sum(one["lists_probed"] < 4 for one in alone)
    assert 0 < short["stopped_early"] < 200
    alike = math.ceil(found.counters["lists_probed"] / 200)  # for each query what these took on average, or more
    fixed = index.search(get_kernels(), queries, 10, None, SearchParams(nprobe=alike, oversampling=how.m / 10))
    truth, _ = exact(field, queries, rows, None, 10)
    assert recall(found.rows, truth) > recall(fixed.rows, truth)
    assert recall(found.rows, truth) > 0.98 - 0.015
    assert "stopped_early" not in fixed.counters


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2, Metric.DOT])
def test_predicted_recall_is_measured_recall(metric: Metric) -> None:
    """Must show 6, on made-up data: queries are rows that were held out of the index."""
    rng = np.random.default_rng(3)
    both = clustered(rng, 20_500, 16, clusters=300, spread=0.6)
    field = dense(16, metric)
    rows, norms = stored(field, both[:20_000])
    index = IVFIndex.build(field, IVF(), rows, norms, get_kernels(), silent)
    queries = both[20_000:]
    for k in (3, 10, 20, 30):
        truth, _ = exact(field, queries, rows, norms, k)
        for target in (0.8, 0.9, 0.95, 0.99):
            found = index.search(get_kernels(), queries, k, None, SearchParams(recall_target=target))
            measured = recall(found.rows, truth)
            assert measured > target - 0.03, (k, target, measured)
            assert measured < target + 0.1, (k, target, measured)  # lists are visited whole


def test_of_few_rows_all_queries_visit_as_many_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """To see by distances how many takes longer than it saves; what is promised is what so many hold."""
    both = clustered(np.random.default_rng(3), 20_500, 16, clusters=300, spread=0.6)
    field = dense(16, Metric.L2)
    rows, _ = stored(field, both[:20_000])
    index = IVFIndex.build(field, IVF(), rows, None, get_kernels(), silent)
    truth, _ = exact(field, both[20_000:], rows, None, 10)

    def asked(target: float) -> tuple[float, float, bool]:
        index._planner = ivf_plan.Planner(index._held, index.calibration, 0)
        found = index.search(get_kernels(), both[20_000:], 10, None, SearchParams(recall_target=target))
        assert found.recall is not None
        return recall(found.rows, truth), found.recall, "stopped_early" in found.counters

    assert asked(0.8)[2]
    monkeypatch.setattr(ivf_plan, "STOP_FROM", 250)  # 3 lists of 39 rows, and 15
    few, more = asked(0.8), asked(0.99)
    assert (few[2], more[2]) == (False, True)
    monkeypatch.setattr(costs, "CACHED_BYTES", rows.nbytes)
    for target in (0.8, 0.9, 0.95, 0.99):
        measured, promised, stopped = asked(target)
        assert not stopped
        assert target - 0.001 < promised < target + 0.15  # lists are visited whole
        assert promised - 0.03 < measured < promised + 0.05


def test_a_target_of_one_visits_every_list() -> None:
    rows = clustered(np.random.default_rng(4), 3000, 8)
    index = IVFIndex.build(dense(8, Metric.L2), IVF(), rows, None, get_kernels(), silent)
    found = index.search(get_kernels(), rows[:20], 10, None, SearchParams(recall_target=1.0))
    assert found.counters["rows_scanned"] == 20 * 3000
    assert (found.rows == exact(dense(8, Metric.L2), rows[:20], rows, None, 10)[0]).all()


def _steps(*values: float) -> tuple[float, ...]:
    return tuple(np.interp(TARGETS, (0.5, 1.0), values).tolist())


def test_plans_follow_targets_k_filters_and_wishes() -> None:
    nprobe = tuple(tuple(int(v) for v in _steps(1, top)) for top in (20, 40, 80))
    known = Calibration((1, 10, 100), nprobe, _steps(1, 8), tuple(_steps(0.5, top) for top in (2, 4, 8)), 1.0)
    auto = plan(known, 1000, 0, 10, SearchParams(), 1.0)
    assert auto.stop > 0
    assert auto.lists == CAP_FACTOR * auto.about
    easy, hard = (plan(known, 1000, 0, 10, SearchParams(recall_target=target), 1.0) for target in (0.8, 0.99))
    assert hard.stop > easy.stop > 0
    assert hard.m > easy.m
    assert plan(known, 1000, 0, 100, SearchParams(), 1.0).lists > auto.lists
    assert plan(known, 1000, 0, 10, SearchParams(), 0.01).lists > plan(known, 1000, 0, 10, SearchParams(), 0.1).lists
    assert plan(known, 1000, 0, 10, SearchParams(), 0.01).stop > plan(known, 1000, 0, 10, SearchParams(), 0.1).stop
    assert plan(known, 30, 0, 10, SearchParams(), 0.001).lists == 30
    assert plan(known, 1000, 7, 10, SearchParams(), 1.0).lists == 7
    fixed = plan(known, 1000, 7, 10, SearchParams(nprobe=5, oversampling=3), 1.0)
    assert (fixed.lists, fixed.m, fixed.stop) == (5, 30, 0)
    assert plan(known, 1000, 7, 10, SearchParams(recall_target=0.9), 1.0).stop > 0  # a target goes before the spec
    assert plan(known, 3, 0, 10, SearchParams(nprobe=50), 1.0).lists == 3
    # Where a fixed number is as good, next to the target or for the next k, it is taken.
    for k, target, ends in ((10, 0.8, True), (10, 0.96, False), (100, 0.96, True), (30, 0.96, False), (3, 0.96, False)):
        row = list(known.stop[1])
        row[TARGETS.index(0.95)] = 0.0
        some = Calibration(known.ks, known.nprobe, known.depth, (known.stop[0], tuple(row), known.stop[2]), 1.0)
        how = plan(some, 1000, 0, k, SearchParams(recall_target=target), 1.0)
        assert (how.stop > 0) == ends, (k, target)
        assert how.lists == how.about * (CAP_FACTOR if ends else 1)


def test_a_calibration_of_before_is_read() -> None:
    """It had other tables in place of `stop`, which are left alone: so many lists for every query."""
    good = msgspec.to_builtins(uncalibrated()) | {
        "slack": [[0.5] * len(TARGETS)],
        "mass": [],
        "dim": 3.0,
        "spacing": 1.0,
    }
    del good["stop"], good["near"]
    old = msgspec.json.decode(msgspec.json.encode(good), type=Calibration)
    old.check(1)
    assert old.stop_for(0.9, 10) == 0


def test_a_calibration_that_lies_is_corruption() -> None:
    good = uncalibrated()
    good.check(1)
    bad = [
        Calibration((), (), good.depth),
        Calibration((1,), ((2,) * len(TARGETS),), good.depth),
        Calibration((1,), ((1,),), good.depth),
        Calibration((0,), good.nprobe, good.depth),
        Calibration((1,), good.nprobe, (float("nan"),) * len(TARGETS)),
        Calibration((1,), good.nprobe, (1e31,) * len(TARGETS)),
        Calibration((1,), good.nprobe, good.depth, ((0.5,) * len(TARGETS),) * 2),
        Calibration((1,), good.nprobe, good.depth, ((0.5,),)),
        Calibration((1,), good.nprobe, good.depth, ((-0.5,) * len(TARGETS),)),
        Calibration((1,), good.nprobe, good.depth, near=float("nan")),
        Calibration((1,), good.nprobe, good.depth, near=0.0),
    ]
    for calibration in bad:
        with pytest.raises(Corruption):
            calibration.check(1)
