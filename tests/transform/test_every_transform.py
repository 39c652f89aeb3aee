"""What every transform keeps: state survives a restart, bits do not depend on the batch, damage is told."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from transform_support import embeddings, unit

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.schema import Metric
from vecstore.transform.base import Transform
from vecstore.transform.registry import TRANSFORMS

SPECS = [
    index_spec.Normalize(),
    index_spec.Center(),
    index_spec.Truncate(24),
    index_spec.PCA(20),
    index_spec.PCA(20, centered=True),
    index_spec.PCA(20, centered=False),
    index_spec.Rotate(seed=3),
    index_spec.OPQ(m=8),
    index_spec.OPQ(m=8, dim=32),
]
METRICS = [(Metric.L2, False), (Metric.DOT, False), (Metric.DOT, True)]
DIM = 80
CASES = [(spec, DIM) for spec in SPECS] + [(index_spec.Rotate(seed=3), 304)]  # wide rotations are another map


@functools.cache
def fitted(spec: index_spec.Transform, metric: Metric, is_unit: bool, dim: int = DIM) -> tuple[Transform, np.ndarray]:
    rows = embeddings(400, dim, 1, mean=1.0)
    rows = unit(rows) if is_unit else rows
    return TRANSFORMS[spec.__struct_config__.tag].fit(spec, rows, metric, is_unit), rows


def both_sides(transform: Transform, rows: np.ndarray) -> list[np.ndarray]:
    queries, add = transform.apply_queries(rows[:5])
    return [transform.apply(rows), queries, np.zeros(5) if add is None else add]


@pytest.mark.parametrize(("metric", "is_unit"), METRICS)
@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_round_trip(spec: index_spec.Transform, metric: Metric, is_unit: bool) -> None:
    transform, rows = fitted(spec, metric, is_unit)
    before = rows.copy()
    mapped = both_sides(transform, rows)
    assert mapped[0].shape == (400, transform.dim_out)
    assert mapped[0].dtype == mapped[1].dtype == np.float32
    assert mapped[0].flags.c_contiguous
    assert (rows == before).all(), "a transform never changes its argument"
    again = type(transform).from_arrays(transform.arrays())
    assert (again.dim_in, again.dim_out, again.linear) == (transform.dim_in, transform.dim_out, transform.linear)
    for one, other in zip(mapped, both_sides(again, rows), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(("spec", "dim"), CASES)
def test_a_row_has_the_same_bytes_in_any_batch(spec: index_spec.Transform, dim: int) -> None:
    transform, rows = fitted(spec, Metric.DOT, True, dim)
    whole = transform.apply(rows)
    for size in (1, 7, 64, 129):
        parts = [transform.apply(rows[start : start + size]) for start in range(0, len(rows), size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes(), f"batches of {size}"
    assert transform.apply(rows[:0]).shape == (0, transform.dim_out)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_fitting_again_gives_the_same(spec: index_spec.Transform) -> None:
    first, second = (fitted.__wrapped__(spec, Metric.L2, False)[0].arrays() for _ in range(2))
    assert {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in second.items()
    }


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_unit_length_is_kept_where_promised(spec: index_spec.Transform) -> None:
    transform, rows = fitted(spec, Metric.DOT, True)
    lengths = np.linalg.norm(transform.apply(rows), axis=1)
    if transform.unit_after(True):
        np.testing.assert_allclose(lengths, 1, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(transform.apply_queries(rows)[0], axis=1), 1, atol=1e-5)
    else:
        assert np.ptp(lengths) > 1e-3


@pytest.mark.parametrize(("spec", "dim"), CASES)
def test_damaged_arrays_are_corruption(spec: index_spec.Transform, dim: int) -> None:
    transform, _ = fitted(spec, Metric.L2, False, dim)
    kind, arrays = type(transform), transform.arrays()
    for name, array in arrays.items():
        damaged = [array.astype(np.float16), array[None], array[:0]]
        if name not in ("dim", "mean"):  # a shorter mean is a mean of fewer dimensions
            damaged.append(array[:-1] if array.size > 1 else array - 1000)
        if array.dtype.kind == "f":
            damaged.append(np.full_like(array, np.nan))
        if array.ndim == 2:
            damaged.append(array * 2)
        for bad in damaged:
            with pytest.raises(Corruption):
                kind.from_arrays(arrays | {name: bad})
        if name != "mean" or kind.name == "center":
            with pytest.raises(Corruption, match=name):
                kind.from_arrays({key: value for key, value in arrays.items() if key != name})


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (index_spec.Truncate(81), r"truncate\.dim=81 is not in 1\.\.80"),
        (index_spec.Truncate(0), r"truncate\.dim=0"),
        (index_spec.PCA(81), r"pca\.dim=81 is not in 1\.\.80"),
        (index_spec.PCA(-1), r"pca\.dim=-1"),
        (index_spec.OPQ(m=7), r"opq\.m=7 does not divide 80"),
        (index_spec.OPQ(m=0), r"opq\.m=0"),
        (index_spec.OPQ(m=8, dim=88), r"opq\.dim=88"),
        (index_spec.OPQ(m=8, dim=30), r"opq\.m=8 does not divide 30"),
    ],
)
def test_bad_specs_are_told(spec: index_spec.Transform, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told) as caught:
        fitted(spec, Metric.L2, False)
    assert caught.value.reason == "BAD_INDEX_SPEC"


@pytest.mark.parametrize("spec", [index_spec.Center(), index_spec.PCA(4), index_spec.OPQ(m=8)])
def test_too_small_a_sample_is_told(spec: index_spec.Transform) -> None:
    with pytest.raises(InvalidArgument, match="the sample has 0"):
        TRANSFORMS[spec.__struct_config__.tag].fit(spec, np.empty((0, 8), np.float32), Metric.L2, False)


def test_prefixes_are_cut_then_scaled() -> None:
    transform, rows = fitted(index_spec.Truncate(24), Metric.DOT, True)
    np.testing.assert_allclose(transform.apply(rows), unit(rows[:, :24]), atol=1e-6)
    plain, rows = fitted(index_spec.Truncate(24), Metric.L2, False)
    assert (plain.apply(rows) == rows[:, :24]).all()


def test_zero_vectors_stay_zero() -> None:
    for spec in (index_spec.Normalize(), index_spec.Truncate(24), index_spec.PCA(20), index_spec.Rotate()):
        transform, _ = fitted(spec, Metric.DOT, True)
        assert (transform.apply(np.zeros((3, DIM), np.float32)) == 0).all()


def test_lengths_do_not_overflow() -> None:
    huge = np.full((1, DIM), 1e30, np.float32)
    transform, _ = fitted(index_spec.Normalize(), Metric.DOT, False)
    np.testing.assert_allclose(transform.apply(huge), DIM**-0.5, rtol=1e-6)


def test_centring_keeps_what_the_metric_sees() -> None:
    rng = np.random.default_rng(5)
    queries = rng.standard_normal((4, DIM)).astype(np.float32)
    transform, rows = fitted(index_spec.Center(), Metric.DOT, False)
    mapped, add = transform.apply_queries(queries)
    assert add is not None
    np.testing.assert_allclose(mapped @ transform.apply(rows).T + add[:, None], queries @ rows.T, atol=1e-4)
    transform, rows = fitted(index_spec.Center(), Metric.L2, False)
    mapped, add = transform.apply_queries(queries)
    assert add is None
    np.testing.assert_allclose(mapped[:, None] - transform.apply(rows), queries[:, None] - rows, atol=1e-5)
