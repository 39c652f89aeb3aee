"""What indexes of multi-vectors promise is what they find, asked as they were measured and by one query at a time."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from late_support import FIELD, corpus, exact, nothing, queries_from
from test_scan_pays import FromFiles

from vecstore.index import base, costs, late_calibration, late_measure
from vecstore.index.base import EXACT_SCAN, SearchParams
from vecstore.index.muvera import MuveraIndex
from vecstore.index_spec import Muvera
from vecstore.kernels.base import Int64Array, Kernels
from vecstore.kernels.select import get_kernels
from vecstore.tokens import TokenRows

ROWS = corpus(900)
QUERIES = queries_from(ROWS, 120, seed=4)
EPS = 1e-4


@functools.cache
def order() -> Int64Array:
    return exact(ROWS, QUERIES, 800).rows


def lists(queries: TokenRows, _effort: int, m: int) -> tuple[Int64Array, float]:
    """The m nearest of a share of the rows, which grows with m, as what lists are visited for does."""
    seen = order()[: len(queries)]
    seen = np.where(seen % 50 < min(50, 15 + m), seen, -1)
    first = np.argsort(seen < 0, axis=1, kind="stable")[:, :m]
    return np.ascontiguousarray(np.take_along_axis(seen, first, axis=1)), 0.0


@pytest.mark.parametrize("k", [1, 10, 100])
def test_depths_are_measured_by_searches_for_as_many(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_measure, "DEPTHS", (*late_measure.DEPTHS[:-2], 500))
    nobody = np.full(len(QUERIES), -1, np.int64)
    table = late_calibration.calibrated(ROWS, QUERIES, nobody, (1,), lists, None, get_kernels(), nested=False)
    for target in (0.5, 0.7, 0.8, 0.9, 0.95, 0.99):
        found, _ = lists(QUERIES, 1, table.depth_for(target, k))
        measured = np.mean([np.isin(*pair).mean() for pair in zip(order()[:, :k], found, strict=True)])
        promised = table.recall_for(target, k)
        assert promised is not None
        assert measured >= target - 0.02, (target, measured)
        assert measured >= promised - 0.05, (target, measured)


@pytest.mark.parametrize("spec", [{"first": "ivf"}, {"first": "graph"}, {"whole": True}], ids=["ivf", "graph", "whole"])
def test_a_query_alone_finds_what_is_promised(spec: dict[str, object]) -> None:
    chosen = Muvera(**{"repetitions": 8, "k_sim": 3, "projection": 8, **spec})  # type: ignore[arg-type]
    kernels = get_kernels()
    index = MuveraIndex.build(FIELD, chosen, ROWS, None, kernels, nothing).tuned(QUERIES, kernels)
    for k, target in ((1, 0.5), (1, 0.8), (10, 0.7), (10, 0.8)):
        limits = exact(ROWS, QUERIES, k).distances[:, -1:]
        params = SearchParams(recall_target=target)
        parts = [index.search(kernels, QUERIES[at : at + 1], k, None, params) for at in range(len(QUERIES))]
        measured = (np.concatenate([one.distances for one in parts]) <= limits + EPS).mean()
        assert parts[0].recall is not None
        assert measured >= parts[0].recall - 0.02, (k, target, measured)


def test_a_stage_is_asked_for_more_until_that_is_enough() -> None:
    asked: list[tuple[int, int]] = []

    def first(queries: TokenRows, effort: int, m: int) -> tuple[Int64Array, float]:
        asked.append((effort, m))
        return np.zeros((len(queries), m), np.int64), 0.0

    def found(most: int, enough: int) -> list[tuple[int, int]]:
        asked.clear()
        late_measure.measured(
            QUERIES, (1, 2), first, lambda rows: rows.astype(np.float32), None, most,
            lambda one: one.searched[-1].depth >= enough, nested=True,
        )  # fmt: skip
        return asked

    deepest = late_measure.DEPTHS[-1]
    assert found(10**6, 4 * deepest) == [(1, deepest), (2, deepest), (2, 2 * deepest), (2, 4 * deepest)]
    assert found(10**6, 1) == [(1, deepest), (2, deepest)]
    assert found(2 * deepest * late_measure.SCANNED_PART - 1, 1 << 60) == [(1, deepest), (2, deepest)]
    assert found(10**9, 1 << 60)[-1] == (2, late_measure.DEPTH_MOST)
    assert found(700, 1 << 60) == [(1, 700), (2, 700)]


@functools.cache
def shared() -> MuveraIndex:
    return MuveraIndex.build(FIELD, Muvera(repetitions=8, k_sim=3, projection=8), ROWS, None, get_kernels(), nothing)


def strategies(queries: TokenRows, params: SearchParams, kernels: Kernels) -> tuple[str, str]:
    """What searches, and what a plan says of a single query."""
    index = shared()
    (way,) = [one for one in index.ways(kernels, 10, len(ROWS), params) if one.chosen]
    return index.search(kernels, queries, 10, None, params).strategy or index.name, way.strategy


def test_a_scan_of_tokens_answers_where_it_costs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, target = get_kernels(), SearchParams(recall_target=0.7)
    monkeypatch.setattr(costs, "MAXSIM_BYTE", 1e3)
    monkeypatch.setattr(costs, "MAXSIM_TOGETHER", 0.0)
    assert strategies(QUERIES[:1], target, kernels) == ("muvera", "muvera")
    assert strategies(QUERIES[:50], target, kernels) == (EXACT_SCAN, "muvera")
    assert strategies(QUERIES[:50], target, FromFiles(kernels)) == ("muvera", "muvera")
    for given in (SearchParams(), SearchParams(ef=20), SearchParams(recall_target=0.7, oversampling=2.0)):
        assert strategies(QUERIES[:50], given, kernels) == ("muvera", "muvera")
    monkeypatch.setattr(costs, "MAXSIM_BYTE", 0.0)
    assert strategies(QUERIES[:1], target, kernels) == (EXACT_SCAN, EXACT_SCAN)


def test_a_scan_of_tokens_keeps_a_target_that_the_calibration_does_not_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, index = get_kernels(), shared()
    monkeypatch.setattr(costs, "MAXSIM_BYTE", 10.0)
    monkeypatch.setattr(costs, "MAXSIM_TOGETHER", 10.0)
    assert strategies(QUERIES, SearchParams(recall_target=0.71), kernels) == ("muvera", "muvera")
    monkeypatch.setattr(base, "SHORT", -0.5)
    higher = SearchParams(recall_target=0.72)
    assert index.search(kernels, QUERIES, 10, None, higher).recall == 1.0
    assert strategies(QUERIES, higher, kernels) == (EXACT_SCAN, EXACT_SCAN)
    assert strategies(QUERIES, higher, FromFiles(kernels)) == ("muvera", "muvera")
    assert strategies(QUERIES, replace(higher, rescore=False), kernels) == ("muvera", "muvera")
