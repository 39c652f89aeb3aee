"""Search through windows of postings: what a scan finds, bit for bit, on every backend and instruction set."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import oracle
import pytest
from masks import bitmap
from seeds import seeded
from sparse_support import random_rows, random_saturation

from vecstore.kernels.base import Kernels
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import available_backends, load_backend
from vecstore.kernels.sparse import OpenWindow, Saturation, Window
from vecstore.sparse import SparseRows

HASHED = np.unique(np.random.default_rng(0).integers(0, 2**32, 300, dtype=np.uint64)).astype(np.uint32)


# Any two of these meet: whose weights may be negative, the share that a mask lets through, how values are stored.
PAIRS = [
    (signed, masked, ("float32", "float16")[(i + j) % 2])
    for i, signed in enumerate(["none", "rows", "queries", "both"])
    for j, masked in enumerate([None, 0.5, 0.02, 0.0])
]


def windows(kernels: Kernels, rows: SparseRows, saturation: Saturation | None, cuts: list[int]) -> list[OpenWindow]:
    """Windows that end at the cuts, multiples of 64 but for the last."""
    opened = []
    for first, last in zip([0, *cuts], cuts, strict=False):
        part = slice(first, last)
        made = kernels.build_window(first, rows[part], None if saturation is None else saturation.take(part))
        opened.append(kernels.open_window(made))
    return opened


def check_equal(
    kernels: Kernels,
    opened: list[OpenWindow],
    queries: SparseRows,
    rows: SparseRows,
    saturation: Saturation | None,
    allowed: np.ndarray | None,
    k: int,
) -> np.ndarray:
    """Compare with the scan in numpy; returns the counters."""
    nq = len(queries)
    found, expected = oracle.outputs(nq, k), oracle.outputs(nq, k)
    counters = np.full((nq, 3), -7, np.int64)
    kernels.inverted_search(opened, queries, rows, saturation, allowed, *found, counters)
    NumpyKernels().sparse_scan(queries, rows, saturation, allowed, *expected)
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1].tobytes() == expected[1].tobytes()
    assert (counters >= 0).all()
    return counters


@pytest.mark.parametrize(("signed", "masked", "dtype"), PAIRS)
def test_search_finds_what_a_scan_finds(any_kernels: Kernels, dtype: str, signed: str, masked: float | None) -> None:
    rng = seeded()
    rows = random_rows(rng, 700, HASHED, 15, dtype, signed in ("rows", "both"))
    queries = random_rows(rng, 8, HASHED, 9, signed=signed in ("queries", "both"))
    opened = windows(any_kernels, rows, None, [128, 576, 640])
    allowed = None if masked is None else bitmap(rng.random(700) < masked)
    for k in (1, 10, 150, 900):
        check_equal(any_kernels, opened, queries, rows, None, allowed, k)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_values_that_no_byte_holds(any_kernels: Kernels, dtype: str) -> None:
    """Values of many sizes, so that the codes of most are coarse."""
    rng = seeded()
    rows = random_rows(rng, 640, HASHED, 30)
    values = np.minimum(np.exp(rng.normal(0, 2, rows.nnz)), np.finfo(np.float16).max).astype(dtype)
    rows = SparseRows(rows.offsets, rows.indices, values)
    queries = random_rows(rng, 20, HASHED, 12, empty=0)
    queries = SparseRows(queries.offsets, queries.indices, np.exp(rng.normal(0, 3, queries.nnz)).astype(np.float32))
    counters = check_equal(any_kernels, windows(any_kernels, rows, None, [640]), queries, rows, None, None, 5)
    assert counters[:, 1].max() < 640  # most rows were told apart by their codes
    assert (counters[:, 0] > 0).all()


@pytest.mark.parametrize("drift", [1.0, 1.01, 0.5, 3.0, None])
@pytest.mark.parametrize("masked", [None, 0.3])
def test_texts_are_weighed_by_another_mean_length(
    any_kernels: Kernels, drift: float | None, masked: float | None
) -> None:
    """What windows were made with bounds what counts now; without a slope then or now it does not."""
    rng = seeded()
    rows = random_rows(rng, 700, HASHED, 20, "float32")
    then = random_saturation(rng, 700)
    now = replace(then, slope=0.0 if drift is None else float(np.float32(then.slope * drift)))
    queries = random_rows(rng, 6, HASHED, 4, empty=0)
    allowed = None if masked is None else bitmap(rng.random(700) < masked)
    opened = windows(any_kernels, rows, then, [320, 640])
    for k in (1, 20):
        check_equal(any_kernels, opened, queries, rows, now, allowed, k)
    negative = SparseRows(queries.offsets, queries.indices, -queries.values)
    check_equal(any_kernels, opened, negative, rows, now, allowed, 20)


def test_rows_that_came_later_and_views_of_earlier_rows(any_kernels: Kernels) -> None:
    rng = seeded()
    rows = random_rows(rng, 900, HASHED, 15)
    queries = random_rows(rng, 5, HASHED, 9)
    opened = windows(any_kernels, rows, None, [256, 512, 640])
    for n in (900, 641, 640, 639, 600, 500, 256, 255, 1, 0):
        for allowed in (None, bitmap(rng.random(n) < 0.6)):
            check_equal(any_kernels, opened, queries, rows[:n], None, allowed, 30)


def test_extreme_values(any_kernels: Kernels) -> None:
    """Scores that float32 cannot hold are found as a scan finds them."""
    rng = seeded()
    for low, high in ((1e30, 3e38), (1e-44, 1e-38), (0.0, 0.0), (1e-20, 1e18)):
        rows = random_rows(rng, 200, HASHED[:40], 8, signed=True)
        sizes = rng.uniform(low, high, rows.nnz).astype(np.float32) * np.sign(rows.values)
        rows = SparseRows(rows.offsets, rows.indices, sizes.astype(np.float32))
        queries = random_rows(rng, 10, HASHED[:40], 6, signed=True)
        for scale in (1e-30, 1.0, 1e30):
            asked = SparseRows(queries.offsets, queries.indices, (queries.values * scale).astype(np.float32))
            check_equal(any_kernels, windows(any_kernels, rows, None, [200]), asked, rows, None, None, 20)


def test_queries_of_many_terms(any_kernels: Kernels) -> None:
    rng = seeded()
    many = np.arange(0, 60_000, 3, dtype=np.uint32)
    rows = random_rows(rng, 300, many, 200)
    for count in (300, 9_000):
        indices = np.sort(rng.choice(many, count, replace=False))
        query = SparseRows(np.array([0, count]), indices, rng.random(count, np.float32))
        check_equal(any_kernels, windows(any_kernels, rows, None, [300]), query, rows, None, None, 10)


def test_empty_windows_and_queries(any_kernels: Kernels) -> None:
    rows = SparseRows.empty(128, np.dtype(np.float32))
    opened = windows(any_kernels, rows, None, [128])
    queries = random_rows(np.random.default_rng(1), 2, HASHED, 5, empty=0.5)
    check_equal(any_kernels, opened, queries, rows, None, None, 3)
    check_equal(any_kernels, [], queries, rows[:0], None, None, 3)
    found = oracle.outputs(2, 0)
    any_kernels.inverted_search(opened, queries, rows, None, None, *found, np.empty((2, 3), np.int64))


def test_equal_rows_come_in_their_order(any_kernels: Kernels) -> None:
    one = random_rows(np.random.default_rng(2), 1, HASHED, 12, empty=0)
    rows = SparseRows.concat([one] * 500)
    opened = windows(any_kernels, rows, None, [256, 500])
    check_equal(any_kernels, opened, one, rows, None, None, 7)


def test_windows_that_cannot_help_are_skipped(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(3)
    rows = random_rows(rng, 512, HASHED, 20, empty=0)
    scale = np.where(np.arange(512) < 256, 1, 0.01).repeat(np.diff(rows.offsets))
    rows = SparseRows(rows.offsets, rows.indices, (rows.values * scale).astype(np.float32))
    opened = windows(any_kernels, rows, None, [256, 512])
    counters = check_equal(any_kernels, opened, random_rows(rng, 4, HASHED, 9, empty=0), rows, None, None, 2)
    assert (counters[:, 2] == 1).all()


def _rare_and_common(rng: np.random.Generator, n: int) -> SparseRows:
    """Every row has most of ten common terms of little weight; one row in 50 one of 20 rare ones of much."""
    common = rng.random((n, 10)) < 0.8
    rare = rng.random(n) < 0.02
    row, term = np.nonzero(common)
    rows = np.concatenate([row, np.flatnonzero(rare)])
    terms = np.concatenate([term, 10 + rng.integers(0, 20, rare.sum())])
    values = np.concatenate([rng.uniform(0.1, 0.3, len(row)), rng.uniform(2, 4, rare.sum())])
    order = np.lexsort((terms, rows))
    offsets = np.searchsorted(rows[order], np.arange(n + 1))
    return SparseRows(offsets, terms[order].astype(np.uint32) * 1_000_003, values[order].astype(np.float32))


@pytest.mark.parametrize("masked", [None, 0.7])
def test_common_terms_are_not_read_where_rare_ones_decide(native_isa: Any, masked: float | None) -> None:
    rng = seeded()
    kernels = native_isa(pytest.importorskip("vecstore.kernels.native_backend").supported_isas()[0])
    rows = _rare_and_common(rng, 16_384)
    opened = windows(kernels, rows, None, [4096, 8192, 12_288, 16_384])
    terms = np.array([0, 3, 6, 12, 17, 25, 29], np.uint32) * np.uint32(1_000_003)
    query = SparseRows(np.array([0, 7]), terms, np.ones(7, np.float32))
    allowed = None if masked is None else bitmap(rng.random(16_384) < masked)
    counters = check_equal(kernels, opened, query, rows, None, allowed, 5)
    assert counters[0, 0] < 4 * 4096  # of 3 x 16,384 codes of common terms
    rare = SparseRows(np.array([0, 4]), terms[3:], np.ones(4, np.float32))
    counters = check_equal(kernels, opened, rare, rows, None, allowed, 5)
    assert counters[0, 0] < 200
    common = SparseRows(np.array([0, 3]), terms[:3], np.ones(3, np.float32))
    check_equal(kernels, opened, common, rows, None, allowed, 5)
    every = SparseRows(query.offsets, query.indices, np.array([1, 1, 1, 1, -1, 1, 1], np.float32))
    check_equal(kernels, opened, every, rows, None, allowed, 5)


def test_threads_do_not_change_answers(kernels: Kernels) -> None:
    rng = seeded()
    rows = SparseRows.concat([random_rows(rng, 1000, HASHED, 40)] * 40)
    opened = windows(kernels, rows, None, [4096 * i for i in range(1, 10)] + [40_000])
    queries = random_rows(rng, 2, HASHED, 9, empty=0)
    for threads in (1, 4):
        kernels.set_threads(threads)
        check_equal(kernels, opened, queries, rows, None, None, 45)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("normed", [False, True])
def test_backends_build_the_same_windows(any_kernels: Kernels, signed: bool, normed: bool) -> None:
    rng = seeded()
    rows = random_rows(rng, 1000, HASHED, 25, "float16", signed)
    values = (rows.values * rng.random(rows.nnz)).astype(np.float16) if not normed else np.abs(rows.values)
    rows = SparseRows(rows.offsets, rows.indices, values)
    saturation = random_saturation(rng, 1000) if normed else None
    mine, law = (one.build_window(64, rows, saturation) for one in (any_kernels, NumpyKernels()))
    for field in fields(Window):
        a, b = getattr(mine, field.name), getattr(law, field.name)
        if isinstance(b, np.ndarray):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            assert a.tobytes() == b.tobytes(), field.name
        else:
            assert a == b, field.name
    assert len(mine.dense_lists)
    assert len(mine.ids)


def test_codes_bound_values() -> None:
    """The law of the codes: the least with |value| <= |step| * code."""
    rng = seeded()
    rows = random_rows(rng, 500, HASHED, 25, signed=True)
    rows = SparseRows(rows.offsets, rows.indices, (rows.values * np.exp(rng.normal(0, 1, rows.nnz))).astype(np.float32))
    window = NumpyKernels().build_window(0, rows, None)
    row_of = np.repeat(np.arange(500), np.diff(rows.offsets))
    seen = 0
    for number, term in enumerate(window.terms.tolist()):
        step = abs(float(window.steps[number]))
        begin, end = int(window.starts[number]), int(window.starts[number + 1])
        chosen = (rows.indices == term) & ((rows.values < 0) == (window.steps[number] < 0))
        values = np.abs(rows.values[chosen].astype(np.float64))
        if begin == end:
            codes = window.dense[window.dense_lists.tolist().index(number)]
            assert np.flatnonzero(codes).tolist() == row_of[chosen].tolist()
            codes = codes[codes > 0]
        else:
            codes = window.codes[begin:end]
            assert window.ids[begin:end].tolist() == row_of[chosen].tolist()
        assert (step * codes >= values).all()
        assert (step * (codes.astype(np.float64) - 1) < values)[codes > 1].all()
        seen += len(values)
    assert seen == rows.nnz


def test_document_frequency_counts_rows(any_kernels: Kernels) -> None:
    rng = seeded()
    rows = random_rows(rng, 700, HASHED, 20, signed=True)
    opened = windows(any_kernels, rows, None, [192, 512])
    terms = np.unique(np.append(rng.choice(HASHED, 60), [7, 2**32 - 5])).astype(np.uint32)
    for n in (700, 512, 400):
        for allowed in (None, bitmap(rng.random(n) < 0.5)):
            counts, expected = np.full(len(terms), -7, np.int64), np.empty(len(terms), np.int64)
            any_kernels.inverted_document_frequency(opened, terms, rows[:n], allowed, counts)
            NumpyKernels().sparse_document_frequency(terms, rows[:n], allowed, expected)
            assert counts.tolist() == expected.tolist()
    assert max(expected) > 5


ROWS = SparseRows.concat([random_rows(np.random.default_rng(5), 70, HASHED[:20], 6, signed=True, empty=0)])


def _window(**parts: Any) -> Window:
    return replace(NumpyKernels().build_window(0, ROWS, None), **parts)


WHOLE = _window()
MOST = int(np.argmax(np.diff(WHOLE.starts.astype(np.int64))))  # a list with several postings


def _put(name: str, place: int, value: float) -> Window:
    array = getattr(WHOLE, name).copy()
    array[place] = value
    return replace(WHOLE, **{name: array})


BROKEN = {
    "terms fall": (_put("terms", 3, 0), "terms of a window must ascend"),
    "a term three times": (_window(terms=np.zeros_like(WHOLE.terms)), "more than two lists"),
    "starts fall": (_put("starts", 3, 2**31), "starts"),
    "starts do not begin at 0": (_put("starts", 0, 1), "starts"),
    "starts end early": (_put("starts", len(WHOLE.terms), 0), "starts"),
    "short starts": (_window(starts=WHOLE.starts[:-1]), "starts"),
    "a step of infinity": (_put("steps", 2, np.inf), "steps must be finite"),
    "a row outside": (_put("ids", len(WHOLE.ids) - 1, 70), "not in its window"),
    "rows of a list fall": (_put("ids", int(WHOLE.starts[MOST]) + 1, 0), "rows of a list must ascend"),
    "short codes": (_window(codes=WHOLE.codes[:-1]), "codes"),
    "ids of int32": (_window(ids=WHOLE.ids.astype(np.int32)), "ids"),
    "dense lists fall": (_window(dense_lists=WHOLE.dense_lists[::-1].copy()), "dense lists must ascend"),
    "a dense list outside": (_put("dense_lists", -1, len(WHOLE.terms)), "dense lists must ascend"),
    "a list that is dense besides": (_put("dense_lists", 0, MOST), "dense list"),
    "narrow dense": (_window(dense=WHOLE.dense[:, :64].copy()), "dense"),
    "a first row within a word": (_window(first_row=32), "multiple of 64"),
    "too many rows": (_window(n_rows=65_537), "65536 rows"),
    "a slope of nan": (_window(slope=float("nan")), "slope"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_windows_that_do_not_fit_are_refused(any_kernels: Kernels, name: str) -> None:
    window, message = BROKEN[name]
    with pytest.raises(ValueError, match=message):
        any_kernels.open_window(window)
    any_kernels.open_window(WHOLE)


def test_windows_must_follow_each_other(any_kernels: Kernels) -> None:
    rows = SparseRows.concat([ROWS] * 3)
    query = ROWS.row(0)
    outputs = (*oracle.outputs(1, 2), np.empty((1, 3), np.int64))
    opened = windows(any_kernels, rows, None, [64, 128])
    with pytest.raises(ValueError, match="begins at row 64, not 0"):
        any_kernels.inverted_search(opened[1:], query, rows, None, None, *outputs)
    with pytest.raises(ValueError, match="fill words of 64"):
        any_kernels.inverted_search(windows(any_kernels, rows, None, [70]), query, rows, None, None, *outputs)
    with pytest.raises(ValueError, match="out_counters"):
        any_kernels.inverted_search(opened, query, rows, None, None, *outputs[:2], np.empty((1, 2), np.int64))


def test_a_window_of_too_many_rows_is_not_built(any_kernels: Kernels) -> None:
    with pytest.raises(ValueError, match="65536 rows, not 65537"):
        any_kernels.build_window(0, SparseRows.empty(65_537, np.dtype(np.float32)), None)
    infinite = SparseRows(np.array([0, 1]), np.zeros(1, np.uint32), np.full(1, np.inf, np.float32))
    with pytest.raises(ValueError, match="finite"):
        any_kernels.build_window(0, infinite, None)


@pytest.mark.parametrize("backend", ["native", "numba"])
def test_a_full_window_at_once(backend: str) -> None:
    """Local row numbers use all of their 16 bits."""
    if backend not in available_backends():
        pytest.skip(f"{backend} is not installed")
    rng = seeded()
    part = random_rows(rng, 4096, HASHED, 6)
    rows = SparseRows.concat([part] * 17)
    rows = SparseRows(rows.offsets, rows.indices, (rows.values * rng.random(rows.nnz)).astype(np.float32))
    kernels = load_backend(backend)
    opened = windows(kernels, rows, None, [65_536, len(rows)])
    assert int(opened[0].window.ids.max()) > 65_000
    check_equal(kernels, opened, random_rows(rng, 3, HASHED, 6, empty=0), rows, None, None, 20)
