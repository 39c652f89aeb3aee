"""Hamming scans are exact to the bit on every backend and instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from masks import bitmap
from oracle import outputs

from vecstore.kernels.base import Kernels


def _expected(queries: np.ndarray, rows: np.ndarray, k: int, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    out_rows, out_distances = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), np.inf, np.float32)
    listed = np.flatnonzero(mask)
    for q, query in enumerate(queries):
        differing = np.unpackbits(rows[listed] ^ query, axis=1).sum(axis=1)
        order = np.lexsort((listed, differing))[:k]
        out_rows[q, : len(order)] = listed[order]
        out_distances[q, : len(order)] = differing[order]
    return out_rows, out_distances


def _check(kernels: Kernels, queries: np.ndarray, rows: np.ndarray, k: int, mask: np.ndarray | None) -> None:
    out_rows, out_distances = outputs(len(queries), k)
    kernels.hamming_scan(queries, rows, None if mask is None else bitmap(mask), out_rows, out_distances)
    expected = _expected(queries, rows, k, np.ones(len(rows), bool) if mask is None else mask)
    np.testing.assert_array_equal(out_rows, expected[0])
    np.testing.assert_array_equal(out_distances, expected[1])


def test_every_width(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(1)
    for nbytes in [*range(1, 140), 255, 1023, 1024, 1025, 8191, 8192, 9001]:
        rows = rng.integers(0, 256, (21, nbytes), np.uint8)
        queries = rng.integers(0, 256, (1 + nbytes % 6, nbytes), np.uint8)
        _check(any_kernels, queries, rows, 30, None)


def test_all_bits_differ(any_kernels: Kernels) -> None:
    for nbytes in (31, 32, 64, 992, 1024, 8184, 8191, 8192):
        rows = np.full((9, nbytes), 255, np.uint8)
        _check(any_kernels, np.zeros((2, nbytes), np.uint8), rows, 9, None)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1000, 30_000])
def test_counts_and_masks(any_kernels: Kernels, n: int) -> None:
    rng = np.random.default_rng(n)
    rows = rng.integers(0, 256, (n, 6), np.uint8)  # few bits, so many ties
    queries = rng.integers(0, 256, (5, 6), np.uint8)
    for k in (1, 10, 2000):
        for mask in (None, np.zeros(n, bool), rng.random(n) < 0.02, rng.random(n) < 0.5):
            _check(any_kernels, queries, rows, k, mask)
            _check(any_kernels, queries[:1], rows, k, mask)


def test_unaligned_rows(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(3)
    buffer = rng.integers(0, 256, 48 * 100 + 7, np.uint8)
    queries = rng.integers(0, 256, (3, 48), np.uint8)
    for shift in (0, 1, 3, 7):
        _check(any_kernels, queries, buffer[shift : shift + 4800].reshape(100, 48), 10, None)
