"""Late interaction of every backend and instruction set against float64."""

from __future__ import annotations

import numpy as np
import pytest
from masks import bitmap
from once import once
from oracle import outputs

from vecstore.kernels.base import Kernels
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.tokens import TokenRows

REFUSED = "offset|shape|dtype|candidate"
TOLERANCE = 4e-6  # of |q| |x|, for each token of a query: float32 sums over up to 400 dimensions


def token_rows(rng: np.random.Generator, counts: list[int], dim: int, dtype: type = np.float32) -> TokenRows:
    tokens = rng.standard_normal((sum(counts), dim))
    tokens /= np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-9)
    return TokenRows(np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), tokens.astype(dtype))


def scores(query: np.ndarray, rows: TokenRows) -> np.ndarray:
    """(n,) float64 MaxSim, -inf for a row without tokens."""
    wide = query.astype(np.float64)
    each = [row.tokens.astype(np.float64) @ wide.T for row in rows]
    return np.array([products.max(axis=0).sum() if len(products) else -np.inf for products in each])


def check(kernels: Kernels, queries: TokenRows, rows: TokenRows, k: int, mask: np.ndarray | None = None) -> None:
    out_rows, out_distances = outputs(len(queries), k)
    kernels.maxsim_scan(queries, rows, None if mask is None else bitmap(mask), out_rows, out_distances)
    listed = np.tile(np.append(np.arange(len(rows)), -1), (len(queries), 1))
    near = np.empty(listed.shape, np.float32)
    kernels.maxsim_rerank(queries, rows, listed, near)
    for q, query in enumerate(queries):
        exact = once(scores, query.tokens, rows)
        allowed = np.isfinite(exact) if mask is None else np.isfinite(exact) & mask
        error = TOLERANCE * max(1, len(query.tokens))
        found = out_rows[q][out_rows[q] >= 0]
        assert len(found) == min(k, allowed.sum())
        assert len(set(found)) == len(found)
        assert allowed[found].all()
        assert (out_rows[q][len(found) :] == -1).all()
        assert np.isinf(out_distances[q][len(found) :]).all()
        np.testing.assert_allclose(out_distances[q][: len(found)], -exact[found], atol=error)
        assert list(zip(out_distances[q], found, strict=False)) == sorted(zip(out_distances[q], found, strict=False))
        best = np.sort(exact[allowed])[::-1][: len(found)]
        np.testing.assert_allclose(exact[found], best, atol=2 * error)
        assert np.isinf(near[q][-1])
        assert (np.isfinite(near[q][:-1]) == np.isfinite(exact)).all()
        finite = np.isfinite(exact)
        np.testing.assert_allclose(near[q][:-1][finite], -exact[finite], atol=error)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_every_width_and_dimension(any_kernels: Kernels, dtype: type) -> None:
    rng = np.random.default_rng(1)
    for dim in [1, 2, 7, 8, 48, 96, 100, 128, 385]:
        rows = token_rows(rng, list(rng.integers(0, 20, 31)), dim, dtype)
        queries = token_rows(rng, [1, 7, 8, 9, 16, 17, 33, 65], dim)
        check(any_kernels, queries, rows, 5)


@pytest.mark.parametrize("n", [0, 1, 64, 65, 300])
def test_counts_and_masks(any_kernels: Kernels, n: int) -> None:
    rng = np.random.default_rng(n)
    rows = token_rows(rng, list(rng.integers(0, 6, n)), 24)
    many = 3 if isinstance(any_kernels, DeviceKernels) else 20  # its stand-in takes turns, thread by thread
    for counts in ([], [3, 0, 40], [30] * many):
        queries = token_rows(rng, counts, 24)
        for mask in (None, np.zeros(n, bool), np.ones(n, bool), rng.random(n) < 0.1, rng.random(n) < 0.7):
            for k in (10, 1000):
                check(any_kernels, queries, rows, k, mask)


def test_long_documents(any_kernels: Kernels) -> None:
    """More tokens than are widened at once."""
    rng = np.random.default_rng(3)
    rows = token_rows(rng, [700, 1, 64, 65, 0, 129], 96, np.float16)
    check(any_kernels, token_rows(rng, [32, 8], 96), rows, 6)


def test_ties_go_to_the_lower_row(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(4)
    one = token_rows(rng, [6], 32)
    rows = TokenRows.concat([one] * 300)
    out_rows, out_distances = outputs(1, 12)
    any_kernels.maxsim_scan(token_rows(rng, [5], 32), rows, None, out_rows, out_distances)
    assert out_rows[0].tolist() == list(range(12))
    assert len(set(out_distances[0])) == 1


def test_a_query_has_the_same_bits_alone_and_among_others(kernels: Kernels) -> None:
    rng = np.random.default_rng(5)
    rows = token_rows(rng, list(rng.integers(1, 40, 900)), 96, np.float16)
    queries = token_rows(rng, [3, 12, 31, 32, 9] * 8, 96)
    together = outputs(len(queries), 20)
    kernels.maxsim_scan(queries, rows, None, *together)
    again = np.empty((len(queries), 20), np.float32)
    kernels.maxsim_rerank(queries, rows, together[0], again)
    np.testing.assert_array_equal(again, together[1])
    for threads in (1, 2):
        kernels.set_threads(threads)
        for q, query in enumerate(queries):
            alone = outputs(1, 20)
            kernels.maxsim_scan(query, rows, None, *alone)
            np.testing.assert_array_equal(alone[0][0], together[0][q])
            np.testing.assert_array_equal(alone[1][0], together[1][q])


def test_fused_instruction_sets_give_the_same_bits(native_isa: object) -> None:
    from vecstore.kernels.native_backend import supported_isas

    rng = np.random.default_rng(6)
    rows, queries = token_rows(rng, [17] * 300, 96, np.float16), token_rows(rng, [5, 32, 50], 96)
    found = {}
    for isa in supported_isas():
        if isa != "scalar":
            found[isa] = outputs(3, 50)
            native_isa(isa).maxsim_scan(queries, rows, None, *found[isa])  # type: ignore[operator]
    first, *others = found.values()
    for other in others:
        np.testing.assert_array_equal(first[0], other[0])
        np.testing.assert_array_equal(first[1], other[1])


def test_refusals(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(7)
    rows, queries = token_rows(rng, [3, 4], 16), token_rows(rng, [2], 16)
    out_rows, out_distances = outputs(1, 2)
    wrong = {
        "narrow": TokenRows(rows.offsets, rows.tokens[:, :8].copy()),
        "past": TokenRows(rows.offsets + 1, rows.tokens),
        "descends": TokenRows(np.array([0, 7, 3]), rows.tokens),
        "none": TokenRows(np.empty(0, np.int64), rows.tokens),
        "dtype": TokenRows(rows.offsets, rows.tokens.astype(np.float64)),  # type: ignore[arg-type]
        "int32": TokenRows(rows.offsets.astype(np.int32), rows.tokens),  # type: ignore[arg-type]
    }
    for bad in wrong.values():
        with pytest.raises(ValueError, match=REFUSED):
            any_kernels.maxsim_scan(queries, bad, None, out_rows, out_distances)
        if bad is not wrong["narrow"]:
            with pytest.raises(ValueError, match=REFUSED):
                any_kernels.maxsim_scan(bad, rows, None, *outputs(max(0, len(bad.offsets) - 1), 2))
    with pytest.raises(ValueError, match=REFUSED):
        any_kernels.maxsim_scan(queries, rows, np.zeros(2, np.uint64), out_rows, out_distances)
    for candidate in (2, -2):
        with pytest.raises(ValueError, match=REFUSED):
            any_kernels.maxsim_rerank(queries, rows, np.array([[candidate]]), np.empty((1, 1), np.float32))
    with pytest.raises(ValueError, match=REFUSED):
        any_kernels.maxsim_rerank(queries, wrong["past"], np.array([[1]]), np.empty((1, 1), np.float32))
