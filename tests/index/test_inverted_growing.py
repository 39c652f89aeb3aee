"""The inverted lists of a growing segment: exact at every size, while rows are added."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from masks import bitmap
from seeds import seeded
from sparse_index_support import SPARSE, TEXT, queries_for, rows_for

from vecstore.index.inverted_growing import SIZES, GrowingInverted, GrowingView
from vecstore.index.sparse_flat import SparseFlatIndex
from vecstore.kernels.select import get_kernels
from vecstore.schema import VectorField
from vecstore.sparse import SparseRows


def _equal(field: VectorField, view: GrowingView, rows: SparseRows, rng: np.random.Generator) -> None:
    queries = queries_for(field, rng, 3)
    mask = rng.random(len(rows)) < 0.5
    for allowed in (None, bitmap(mask)):
        found = view.search(get_kernels(), queries, 10, allowed)
        expected = SparseFlatIndex(field, rows).search(get_kernels(), queries, 10, allowed)
        np.testing.assert_array_equal(found.rows, expected.rows)
        np.testing.assert_array_equal(found.distances, expected.distances)


@pytest.mark.parametrize("field", [SPARSE, TEXT], ids=["sparse", "text"])
def test_it_finds_what_a_scan_finds_at_every_size(field: VectorField) -> None:
    rng = seeded()
    rows = rows_for(field, rng, 6000, 10)
    growing, n = GrowingInverted(field, get_kernels()), 0
    while n < 6000:
        n = min(6000, n + int(rng.choice([0, 1, 50, 255, 256, 900])))
        growing.extend(rows[:n])
        _equal(field, growing.at(rows[:n]), rows[:n], rng)
        if rng.random() < 0.3:
            earlier = int(rng.integers(0, n + 1))
            _equal(field, growing.at(rows[:earlier]), rows[:earlier], rng)


def test_windows_are_few_and_rows_are_put_into_lists_seldom() -> None:
    rows = rows_for(SPARSE, np.random.default_rng(0), 300, 3)
    rows = SparseRows.concat([rows] * 140)
    growing, made = GrowingInverted(SPARSE, get_kernels()), 0
    before: set[int] = set()
    for n in range(0, len(rows), 128):
        growing.extend(rows[:n])
        windows = [one.window for one in growing._windows]
        sizes = [window.n_rows for window in windows]
        assert sizes == sorted(sizes, reverse=True)
        assert all(sizes.count(size) < 4 for size in SIZES[1:])
        assert n - sum(sizes) < 256
        made += sum(window.n_rows for window in windows if id(window) not in before)
        before = {id(window) for window in windows}
    assert made <= len(SIZES) * len(rows)
    at_once = GrowingInverted(SPARSE, get_kernels())
    at_once.extend(rows)
    assert [one.window.n_rows for one in at_once._windows] == [16_384, 16_384, 4_096, 4_096, 1_024]


def test_statistics_of_texts_at_every_size() -> None:
    rng = seeded()
    rows = rows_for(TEXT, rng, 1400)
    growing = GrowingInverted(TEXT, get_kernels())
    terms = np.unique(rows.indices)[::2].copy()
    for n in (0, 10, 300, 1100, 1400):
        growing.extend(rows[:n])
        for seen in {n, n // 2}:
            view, flat = growing.at(rows[:seen]), SparseFlatIndex(TEXT, rows[:seen])
            assert view.lengths.tolist() == flat.lengths.tolist()
            for alive in (None, bitmap(rng.random(seen) < 0.5)):
                counts = view.document_frequency(get_kernels(), terms, alive)
                assert counts.tolist() == flat.document_frequency(get_kernels(), terms, alive).tolist()
    assert growing.nbytes > 0


@pytest.mark.parametrize("field", [SPARSE, TEXT], ids=["sparse", "text"])
def test_readers_see_their_rows_while_others_come(field: VectorField) -> None:
    """One writer, several readers: each answer is that of a scan of the rows that the reader took."""
    rng = seeded()
    rows = rows_for(field, rng, 9000, 6)
    growing = GrowingInverted(field, get_kernels())
    seen, failures, done = [0], [], threading.Event()
    queries = queries_for(field, rng, 4)

    def read() -> None:
        while not done.is_set():
            n = seen[0]
            found = growing.at(rows[:n]).search(get_kernels(), queries, 5, None)
            expected = SparseFlatIndex(field, rows[:n]).search(get_kernels(), queries, 5, None)
            if found.rows.tolist() != expected.rows.tolist() or (found.distances != expected.distances).any():
                failures.append(n)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for n in range(0, 9000, 120):
            growing.extend(rows[:n])
            seen[0] = n
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not failures


def test_a_view_opens_without_lists() -> None:
    rng = seeded()
    for field in (SPARSE, TEXT):
        rows = rows_for(field, rng, 300)
        view = GrowingView.from_arrays(field, rows, {})
        assert view.arrays() == {}
        _equal(field, view, rows, rng)
