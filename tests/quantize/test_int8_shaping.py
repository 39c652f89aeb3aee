"""int8 codes without factors: where the error of rounding goes, what a search makes of it, and codes of before."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore import index_spec
from vecstore.kernels.select import get_kernels
from vecstore.quantize.base import Codes, Lists, Probes
from vecstore.quantize.int8 import Int8Quantizer
from vecstore.quantize.sizes import code_sizes
from vecstore.schema import Metric

N, DIM = 900, 64


def _embeddings(seed: int, n: int) -> np.ndarray:
    """A common direction and a decaying spectrum, in dimensions of unlike ranges."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(7).standard_normal((DIM, DIM))
    rows = (rng.standard_normal((n, DIM)) * np.arange(1, DIM + 1) ** -0.6) @ mix
    rows = rows * np.linspace(0.2, 2, DIM) + 4 * np.random.default_rng(8).standard_normal(DIM)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _opened(quantizer: Int8Quantizer, rows: np.ndarray) -> Codes:
    lists = Lists(np.array([0, len(rows)]), np.arange(len(rows), dtype=np.uint32))
    return quantizer.open(quantizer.pack(quantizer.encode(rows, None), lists), lists)


def _estimates(codes: Codes, queries: np.ndarray, n: int, k: int) -> np.ndarray:
    """Estimated distances of all rows (nq, n), of a search for `k` answers."""
    one = np.zeros((len(queries), 1), np.float32)
    found = codes.search(get_kernels(), queries, Probes(one.astype(np.int32), one, one), k, n, None, 0.0)
    out = np.empty((len(queries), n), np.float32)
    np.put_along_axis(out, found.rows, found.distances, axis=1)
    return out


def test_errors_leave_the_directions_of_queries() -> None:
    metric = Metric.DOT
    rows, queries = _embeddings(1, N), _embeddings(2, 100)
    shaped = Int8Quantizer.train(index_spec.Int8(), metric, rows, None, 0)
    alone = Int8Quantizer(metric, shaped.low, shaped.step, np.zeros(2, np.int64), np.zeros_like(shaped.shaping))
    assert shaped.code_bytes == alone.code_bytes == DIM
    assert code_sizes(index_spec.Int8(), metric, DIM, unit=True) == (DIM, 8 * DIM + 2 * DIM * (DIM - 1))

    def errors(quantizer: Int8Quantizer) -> tuple[np.ndarray, np.ndarray]:
        missed = quantizer.decode(quantizer.encode(rows, None), None).astype(np.float64) - rows
        return missed, missed @ queries.T

    (missed, of_scores), (before, of_scores_before) = errors(shaped), errors(alone)
    np.testing.assert_array_equal(alone.encode(rows, None)["codes"], np.rint((rows - shaped.low) / shaped.step))
    assert np.sqrt((of_scores**2).mean()) < 0.5 * np.sqrt((of_scores_before**2).mean())
    own, own_before = ((one * rows).sum(1) for one in (missed, before))  # how much longer rows have become
    assert np.abs(own).mean() < 0.5 * np.abs(own_before).mean()
    assert (missed**2).sum() < 2 * (before**2).sum()


def test_answers_are_those_of_the_query_and_candidates_nearly() -> None:
    """A query of one byte a dimension is rounded as coarsely as the rows; where estimates are the answer it has two."""
    rows, queries = _embeddings(1, N), _embeddings(3, 20)
    quantizer = Int8Quantizer.train(index_spec.Int8(), Metric.DOT, rows, None, 0)
    codes = _opened(quantizer, rows)
    decoded = quantizer.decode(quantizer.encode(rows, None), None).astype(np.float64)
    truth = -queries.astype(np.float64) @ decoded.T
    fine, coarse = (np.abs(_estimates(codes, queries, N, k) - truth).max() for k in (N, 1))
    assert fine < 4e-5
    assert 20 * fine < coarse < 2e-2


def test_codes_of_earlier_versions_keep_their_factor() -> None:
    """Their arrays lack the feedback, and each row has a factor that makes it as long as it was."""
    rows, queries = _embeddings(1, N), _embeddings(3, 20)
    arrays = Int8Quantizer.train(index_spec.Int8(), Metric.DOT, rows, None, 0).arrays()
    del arrays["feedback"]
    quantizer = Int8Quantizer.from_arrays(Metric.DOT, arrays)
    assert quantizer.code_bytes == DIM + 4
    encoded = quantizer.encode(rows, None)
    assert encoded["factors"].shape == (N, 1)
    decoded = quantizer.decode(encoded, None).astype(np.float64)
    assert np.abs(np.linalg.norm(decoded, axis=1) - 1).max() < 1e-6
    found = _estimates(_opened(quantizer, rows), queries, N, N)
    np.testing.assert_allclose(found, -queries @ decoded.T, rtol=0, atol=4e-5)


def test_rows_get_the_codes_that_disturb_their_order_less() -> None:
    """Where dimensions are independent and of unlike ranges, near rows are told apart by what a factor corrects."""
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((N, DIM)) * np.exp(1.2 * rng.standard_normal(DIM)) + rng.standard_normal(DIM)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    chosen = Int8Quantizer.train(index_spec.Int8(), Metric.DOT, rows, None, 0)
    assert chosen.shaping is None
    assert chosen.clipped == 0
    assert Int8Quantizer.from_arrays(Metric.DOT, chosen.arrays()).code_bytes == DIM + 4
    assert Int8Quantizer.train(index_spec.Int8(), Metric.DOT, _embeddings(1, N), None, 0).shaping is not None


@pytest.mark.parametrize("rows", [np.zeros((5, DIM)), np.ones((5, DIM)), np.eye(3, DIM), 1e-20 * np.eye(3, DIM)])
def test_rows_that_tell_little(rows: np.ndarray) -> None:
    """Zero, constant and few rows, and rows far outside the ranges that these leave."""
    rows = rows.astype(np.float32)
    quantizer = Int8Quantizer.train(index_spec.Int8(), Metric.DOT, rows, None, 0)
    decoded = quantizer.decode(quantizer.encode(rows, None), None)
    assert np.abs(decoded - rows).max() <= 0.05 * np.abs(rows).max() + 1e-27
    outside = quantizer.decode(quantizer.encode(_embeddings(1, 9) * np.float32(1e6), None), None)
    assert np.isfinite(outside).all()
    assert quantizer.clipped > 0.2
