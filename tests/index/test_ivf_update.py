"""Indexes that follow their rows: appends and drift without retraining, deletes without ghosts, compaction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ivf_support import clustered, dense, exact, recall, silent, stored
from masks import bitmap

from vecstore.index.base import SearchParams, Warm
from vecstore.index.coded import IVFIndex
from vecstore.index.kmeans import assign_all, imbalance
from vecstore.index_spec import IVF, Float16
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField

SPEC = IVF()


def build(field: VectorField, rows: np.ndarray, warm: IVFIndex | None = None, spec: Any = SPEC) -> IVFIndex:
    kept, norms = stored(field, rows)
    start = None if warm is None else Warm(warm, np.full(warm.ntotal, -1))  # lists do not ask where rows went
    return IVFIndex.build(field, spec, kept, norms, get_kernels(), silent, start)


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT, Metric.L2])
def test_an_append_learns_nothing_new_and_finds_everything(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    rows = clustered(rng, 3000, 16)
    field = dense(16, metric)
    spec = IVF(quantizer=Float16())
    first = build(field, rows[:2700], spec=spec)
    phases: list[str] = []
    kept, norms = stored(field, rows)
    kernels, start = get_kernels(), Warm(first, np.arange(2700))
    more = IVFIndex.build(field, spec, kept, norms, kernels, lambda phase, *_: phases.append(phase), start)
    assert "train lists" not in phases
    assert "train codes" not in phases
    assert more.learned.quantizer is first.learned.quantizer
    truth, distances = exact(field, rows[:50], kept, norms, 10)
    found = more.search(kernels, rows[:50], 10, None, SearchParams(nprobe=10_000, oversampling=4))
    assert found.rows.tolist() == truth.tolist()
    assert found.distances.tobytes() == distances.tobytes()
    assert recall(more.search(kernels, rows[:50], 10, None).rows, truth) > 0.9


def test_rows_of_changed_lists_go_to_the_nearest_centroid() -> None:
    rng = np.random.default_rng(2)
    old = clustered(rng, 3000, 12)
    new = clustered(rng, 3000, 12) + 4
    field = dense(12, Metric.L2)
    rows = np.concatenate((old, new))
    first = build(field, old)
    index = build(field, rows, first)
    coarse = index.learned.coarse
    homes = np.empty(6000, np.int64)
    homes[index.lists.rows] = np.repeat(np.arange(coarse.nlist), np.diff(index.lists.offsets))
    nearest = assign_all(Metric.L2, rows, coarse.centroids, get_kernels())
    assert (homes == nearest).mean() > 0.99
    counts = np.diff(index.lists.offsets)
    stale = np.bincount(assign_all(Metric.L2, rows, first.learned.coarse.centroids, get_kernels()))
    assert imbalance(counts) < 2 < imbalance(stale)


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2])
def test_drift_costs_little_recall(metric: Metric) -> None:
    """Must show 7: half of the rows come after training, from elsewhere; as many rows scanned as after a rebuild."""
    rng = np.random.default_rng(3)
    old = clustered(rng, 8000, 24, clusters=150, spread=0.8)
    new = clustered(rng, 8200, 24, clusters=150, spread=0.8) + 1.5
    rows, queries = np.concatenate((old, new[:8000])), np.concatenate((old[:100] + 0.1, new[8100:]))
    field = dense(24, metric)
    kept, norms = stored(field, rows)
    truth, _ = exact(field, queries, kept, norms, 10)
    adapted, rebuilt = build(field, rows, build(field, old)), build(field, rows)

    def reached(index: IVFIndex, budget: float) -> float:
        """Recall at this mean number of rows scanned."""
        points = []
        for nprobe in (1, 2, 4, 8, 16):
            found = index.search(get_kernels(), queries, 10, None, SearchParams(nprobe=nprobe))
            points.append((found.counters["rows_scanned"] / len(queries), recall(found.rows, truth)))
        scanned, recalls = zip(*points, strict=True)
        return float(np.interp(np.log(budget), np.log(scanned), recalls))

    for budget in (400.0, 1000.0):
        assert reached(adapted, budget) > reached(rebuilt, budget) - 0.01, budget


def test_deleted_rows_never_come_back() -> None:
    """Must show 8, without its timing: a tombstone is a bit that is not allowed."""
    rng = np.random.default_rng(4)
    rows = clustered(rng, 4000, 16)
    field = dense(16, Metric.L2)
    index = build(field, rows)
    alive = rng.random(4000) < 0.5
    found = index.search(get_kernels(), rows[:200], 10, bitmap(alive))
    assert alive[found.rows].all()
    truth, _ = exact(field, rows[:200], rows, None, 10, bitmap(alive))
    assert recall(found.rows, truth) > 0.9

    compacted = build(field, rows[alive], index)
    fresh = build(field, rows[alive])
    assert compacted.ntotal == alive.sum()
    assert compacted.learned.coarse.nlist <= 1.3 * fresh.learned.coarse.nlist  # short lists scan slowly
    kept = exact(field, rows[:200], rows[alive], None, 10)[0]
    assert recall(compacted.search(get_kernels(), rows[:200], 10, None).rows, kept) > 0.9


def test_lists_that_lost_their_rows_are_dissolved() -> None:
    rng = np.random.default_rng(5)
    rows = np.concatenate((clustered(rng, 3000, 12), clustered(rng, 3000, 12) + 6))
    field = dense(12, Metric.L2)
    index = build(field, rows)
    left = build(field, rows[:3000], index)
    assert left.learned.coarse.nlist < 0.8 * index.learned.coarse.nlist
    assert np.diff(left.lists.offsets).min() > 0


@pytest.mark.parametrize("n", [1, 2, 30])
def test_warm_from_few_to_many_and_back(n: int) -> None:
    rows = clustered(np.random.default_rng(6), 2000, 8)
    field = dense(8, Metric.COSINE)
    few, many = build(field, rows[:n]), build(field, rows)
    for index, count in ((build(field, rows, few), 2000), (build(field, rows[:n], many), n)):
        found = index.search(get_kernels(), rows[:1], 5, None)
        assert found.rows[0, 0] == 0
        assert index.ntotal == count
        assert (found.rows >= 0).sum() == min(5, count)
    assert build(field, rows, few).learned.coarse.nlist == many.learned.coarse.nlist  # too little was learned
