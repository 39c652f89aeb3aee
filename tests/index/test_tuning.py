"""Calibration on a user's own queries: recall targets hold for queries that do not resemble the rows."""

from __future__ import annotations

import os

import numpy as np
import pytest
from ivf_support import clustered, dense, exact, recall, silent, stored

from vecstore.errors import Corruption
from vecstore.index.base import SearchParams, Warm
from vecstore.index.coded import FlatCodesIndex, IVFIndex
from vecstore.index_spec import IVF, Flat, RaBitQ
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

pytestmark = pytest.mark.usefixtures("no_scans")

TARGETS = (0.8, 0.9, 0.95)


def _foreign(rng: np.random.Generator, rows: np.ndarray, n: int) -> np.ndarray:
    """Blurred rows, all moved the same way, as questions are beside passages: their neighbours stand in many lists."""
    some = rows[rng.permutation(len(rows))[:n]].astype(np.float32)
    blur = rng.standard_normal(some.shape).astype(np.float32)
    return some + blur + np.where(np.arange(some.shape[1]) < 4, np.float32(3), np.float32(0))


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2, Metric.DOT])
def test_targets_hold_for_foreign_queries_once_tuned(metric: Metric) -> None:
    rng = np.random.default_rng(int(os.environ.get("SEED", 0)))  # one in a hundred misses a bound of recall by a little
    field = dense(16, metric)
    rows, norms = stored(field, clustered(rng, 20_000, 16, clusters=300, spread=0.6))
    index = IVFIndex.build(field, IVF(), rows, norms, get_kernels(), silent)
    tuned = index.tuned(_foreign(rng, rows, 512), get_kernels())
    asked = _foreign(rng, rows, 500)
    truth, _ = exact(field, asked, rows, norms, 10)
    off, off_before = 0.0, 0.0
    for target in TARGETS:
        params = SearchParams(recall_target=target)
        measured = recall(tuned.search(get_kernels(), asked, 10, None, params).rows, truth)
        assert measured > target - 0.03, (target, measured)
        off += abs(measured - target)
        off_before += abs(recall(index.search(get_kernels(), asked, 10, None, params).rows, truth) - target)
    assert off < 0.15  # of the three together: lists are visited whole, which takes the least target further
    # Searches that end by distance go further for queries that are far, so that the rows alone may tell as well: but
    # not where queries that were moved are turned as well.
    assert metric is not Metric.COSINE or off < off_before
    own = index.search(get_kernels(), asked, 10, None, SearchParams(recall_target=0.9))
    assert index.calibration != tuned.calibration
    assert (own.rows == index.search(get_kernels(), asked, 10, None, SearchParams(recall_target=0.9)).rows).all()


def test_tuning_is_stored_and_goes_on_in_a_merge() -> None:
    rng = np.random.default_rng(5)
    field = dense(16, Metric.COSINE)
    rows, norms = stored(field, clustered(rng, 6_000, 16, clusters=100))
    queries = _foreign(rng, rows, 200)
    index = IVFIndex.build(field, IVF(quantizer=RaBitQ(bits=4)), rows[:5_000], norms[:5_000], get_kernels(), silent)
    tuned = index.tuned(queries, get_kernels())
    again = IVFIndex.from_arrays(field, rows[:5_000], tuned.arrays() | {"inverse_norms": norms[:5_000]})
    assert again.calibration == tuned.calibration != index.calibration
    assert (again.arrays()["asked"] == queries).all()
    warm = Warm(again, np.arange(5_000))
    merged = IVFIndex.build(field, index.spec, rows, norms, get_kernels(), silent, warm)
    assert (merged.arrays()["asked"] == queries).all()
    assert merged.calibration == merged.tuned(queries, get_kernels()).calibration
    assert "asked" not in index.arrays()


def test_a_flat_index_learns_how_deep_to_rerank() -> None:
    rng = np.random.default_rng(6)
    field = dense(16, Metric.L2)
    rows, _ = stored(field, clustered(rng, 3_000, 16))
    index = FlatCodesIndex.build(field, Flat(RaBitQ(bits=1)), rows, None, get_kernels(), silent)
    tuned = index.tuned(rng.standard_normal((200, 16)).astype(np.float32), get_kernels())
    assert tuned.calibration.depth != index.calibration.depth
    assert tuned.calibration.nprobe == index.calibration.nprobe


@pytest.mark.parametrize(
    "asked",
    [np.ones((3, 15), np.float32), np.ones((3, 16)), np.ones(16, np.float32), np.full((2, 16), np.nan, np.float32)],
)
def test_stored_queries_are_checked(asked: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    field = dense(16, Metric.L2)
    rows, _ = stored(field, clustered(rng, 500, 16))
    index = IVFIndex.build(field, IVF(), rows, None, get_kernels(), silent)
    with pytest.raises(Corruption, match="queries"):
        IVFIndex.from_arrays(field, rows, index.arrays() | {"asked": asked})
