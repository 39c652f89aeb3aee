"""The inverted index of a sealed segment: exact, stored and opened again, damage told."""

from __future__ import annotations

import numpy as np
import pytest
from masks import bitmap
from seeds import seeded
from sparse_index_support import SPARSE, TEXT, queries_for, rows_for

from vecstore.errors import Cancelled, Corruption, InvalidArgument
from vecstore.index import inverted
from vecstore.index.base import SearchParams
from vecstore.index.inverted import InvertedIndex
from vecstore.index.registry import built_index
from vecstore.index.sparse_flat import SparseFlatIndex
from vecstore.index_spec import Inverted
from vecstore.kernels.select import get_kernels, load_backend
from vecstore.schema import VectorField
from vecstore.sparse import SparseRows


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inverted, "WINDOW_ROWS", 320)


def build(field: VectorField, rows: SparseRows) -> InvertedIndex:
    return InvertedIndex.build(field, Inverted(), rows, None, get_kernels(), lambda *_: None)


@pytest.mark.parametrize("field", [SPARSE, TEXT], ids=["sparse", "text"])
@pytest.mark.parametrize("masked", [None, 0.5, 0.02])
def test_it_finds_what_a_scan_finds(field: VectorField, masked: float | None) -> None:
    rng = seeded()
    rows = rows_for(field, rng, 1500)
    index = build(field, rows)
    opened = InvertedIndex.from_arrays(field, rows, index.arrays())
    assert opened.code_bytes == index.code_bytes > 0
    queries = queries_for(field, rng, 20)
    mask = rng.random(1500) < (masked or 1)
    allowed = None if masked is None else bitmap(mask)
    flat = SparseFlatIndex(field, rows)
    for k in (1, 10, 2000):
        expected = flat.search(get_kernels(), queries, k, allowed)
        for one, backend in ((index, "native"), (opened, "native"), (opened, "numba"), (opened, "numpy")):
            found = one.search(load_backend(backend), queries, k, allowed)
            np.testing.assert_array_equal(found.rows, expected.rows)
            np.testing.assert_array_equal(found.distances, expected.distances)
    assert found.counters["rows_scored"] >= (expected.rows >= 0).sum()
    assert mask[expected.rows[expected.rows >= 0]].all()


@pytest.mark.parametrize("masked", [None, 0.5])
def test_statistics_of_texts(masked: float | None) -> None:
    rng = seeded()
    rows = rows_for(TEXT, rng, 1000)
    index, flat = build(TEXT, rows), SparseFlatIndex(TEXT, rows)
    np.testing.assert_array_equal(index.lengths, flat.lengths)
    terms = np.unique(rows.indices)[::3].copy()
    alive = None if masked is None else bitmap(rng.random(1000) < masked)
    counts = index.document_frequency(get_kernels(), terms, alive)
    assert counts.tolist() == flat.document_frequency(get_kernels(), terms, alive).tolist()
    assert counts.max() > 100


def test_few_rows_can_be_told_apart_by_their_codes() -> None:
    rng = seeded()
    rows = rows_for(SPARSE, rng, 1500)
    found = build(SPARSE, rows).search(get_kernels(), queries_for(SPARSE, rng, 50), 5, None)
    assert found.counters["rows_scored"] < 50 * 100
    assert found.counters["postings_read"] > 50 * 100


def test_no_rows_and_prefixes() -> None:
    for field in (SPARSE, TEXT):
        rows = SparseRows.empty(0, field.storage_dtype)
        index = InvertedIndex.from_arrays(field, rows, build(field, rows).arrays())
        queries = queries_for(field, np.random.default_rng(0), 2)
        assert (index.search(get_kernels(), queries, 3, None).rows == -1).all()
        with pytest.raises(InvalidArgument, match="truncate_dim=8"):
            index.search(get_kernels(), queries, 3, None, SearchParams(truncate_dim=8))


def test_it_is_registered_and_can_be_cancelled() -> None:
    assert built_index(Inverted()) is InvertedIndex
    rows, seen = rows_for(SPARSE, np.random.default_rng(0), 1000), []

    def progress(phase: str, done: int, total: int) -> None:
        seen.append((phase, done, total))
        if done > 500:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        InvertedIndex.build(SPARSE, Inverted(), rows, None, get_kernels(), progress)
    assert seen == [("postings", 320, 1000), ("postings", 640, 1000)]


def _changed(arrays: dict[str, np.ndarray], name: str, place: object, value: float) -> dict[str, np.ndarray]:
    array = arrays[name].copy()
    array[place] = value
    return {**arrays, name: array}


@pytest.mark.parametrize(
    "name", ["windows", "slopes", "terms", "starts", "steps", "ids", "codes", "dense_lists", "dense", "lengths"]
)
def test_missing_and_cut_arrays_are_corruption(name: str) -> None:
    rows = rows_for(TEXT, np.random.default_rng(1), 700)
    arrays = build(TEXT, rows).arrays()
    assert len(arrays[name])
    without = {other: array for other, array in arrays.items() if other != name}
    for broken in (without, {**arrays, name: arrays[name][:-1]}, {**arrays, name: arrays[name].astype(np.float64)}):
        with pytest.raises(Corruption):
            InvertedIndex.from_arrays(TEXT, rows, broken)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("windows", (0, 0), 256), ("windows", (1, 0), 319), ("windows", (2, 0), 2**40), ("windows", (0, 1), -1),
        ("windows", (0, 2), 5), ("windows", (0, 3), 1), ("slopes", 0, np.nan),
        ("terms", 5, 0), ("starts", 4, 2**31), ("steps", 0, np.inf), ("ids", 0, 65_535), ("dense_lists", 0, 2**31),
    ],
)  # fmt: skip
def test_arrays_that_lead_outside_are_corruption(name: str, place: object, value: float) -> None:
    rows = rows_for(TEXT, np.random.default_rng(1), 700)
    with pytest.raises(Corruption):
        InvertedIndex.from_arrays(TEXT, rows, _changed(build(TEXT, rows).arrays(), name, place, value))


def test_an_index_of_other_rows_is_corruption() -> None:
    rng = np.random.default_rng(1)
    rows = rows_for(SPARSE, rng, 700)
    arrays = build(SPARSE, rows).arrays()
    with pytest.raises(Corruption, match="not those of 640 rows"):
        InvertedIndex.from_arrays(SPARSE, rows[:640], arrays)
    with pytest.raises(Corruption, match="stored rows"):
        InvertedIndex.from_arrays(SPARSE, rows.astype(np.float32), arrays)
