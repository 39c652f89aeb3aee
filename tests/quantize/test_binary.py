"""Sign codes: what Hamming distance says of angles, and what a float query makes of the same bits (specs, binary)."""

from __future__ import annotations

import functools

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
from vecstore.quantize.binary import BinaryQuantizer
from vecstore.quantize.itq import train_itq
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric


@functools.cache
def trained(
    dim: int, bits: int | None = None, itq: bool = False, metric: Metric = Metric.DOT, length: float = 1.0
) -> BinaryQuantizer:
    sample = length * skewed(np.random.default_rng(7), 600, dim)
    return BinaryQuantizer.train(index_spec.Binary(bits=bits, itq=itq), metric, sample, None, 0)


def skewed(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Unit vectors whose variance falls along hidden directions, as embeddings' does."""
    directions = np.linalg.qr(np.random.default_rng(99).standard_normal((dim, dim)))[0]
    return unit(rng.standard_normal((n, dim)) / np.sqrt(1 + np.arange(dim)) @ directions)


def signs(quantizer: BinaryQuantizer, rows: np.ndarray) -> np.ndarray:
    nibbles = quantizer.encode(rows, None)["nibbles"]
    return (nibbles[:, :, None] >> np.arange(4) & 1).reshape(len(rows), -1)[:, : quantizer.bits]


@pytest.mark.parametrize(
    ("cosine", "hamming_std", "float_std"), [(0, 0.044, 0.0270), (0.5, 0.038, 0.0239), (0.9, 0.016, 0.0119)]
)
def test_estimates_of_cosines(cosine: float, hamming_std: float, float_std: float) -> None:
    seed = int(10 * cosine)
    q, x = pairs(np.random.default_rng(seed), 10_000, 768, cosine)
    quantizer = trained(768)
    differing = (signs(quantizer, q) != signs(quantizer, x)).sum(axis=1)
    for estimate, std in ((np.cos(np.pi * differing / 768), hamming_std), (pair_estimates(quantizer, x, q), float_std)):
        assert abs(estimate.mean() - cosine) < 1e-3, f"seed {seed}"
        assert estimate.std() == pytest.approx(std, rel=0.03), f"seed {seed}"


@pytest.mark.parametrize("bits", [64, 100, 256, 1000])
def test_any_number_of_random_directions_is_unbiased(bits: int) -> None:
    rng = np.random.default_rng(bits)
    cosines = rng.uniform(-1, 1, 8000)
    q, x = pairs(rng, 8000, 256, cosines)
    found = pair_estimates(trained(256, bits), x, q)
    assert np.polyfit(cosines, found, 1)[0] == pytest.approx(1, abs=0.02)
    assert np.std(found - cosines) < 1.1 * np.sqrt(1 / bits)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT])
@pytest.mark.parametrize(("bits", "itq"), [(None, False), (37, False), (250, False), (None, True), (33, True)])
def test_scans_give_what_the_code_says(bits: int | None, itq: bool, metric: Metric) -> None:
    quantizer = trained(100, bits, itq, metric, length=100.0)  # lengths that half floats are not used for
    check_estimates_are_what_the_code_says(quantizer, metric, np.random.default_rng(3), 1e-5)


def test_itq_keeps_more_neighbours_than_random_directions_of_as_many_bits() -> None:
    rng = np.random.default_rng(11)
    rows, queries = skewed(rng, 3000, 96), skewed(rng, 100, 96)
    near = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
    recalls = []
    for quantizer in (trained(96, 48), trained(96, 48, itq=True)):
        found = np.argsort(-(queries @ quantizer.decode(quantizer.encode(rows, None), None).T), axis=1)[:, :30]
        recalls.append(np.mean([len(np.intersect1d(a, b)) for a, b in zip(near, found, strict=True)]) / 10)
    assert recalls[1] > recalls[0] + 0.05


def test_itq_loses_less_than_it_began_with() -> None:
    rows = skewed(np.random.default_rng(12), 2000, 64)
    learned = train_itq(rows, 32, 0)
    np.testing.assert_allclose(learned.T @ learned, np.eye(32), atol=1e-5)
    _, directions = np.linalg.eigh(rows.T @ rows)
    leading = directions[:, ::-1][:, :32]
    start = leading @ np.linalg.qr(np.random.default_rng(1).standard_normal((32, 32)))[0]

    def loss(matrix: np.ndarray) -> float:
        values = rows @ matrix
        return float(((np.where(values >= 0, 1, -1) * np.abs(values).mean() - values) ** 2).mean())

    assert loss(learned) < 0.97 * loss(start)
    assert np.array_equal(learned, train_itq(rows, 32, 0))


REFERENCE: dict[tuple[int | None, bool], dict[str, np.ndarray]] = {}


@pytest.mark.parametrize(("bits", "itq"), [(None, False), (200, False), (50, True)])
def test_the_same_bytes_in_any_batch(any_backend: str, bits: int | None, itq: bool) -> None:
    rows = skewed(np.random.default_rng(6), 2100, 96)
    rows[7] = 0
    quantizer = trained(96, bits, itq)
    whole = quantizer.encode(rows, None)
    for part in (slice(0, 1), slice(7, 8), slice(1000, 1040), slice(1023, 2100)):
        assert_same_codes(quantizer.encode(rows[part], None), {k: v[part] for k, v in whole.items()})
    again = QUANTIZERS["binary"].from_arrays(Metric.DOT, quantizer.arrays())
    assert_same_codes(again.encode(rows, None), whole)
    assert_same_codes(whole, REFERENCE.setdefault((bits, itq), whole))  # of the first backend
    assert again.code_bytes == quantizer.bits / 8 + 4


def test_what_is_refused() -> None:
    sample = unit(np.random.default_rng(1).standard_normal((30, 64)))
    for spec, match in (
        (index_spec.Binary(bits=0), "Binary.bits=0"),
        (index_spec.Binary(bits=513), "Binary.bits=513"),
        (index_spec.Binary(bits=65, itq=True), "1..64"),
        (index_spec.Binary(itq=True), "the sample has 30"),
    ):
        with pytest.raises(InvalidArgument, match=match) as caught:
            BinaryQuantizer.train(spec, Metric.DOT, sample, None, 0)
        assert caught.value.reason == "BAD_INDEX_SPEC"
    for quantizer in (trained(64, 130), trained(64, 40, itq=True)):
        arrays = quantizer.arrays()
        for name in arrays:
            with pytest.raises(Corruption):
                BinaryQuantizer.from_arrays(Metric.DOT, {k: v for k, v in arrays.items() if k != name})
        with pytest.raises(Corruption):
            BinaryQuantizer.from_arrays(Metric.DOT, arrays | {"bits": np.array([200], np.int64)})
        packed = quantizer.pack(quantizer.encode(sample, None), one_list(30))
        with pytest.raises(Corruption):
            quantizer.open(packed | {"factors": packed["factors"][:, :, :-1]}, one_list(30))
    with pytest.raises(Corruption, match="orthonormal"):
        BinaryQuantizer.from_arrays(Metric.DOT, arrays | {"matrix": 2 * arrays["matrix"]})
