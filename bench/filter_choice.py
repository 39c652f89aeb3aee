"""`python -m bench filter-choice`: is the way that a filtered query takes near the best of those it has?

For a graph, lists and sparse blocks, filters of 0.01 to 90 % of the rows, drawn without regard to the queries: each way
to answer (an exact scan of what is allowed, the index past or within the mask, the codes of what is allowed) is forced
and timed beside the engine's own choice. CPU time of one thread, one query a call, the least of some rounds in turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from bench import contest, index_cases, results
from vecstore.engine import bitmaps, scan
from vecstore.engine.segment import SegmentView
from vecstore.index import costs, graph, graph_plan
from vecstore.index.base import BuiltIndex, Candidates, Index, SearchParams
from vecstore.kernels.base import Bitmap, Kernels
from vecstore.kernels.select import get_kernels

SHARES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
COLUMNS = ["data", "index", "share", "chosen", "us", "exact", "masked", "codes", "of_best", "est_us"]
K = 10
OWN = SearchParams()
NOISE_US = 10.0  # what the engine adds to any way, of which the forced ones have nothing


class OneSegment:
    """What the engine asks of a segment when it searches one."""

    sorted_by_id = True

    def __init__(self, index: BuiltIndex, flat: Index) -> None:
        self._index, self._flat = index, flat

    def index(self, name: str) -> BuiltIndex:
        return self._index

    def flat(self, name: str, n_rows: int) -> Index:
        return self._flat

    def guard(self, kernels: Kernels, name: str) -> Kernels:
        return kernels


@contextmanager
def no_exact() -> Any:
    """Lists and blocks within the mask, however few rows it leaves."""
    with (
        mock.patch.object(scan, "FEW_ROWS", 0), mock.patch.object(scan, "FEW_SHARE", 1 << 40),
        mock.patch.object(costs, "EXACT_FIXED", 1e15), mock.patch.object(costs, "SPARSE_FIXED", 1e15),
    ):  # fmt: skip
        yield


def forced(index: BuiltIndex, kernels: Kernels, allowed: Bitmap) -> dict[str, Callable[[Any], Candidates]]:
    """By name, each way but the exact scan."""
    ways: dict[str, Callable[[Any], Candidates]] = {}
    if isinstance(index, graph.GraphIndex):
        walker = index
        for name, changed in (
            ("masked", {"CODES_FIXED": 1e12, "EXACT_FIXED": 1e12}),
            ("codes", {"HOP": 1e12, "DETOUR_HOP": 1e12, "EXACT_FIXED": 1e12}),
        ):
            with mock.patch.multiple(costs, **changed):
                spec_ef = 0 if index.spec.ef == "auto" else index.spec.ef
                rows = bitmaps.count_bits(allowed)
                asked = graph_plan.Asked(spec_ef, index.ntotal, K, SearchParams(), rows, index.field.row_bytes)
                how = graph_plan.plan(index.table, asked)

            def walk(query: Any, how: graph_plan.Plan = how) -> Candidates:
                with mock.patch.object(walker, "_plan", return_value=how):
                    return walker.search(kernels, query, K, allowed)

            ways[name] = walk
        return ways

    def masked(query: Any) -> Candidates:
        return index.search(kernels, query, K, allowed)

    ways["masked"] = masked
    return ways


def chosen(
    kernels: Kernels, view: SegmentView, count: int, last: list[Candidates], params: SearchParams, query: Any
) -> None:
    """As the engine answers; `last` is what it found."""
    last[:] = [scan.search_segment(kernels, view, "v", query, K, view.alive, count, params)]


def timed(call: Callable[[Any], object], queries: list[Any]) -> float:
    began = time.thread_time()
    for query in queries:
        call(query)
    return (time.thread_time() - began) / len(queries) * 1e6


def measured(
    data: index_cases.IndexData, text: str, index: BuiltIndex, count: int, rounds: int
) -> list[dict[str, Any]]:
    kernels, flat, n = get_kernels(), data.flat(), len(data.rows)
    kernels.set_threads(1)
    order = np.random.default_rng(1).permutation(n)
    queries = [data.queries[at : at + 1] for at in range(count)]
    records = []
    for share in SHARES:
        rows = np.sort(order[: max(K + 1, round(share * n))])
        allowed = np.zeros(bitmaps.word_count(n), np.uint64)
        bitmaps.set_rows(allowed, rows)
        view = SegmentView(OneSegment(index, flat), n, allowed, len(rows))  # type: ignore[arg-type]
        last: list[Candidates] = []

        choose = partial(chosen, kernels, view, len(rows), last)
        ways: dict[str, Callable[[Any], object]] = {
            "own": partial(choose, OWN), "exact": partial(choose, SearchParams(exact=True)),
            **forced(index, kernels, allowed),
        }  # fmt: skip
        took = dict.fromkeys(ways, np.inf)
        for _ in range(rounds):
            for name, call in ways.items():
                if name == "masked" and not isinstance(index, graph.GraphIndex):
                    with no_exact():
                        took[name] = min(took[name], timed(call, queries))
                else:
                    took[name] = min(took[name], timed(call, queries))
        choose(OWN, queries[0])
        best = min(value for name, value in took.items() if name != "own")
        records.append({
            "bench": "filter_choice", "data": data.name, "rows": n, "index": text, "share": share,
            "chosen": last[0].strategy, **{name: round(value, 1) for name, value in took.items() if name != "own"},
            "us": round(took["own"], 1), "of_best": round(took["own"] / best, 2), "of_best_us": round(best, 1),
            "est_us": last[0].est_us,
        })  # fmt: skip
    return records


def filter_choice(
    paths: list[str], kinds: list[str], rows: int | None, count: int, rounds: int, keep: str | None, out: str
) -> list[dict[str, Any]]:
    contest.one_thread()
    around, records = results.surroundings(), []
    for path in paths:
        data = index_cases.load(path, rows)
        for text in data.kinds:
            if text in kinds:
                records += measured(data, text, index_cases.built(data, text, keep), count, rounds)
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    within = sum(record["of_best"] <= 1.3 or record["us"] <= record["of_best_us"] + NOISE_US for record in records)
    print(f"the choice takes at most 1.3 x the best way, or {NOISE_US} us more, in {within} of {len(records)}")
    return records
