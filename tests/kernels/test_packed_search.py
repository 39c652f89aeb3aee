"""Probed lists of packed bits, and multi-index hashing: every backend answers as plain numpy does, to the bit."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from masks import bitmap
from oracle import outputs

from vecstore.index.mih_tables import build_tables
from vecstore.kernels.base import Kernels, MihTables
from vecstore.kernels.numpy_backend import NumpyKernels


def _differing(query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.unpackbits(rows ^ query, axis=1).sum(axis=1)


def _expected(differing: np.ndarray, listed: np.ndarray, k: int) -> tuple[list[int], list[float]]:
    order = np.lexsort((listed, differing))[:k]
    rows, distances = listed[order].tolist(), differing[order].astype(float).tolist()
    return rows + [-1] * (k - len(rows)), distances + [np.inf] * (k - len(rows))


@pytest.mark.parametrize("nbytes", [1, 5, 16, 31, 48, 96, 200])
def test_lists_are_scanned_like_plain_numpy(any_kernels: Kernels, nbytes: int) -> None:
    rng = np.random.default_rng(nbytes)
    n = 900
    codes = rng.integers(0, 4, (n, nbytes), np.uint8)  # few values: many ties
    rows = rng.permutation(n).astype(np.uint32)
    offsets = np.array([0, 0, 130, 131, 500, 900], np.int64)
    queries = rng.integers(0, 4, (7, nbytes), np.uint8)
    probes = np.stack([rng.permutation(5)[:3] for _ in queries]).astype(np.int32)
    probes[1] = -1
    probes[2, 0] = -1
    for k in (1, 10, 600):
        for mask in (None, rng.random(n) < 0.1, np.zeros(n, bool)):
            found, distances = outputs(len(queries), k)
            scanned = np.full(len(queries), -1, np.int64)
            allowed = None if mask is None else bitmap(mask)
            any_kernels.hamming_list_scan(queries, codes, rows, offsets, probes, allowed, found, distances, scanned)
            for q, query in enumerate(queries):
                places = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in [*probes[q], 0] if i >= 0])
                assert scanned[q] == len(places)
                if mask is not None:
                    places = places[mask[rows[places]]]
                expected = _expected(_differing(query, codes[places]), rows[places].astype(np.int64), k)
                assert (found[q].tolist(), distances[q].tolist()) == expected


def _near_rows(rng: np.random.Generator, n: int, bits: int, flips: int) -> tuple[np.ndarray, np.ndarray]:
    """Random rows, and queries that are rows with a few bits flipped."""
    rows = rng.integers(0, 256, (n, bits // 8), np.uint8)
    rows[n // 2 :: 7] = rows[0]  # copies: a bucket of many rows
    queries = np.unpackbits(rows[rng.integers(0, n, 6)], axis=1)
    for query in queries:
        query[rng.choice(bits, flips, replace=False)] ^= 1
    return rows, np.packbits(queries, axis=1)


def _mih(
    kernels: Kernels, queries: np.ndarray, rows: np.ndarray, tables: MihTables, radius: int, budget: int, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found, distances = outputs(len(queries), k)
    counters = np.full((len(queries), 3), -1, np.int64)
    kernels.mih_search(queries, rows, tables, radius, budget, None, found, distances, counters)
    return found, distances, counters


@cache
def _proven(
    bits: int, chunks: int, flips: int
) -> tuple[np.ndarray, np.ndarray, MihTables, dict[tuple[int, int], tuple[np.ndarray, ...]]]:
    """Rows, queries, tables, and by (k, radius) what numpy finds: slow, and the same for every backend."""
    rows, queries = _near_rows(np.random.default_rng(bits), 700, bits, flips)
    tables = build_tables(rows, chunks, lambda *_: None)
    asked = ((1, bits), (20, bits), (120, bits), (50, flips), (50, 0))
    return (
        rows,
        queries,
        tables,
        {(k, radius): _mih(NumpyKernels(), queries, rows, tables, radius, 1 << 40, k) for k, radius in asked},
    )


@pytest.mark.parametrize(("bits", "chunks", "flips"), [(8, 1, 1), (64, 5, 6), (128, 12, 9), (104, 9, 3), (256, 24, 11)])
def test_mih_proves_what_plain_numpy_finds(any_kernels: Kernels, bits: int, chunks: int, flips: int) -> None:
    rows, queries, tables, laws = _proven(bits, chunks, flips)
    for (k, radius), law in laws.items():
        answer = _mih(any_kernels, queries, rows, tables, radius, 1 << 40, k)
        for mine, expected in zip(answer, law, strict=True):
            np.testing.assert_array_equal(mine, expected)
        assert (answer[2][:, 2] == 1).all()
        for q, query in enumerate(queries):
            differing = _differing(query, rows)
            near = np.flatnonzero(differing <= radius)
            assert (answer[0][q].tolist(), answer[1][q].tolist()) == _expected(differing[near], near, k)


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_mih_looks_until_nothing_as_near_can_be_left(any_kernels: Kernels, radius: int) -> None:
    """Four chunks of 16 bits. The first row is seen last: at `radius` + 1 bits in the first chunks, at `radius` in the
    others. A later row is as far, but all of its bits are in one chunk, so it is seen at once."""
    for chunks_with_more in range(1, 5):
        distance = 4 * radius + chunks_with_more
        bits = np.ones((4, 64), np.uint8)
        bits[0] = 0
        for chunk in range(4):
            bits[0, 16 * chunk : 16 * chunk + radius + (chunk < chunks_with_more)] = 1
        bits[2] = 0
        bits[2, 48 : 48 + distance] = 1
        rows = np.packbits(bits, axis=1, bitorder="little")
        tables = build_tables(rows, 4, lambda *_: None)
        found, distances, counters = _mih(any_kernels, np.zeros((1, 8), np.uint8), rows, tables, 64, 1 << 40, 1)
        assert (found.item(), distances.item(), counters[0, 2]) == (0, distance, 1)
        assert counters[0, 0] <= sum(math.comb(16, r) for r in range(radius + 1)) * 4 + math.comb(16, radius + 1) * 4


def test_mih_gives_up_at_its_budget(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(5)
    rows, queries = _near_rows(rng, 700, 64, 9)
    tables = build_tables(rows, 4, lambda *_: None)
    for budget in (0, 1, 4, 60, 250, 5000):
        _, _, counters = _mih(any_kernels, queries, rows, tables, 64, budget, 5)
        law = _mih(NumpyKernels(), queries, rows, tables, 64, budget, 5)[2]
        assert counters[:, 2].tolist() == law[:, 2].tolist()
        proven = law[:, 2] == 1
        assert counters[proven].tolist() == law[proven].tolist()
        assert (counters[:, :2].sum(axis=1) <= budget + 1).all()


def test_mih_honours_a_mask(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(6)
    rows, queries = _near_rows(rng, 700, 64, 4)
    tables = build_tables(rows, 4, lambda *_: None)
    mask = rng.random(700) < 0.2
    found, distances = outputs(len(queries), 8)
    counters = np.zeros((len(queries), 3), np.int64)
    any_kernels.mih_search(queries, rows, tables, 64, 1 << 40, bitmap(mask), found, distances, counters)
    listed = np.flatnonzero(mask)
    for q, query in enumerate(queries):
        assert (found[q].tolist(), distances[q].tolist()) == _expected(_differing(query, rows[listed]), listed, 8)


def test_bad_arguments_are_refused(any_kernels: Kernels) -> None:
    rows = np.zeros((10, 8), np.uint8)
    found, distances = outputs(1, 2)
    scanned, counters = np.zeros(1, np.int64), np.zeros((1, 3), np.int64)
    listed, offsets = np.arange(10, dtype=np.uint32), np.array([0, 10], np.int64)
    for bad_offsets, probe in (([0, 11], 0), ([3, 2], 0), ([-1, 10], 0), ([0, 10], 1), ([0, 10], -2)):
        with pytest.raises(ValueError, match=r"offsets|probes"):
            any_kernels.hamming_list_scan(
                rows[:1], rows, listed, np.array(bad_offsets, np.int64), np.array([[probe]], np.int32), None,
                found, distances, scanned,
            )  # fmt: skip
    with pytest.raises(ValueError, match="rows"):
        any_kernels.hamming_list_scan(
            rows[:1], rows, listed[:9], offsets, np.zeros((1, 1), np.int32), None, found, distances, scanned
        )
    good = build_tables(rows, 4, lambda *_: None)
    for starts in ([0, 64], [0, 16, 16, 48, 64], [0, 16, 32, 48, 56], [1, 16, 32, 48, 64]):
        tables = MihTables(np.array(starts, np.int32), good.buckets, good.rows)
        with pytest.raises(ValueError, match="starts"):
            any_kernels.mih_search(rows[:1], rows, tables, 64, 10, None, found, distances, counters)
    for tables in (MihTables(good.starts, good.buckets[1:], good.rows), MihTables(good.starts, good.buckets, listed)):
        with pytest.raises(ValueError, match=r"buckets|rows"):
            any_kernels.mih_search(rows[:1], rows, tables, 64, 10, None, found, distances, counters)
