"""Which lists a query visits: the geometry against sampling and closed forms, the calibration against measurement."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ivf_support import clustered, dense, exact, recall, silent, stored

from vecstore.errors import Corruption
from vecstore.index.base import SearchParams
from vecstore.index.calibration import Calibration, uncalibrated
from vecstore.index.coded import IVFIndex
from vecstore.index.ivf_search import plan
from vecstore.index.probing import beyond, intrinsic_dim, mass_before
from vecstore.index.recall_axis import TARGETS
from vecstore.index_spec import IVF
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric


def test_the_cap_of_a_ball() -> None:
    heights = np.float32([0, 0.2, 0.5, 0.9, 1, 3])
    np.testing.assert_allclose(beyond(heights, 1), [0.5, 0.4, 0.25, 0.05, 0, 0], atol=1e-6)  # a ball on a line
    area = [(math.acos(h) - h * math.sqrt(1 - h * h)) / math.pi for h in (0, 0.2, 0.5, 0.9)]
    np.testing.assert_allclose(beyond(heights[:4], 2), area, atol=1e-5)  # a disc's segment
    np.testing.assert_allclose(beyond(heights[:4], 3), [(2 - 3 * h + h**3) / 4 for h in (0, 0.2, 0.5, 0.9)], atol=1e-5)
    rng = np.random.default_rng(1)
    points = rng.standard_normal((200_000, 12))
    points *= rng.random((200_000, 1)) ** (1 / 12) / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(beyond(np.float32([0.3]), 12), [(points[:, 0] > 0.3).mean()], atol=3e-3)


def test_mass_comes_before_lists_in_order() -> None:
    gaps = np.float32([[1, 1, 1.5, 2, 9], [1, 3, 5, 7, 9]])
    before = mass_before(gaps, np.float32([1, np.inf]), 1.0, 2.0)
    assert before[:, 0].tolist() == [0, 0]
    assert before[0, 4] == 2  # the bisecting plane is beyond the ball
    inside = before[0, :4]
    assert (np.diff(inside) > 0).all()
    np.testing.assert_allclose(before[1], [0, 2 / 6, 3 / 6, 4 / 6, 5 / 6], atol=1e-6)  # nothing known: all alike


@pytest.mark.parametrize("dim", [2, 8])
def test_intrinsic_dimension_of_a_flat_piece_of_space(dim: int) -> None:
    rng = np.random.default_rng(2)
    rows = np.zeros((4000, 32), np.float32)
    rows[:, :dim] = rng.random((4000, dim))
    _, squares = exact(dense(32, Metric.L2), rows[:200], rows, None, 21)
    assert intrinsic_dim(np.sqrt(squares[:, 1:])) == pytest.approx(dim, rel=0.2)


def test_intrinsic_dimension_of_equal_rows_is_a_number() -> None:
    assert 1 <= intrinsic_dim(np.zeros((5, 4), np.float32)) <= 1000


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
    known = Calibration((1, 10, 100), nprobe, _steps(1, 8), *(tuple(_steps(0, 1) for _ in range(3)),) * 2, 8.0, 1.0)
    auto = plan(known, 1000, 0, 10, SearchParams(), 1.0)
    assert auto.slack is not None
    easy, hard = (plan(known, 1000, 0, 10, SearchParams(recall_target=target), 1.0) for target in (0.8, 0.99))
    assert easy.mass is not None
    assert hard.mass is not None
    assert hard.mass > easy.mass
    assert hard.m > easy.m
    assert plan(known, 1000, 0, 100, SearchParams(), 1.0).lists > auto.lists
    assert plan(known, 1000, 0, 10, SearchParams(), 0.01).lists > plan(known, 1000, 0, 10, SearchParams(), 0.1).lists
    assert plan(known, 30, 0, 10, SearchParams(), 0.001).lists == 30
    assert plan(known, 1000, 7, 10, SearchParams(), 1.0).lists == 7
    fixed = plan(known, 1000, 7, 10, SearchParams(nprobe=5, oversampling=3), 1.0)
    assert (fixed.lists, fixed.m, fixed.slack, fixed.mass) == (5, 30, None, None)
    assert (
        plan(known, 1000, 7, 10, SearchParams(recall_target=0.9), 1.0).mass is not None
    )  # a target goes before the spec
    assert plan(known, 3, 0, 10, SearchParams(nprobe=50), 1.0).lists == 3


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
        Calibration((1,), good.nprobe, good.depth, mass=((0.5,) * len(TARGETS),) * 2),
        Calibration((1,), good.nprobe, good.depth, dim=float("nan")),
        Calibration((1,), good.nprobe, good.depth, spacing=0.0),
    ]
    for calibration in bad:
        with pytest.raises(Corruption):
            calibration.check(1)
