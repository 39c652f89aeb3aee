"""Rows of tokens, and the exact index over them."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import SearchParams
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.tokens import TokenRows

FIELD = VectorField(VectorKind.MULTI, 24, Metric.MAXSIM, DataType.FLOAT16)


def rows_of(rng: np.random.Generator, n: int) -> TokenRows:
    rows = [rng.standard_normal((int(rng.integers(0, 9)), 24)) for _ in range(n)]
    return TokenRows.of(rows, 24, np.float16)


def test_rows_are_cut_taken_and_joined() -> None:
    rows = rows_of(np.random.default_rng(1), 40)
    each = [row.tokens for row in rows]
    assert len(each) == len(rows) == 40
    assert sum(map(len, each)) == len(rows.tokens)
    part = rows[7:19]
    assert part.tokens.base is not None
    assert [len(row.tokens) for row in part] == [len(each[i]) for i in range(7, 19)]
    np.testing.assert_array_equal(part.tokens, np.concatenate(each[7:19]))
    listed = np.array([3, 39, 3, 0])
    np.testing.assert_array_equal(rows[listed].tokens, np.concatenate([each[i] for i in listed]))
    joined = TokenRows.concat([rows[:7], part, rows[19:]])
    np.testing.assert_array_equal(joined.offsets, rows.offsets)
    np.testing.assert_array_equal(joined.tokens, rows.tokens)
    again = TokenRows.from_arrays(rows.arrays())
    assert again.nbytes == rows.nbytes
    assert again.dim == 24
    empty = TokenRows.empty(3, 24, np.float32)
    assert len(empty) == 3
    assert len(empty.take(np.array([2, 0]))) == 2
    assert empty.astype(np.float16).tokens.dtype == "f2"
    assert len(rows[40:]) == len(rows[50:40]) == 0
    with pytest.raises(IndexError):
        rows[::2]


def test_exact_search_and_reopening() -> None:
    rng = np.random.default_rng(2)
    rows = rows_of(rng, 200)
    index = MaxSimFlatIndex.from_arrays(FIELD, rows, MaxSimFlatIndex(FIELD, rows).arrays())
    wanted = 57
    while len(rows.row(wanted).tokens) < 3:
        wanted += 1
    queries = TokenRows.of([rows.row(wanted).tokens], 24, np.float32)
    found = index.search(get_kernels(), queries, 5, None)
    assert found.rows[0, 0] == wanted
    assert found.counters == {"rows_scanned": 200}
    score = -float((queries.tokens**2).sum())
    assert found.distances[0, 0] <= score + 1e-3
    with pytest.raises(InvalidArgument):
        index.search(get_kernels(), queries, 5, None, SearchParams(truncate_dim=8))


def test_rows_that_do_not_fit_the_field() -> None:
    rows = rows_of(np.random.default_rng(3), 10)
    cut = rows.offsets.copy()
    cut[3] = cut[4] + 1
    for bad in (
        TokenRows(rows.offsets, rows.tokens.astype(np.float32)),
        TokenRows(rows.offsets, rows.tokens[:, :12]),
        TokenRows(rows.offsets, rows.tokens[:-1]),
        TokenRows(cut, rows.tokens),
        TokenRows(rows.offsets + 1, rows.tokens),
        TokenRows(rows.offsets.astype(np.float64), rows.tokens),  # type: ignore[arg-type]
    ):
        with pytest.raises(Corruption):
            MaxSimFlatIndex.from_arrays(FIELD, bad, {})
