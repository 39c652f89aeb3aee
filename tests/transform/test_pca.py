"""PCA: sums that merge, the right PCA for the metric, when to fit again."""

from __future__ import annotations

import numpy as np
import pytest
from transform_support import embeddings, nearest, principal_angle, recall, unit

from vecstore import index_spec
from vecstore.errors import Corruption
from vecstore.schema import Metric
from vecstore.transform.judge import Judge
from vecstore.transform.moments import Moments
from vecstore.transform.pca import PCA, fix_signs
from vecstore.transform.range_finder import leading_directions


def moments_of(rows: np.ndarray) -> Moments:
    moments = Moments(rows.shape[1])
    moments.add(rows)
    return moments


@pytest.mark.parametrize("centered", [False, True])
def test_merged_over_ten_segments_is_the_batch(centered: bool) -> None:
    rows = embeddings(12_000, 96, 1, mean=2.0)
    merged = Moments(96)
    for part in np.array_split(rows, 10):
        merged.merge(moments_of(part))
    one = PCA.from_moments(merged, 24, centered, Metric.L2)
    other = PCA.from_moments(moments_of(rows), 24, centered, Metric.L2)
    assert merged.n == 12_000
    assert principal_angle(one.basis, other.basis) < 1e-3
    np.testing.assert_allclose(one.basis, other.basis, atol=1e-4)  # signs are fixed
    exact = rows.astype(np.float64) - (rows.mean(axis=0, dtype=np.float64) if centered else 0)
    _, directions = np.linalg.eigh(exact.T @ exact)
    assert principal_angle(one.basis, directions[:, -24:]) < 1e-3


def test_a_segment_can_be_taken_out_again() -> None:
    rows = embeddings(3000, 40, 2, mean=1.0)
    moments = moments_of(rows)
    moments.subtract(moments_of(rows[:1000]))
    rest = moments_of(rows[1000:])
    assert moments.n == 2000
    np.testing.assert_allclose(moments.second, rest.second, atol=1e-6 * rest.second.trace())
    with pytest.raises(ValueError, match="cannot take 3000 vectors out of 2000"):
        moments.subtract(moments_of(rows))


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    rows = (np.random.default_rng(3).standard_normal((5000, 32)) * np.arange(1, 33) ** -1.0 + 300).astype(np.float32)
    exact = np.cov(rows.astype(np.float64).T, bias=True)
    found = moments_of(rows)
    np.testing.assert_allclose(found.about(found.mean), exact, atol=1e-6)


def test_moments_survive_a_restart() -> None:
    moments = moments_of(embeddings(500, 20, 4))
    again = Moments.from_arrays(moments.arrays())
    assert again.n == 500
    assert again.second.tobytes() == moments.second.tobytes()
    arrays = moments.arrays()
    for bad in ({"n": np.array([-1])}, {"second": -moments.second}, {"sum": np.zeros(19)}):
        with pytest.raises(Corruption):
            Moments.from_arrays(arrays | bad)


def test_mapped_distances_never_exceed_the_true_ones() -> None:
    rows = embeddings(300, 48, 5, mean=3.0)
    pca = PCA.fit(index_spec.PCA(12), rows, Metric.L2, False)
    assert pca.mean is not None, "centred under l2"
    mapped, queries = pca.apply(rows), pca.apply_queries(rows)[0]
    true = ((rows[:, None] - rows) ** 2).sum(axis=2)
    assert (((queries[:, None] - mapped) ** 2).sum(axis=2) <= true * (1 + 1e-4) + 1e-4).all()


def test_which_pca_suits_the_metric() -> None:
    rows = unit(embeddings(500, 30, 6, mean=1.0))
    cosine = PCA.fit(index_spec.PCA(10), rows, Metric.DOT, True)
    assert cosine.mean is None
    assert cosine.weight > 0
    assert cosine.dim_out == 10
    dot = PCA.fit(index_spec.PCA(10), rows, Metric.DOT, False)
    assert dot.mean is None
    assert dot.weight == 0
    centered = PCA.fit(index_spec.PCA(30, centered=True), rows, Metric.DOT, True)
    mapped, add = centered.apply_queries(rows[:7])
    assert add is not None, "queries are not centred: the constant part of their products comes back"
    np.testing.assert_allclose(mapped @ centered.apply(rows).T + add[:, None], rows[:7] @ rows.T, atol=1e-5)


def test_mean_shifted_table() -> None:
    """Section 1.1: recall@10 of exact cosine neighbours when half of the dimensions are kept of vectors with a common
    mean. Centring and then taking cosines is another similarity."""
    dim, k = 128, 64
    rows, queries = unit(embeddings(8000, dim, 7, mean=1.5)), unit(embeddings(100, dim, 8, mean=1.5))
    truth = nearest(queries @ rows.T, 10)

    def measured(pca: PCA, renormalise: bool = False) -> float:
        mapped, asked = pca.apply(rows), pca.apply_queries(queries)[0]
        if renormalise:  # what pipelines of centred PCA and cosine do, queries centred too
            assert pca.mean is not None
            mapped, asked = unit(mapped), unit(pca.apply(queries))
        return recall(truth, nearest(asked @ mapped.T, 10))

    uncentered = measured(PCA.fit(index_spec.PCA(k), rows, Metric.DOT, True))
    documents = measured(PCA.fit(index_spec.PCA(k, centered=True), rows, Metric.DOT, True))
    other = measured(PCA.fit(index_spec.PCA(k, centered=True), rows, Metric.DOT, True), renormalise=True)
    basis = PCA.from_moments(moments_of(rows), k, False, Metric.DOT).basis
    renormalised = recall(truth, nearest(unit(queries @ basis) @ unit(rows @ basis).T, 10))
    assert renormalised > other + 0.1, (renormalised, other)
    assert uncentered >= renormalised - 0.01, (uncentered, renormalised)
    assert uncentered > other + 0.1, (uncentered, documents, other)
    assert abs(uncentered - documents) < 0.03, (uncentered, documents, other)


@pytest.mark.parametrize("shared", [True, False])
def test_the_weight_of_what_is_dropped_keeps_more_neighbours(shared: bool) -> None:
    """What PCA drops differs in length from row to row. Neighbours may share it, or it is noise."""
    rng = np.random.default_rng(13)
    scales = np.where(np.arange(128) < 32, 1.0, 0.5)
    groups = rng.standard_normal((300, 128)) * scales
    groups[:, 32:] *= rng.uniform(0, 2, (300, 1))
    points = groups[rng.integers(0, 300, 4000)] + 0.5 * scales * rng.standard_normal((4000, 128))
    if not shared:
        points[:, 32:] = rng.standard_normal((4000, 96)) * rng.uniform(0, 1, (4000, 1))
    rows = unit(points + (0.0 if shared else 3.0))
    pca = PCA.fit(index_spec.PCA(33), rows, Metric.DOT, True)
    assert (pca.weight >= 0.2) if shared else (pca.weight <= 0.1)
    truth = nearest(rows[:200] @ rows.T, 11)
    plain = PCA.from_moments(moments_of(rows), 33, False, Metric.DOT).apply(rows)
    kept = [recall(truth, nearest(some[:200] @ some.T, 11)) for some in (pca.apply(rows), plain, unit(plain))]
    assert kept[0] >= max(kept[1:]) - 0.01, (pca.weight, kept)


def test_the_last_component_is_the_length_of_what_is_dropped() -> None:
    rows = unit(embeddings(300, 24, 15))
    pca = PCA.fit(index_spec.PCA(9), rows, Metric.DOT, True)
    assert pca.basis.shape == (24, 8)
    mapped = pca.apply(rows)
    dropped = rows - (rows @ pca.basis) @ pca.basis.T
    np.testing.assert_allclose(mapped[:, 8], np.sqrt(pca.weight) * np.linalg.norm(dropped, axis=1), atol=1e-5)
    assert PCA.fit(index_spec.PCA(24), rows, Metric.DOT, True).weight == 0, "nothing is dropped"


def test_neighbours_kept() -> None:
    rows = embeddings(1500, 16, 20)
    judge = Judge(rows)
    assert judge.kept(rows) == 1
    assert judge.kept(np.roll(rows, 1, axis=0)) < 0.05
    shares = []
    for q in range(0, 1500, 1500 // 256):
        others = np.delete(np.arange(1500), q)
        near = [others[np.argsort(-(some[others] @ some[q]))[:3]] for some in (rows, rows[:, :8])]
        shares.append(len(np.intersect1d(*near)) / 3)
    assert judge.kept(rows[:, :8]) == pytest.approx(np.mean(shares))


def test_energy_falls_when_data_moves_on() -> None:
    rows = embeddings(3000, 64, 9)
    pca = PCA.fit(index_spec.PCA(32), rows, Metric.L2, False)
    assert 0.5 < pca.energy < 1
    same = moments_of(embeddings(3000, 64, 10))
    assert pca.captured(same) == pytest.approx(pca.energy, abs=0.01)
    assert not pca.needs_refit(same)
    moved = embeddings(3000, 64, 10)[:, ::-1].copy()
    assert pca.captured(moments_of(moved)) < pca.energy - 0.02
    assert pca.needs_refit(moments_of(moved))


def test_random_range_finder_agrees_with_eigenvectors() -> None:
    rows = embeddings(2000, 256, 11, decay=1.2)
    basis, energy = leading_directions(rows, 16)
    moments = moments_of(rows)
    full = PCA.from_moments(moments, 16, False, Metric.DOT)
    assert principal_angle(basis, full.basis) < 0.1
    assert energy == pytest.approx(full.energy, abs=1e-4)


def test_very_many_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.transform.pca.EIGH_DIM_MAX", 100)
    rows = embeddings(2000, 128, 12, mean=1.0, decay=1.2)
    few = PCA.fit(index_spec.PCA(8), rows, Metric.L2, False)
    full = PCA.from_moments(moments_of(rows), 8, True, Metric.L2)
    assert principal_angle(few.basis, full.basis) < 0.1
    assert few.energy == pytest.approx(full.energy, abs=1e-3)
    np.testing.assert_allclose(few.basis, full.basis, atol=0.05)  # signs are fixed on this way too


def test_signs() -> None:
    basis = fix_signs(np.array([[0.6, -0.8], [-0.8, -0.6]]))
    assert basis.tolist() == [[-0.6, 0.8], [0.8, 0.6]]


def test_constant_vectors_can_be_mapped() -> None:
    rows = np.ones((50, 8), np.float32)
    pca = PCA.fit(index_spec.PCA(4), rows, Metric.L2, False)
    assert pca.energy == 1
    assert (pca.apply(rows) == 0).all()
