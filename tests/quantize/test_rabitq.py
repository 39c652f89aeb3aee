"""RaBitQ: an unbiased estimate with the spread and the bounds that the papers promise (specs, rabitq: must show)."""

from __future__ import annotations

import numpy as np
import pytest
from grids_support import (
    assert_same_codes,
    check_estimates_are_what_the_code_says,
    estimates,
    exact,
    one_list,
    pair_estimates,
    pairs,
    probes_of,
    unit,
)

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.quantize.rabitq import RaBitQ
from vecstore.schema import Metric


def trained(bits: int, dim: int, metric: Metric = Metric.DOT, seed: int = 0, length: float = 1.0) -> RaBitQ:
    sample = length * unit(np.random.default_rng(seed).standard_normal((50, dim)))
    return RaBitQ.train(index_spec.RaBitQ(bits=bits), metric, sample, None, seed)


@pytest.mark.parametrize("cosine", [0.5, 0.9])
def test_one_bit_is_unbiased(cosine: float) -> None:
    q, x = pairs(np.random.default_rng(1), 5000, 768, cosine)
    errors = pair_estimates(trained(1, 768), x, q) - cosine
    assert abs(errors.mean()) < 1e-3
    signs = np.sign(x) / np.sqrt(768)  # without the scale, as a check that this test can fail
    assert abs((signs * q).sum(axis=1).mean() - cosine) > 0.05


# Standard deviation of the estimated cosine of orthogonal unit vectors, times sqrt(dim) * 2**bits (specs, table 4.1).
@pytest.mark.parametrize(
    ("bits", "constant"), [(1, 1.53), (2, 1.47), (3, 1.58), (4, 1.70), (5, 1.80), (6, 1.93), (7, 1.97), (8, 1.95)]
)
def test_spread_of_the_estimate(bits: int, constant: float) -> None:
    deviation = constant / np.sqrt(768) / 2**bits
    q, x = pairs(np.random.default_rng(bits), 5000, 768, 0.0)
    errors = pair_estimates(trained(bits, 768), x, q)
    assert errors.std() == pytest.approx(deviation, rel=0.03)
    assert abs(errors.mean()) < 4 * deviation / np.sqrt(5000)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_bounds_fail_as_often_as_they_should(bits: int, metric: Metric) -> None:
    """1.9 standard deviations, one side: 2.9 % of pairs in random directions, hardly any that point the same way."""
    rng = np.random.default_rng(20 + bits)
    quantizer = trained(bits, 256, metric)
    for cosine, low, high in ((0.0, 0.025, 0.033), (0.9, 0.0, 0.001)):
        q, x = pairs(rng, 7000, 256, cosine)
        encoded = quantizer.encode(x, None)
        for stage in ("factors", "extra_factors")[: 1 if bits == 1 else 2]:
            error = encoded[stage][:, 2].astype(np.float64)
            scale, add = encoded[stage][:, 0].astype(np.float64), encoded[stage][:, 1].astype(np.float64)
            codes = quantizer._grid.codes(encoded["nibbles"], encoded.get("extra"))
            values = quantizer._grid.values(codes) if stage == "extra_factors" else quantizer._grid.top_values(codes)
            estimate = add + scale * (values.astype(np.float64) * quantizer.project(q)).sum(axis=1)
            truth = -(q * x).sum(axis=1) if metric is Metric.DOT else ((q - x) ** 2).sum(axis=1) - 1
            failed = float((truth < estimate - 1.9 * error).mean())
            assert low - 0.003 <= failed <= high + 0.001, (cosine, stage, failed)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_scans_give_what_the_code_says(bits: int, metric: Metric) -> None:
    rng = np.random.default_rng(bits)
    quantizer = trained(bits, 100, metric, length=100.0)  # lengths that half floats are not used for
    check_estimates_are_what_the_code_says(quantizer, metric, rng, 1e-5)


def test_the_one_bit_code_is_a_prefix_of_every_code() -> None:
    rows = np.random.default_rng(4).standard_normal((30, 70)).astype(np.float32)
    first = trained(1, 70).encode(rows, None)
    for bits in range(2, 9):
        encoded = trained(bits, 70).encode(rows, None)
        assert np.array_equal(encoded["nibbles"], first["nibbles"])
        np.testing.assert_allclose(  # its scale in units of another grid
            encoded["factors"][:, 0].astype(np.float32) * 2 ** (bits - 1), first["factors"][:, 0], rtol=4e-3
        )


def test_half_floats_are_near_enough() -> None:
    rng = np.random.default_rng(5)
    rows, queries = unit(rng.standard_normal((400, 128))), unit(rng.standard_normal((20, 128)))
    quantizer = trained(4, 128)
    encoded = quantizer.encode(rows, None)
    assert encoded["factors"].dtype == encoded["extra_factors"].dtype == np.float16
    wide = RaBitQ(Metric.DOT, quantizer._rotation, 4, False)
    assert quantizer.code_bytes == 128 / 2 + 12
    assert wide.code_bytes == 128 / 2 + 24
    errors = []
    for each in (quantizer, wide):
        codes = each.open(each.pack(each.encode(rows, None), one_list(400)), one_list(400))
        probes = probes_of(Metric.DOT, queries, np.zeros((1, 128)))
        errors.append(estimates(codes, queries, probes, 400) - exact(Metric.DOT, queries, rows))
    assert errors[0].std() < 1.01 * errors[1].std()


REFERENCE: dict[int, dict[str, np.ndarray]] = {}


def test_the_same_bytes_in_any_batch(any_backend: str) -> None:
    rng = np.random.default_rng(6)
    rows, homes = rng.standard_normal((2100, 96)).astype(np.float32), rng.integers(0, 3, 2100)
    centroids = rng.standard_normal((3, 96)).astype(np.float32)[homes]
    rows[7] = centroids[7]
    for bits in (1, 4, 7):
        quantizer = trained(bits, 96)
        whole = quantizer.encode(rows, centroids)
        for part in (slice(0, 1), slice(7, 8), slice(1000, 1040), slice(1023, 2100)):
            assert_same_codes(quantizer.encode(rows[part], centroids[part]), {k: v[part] for k, v in whole.items()})
        again = RaBitQ.from_arrays(Metric.DOT, quantizer.arrays())
        assert_same_codes(again.encode(rows, centroids), whole)
        assert_same_codes(whole, REFERENCE.setdefault(bits, whole))  # of the first backend


def test_no_rows() -> None:
    quantizer = trained(3, 64)
    encoded = quantizer.encode(np.empty((0, 64), np.float32), None)
    assert {len(array) for array in encoded.values()} == {0}
    assert quantizer.decode(encoded, None).shape == (0, 64)


def test_what_is_refused() -> None:
    sample = np.ones((4, 64), np.float32)
    for bits in (0, 9):
        with pytest.raises(InvalidArgument, match=f"RaBitQ.bits={bits} is not in 1..8") as caught:
            RaBitQ.train(index_spec.RaBitQ(bits=bits), Metric.DOT, sample, None, 0)
        assert caught.value.reason == "BAD_INDEX_SPEC"
    arrays = trained(3, 64).arrays()
    for name in arrays:
        with pytest.raises(Corruption):
            RaBitQ.from_arrays(Metric.DOT, {k: v for k, v in arrays.items() if k != name})
    with pytest.raises(Corruption, match="bits holds 9"):
        RaBitQ.from_arrays(Metric.DOT, arrays | {"bits": np.array([9])})
    quantizer = trained(3, 64)
    packed = quantizer.pack(quantizer.encode(sample, None), one_list(4))
    with pytest.raises(Corruption):
        quantizer.open(packed | {"extra": packed["extra"][:, :-1]}, one_list(4))
