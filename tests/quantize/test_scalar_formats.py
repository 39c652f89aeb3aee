"""Rounding to 8-bit floats, and the comparisons of formats that the specs give figures for."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore import index_spec as spec
from vecstore.kernels.row_numpy import float8_values
from vecstore.kernels.select import get_kernels
from vecstore.quantize.base import Lists, Probes
from vecstore.quantize.float8 import Float8Quantizer, to_float8
from vecstore.quantize.int8 import Int8Quantizer
from vecstore.quantize.row_codes import Folding, RowSearch, byte_levels, pack_rows
from vecstore.schema import Metric

LARGEST = {"e4m3": 448.0, "e5m2": 57344.0}


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_float8_rounds_to_the_nearest_even(kind: str) -> None:
    finite = 0x7F if kind == "e4m3" else 0x7C
    numbers = float8_values(kind)[:finite].astype(np.float64)
    assert numbers[-1] == LARGEST[kind]
    assert (np.diff(numbers) > 0).all()
    for code in range(finite - 1):
        low, high = numbers[code], numbers[code + 1]
        middle = (low + high) / 2
        around = np.array([low, np.nextafter(np.float32(middle), np.float32(0)), middle, middle + (high - middle) / 64])
        expected = [code, code, code + code % 2, code + 1]
        assert to_float8(around.astype(np.float32), kind).tolist() == expected
        assert to_float8(-around.astype(np.float32), kind).tolist() == [128 + c for c in expected]


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_float8_saturates(kind: str) -> None:
    beyond = np.array([LARGEST[kind] * 1.01, 1e30, np.inf, -1e30], np.float32)
    decoded = float8_values(kind)[to_float8(beyond, kind)]
    assert decoded.tolist() == [LARGEST[kind]] * 3 + [-LARGEST[kind]]


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
@pytest.mark.parametrize("size", [1e-12, 1.0, 3e4, 1e12])
def test_float8_fits_the_collection(kind: str, size: float) -> None:
    """The error is relative: vectors of any length lose the same."""
    rows = (np.random.default_rng(0).standard_normal((300, 64)) * size).astype(np.float32)
    quantizer = Float8Quantizer.train(spec.Float8(kind), Metric.DOT, rows, None, 0)
    decoded = quantizer.decode(quantizer.encode(rows, None), None)
    worst = {"e4m3": 2.0**-4, "e5m2": 2.0**-3}[kind]
    large = np.abs(rows) > 0.05 * size
    assert (np.abs(decoded / rows - 1)[large] < worst * 1.3).all()
    twice = quantizer.decode(quantizer.encode(rows * np.float32(1.9), None), None)
    assert (np.abs(twice / (rows * 1.9) - 1)[large] < worst * 1.3).all()


def _recall(queries: np.ndarray, rows: np.ndarray, asked: np.ndarray, stored: np.ndarray) -> float:
    def nearest(q: np.ndarray, x: np.ndarray) -> np.ndarray:
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        return np.argsort(-(q @ unit.T), axis=1)[:, :10]

    pairs = zip(nearest(queries, rows), nearest(asked, stored), strict=True)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in pairs]))


def _embeddings(seed: int, n: int, outliers: float = 1.0) -> np.ndarray:
    """A decaying spectrum and a common mean; four dims larger than the rest."""
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(99).standard_normal(384)
    rows = rng.standard_normal((n, 384)) * np.arange(1, 385) ** -0.4 + 0.15 * common
    rows[:, :4] *= outliers
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _decoded(quantizer: Int8Quantizer | Float8Quantizer, rows: np.ndarray) -> np.ndarray:
    return quantizer.decode(quantizer.encode(rows, None), None)


def test_codes_are_not_compared_but_what_they_stand_for() -> None:
    """dimension-reduction, row 2: cosine over raw codes is another similarity."""
    rows, queries = _embeddings(1, 4000), _embeddings(2, 100)
    int8 = Int8Quantizer.train(spec.Int8(), Metric.DOT, rows, None, 0)
    float8 = Float8Quantizer.train(spec.Float8(), Metric.DOT, rows, None, 0)
    of_values = _recall(queries, rows, queries, _decoded(int8, rows))
    raw = [int8.encode(x, None)["codes"].astype(np.float64) for x in (queries, rows)]
    assert of_values >= 0.98
    assert _recall(queries, rows, *raw) <= 0.6
    assert of_values >= _recall(queries, rows, queries, _decoded(float8, rows))


def test_float8_needs_no_ranges() -> None:
    """dimension-reduction, row 2: one range for all dims suffers from outliers, 8-bit floats do not."""
    rows = _embeddings(1, 4000, 25.0)
    step = np.abs(rows).max() / 127
    one_range = np.rint(rows / step) * step
    float8 = Float8Quantizer.train(spec.Float8(), Metric.DOT, rows, None, 0)

    def noise(stored: np.ndarray) -> float:
        return float(10 * np.log10((rows[:, 4:] ** 2).sum() / ((rows - stored)[:, 4:] ** 2).sum()))

    assert noise(_decoded(float8, rows)) > noise(one_range) + 3


def test_permute_dot_scores_are_float_scores() -> None:
    """turboquant, row 6: levels and query rounded to bytes, Lloyd-Max levels of 4 bits."""
    positive = [0.12840, 0.38805, 0.65676, 0.94234, 1.25623, 1.61805, 2.06902, 2.73259]
    levels = np.array([-x for x in reversed(positive)] + positive, np.float32)
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((5000, 256)).astype(np.float32)
    numbers = np.abs(rows[:, :, None] - levels).argmin(axis=2).astype(np.uint8)
    queries = (rows[:100] + rng.standard_normal((100, 256))).astype(np.float32)
    lists = Lists(np.array([0, 5000]), np.arange(5000, dtype=np.uint32))
    as_bytes, step = byte_levels(levels)
    packed = pack_rows("nibble", lists, numbers, np.full((5000, 1), -1, np.float32))
    folding = Folding(Metric.DOT, np.full(256, step, np.float32))
    codes = RowSearch("nibble", 256, folding, packed, lists, as_bytes)
    none = np.zeros((100, 1), np.float32)
    found = codes.search(get_kernels(), queries, Probes(none.astype(np.int32), none, none), 10, 5000, None, 0.0)
    scores = np.empty((100, 5000))
    np.put_along_axis(scores, found.rows, -found.distances, axis=1)
    floats = queries @ levels[numbers].T
    assert np.corrcoef(scores.ravel(), floats.ravel())[0, 1] > 0.9999
    truth = np.argsort(-(queries @ rows.T), axis=1)[:, :10]

    def recall(of: np.ndarray) -> float:
        nearest = np.argsort(-of, axis=1)[:, :10]
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth, nearest, strict=True)]))

    assert recall(scores) > recall(floats) - 0.003
