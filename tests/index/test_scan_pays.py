"""Where a scan of all rows costs less than what an index would do for a recall, it is what answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vecstore.index import base, costs
from vecstore.index.base import EXACT_SCAN, BuiltIndex, SearchParams, allowed_count
from vecstore.index.registry import built_index
from vecstore.index_text import parse_index
from vecstore.kernels.base import Kernels
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind

N, DIM, SEED = 3_000, 32, 5
SPECS = ["ivf", "ivf | int8", "flat | rabitq(bits=1)", "graph", "funnel(dims=[8])"]


class FromFiles:
    """Kernels of rows that are read from files."""

    frugal = True

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)


def made(text: str) -> tuple[BuiltIndex, np.ndarray]:
    rng = np.random.default_rng(SEED)
    rows = rng.standard_normal((N + 64, DIM)).astype(np.float32)
    spec = parse_index(text)
    assert spec is not None
    field = VectorField(VectorKind.DENSE, DIM, Metric.L2, index=spec)
    return built_index(spec).build(field, spec, rows[:N], None, get_kernels(), lambda *_: None), rows[N:]


@pytest.mark.parametrize("text", SPECS)
def test_a_scan_answers_where_it_costs_less(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone a query of lists costs less here, and in a batch more, by costs that are made up."""
    monkeypatch.setattr(costs, "SCORED_BYTE", 0.0)
    monkeypatch.setattr(costs, "READ_BYTE", 0.0)
    monkeypatch.setattr(costs, "EXACT_FIXED", 1.0)
    monkeypatch.setattr(costs, "EXACT_BYTE", 1e3)
    index, asked = made(text)
    kernels, target = get_kernels(), SearchParams(recall_target=0.8)
    alone = index.search(kernels, asked[:1], 10, None, target)
    assert alone.strategy != EXACT_SCAN
    (way,) = [way for way in index.ways(kernels, 10, N, target) if way.chosen]
    assert way.strategy == index.name
    batch = index.search(kernels, asked, 10, None, target)
    assert (batch.strategy, batch.recall) == (EXACT_SCAN, 1.0)
    for given in (SearchParams(), SearchParams(nprobe=2, ef=20), SearchParams(recall_target=0.8, oversampling=2.0)):
        assert index.search(kernels, asked, 10, None, given).strategy != EXACT_SCAN  # as it was asked for


@pytest.mark.parametrize("text", SPECS)
def test_a_plan_says_that_a_scan_answers(text: str) -> None:
    """By the costs as they are: a scan of so few short rows takes no time."""
    index, asked = made(text)
    kernels, target = get_kernels(), SearchParams(recall_target=0.99)
    found = index.search(kernels, asked[:1], 10, None, target)
    (way,) = [way for way in index.ways(kernels, 10, N, target) if way.chosen]
    assert (way.strategy or index.name) == (found.strategy or index.name)
    if text.startswith("ivf"):
        assert (found.strategy, way.recall) == (EXACT_SCAN, 1.0)


@pytest.mark.parametrize("text", SPECS)
def test_a_scan_keeps_a_target_that_the_calibration_does_not_reach(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By costs that are made up a scan is the dearest."""
    monkeypatch.setattr(costs, "EXACT_BYTE", 1e2)
    monkeypatch.setattr(costs, "SCORED_BYTE", 1e2)
    index, asked = made(text)
    kernels, target = get_kernels(), SearchParams(recall_target=0.8)
    mask = np.full((N + 63) // 64, (1 << 64) - 2, np.uint64)  # all but a row of each 64
    assert index.search(kernels, asked, 10, None, target).strategy != EXACT_SCAN
    assert index.search(kernels, asked, 10, mask, target).strategy != EXACT_SCAN
    monkeypatch.setattr(base, "SHORT", -0.5)  # what is promised is now too little
    higher = SearchParams(recall_target=0.81)
    for allowed in (None, mask):
        found = index.search(kernels, asked, 10, allowed, higher)
        assert (found.strategy, found.recall) == (EXACT_SCAN, 1.0)
        (way,) = [one for one in index.ways(kernels, 10, allowed_count(N, allowed), higher) if one.chosen]
        assert (way.strategy, way.recall) == (EXACT_SCAN, 1.0)
    for changed in (replace(higher, oversampling=2.0), replace(higher, rescore=False)):
        assert index.search(kernels, asked, 10, None, changed).strategy != EXACT_SCAN
    held = FromFiles(kernels)
    assert index.search(held, asked, 10, None, higher).strategy != EXACT_SCAN  # rows that may not stay in memory
    assert EXACT_SCAN not in [one.strategy for one in index.ways(held, 10, N, higher) if one.chosen]
    monkeypatch.setattr(base, "SCAN_MOST_NS", 1e6)
    assert index.search(kernels, asked, 10, None, replace(higher, recall_target=0.82)).strategy != EXACT_SCAN


def test_scans_cost_less_together() -> None:
    each = [costs.exact(20_000, 1_536, queries=queries) for queries in (1, 3, 4, 8, 50, 500)]
    assert each[0] == each[1] > each[2] > each[3] > each[4] > each[5]
    pays = costs.scan_pays(lambda queries: (each[0] + each[3]) / 2, 20_000, 1_536, 10)
    assert [costs.is_scanned(pays, queries) for queries in (1, 3, 8, 50, 10_000)] == [False, False, True, True, True]
    assert not costs.is_scanned((), 50)
