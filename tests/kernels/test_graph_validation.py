"""Graph arrays, queries and outputs of wrong shapes, dtypes or numbers are refused before any pointer is followed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from graph_support import build, byte_rows, random_arrays, random_rows

from vecstore.kernels.base import Kernels
from vecstore.kernels.graph import WIDE, BuildParams, GraphArrays, Narrow, Walk
from vecstore.schema import Metric

N, DIM = 70, 16
PARAMS = BuildParams(leaf_rows=32, leaf_nearest=4, reservoir=16, fanout=(2, 1))


def _arrays() -> GraphArrays:
    return random_arrays(np.random.default_rng(0), N, DIM, lines=2)


def _with(array: np.ndarray, place: tuple[int, ...], value: int) -> np.ndarray:
    changed = array.copy()
    changed[place] = value
    return changed


WRONG_ARRAYS = {
    "neighbours of int32": lambda a: {"neighbours": a.neighbours.astype(np.int32)},
    "neighbours of fewer rows": lambda a: {"neighbours": a.neighbours[:-1]},
    "neighbours past the rows": lambda a: {"neighbours": _with(a.neighbours, (3, 2), N)},
    "neighbours not contiguous": lambda a: {"neighbours": a.neighbours[:, ::2]},
    "codes of fewer rows": lambda a: {"codes": a.codes[:-1]},
    "codes of part of a line": lambda a: {"codes": np.ascontiguousarray(a.codes[:, :100])},
    "codes without a line": lambda a: {"codes": np.ascontiguousarray(a.codes[:, :0])},
    "codes of int8": lambda a: {"codes": a.codes.view(np.int8)},
    "no entries": lambda a: {"entries": a.entries[:0]},
    "entries past the rows": lambda a: {"entries": _with(a.entries, (0,), N)},
    "entries of int64": lambda a: {"entries": a.entries.astype(np.int64)},
    "a short mean": lambda a: {"mean": a.mean[:-1]},
    "a mean of float64": lambda a: {"mean": a.mean.astype(np.float64)},
    "short directions": lambda a: {"directions": np.ascontiguousarray(a.directions[:, 1:])},
    "directions of uint8": lambda a: {"directions": a.directions.view(np.uint8)},
    "fewer scales than directions": lambda a: {"direction_scales": a.direction_scales[:-1]},
    "fields of three numbers": lambda a: {"fields": np.ascontiguousarray(a.fields[:, :3])},
    "fields of int64": lambda a: {"fields": a.fields.astype(np.int64)},
    "fewer weights than fields": lambda a: {"field_weights": a.field_weights[:-1]},
    "a field in the header": lambda a: {"fields": _with(a.fields, (0, 0), 3)},
    "a field past the code": lambda a: {"fields": _with(a.fields, (0, 0), 128)},
    "a field past the byte": lambda a: {"fields": _with(a.fields, (0, 1), 8)},
    "a shift below zero": lambda a: {"fields": _with(a.fields, (0, 1), -4)},
    "a field across fields": lambda a: {"fields": np.array([[9, 1, 2, 0]], np.int32), "field_weights": a.mean[:1]},
    "a field of three bits": lambda a: {"fields": np.array([[9, 0, 3, 0]], np.int32), "field_weights": a.mean[:1]},
    "a field of no bits": lambda a: {"fields": np.array([[9, 0, 0, 0]], np.int32), "field_weights": a.mean[:1]},
    "a field of no direction": lambda a: {"fields": _with(a.fields, (0, 3), len(a.directions))},
    "a direction below zero": lambda a: {"fields": _with(a.fields, (0, 3), -1)},
    "two widths in a byte": lambda a: {
        "fields": np.array([[9, 0, 2, 0], [9, 4, 4, 0]], np.int32),
        "field_weights": np.ones(2, np.float32),
    },
}


@pytest.mark.parametrize("wrong", WRONG_ARRAYS)
def test_arrays_that_do_not_fit(any_kernels: Kernels, wrong: str) -> None:
    rows, norms = random_rows(np.random.default_rng(0), N, DIM)
    any_kernels.open_graph(Metric.COSINE, rows, norms, _arrays())
    arrays = replace(_arrays(), **WRONG_ARRAYS[wrong](_arrays()))
    with pytest.raises(ValueError, match=r"\w"):
        any_kernels.open_graph(Metric.COSINE, rows, norms, arrays)


@pytest.mark.parametrize(
    ("rows", "norms"),
    [
        (np.ones((N, DIM)), np.ones(N, np.float32)),
        (np.ones((N, DIM + 1), np.float32), np.ones(N, np.float32)),
        (np.ones((N, 2 * DIM), np.float32)[:, :DIM], np.ones(N, np.float32)),
        (np.ones((0, DIM), np.float32), np.ones(0, np.float32)),
        (np.ones((N, DIM), np.float32), None),
        (np.ones((N, DIM), np.float32), np.ones(N - 1, np.float32)),
    ],
)
def test_rows_that_do_not_fit(any_kernels: Kernels, rows: np.ndarray, norms: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        any_kernels.open_graph(Metric.COSINE, rows, norms, _arrays())


def _arguments() -> dict[str, Any]:
    return {
        "queries": np.ones((2, DIM), np.float32),
        "walk": Walk(10, 5),
        "allowed": np.zeros(2, np.uint64),
        "out_rows": np.empty((2, 3), np.int64),
        "out_distances": np.empty((2, 3), np.float32),
        "out_counters": np.empty((2, 4), np.int64),
    }


WRONG_ARGUMENTS = {
    "queries of float64": {"queries": np.ones((2, DIM))},
    "queries of another width": {"queries": np.ones((2, DIM + 1), np.float32)},
    "fewer candidates than answers": {"walk": Walk(2, 0)},
    "fewer rescored than answers": {"walk": Walk(10, 2)},
    "a reach below 0": {"walk": Walk(10, 5, narrow=Narrow(-1.0, 0.0, 3, 5))},
    "a reach that is no number": {"walk": Walk(10, 5, narrow=Narrow(float("nan"), 0.0, 3, 5))},
    "a least distance below 0": {"walk": Walk(10, 5, narrow=Narrow(1.0, -1.0, 3, 5))},
    "near no candidate": {"walk": Walk(10, 5, narrow=Narrow(1.0, 0.0, 0, 5))},
    "near past what is kept": {"walk": Walk(10, 5, narrow=Narrow(1.0, 0.0, 6, 5))},
    "skipped for one query": {"walk": Walk(10, 5, skipped=np.zeros(1, np.int64))},
    "skipped of int32": {"walk": Walk(10, 5, skipped=np.zeros(2, np.int32))},
    "skipped past the rows": {"walk": Walk(10, 5, skipped=np.array([0, N]))},
    "a short bitmap": {"allowed": np.zeros(1, np.uint64)},
    "a bitmap of int64": {"allowed": np.zeros(2, np.int64)},
    "no places": {"out_rows": np.empty((2, 0), np.int64), "out_distances": np.empty((2, 0), np.float32)},
    "out_rows of int32": {"out_rows": np.empty((2, 3), np.int32)},
    "outputs that differ": {"out_distances": np.empty((2, 4), np.float32)},
    "three counters": {"out_counters": np.empty((2, 3), np.int64)},
    "counters not contiguous": {"out_counters": np.empty((2, 8), np.int64)[:, ::2]},
}


@pytest.mark.parametrize("wrong", WRONG_ARGUMENTS)
def test_searches_that_do_not_fit(any_kernels: Kernels, wrong: str) -> None:
    rows, norms = random_rows(np.random.default_rng(0), N, DIM)
    graph = any_kernels.open_graph(Metric.L2, rows, norms, _arrays())
    any_kernels.graph_search(graph, **_arguments())
    arguments = _arguments() | WRONG_ARGUMENTS[wrong]
    with pytest.raises(ValueError, match=r"\w"):
        any_kernels.graph_search(graph, **arguments)
    walk = arguments.pop("walk")
    if walk.skipped is None and walk.narrow is WIDE and walk.ef >= 3:
        with pytest.raises(ValueError, match=r"\w"):
            any_kernels.graph_scan(graph, rescored=walk.rescored, **arguments)


WRONG_BYTES = {
    "bytes of uint8": lambda r: {"bytes": r.bytes.view(np.uint8)},
    "a width that is no multiple of 8": lambda r: {"bytes": np.ascontiguousarray(r.bytes[:, :12])},
    "no columns": lambda r: {"bytes": np.ascontiguousarray(r.bytes[:, :0])},
    "no rows": lambda r: {"bytes": r.bytes[:0]},
    "fewer scales than rows": lambda r: {"scales": r.scales[:-1]},
    "squares of float64": lambda r: {"squares": r.squares.astype(np.float64)},
    "sums of int64": lambda r: {"sums": r.sums.astype(np.int64)},
}


@pytest.mark.parametrize("wrong", WRONG_BYTES)
def test_rows_to_build_from_that_do_not_fit(any_kernels: Kernels, wrong: str) -> None:
    rows = byte_rows(np.random.default_rng(0).standard_normal((N, DIM)))
    changed = replace(rows, **WRONG_BYTES[wrong](rows))
    with pytest.raises(ValueError, match=r"\w"):
        any_kernels.graph_builder(changed, PARAMS, np.zeros((N, 8), np.uint32))


@pytest.mark.parametrize(
    "params",
    [
        replace(PARAMS, leaf_rows=15),
        replace(PARAMS, leaf_nearest=0),
        replace(PARAMS, reservoir=0),
        replace(PARAMS, reservoir=1025),
        replace(PARAMS, fanout=()),
        replace(PARAMS, fanout=(2, 0)),
    ],
)
def test_parameters_out_of_range(any_kernels: Kernels, params: BuildParams) -> None:
    rows = byte_rows(np.random.default_rng(0).standard_normal((N, DIM)))
    with pytest.raises(ValueError, match=r"\w"):
        any_kernels.graph_builder(rows, params, np.zeros((N, 8), np.uint32))


@pytest.mark.parametrize("shape", [(N, 0), (N, 1025), (N - 1, 8)])
def test_neighbours_that_do_not_fit(any_kernels: Kernels, shape: tuple[int, int]) -> None:
    rows = byte_rows(np.random.default_rng(0).standard_normal((N, DIM)))
    with pytest.raises(ValueError, match=r"\w"):
        any_kernels.graph_builder(rows, PARAMS, np.zeros(shape, np.uint32))


def test_steps_out_of_range_or_order(any_kernels: Kernels) -> None:
    rows = byte_rows(np.random.default_rng(0).standard_normal((N, DIM)))
    builder = any_kernels.graph_builder(rows, PARAMS, np.zeros((N, 8), np.uint32))
    leaves = builder.carve()
    one = np.zeros((1, 3), np.uint32)
    for wrong in (
        lambda: builder.join(0, leaves + 1),
        lambda: builder.join(2, 1),
        lambda: builder.prune(0, N + 1),
        lambda: builder.finish(0, N),
        lambda: builder.seed(np.array([N], np.uint32), one),
        lambda: builder.seed(np.zeros(1, np.uint32), one + N),
        lambda: builder.seed(np.zeros(2, np.uint32), one),
        lambda: builder.seed(np.zeros(1, np.int64), one),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            wrong()
    assert build(any_kernels, rows, PARAMS, 8).max() < N
