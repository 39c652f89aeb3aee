"""Chains: fitted in order, offsets of queries add up, names and dimensions are checked."""

from __future__ import annotations

import numpy as np
import pytest
from transform_support import embeddings, unit

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.schema import Metric
from vecstore.transform.chain import Chain
from vecstore.transform.truncate import Truncate

STEPS = (index_spec.PCA(40), index_spec.Rotate(seed=2))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return unit(embeddings(600, 96, 1, mean=1.0))


def test_steps_are_applied_in_order(rows: np.ndarray) -> None:
    chain = Chain.fit(STEPS, rows, Metric.DOT, unit=True)
    assert (chain.dim_in, chain.dim_out) == (96, 64)
    first, second = chain.steps
    assert chain.apply(rows).tobytes() == second.apply(first.apply(rows)).tobytes()
    queries, add = chain.apply_queries(rows[:3])
    assert add is None
    np.testing.assert_allclose(queries, chain.apply(rows[:3]), atol=1e-5)


def test_each_step_is_fitted_to_what_reaches_it(rows: np.ndarray) -> None:
    chain = Chain.fit((index_spec.Rotate(), index_spec.PCA(8)), rows, Metric.L2)
    assert chain.apply(rows).var() == pytest.approx(
        Chain.fit((index_spec.PCA(8),), rows, Metric.L2).apply(rows).var(), rel=1e-3
    ), "the same directions, found in rotated coordinates"


def test_offsets_of_queries_add_up() -> None:
    stored = embeddings(600, 96, 2, mean=1.0)
    queries = embeddings(5, 96, 3)
    steps = (index_spec.Center(), index_spec.Rotate(), index_spec.PCA(96, centered=True))
    chain = Chain.fit(steps, stored, Metric.DOT)
    mapped, add = chain.apply_queries(queries)
    assert add is not None
    np.testing.assert_allclose(mapped @ chain.apply(stored).T + add[:, None], queries @ stored.T, atol=1e-3)
    scaled = Chain.fit((index_spec.Center(), index_spec.Normalize()), stored, Metric.DOT)
    assert scaled.apply_queries(queries)[1] is None, "at unit length the products are cosines: nothing to add"


def test_no_steps(rows: np.ndarray) -> None:
    chain = Chain.fit((), rows, Metric.L2)
    assert chain.apply(rows) is rows
    assert Chain.from_arrays(chain.arrays()).dim_out == 96


def test_round_trip(rows: np.ndarray) -> None:
    steps = (index_spec.Center(), index_spec.Truncate(80), index_spec.OPQ(m=8, dim=64), index_spec.Rotate())
    chain = Chain.fit(steps, rows, Metric.DOT, unit=True)
    arrays = chain.arrays()
    assert {"dim", "0.center.mean", "1.truncate.unit", "2.opq.basis", "3.rotate.matrix"} < arrays.keys()
    again = Chain.from_arrays(arrays)
    assert again.apply(rows).tobytes() == chain.apply(rows).tobytes()
    for one, other in zip(again.apply_queries(rows), chain.apply_queries(rows), strict=True):
        assert one is not None
        assert other is not None
        assert one.tobytes() == other.tobytes()


def test_dimensions_must_fit(rows: np.ndarray) -> None:
    with pytest.raises(InvalidArgument, match=r"truncate\.dim=65 is not in 1\.\.64") as caught:
        Chain.fit((*STEPS, index_spec.Truncate(65)), rows, Metric.DOT, unit=True)
    assert caught.value.reason == "BAD_INDEX_SPEC"
    with pytest.raises(ValueError, match="truncate takes 5 dimensions, the steps before it give 4"):
        Chain(4, [Truncate(5, 2, False)])


def test_damage_is_corruption(rows: np.ndarray) -> None:
    arrays = Chain.fit(STEPS, rows, Metric.DOT, unit=True).arrays()
    extra = np.zeros(1)
    for name in ("2.pca", "x.pca.basis", "-1.pca.basis", "²0.pca.basis", "0.nothing.basis", "0.rotate.dim", "3.pca.x"):
        with pytest.raises(Corruption):
            Chain.from_arrays(arrays | {name: extra})
    for name in arrays:
        with pytest.raises(Corruption):
            Chain.from_arrays({key: array for key, array in arrays.items() if key != name})
    with pytest.raises(Corruption, match="takes 96 dimensions"):
        Chain.from_arrays(arrays | {"dim": np.array([95])})
