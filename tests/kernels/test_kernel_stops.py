"""Within one long call kernels look often whether to stop: once in about a mebibyte that they read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from graph_support import random_arrays
from graph_support import random_rows as graph_rows
from oracle import outputs
from row_codes_support import random_codes as random_row_codes
from sparse_support import random_rows as sparse_rows
from table_support import random_codes

from vecstore.errors import Cancelled, DeadlineExceeded
from vecstore.kernels.base import Kernels
from vecstore.kernels.graph import Walk
from vecstore.kernels.stop import Stop, Stopped, check_stop, unstoppable
from vecstore.schema import Metric
from vecstore.tokens import TokenRows

PLENTY = 1 << 30
Call = Callable[[Kernels, np.random.Generator], Callable[[], None]]


def _scan(kernels: Kernels, rng: np.random.Generator, nq: int = 1) -> Callable[[], None]:
    rows, queries = rng.random((100_000, 40), np.float32), rng.random((nq, 40), np.float32)
    return lambda: kernels.scan(Metric.L2, queries, rows, None, None, *outputs(nq, 10))


def _batch(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    return _scan(kernels, rng, 64)


def _hamming(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    rows = rng.integers(0, 256, (200_000, 64), np.uint8)
    return lambda: kernels.hamming_scan(rows[:1], rows, None, *outputs(1, 10))


def _hamming_lists(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    codes, rows = rng.integers(0, 256, (200_000, 64), np.uint8), np.arange(200_000, dtype=np.uint32)
    offsets, probes = np.array([0, 200_000]), np.zeros((1, 1), np.int32)
    scanned = np.empty(1, np.int64)
    return lambda: kernels.hamming_list_scan(codes[:1], codes, rows, offsets, probes, None, *outputs(1, 10), scanned)


def _dense_lists(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    rows, listed = rng.random((100_000, 40), np.float32), np.arange(100_000, dtype=np.uint32)
    lists = (listed, np.array([0, 100_000]), np.zeros((1, 1), np.int32))
    scanned = np.empty(1, np.int64)
    return lambda: kernels.dense_list_scan(Metric.L2, rows[:1], rows, None, *lists, None, *outputs(1, 10), scanned)


def _one_list(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    codes = random_codes(rng, [200_000], 64, 64)
    query, one = rng.random((1, 64), np.float32), np.ones((1, 1), np.float32)
    counters = np.empty((1, 3), np.int64)
    return lambda: kernels.table_scan(
        codes, query, np.zeros((1, 1), np.int32), one, one, 10, 0.5, None, *outputs(1, 10), counters
    )


def _row_codes(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    codes = random_row_codes(rng, "int8", 64, [100_000], 2)
    query, one = rng.random((1, 64), np.float32), np.ones((1, 1), np.float32)
    counters = np.empty((1, 3), np.int64)
    return lambda: kernels.row_scan(codes, query, np.zeros((1, 1), np.int32), one, None, *outputs(1, 10), counters)


def _sparse(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    rows = sparse_rows(rng, 20_000, np.arange(1_000), 20)
    return lambda: kernels.sparse_scan(rows[:1], rows, None, None, *outputs(1, 10))


def _tokens(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    """One document alone is long work for a long query."""
    rows = TokenRows(np.arange(0, 8 * 2_048 + 1, 2_048), rng.random((8 * 2_048, 32), np.float32))
    return lambda: kernels.maxsim_scan(rows[:1], rows, None, *outputs(1, 3))


def _walk(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    rows, _ = graph_rows(rng, 4_000, 16)
    graph = kernels.open_graph(Metric.L2, rows, None, random_arrays(rng, 4_000, 16))
    walk, counters = Walk(ef=4_000, rescored=10), np.empty((1, 4), np.int64)
    return lambda: kernels.graph_search(graph, rows[:1].astype(np.float32), walk, None, *outputs(1, 10), counters)


def _codes_of_graph(kernels: Kernels, rng: np.random.Generator) -> Callable[[], None]:
    rows, _ = graph_rows(rng, 30_000, 16)
    graph = kernels.open_graph(Metric.L2, rows, None, random_arrays(rng, 30_000, 16))
    counters = np.empty((1, 4), np.int64)
    return lambda: kernels.graph_scan(graph, rows[:1].astype(np.float32), 10, None, *outputs(1, 10), counters)


# The least number of looks: for what is read, about a mebibyte for each.
CALLS: dict[str, tuple[Call, int]] = {
    "scan": (_scan, 14),
    "batch": (_batch, 100),
    "hamming": (_hamming, 11),
    "hamming_lists": (_hamming_lists, 11),
    "dense_lists": (_dense_lists, 14),
    "one_list": (_one_list, 6),
    "row_codes": (_row_codes, 5),
    "sparse": (_sparse, 2),
    "tokens": (_tokens, 8),
    "walk": (_walk, 20),
    "codes_of_graph": (_codes_of_graph, 3),
}


def _call_until(call: Callable[[], None], looks: int) -> None:
    with Stop() as stop:
        stop.flag[0] = looks
        call()


def _nested(outer_s: float, cancel: bool = False) -> None:
    with Stop(outer_s) as outer, Stop(60.0) as inner:
        assert inner.deadline <= outer.deadline
        if cancel:
            outer.cancel()
        check_stop()


@pytest.mark.parametrize("name", CALLS)
def test_long_calls_look_often(kernels: Kernels, name: str) -> None:
    make, least = CALLS[name]
    call = make(kernels, np.random.default_rng(5))
    kernels.set_threads(1)
    with Stop() as stop:
        stop.flag[0] = PLENTY
        call()
    assert PLENTY - int(stop.flag[0]) >= least
    with pytest.raises(Cancelled):
        _call_until(call, least)
    kernels.set_threads(2)
    with pytest.raises(Cancelled):
        _call_until(call, least)
    with pytest.raises(DeadlineExceeded), Stop(0.0):
        call()
    call()  # under no Stop it goes on to its end


def test_a_stop_inside_another_ends_with_it() -> None:
    with pytest.raises(Cancelled):
        _nested(50.0, cancel=True)
    with pytest.raises(DeadlineExceeded):
        _nested(0.0)
    _nested(50.0)
    with Stop(0.0), unstoppable():
        check_stop()
    check_stop()


def test_nobody_outside_sees_a_bare_stopped() -> None:
    with pytest.raises(Stopped):
        Stop(0.0).check()
    with pytest.raises(DeadlineExceeded, match=r"stopped after \d+\.\d ms"), Stop(0.0) as stop:
        stop.check()
