"""Probed lists of stored rows: every backend finds what plain float64 finds in them, ties between lists by row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from masks import bitmap
from oracle import check_top_k, distances, inverse_norms, outputs, to_storage
from seeds import seeded

from vecstore.kernels.base import Kernels
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT, Metric.COSINE]


@dataclass(frozen=True)
class Lists:
    rows: np.ndarray
    listed: np.ndarray
    offsets: np.ndarray
    probes: np.ndarray

    def members(self, q: int) -> np.ndarray:
        own = [self.listed[self.offsets[i] : self.offsets[i + 1]] for i in self.probes[q] if i >= 0]
        return np.concatenate([np.empty(0, np.uint32), *own]).astype(np.int64)


def _random(rng: np.random.Generator, rows: np.ndarray, sizes: list[int], nq: int, nprobe: int) -> Lists:
    """Lists of ascending rows, each row in one list."""
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    order = rng.permutation(len(rows)).astype(np.uint32)
    for first, last in pairwise(offsets):
        order[first:last].sort()
    probes = np.stack([rng.permutation(len(sizes))[:nprobe] for _ in range(nq)]).astype(np.int32)
    return Lists(rows, order, offsets, probes)


def _scan(
    kernels: Kernels, metric: Metric, queries: np.ndarray, lists: Lists, k: int, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found, near = outputs(len(queries), k)
    scanned = np.full(len(queries), -1, np.int64)
    norms = inverse_norms(lists.rows) if metric is Metric.COSINE else None
    allowed = None if mask is None else bitmap(mask)
    arrays = (lists.listed, lists.offsets, lists.probes)
    kernels.dense_list_scan(metric, queries, lists.rows, norms, *arrays, allowed, found, near, scanned)
    return found, near, scanned


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("metric", METRICS)
def test_nearest_rows_of_probed_lists(any_kernels: Kernels, metric: Metric, dtype: str) -> None:
    rng = seeded()
    for dim, k in [(1, 1), (16, 10), (47, 300), (384, 40), (130, 2000)]:
        rows = to_storage(rng.standard_normal((900, dim)), dtype)
        lists = _random(rng, rows, [0, 130, 1, 369, 0, 300, 100], 6, 4)
        lists.probes[1] = -1
        lists.probes[2, 0] = lists.probes[3, 2] = -1
        queries = rng.standard_normal((6, dim)).astype(np.float32)
        exact, error = distances(metric, queries, rows)
        for mask in (None, rng.random(900) < 0.3, np.zeros(900, bool)):
            found, near, scanned = _scan(any_kernels, metric, queries, lists, k, mask)
            for q in range(6):
                members = lists.members(q)
                assert scanned[q] == len(members)
                listed = np.zeros(900, bool)
                listed[members] = True
                check_top_k(found[q], near[q], exact[q], error[q], listed if mask is None else listed & mask)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_distances_go_by_row_whatever_list_comes_first(any_kernels: Kernels, metric: Metric) -> None:
    rng = seeded()
    kinds = np.float32([[1, 0, 0], [0, 2, 0], [0, 0, 4], [0, 0, -4], [0, 0, 0]])  # powers of two: no rounding
    rows = kinds[rng.integers(0, len(kinds), 1500)]
    lists = _random(rng, rows, [700, 3, 0, 500, 297], 5, 5)
    queries = kinds[[0, 1, 2, 3, 4]]
    exact, _ = distances(metric, queries[:4], rows)
    if metric is not Metric.COSINE:
        exact = np.concatenate((exact, distances(metric, queries[4:], rows)[0]))
    for k in (1, 7, 64, 400, 1499):
        found, near, _ = _scan(any_kernels, metric, queries, lists, k)
        for q in range(len(exact)):
            order = np.lexsort((np.arange(1500), exact[q]))[:k]
            assert (found[q].tolist(), near[q].tolist()) == (order.tolist(), exact[q, order].tolist())


def test_rows_infinitely_far_are_found_last_and_by_row(any_kernels: Kernels) -> None:
    rng = seeded()
    rows = np.full((400, 4), 3e38, np.float32)
    rows[rng.permutation(400)[:30]] = 1
    rows[::9] = np.nan
    lists = _random(rng, rows, [300, 100], 1, 2)
    for k in (5, 40, 150, 399, 410):
        found, near, _ = _scan(any_kernels, Metric.L2, np.ones((1, 4), np.float32), lists, k)
        far = np.where((rows == 1).all(axis=1), 0, np.inf)
        order = np.lexsort((np.arange(400), far))[:k]
        assert found[0, : len(order)].tolist() == order.tolist()
        assert near[0, : len(order)].tolist() == far[order].tolist()
        assert (found[0, len(order) :] == -1).all()
        assert np.isposinf(near[0, len(order) :]).all()


def test_a_row_in_two_lists_is_found_twice(any_kernels: Kernels) -> None:
    rows = np.arange(10, dtype=np.float32)[:, None]
    listed = np.array([0, 3, 8, 3, 9], np.uint32)
    lists = Lists(rows, listed, np.array([0, 3, 5]), np.array([[1, 0]], np.int32))
    found, near, scanned = _scan(any_kernels, Metric.L2, np.float32([[3]]), lists, 4)
    assert (found.tolist(), near.tolist(), scanned.tolist()) == ([[3, 3, 0, 8]], [[0, 0, 9, 25]], [5])


def test_columns_of_wider_rows(any_kernels: Kernels) -> None:
    rng = seeded()
    wide = rng.standard_normal((300, 40)).astype(np.float32)
    lists = _random(rng, wide[:, :24], [100, 200], 3, 2)
    queries = rng.standard_normal((3, 24)).astype(np.float32)
    narrow = replace(lists, rows=np.ascontiguousarray(lists.rows))
    for mine, expected in zip(
        *(_scan(any_kernels, Metric.L2, queries, some, 9) for some in (lists, narrow)), strict=True
    ):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("shared", [False, True])
def test_queries_of_the_same_or_of_other_lists(any_kernels: Kernels, shared: bool) -> None:
    rng = seeded()
    rows = rng.standard_normal((1800, 20)).astype(np.float32)
    lists = _random(rng, rows, [100] * 18, 6, 3)
    lists.probes[:] = rng.permutation(18)[:3] if shared else rng.permutation(18).reshape(6, 3)
    if shared:
        lists.probes[4:, 1] = -1
    queries = rng.standard_normal((6, 20)).astype(np.float32)
    exact, error = distances(Metric.L2, queries, rows)
    mask = rng.random(1800) < 0.8
    for k in (8, 299, 300_000):  # the last are too many places to keep for more than three queries at once
        found, near, scanned = _scan(any_kernels, Metric.L2, queries, lists, k, mask)
        assert scanned.tolist() == [300] * 4 + [200 if shared else 300] * 2
        for q in range(6):
            listed = np.zeros(1800, bool)
            listed[lists.members(q)] = True
            check_top_k(found[q], near[q], exact[q], error[q], listed & mask)


def test_threads_and_batches_agree(kernels: Kernels) -> None:
    """Enough rows for several threads: queries that share lists take turns at each, lists of one query are cut."""
    rng = seeded()
    rows = rng.standard_normal((24_000, 256)).astype(np.float32)
    rows[1::2] = rows[::2]
    lists = _random(rng, rows, [9_000, 0, 2_000, 13_000], 3, 4)
    lists.probes[1, 0] = -1  # so that a list is one or two queries' alone
    queries = rng.standard_normal((3, 256)).astype(np.float32)
    answers = []
    for threads in (1, 2, 3):
        kernels.set_threads(threads)
        answers.append(_scan(kernels, Metric.COSINE, queries, lists, 50))
        alone = [
            _scan(kernels, Metric.COSINE, queries[q : q + 1], replace(lists, probes=lists.probes[q : q + 1]), 50)
            for q in range(3)
        ]
        answers.append(tuple(np.concatenate(parts) for parts in zip(*alone, strict=True)))
    for answer in answers[1:]:
        for mine, expected in zip(answer, answers[0], strict=True):
            np.testing.assert_array_equal(mine, expected)


def _arguments() -> dict[str, Any]:
    return {
        "queries": np.ones((2, 8), np.float32),
        "rows": np.ones((70, 8), np.float32),
        "inverse_norms": np.ones(70, np.float32),
        "list_rows": np.arange(70, dtype=np.uint32),
        "offsets": np.array([0, 20, 70]),
        "probes": np.array([[0, 1], [1, -1]], np.int32),
        "allowed": np.zeros(2, np.uint64),
        "out_rows": np.empty((2, 3), np.int64),
        "out_distances": np.empty((2, 3), np.float32),
        "out_scanned": np.empty(2, np.int64),
    }


WRONG = {
    "queries of another width": {"queries": np.ones((2, 7), np.float32)},
    "no norms": {"inverse_norms": None},
    "short norms": {"inverse_norms": np.ones(69, np.float32)},
    "listed rows of int64": {"list_rows": np.arange(70)},
    "a listed row too high": {"list_rows": np.arange(1, 71, dtype=np.uint32)},
    "offsets past the end": {"offsets": np.array([0, 20, 71])},
    "offsets that fall": {"offsets": np.array([30, 20, 70])},
    "negative offsets": {"offsets": np.array([-1, 20, 70])},
    "offsets of int32": {"offsets": np.array([0, 20, 70], np.int32)},
    "a probe too high": {"probes": np.array([[0, 2], [1, -1]], np.int32)},
    "a probe too low": {"probes": np.array([[0, -2], [1, -1]], np.int32)},
    "probes of int64": {"probes": np.array([[0, 1], [1, -1]])},
    "probes of fewer queries": {"probes": np.array([[0, 1]], np.int32)},
    "short bitmap": {"allowed": np.zeros(1, np.uint64)},
    "outputs that differ": {"out_distances": np.empty((2, 4), np.float32)},
    "short counts": {"out_scanned": np.empty(1, np.int64)},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_arguments_are_refused(any_kernels: Kernels, wrong: str) -> None:
    names = "queries|rows|inverse_norms|list|offsets|probes|allowed|out_"
    with pytest.raises(ValueError, match=names):
        any_kernels.dense_list_scan(Metric.COSINE, **(_arguments() | WRONG[wrong]))


def test_nothing_wanted_or_asked(any_kernels: Kernels) -> None:
    arguments = _arguments()
    any_kernels.dense_list_scan(Metric.COSINE, **arguments)
    assert arguments["out_scanned"].tolist() == [70, 50]
    places = {"out_rows": np.empty((2, 0), np.int64), "out_distances": np.empty((2, 0), np.float32)}
    arguments["out_scanned"][:] = -1
    any_kernels.dense_list_scan(Metric.COSINE, **(arguments | places))
    assert arguments["out_scanned"].tolist() == [70, 50]
    nobody = {name: arguments[name][:0] for name in ("queries", "probes", "out_rows", "out_distances", "out_scanned")}
    any_kernels.dense_list_scan(Metric.COSINE, **(arguments | nobody))
