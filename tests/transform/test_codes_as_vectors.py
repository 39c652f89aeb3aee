"""Section 8, row 2: codes are not vectors. Bytes of unlike ranges compared by cosine lose what decoding keeps."""

from __future__ import annotations

import numpy as np
from transform_support import embeddings, nearest, recall, unit

from vecstore import index_spec
from vecstore.quantize.float8 import Float8Quantizer
from vecstore.quantize.int8 import Int8Quantizer
from vecstore.schema import Metric


def signal(rows: np.ndarray, decoded: np.ndarray) -> float:
    """Signal to noise in dB."""
    noise = ((rows - decoded).astype(np.float64) ** 2).sum()
    return float(10 * np.log10((rows.astype(np.float64) ** 2).sum() / noise))


def decoded_float8(rows: np.ndarray) -> np.ndarray:
    quantizer = Float8Quantizer.train(index_spec.Float8(), Metric.DOT, rows, None, 0)
    return quantizer.decode(quantizer.encode(rows, None), None)


def test_decoded_bytes_keep_neighbours_and_bytes_as_vectors_do_not() -> None:
    world = np.random.default_rng(4)
    spread = np.exp(1.2 * world.standard_normal(128))  # dimensions of unlike ranges and means
    shift = spread * world.standard_normal(128)

    def made(n: int, seed: int) -> np.ndarray:
        return unit(np.random.default_rng(seed).standard_normal((n, 128)) * spread + shift)

    rows, queries = made(4000, 1), made(100, 2)
    truth = nearest(queries @ rows.T, 10)
    quantizer = Int8Quantizer.train(index_spec.Int8(), Metric.DOT, rows, None, 0)
    encoded = quantizer.encode(rows, None)
    kept = recall(truth, nearest(queries @ quantizer.decode(encoded, None).T, 10))
    codes, asked = encoded["codes"], quantizer.encode(queries, None)["codes"]
    compared = recall(truth, nearest(unit(asked.astype(np.float32)) @ unit(codes.astype(np.float32)).T, 10))
    assert kept >= 0.97
    assert compared <= 0.6
    floats = recall(truth, nearest(queries @ decoded_float8(rows).T, 10))
    assert kept >= floats, (kept, floats)


def test_signal_to_noise() -> None:
    """int8 of ranges per dimension is better than float8 without outliers; with them, float8 is better than int8 of
    one range for all dimensions."""
    rows = unit(np.random.default_rng(3).standard_normal((3000, 768)))
    quantizer = Int8Quantizer.train(index_spec.Int8(), Metric.DOT, rows, None, 0)
    per_dim = signal(rows, quantizer.decode(quantizer.encode(rows, None), None))
    float8 = signal(rows, decoded_float8(rows))
    assert 38 < per_dim < 44
    assert 30 < float8 < 33
    outliers = rows.copy()
    outliers[:, :4] *= 25
    low, high = outliers.min(), outliers.max()
    step = (high - low) / 255
    one_range = signal(outliers, np.rint((outliers - low) / step) * step + low)
    assert signal(outliers, decoded_float8(outliers)) > one_range


def test_half_the_dimensions_in_bytes_with_rescoring() -> None:
    """Section 8, row 5, on synthetic vectors: an eighth of the bytes finds 97 % of the ten nearest among 40."""
    from vecstore.transform.chain import Chain

    rows, queries = unit(embeddings(6000, 96, 5)), unit(embeddings(100, 96, 6))
    chain = Chain.fit((index_spec.PCA(48),), rows, Metric.DOT, unit=True)
    mapped = chain.apply(rows)
    quantizer = Int8Quantizer.train(index_spec.Int8(), Metric.DOT, mapped, None, 0)
    stored = quantizer.decode(quantizer.encode(mapped, None), None)
    candidates = nearest(chain.apply_queries(queries)[0] @ stored.T, 40)
    truth = nearest(queries @ rows.T, 10)
    found = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(truth, candidates, strict=True)])
    assert found >= 0.97
