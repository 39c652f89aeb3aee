"""Scans of sparse rows: right against float64, and the same bits on every backend and instruction set."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from masks import bitmap
from oracle import check_top_k
from sparse_support import exact, random_rows, random_saturation

from vecstore.kernels.base import Kernels
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.sparse import Saturation
from vecstore.sparse import SparseRows

VOCABULARIES = {
    "small": np.arange(60, dtype=np.uint32),
    "hashed": np.unique(np.random.default_rng(0).integers(0, 2**32, 400, dtype=np.uint64)).astype(np.uint32),
    "ends": np.array([0, 1, 2**31, 2**32 - 2, 2**32 - 1], np.uint32),
}


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("masked", [None, 0.4, 0.01, 0.0])
def test_scan_agrees_with_float64(
    any_kernels: Kernels, vocabulary: str, dtype: str, signed: bool, masked: float | None
) -> None:
    seed = int(np.random.default_rng().integers(1 << 31))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    terms = VOCABULARIES[vocabulary]
    rows = random_rows(rng, int(rng.integers(0, 300)), terms, 12, dtype, signed)
    queries = random_rows(rng, 6, terms, 7, signed=signed)
    mask = np.ones(len(rows), bool) if masked is None else rng.random(len(rows)) < masked
    saturation = random_saturation(rng, len(rows)) if not signed and rng.random() < 0.5 else None
    found_rows, found = oracle.outputs(6, int(rng.choice([1, 7, 400])))
    allowed = None if masked is None else bitmap(mask)
    any_kernels.sparse_scan(queries, rows, saturation, allowed, found_rows, found)
    for q, query in enumerate(queries):
        distances, errors, matched = exact(query, rows, saturation)
        check_top_k(found_rows[q], found[q], distances, errors, mask & matched)


def _bits(kernels: Kernels, *arguments: object, k: int) -> tuple[bytes, bytes]:
    rows, distances = oracle.outputs(len(arguments[0]), k)  # type: ignore[arg-type]
    kernels.sparse_scan(*arguments, rows, distances)  # type: ignore[arg-type]
    return rows.tobytes(), distances.tobytes()


@pytest.mark.parametrize("terms", [20, 70, 1500])
@pytest.mark.parametrize("normed", [False, True])
def test_backends_give_the_same_bits(kernels: Kernels, terms: int, normed: bool) -> None:
    seed = int(np.random.default_rng().integers(1 << 31))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    vocabulary = np.unique(rng.integers(0, 2**32, 3000, dtype=np.uint64)).astype(np.uint32)
    rows = random_rows(rng, 500, vocabulary, 80, "float16")
    rows = SparseRows(rows.offsets, rows.indices, rng.random(rows.nnz, np.float32))
    queries = random_rows(rng, 5, vocabulary, terms, signed=not normed)
    queries = SparseRows(queries.offsets, queries.indices, queries.values * rng.random(queries.nnz, np.float32))
    saturation = random_saturation(rng, 500) if normed else None
    allowed = bitmap(rng.random(500) < 0.7)
    arguments = (queries, rows, saturation, allowed)
    assert _bits(kernels, *arguments, k=50) == _bits(NumpyKernels(), *arguments, k=50)


def test_answers_do_not_depend_on_threads(kernels: Kernels) -> None:
    rng = np.random.default_rng(3)
    rows = random_rows(rng, 3000, VOCABULARIES["hashed"], 60, "float16")
    repeated = SparseRows.concat([rows] * 12)
    queries = random_rows(rng, 3, VOCABULARIES["hashed"], 20)
    kernels.set_threads(1)
    alone = _bits(kernels, queries, repeated, None, None, k=100)
    kernels.set_threads(4)
    assert _bits(kernels, queries, repeated, None, None, k=100) == alone


def test_rerank_scores_the_rows_listed(any_kernels: Kernels) -> None:
    seed = int(np.random.default_rng().integers(1 << 31))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, 200, VOCABULARIES["hashed"], 30, "float16", signed=True)
    queries = random_rows(rng, 4, VOCABULARIES["hashed"], 20, signed=True, empty=0)
    candidates = rng.integers(-1, 200, (4, 300))
    distances = np.full((4, 300), np.nan, np.float32)
    any_kernels.sparse_rerank(queries, rows, None, candidates, distances)
    for q, query in enumerate(queries):
        expected, errors, matched = exact(query, rows)
        scored = (candidates[q] >= 0) & matched[candidates[q]]
        assert np.isposinf(distances[q, ~scored]).all()
        listed = candidates[q, scored]
        assert (np.abs(distances[q, scored] - expected[listed]) <= errors[listed]).all()
        assert 0 < scored.sum() < 300


def test_a_score_of_zero_is_an_answer(any_kernels: Kernels) -> None:
    rows = SparseRows(np.array([0, 2, 3, 4]), np.array([1, 2, 2, 9], np.uint32), np.array([1, 1, 0, 5], np.float32))
    queries = SparseRows(np.array([0, 2]), np.array([1, 2], np.uint32), np.array([2, -2], np.float32))
    found_rows, found = oracle.outputs(1, 3)
    any_kernels.sparse_scan(queries, rows, None, None, found_rows, found)
    assert found_rows.tolist() == [[0, 1, -1]]
    assert found.tolist() == [[0, 0, np.inf]]
    assert not np.signbit(found).any()


def test_scores_that_overflow_rank_last(any_kernels: Kernels) -> None:
    large = np.float32(3e38)
    rows = SparseRows(np.array([0, 2, 3]), np.array([1, 2, 1], np.uint32), np.array([large, large, 1], np.float32))
    queries = SparseRows(np.array([0, 2]), np.array([1, 2], np.uint32), np.array([large, -large], np.float32))
    found_rows, found = oracle.outputs(1, 2)
    any_kernels.sparse_scan(queries, rows, None, None, found_rows, found)
    assert found_rows.tolist() == [[1, 0]]
    assert np.isposinf(found[0, 1])


def test_document_frequency_counts_rows(any_kernels: Kernels) -> None:
    seed = int(np.random.default_rng().integers(1 << 31))
    print("seed", seed)
    rng = np.random.default_rng(seed)
    vocabulary = VOCABULARIES["hashed"]
    rows = random_rows(rng, 300, vocabulary, 20)
    terms = np.unique(np.append(rng.choice(vocabulary, 50), [7, 2**32 - 5])).astype(np.uint32)
    for mask in (None, rng.random(300) < 0.5):
        counts = np.full(len(terms), -7, np.int64)
        any_kernels.sparse_document_frequency(terms, rows, None if mask is None else bitmap(mask), counts)
        alive = [rows.row(place) for place in range(300) if mask is None or mask[place]]
        expected = [sum(term in row.indices for row in alive) for term in terms]
        assert counts.tolist() == expected
    assert max(expected) > 5


ROWS = SparseRows(np.array([0, 2, 3]), np.array([1, 5, 1], np.uint32), np.array([1, 2, 3], np.float32))
QUERY = SparseRows(np.array([0, 2]), np.array([1, 2], np.uint32), np.array([1, 1], np.float32))


def _with(rows: SparseRows, **parts: np.ndarray) -> SparseRows:
    return SparseRows.from_arrays({**rows.arrays(), **parts})


@pytest.mark.parametrize(
    ("queries", "rows", "message"),
    [
        (_with(QUERY, values=np.array([1, np.inf], np.float32)), ROWS, "finite"),
        (_with(QUERY, values=np.array([1, np.nan], np.float32)), ROWS, "finite"),
        (_with(QUERY, indices=np.array([2, 2], np.uint32)), ROWS, "ascend"),
        (_with(QUERY, indices=np.array([3, 2], np.uint32)), ROWS, "ascend"),
        (_with(QUERY, values=np.ones(2, np.float16)), ROWS, "float32"),
        (_with(QUERY, values=np.ones(3, np.float32)), ROWS, "shape"),
        (QUERY, _with(ROWS, offsets=np.array([0, 2, 4])), "offsets"),
        (QUERY, _with(ROWS, offsets=np.array([0, 3, 2])), "offsets"),
        (QUERY, _with(ROWS, offsets=np.array([-1, 2, 3])), "offsets"),
        (QUERY, _with(ROWS, offsets=np.array([0, 2, 3], np.int32)), "int64"),
        (QUERY, _with(ROWS, offsets=np.empty(0, np.int64)), "offsets"),
        (QUERY, _with(ROWS, indices=np.array([1, 5, 1], np.int32)), "uint32"),
        (QUERY, _with(ROWS, values=np.ones(3)), "float32 or float16"),
    ],
)
def test_wrong_arrays_are_refused(any_kernels: Kernels, queries: SparseRows, rows: SparseRows, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        any_kernels.sparse_scan(queries, rows, None, None, *oracle.outputs(1, 2))


def test_wrong_masks_saturations_and_outputs_are_refused(any_kernels: Kernels) -> None:
    with pytest.raises(ValueError, match="allowed"):
        any_kernels.sparse_scan(QUERY, ROWS, None, np.zeros(2, np.uint64), *oracle.outputs(1, 2))
    for wrong in (Saturation(np.ones(3, np.float32), 1, 1), Saturation(np.ones(2), 1, 1)):
        with pytest.raises(ValueError, match="lengths"):
            any_kernels.sparse_scan(QUERY, ROWS, wrong, None, *oracle.outputs(1, 2))
    for base, slope in ((-1.0, 1.0), (1.0, np.nan), (np.inf, 0.0)):
        wrong = Saturation(np.ones(2, np.float32), base, slope)
        with pytest.raises(ValueError, match="base and slope"):
            any_kernels.sparse_scan(QUERY, ROWS, wrong, None, *oracle.outputs(1, 2))
    with pytest.raises(ValueError, match="out_rows"):
        any_kernels.sparse_scan(QUERY, ROWS, None, None, *oracle.outputs(2, 2))
    with pytest.raises(ValueError, match="candidate"):
        any_kernels.sparse_rerank(QUERY, ROWS, None, np.array([[2]]), np.empty((1, 1), np.float32))
    with pytest.raises(ValueError, match="ascend"):
        any_kernels.sparse_document_frequency(np.array([2, 1], np.uint32), ROWS, None, np.empty(2, np.int64))
