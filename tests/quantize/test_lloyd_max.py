"""TurboQuant's levels with renormalised length, beside its own estimators (specs, turboquant: must show)."""

from __future__ import annotations

import numpy as np
import pytest
from grids_support import (
    assert_same_codes,
    check_estimates_are_what_the_code_says,
    one_list,
    pair_estimates,
    pairs,
    unit,
)

from vecstore import index_spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.quantize.codebooks import lloyd_max
from vecstore.quantize.lloyd_max import LloydMax
from vecstore.quantize.rabitq import RaBitQ
from vecstore.schema import Metric

DISTORTION = {1: 0.36338, 2: 0.11748, 4: 0.009501}


def trained(bits: int, dim: int, metric: Metric = Metric.DOT, seed: int = 0, length: float = 1.0) -> LloydMax:
    sample = length * unit(np.random.default_rng(seed).standard_normal((50, dim)))
    return LloydMax.train(index_spec.LloydMax(bits=bits), metric, sample, None, seed)  # type: ignore[arg-type]


def plain(quantizer: LloydMax, rows: np.ndarray) -> np.ndarray:
    """TurboQuant-MSE's reconstruction, rotated, of unit rows: the levels themselves."""
    numbers = quantizer.level_numbers(quantizer.project(rows))
    return quantizer.levels[numbers].astype(np.float64) / np.sqrt(numbers.shape[1])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_reconstruction_error_of_random_directions(bits: int) -> None:
    rows = unit(np.random.default_rng(bits).standard_normal((1500, 768)))
    quantizer = trained(bits, 768)
    error = ((plain(quantizer, rows) - quantizer.project(rows)) ** 2).sum(axis=1).mean()
    assert error == pytest.approx(DISTORTION[bits], rel=0.02)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_renormalising_takes_the_shrinkage_away(bits: int) -> None:
    rng = np.random.default_rng(10 + bits)
    cosines = rng.uniform(-1, 1, 5000)
    q, x = pairs(rng, 5000, 768, cosines)
    quantizer = trained(bits, 768)
    shrunk = (plain(quantizer, x) * quantizer.project(q)).sum(axis=1)
    slopes = [float(np.polyfit(cosines, found, 1)[0]) for found in (shrunk, pair_estimates(quantizer, x, q))]
    assert slopes[0] == pytest.approx(1 - DISTORTION[bits], abs=0.005)
    assert slopes[1] == pytest.approx(1, abs=0.003)


def turboquant_product(rng: np.random.Generator, x: np.ndarray, q: np.ndarray, bits: int) -> np.ndarray:
    """TurboQuant's inner product estimator: bits - 1 of levels, one of a quantised Johnson-Lindenstrauss residual."""
    dim = x.shape[1]
    positive = np.array(lloyd_max(bits - 1)[0])
    levels = np.concatenate([-positive[::-1], positive]) / np.sqrt(dim)
    rotation, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
    z, w = x @ rotation, q @ rotation
    near = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, z)]
    left = z - near
    sketch = rng.standard_normal((dim, dim))
    signs = np.sign(left @ sketch.T)
    scale = np.linalg.norm(left, axis=1) * np.sqrt(np.pi / 2) / dim
    return (near * w).sum(axis=1) + scale * ((signs @ sketch) * w).sum(axis=1)


@pytest.mark.parametrize(("bits", "product", "grid"), [(2, 4.3, 1.02), (4, 5.7, 1.18)])
def test_variance_beside_turboquant_product_and_rabitq(bits: int, product: float, grid: float) -> None:
    rng = np.random.default_rng(30 + bits)
    q, x = pairs(rng, 7000, 384, 0.0)
    spec = index_spec.RaBitQ(bits=bits)
    rabitq = RaBitQ.train(spec, Metric.DOT, x[:50], None, 1)
    ours = pair_estimates(trained(bits, 384), x, q).var()
    theirs = turboquant_product(rng, x, q, bits)
    assert abs(theirs.mean()) < 1e-3  # it is unbiased, if not sharp
    assert theirs.var() / ours == pytest.approx(product, rel=0.1)
    assert pair_estimates(rabitq, x, q).var() / ours == pytest.approx(grid, rel=0.1)


def test_turboquant_product_is_unbiased_off_the_diagonal_too() -> None:
    rng = np.random.default_rng(40)
    q, x = pairs(rng, 20_000, 256, 0.7)
    assert abs((turboquant_product(rng, x, q, 2) - 0.7).mean()) < 1e-3


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_scans_give_what_the_code_says(bits: int, metric: Metric) -> None:
    rng = np.random.default_rng(bits)
    quantizer = trained(bits, 100, metric, length=100.0)  # lengths that half floats are not used for
    # Four bits are scanned with levels and query rounded to bytes.
    check_estimates_are_what_the_code_says(quantizer, metric, rng, 5e-3 if bits == 4 else 1e-5)


REFERENCE: dict[int, dict[str, np.ndarray]] = {}


def test_the_same_bytes_in_any_batch(any_backend: str) -> None:
    rng = np.random.default_rng(6)
    rows = rng.standard_normal((2100, 96)).astype(np.float32)
    rows[7] = 0
    for bits in (1, 2, 4):
        quantizer = trained(bits, 96)
        whole = quantizer.encode(rows, None)
        for part in (slice(0, 1), slice(7, 8), slice(1000, 1040), slice(1023, 2100)):
            assert_same_codes(quantizer.encode(rows[part], None), {k: v[part] for k, v in whole.items()})
        again = LloydMax.from_arrays(Metric.DOT, quantizer.arrays())
        assert_same_codes(again.encode(rows, None), whole)
        assert_same_codes(whole, REFERENCE.setdefault(bits, whole))  # of the first backend
        numbers = quantizer.level_numbers(quantizer.project(rows))
        assert np.array_equal(quantizer.numbers_of(whole["nibbles"]), numbers)


def test_the_error_bound_holds() -> None:
    q, x = pairs(np.random.default_rng(8), 10_000, 256, 0.0)
    quantizer = trained(2, 256)
    error = quantizer.encode(x, None)["factors"][:, 2].astype(np.float64)
    deviations = pair_estimates(quantizer, x, q) / error
    assert deviations.std() == pytest.approx(1, abs=0.04)


def test_what_is_refused() -> None:
    sample = np.ones((4, 64), np.float32)
    with pytest.raises(InvalidArgument, match=r"LloydMax\.bits=3 is not 1, 2 or 4") as caught:
        LloydMax.train(index_spec.LloydMax(bits=3), Metric.DOT, sample, None, 0)  # type: ignore[arg-type]
    assert caught.value.reason == "BAD_INDEX_SPEC"
    quantizer = trained(2, 64)
    arrays = quantizer.arrays()
    for name in arrays:
        with pytest.raises(Corruption):
            LloydMax.from_arrays(Metric.DOT, {k: v for k, v in arrays.items() if k != name})
    for bad in (arrays["levels"][:3], arrays["levels"][::-1].copy()):
        with pytest.raises(Corruption, match="no ascending levels"):
            LloydMax.from_arrays(Metric.DOT, arrays | {"levels": bad})
    packed = quantizer.pack(quantizer.encode(sample, None), one_list(4))
    with pytest.raises(Corruption):
        quantizer.open(packed | {"factors": packed["factors"][:, :, :-1]}, one_list(4))
