"""Exact late interaction over tokens that have been rounded to bytes before: the rows and the bits of a scan without,
on every backend and instruction set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from masks import bitmap
from oracle import outputs
from seeds import seeded

from vecstore.kernels.base import Kernels
from vecstore.kernels.token_row_bytes import TokenRowBytes
from vecstore.tokens import TokenRows


def _rows(rng: np.random.Generator, counts: Any, dim: int, dtype: str = "float32", scale: float = 1.0) -> TokenRows:
    return TokenRows.of([rng.standard_normal((n, dim)) * scale for n in counts], dim, np.dtype(dtype))


def _rounded(rows: TokenRows) -> TokenRowBytes:
    """Whether or not it pays on this instruction set."""
    from vecstore.kernels import _native

    made = TokenRowBytes.empty(rows)
    _native.round_tokens(rows.offsets, rows.tokens, *made.arrays)
    return made


def _check(
    kernels: Kernels, queries: TokenRows, rows: TokenRows, k: int, *, mask: np.ndarray | None = None, held: Any = None
) -> int:
    """Returns how many rows were compared in full."""
    from vecstore.kernels import _native

    allowed = None if mask is None else bitmap(mask)
    expected, distances = outputs(len(queries), k)
    kernels.maxsim_scan(queries, rows, allowed, expected, distances)
    out, found = np.full((len(queries), k), -7, np.int64), np.full((len(queries), k), np.nan, np.float32)
    arrays = queries.offsets, queries.tokens, rows.offsets, rows.tokens
    held = _rounded(rows) if held is None else held
    compared = _native.maxsim_scan_by_bytes(*arrays, allowed, *held.arrays, out, found)
    np.testing.assert_array_equal(out, expected)
    assert found.tobytes() == distances.tobytes()
    return compared


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_counts_and_dimensions(native: Kernels, dtype: str) -> None:
    rng = seeded()
    for dim in (1, 3, 4, 17, 96):
        for n in (0, 1, 2, 40):
            rows = _rows(rng, rng.integers(0, 9, n), dim, dtype)
            for tokens in ([1], [3, 8], [9, 0, 33, 1]):
                for k in (1, 3, n + 2):
                    _check(native, _rows(rng, tokens, dim), rows, k)


def test_masks_and_threads(native: Kernels) -> None:
    rng = seeded()
    rows, queries = _rows(rng, rng.integers(0, 30, 3_000), 32), _rows(rng, (5, 17), 32)
    for threads in (1, 3):
        native.set_threads(threads)
        for share in (1, 0.5, 0.01, 0):
            for k in (1, 10, 300):
                _check(native, queries, rows, k, mask=rng.random(3_000) < share)


def test_threads_that_have_parts_of_the_rows(native: Kernels) -> None:
    rng = seeded()
    rows, queries = _rows(rng, rng.integers(0, 20, 6_000), 64), _rows(rng, (15, 30, 15), 64)
    native.set_threads(3)
    for k in (1, 10, 200):
        _check(native, queries, rows, k)


def test_rows_that_came_later_have_no_bytes(native: Kernels) -> None:
    rng = seeded()
    rows, queries = _rows(rng, rng.integers(0, 9, 500), 24), _rows(rng, (4, 9), 24)
    every = _rounded(rows)
    for n in (0, 1, 250, 499, 500):
        some = _rounded(rows[:n])
        for held in (some, every.first(n)):
            _check(native, queries, rows, 10, held=held)
        for made, wanted in zip(some.then(_rounded(rows[n:])).arrays, every.arrays, strict=True):
            assert made.tobytes() == wanted.tobytes()
        np.testing.assert_array_equal(some.then(_rounded(rows[n:])).offsets, rows.offsets)


def test_whatever_the_scale(native: Kernels) -> None:
    rng = seeded()
    for _ in range(20):
        dim = int(rng.integers(1, 130))
        rows = _rows(rng, rng.integers(0, 9, 200), dim, scale=10 ** rng.uniform(-3, 3))
        rows.tokens[rng.integers(len(rows.tokens), size=20)] *= np.float32(10 ** rng.uniform(-3, 3))
        rows.tokens[3] = 0
        queries = _rows(rng, rng.integers(1, 40, 3), dim, scale=10 ** rng.uniform(-3, 3))
        queries.tokens[0] = 0
        _check(native, queries, rows, int(rng.integers(1, 60)))


def test_rows_close_to_each_other(native: Kernels) -> None:
    """Bytes tell none of them apart: all depends on what they may be off. Many are equally near."""
    rng = seeded()
    for apart in (1e-1, 1e-3, 1e-5, 0):
        near = rng.standard_normal((4, 40))
        rows = TokenRows.of([near + apart * rng.standard_normal((4, 40)) for _ in range(400)], 40, np.float32)
        for k in (1, 10, 100):
            _check(native, _rows(rng, (3, 8), 40), rows, k)


@pytest.mark.parametrize("sharp", [0.499, 0.35])
def test_rows_that_bytes_put_behind_by_nearly_all_they_may(native: Kernels, sharp: float) -> None:
    """Ten rows that are their bytes to the last bit, and three nearer ones that lose by rounding."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], 96)
    signs[0] = 1
    tokens = np.tile(signs * -sharp, (3000, 1))
    tokens[:10] = 0
    ahead = int(0.93 * sharp * 95)
    tokens[:10, 1 : 1 + ahead] = signs[1 : 1 + ahead]
    tokens[[700, 1800, 2999]] *= -1
    tokens[:, 0] = 127
    rows = TokenRows(np.arange(3001), tokens.astype(np.float32))
    queries = TokenRows.of([np.tile(signs, (7, 1))], 96, np.float32)
    assert _check(native, queries, rows, 10) >= 13


def test_rows_that_a_query_s_bytes_put_behind_by_nearly_all_they_may(native: Kernels) -> None:
    """The same for products with a query that loses by rounding, where only the nearer rows are long."""
    query = np.full((5, 96), 0.49)
    query[:, 0], query[:, 1:9] = 127, 5
    tokens = np.zeros((3000, 96))
    tokens[32:, 9:] = -1
    tokens[:10, 1:9] = 1
    tokens[[700, 1800, 2999], 9:] = 1
    tokens[:, 0] = 1
    rows = TokenRows(np.arange(3001), tokens.astype(np.float32))
    _check(native, TokenRows.of([query], 96, np.float32), rows, 10)


def test_numbers_too_large_or_too_small(native: Kernels) -> None:
    """Where bounds are no numbers, all rows are compared."""
    rng = np.random.default_rng(2)
    with np.errstate(over="ignore"):
        for rows_by, queries_by in ((1e30, 1), (1, 1e30), (1e-42, 1), (1, 1e-42), (1e-30, 1e-30), (0, 1)):
            rows = _rows(rng, rng.integers(1, 5, 1_500), 20, scale=rows_by)
            rows.tokens[7] *= np.float32(1e4)
            for k in (10, 100):  # the first are compared anyway
                _check(native, _rows(rng, (3, 12), 20, scale=queries_by), rows, k)


def test_most_rows_are_not_compared(native: Kernels) -> None:
    rng = np.random.default_rng(3)
    rows, queries = _rows(rng, np.full(2_000, 8), 64), _rows(rng, (10, 10), 64)
    assert 2 * 64 <= _check(native, queries, rows, 10) < 2 * 200


def test_bytes_are_as_far_off_as_they_say(native: Kernels) -> None:
    rng = seeded()
    for dtype in ("float32", "float16"):
        rows = _rows(rng, [3, 0, 5, 1], 21, dtype)
        held = _rounded(rows)
        assert (held.tokens[:, 21:] == 128).all()
        stands = (held.tokens[:, :21].astype(np.float64) - 128) * held.scales[:, None]
        off, longest = np.linalg.norm(rows.tokens - stands, axis=1), np.linalg.norm(stands, axis=1)
        for row in (0, 2, 3):
            part = slice(rows.offsets[row], rows.offsets[row + 1])
            assert off[part].max() <= held.errors[row] <= off[part].max() * 1.001
            assert longest[part].max() <= held.lengths[row] <= longest[part].max() * 1.02
    assert native.isa


def test_backends_take_bytes_or_leave_them(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(4)
    rows, queries = _rows(rng, rng.integers(0, 9, 300), 16), _rows(rng, (3, 5), 16)
    (out, found), (expected, distances) = outputs(2, 5), outputs(2, 5)
    any_kernels.maxsim_scan(queries, rows, None, expected, distances)
    any_kernels.maxsim_scan(queries, rows, None, out, found, any_kernels.round_tokens(rows))
    np.testing.assert_array_equal(out, expected)
    assert found.tobytes() == distances.tobytes()


def test_what_does_not_fit_is_refused(native: Kernels) -> None:
    from vecstore.kernels import _native

    rng = np.random.default_rng(5)
    rows, queries = _rows(rng, [2, 3], 16), _rows(rng, [2], 16)
    good, out = _rounded(rows), outputs(1, 3)
    assert native.isa
    for held in (
        replace(good, tokens=good.tokens[:4]),
        replace(good, tokens=good.tokens[:, :12]),
        replace(good, scales=good.scales[:4]),
        replace(good, lengths=good.lengths[:1]),
        replace(good, errors=np.zeros(3, np.float32)),
        replace(good, scales=good.scales.astype(np.float64)),
    ):
        arrays = queries.offsets, queries.tokens, rows.offsets, rows.tokens
        with pytest.raises(ValueError, match=r"bytes|scales|errors|lengths"):
            _native.maxsim_scan_by_bytes(*arrays, None, *held.arrays, *out)
