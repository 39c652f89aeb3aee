"""Walks and scans of a graph on every backend and instruction set: estimates against fields read one by one, answers
against the law."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from graph_support import estimates, random_arrays, random_rows, scan, search
from once import once
from oracle import distances

from vecstore.kernels.base import Kernels
from vecstore.kernels.graph import HEADER, LINE, GraphArrays, Narrow, OpenGraph, Walk
from vecstore.kernels.graph_numpy import STARTS
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT, Metric.COSINE]
N = 300


def seeded(seed: int) -> np.random.Generator:
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def queries_of(rng: np.random.Generator, nq: int, dim: int) -> np.ndarray:
    return rng.standard_normal((nq, dim)).astype(np.float32)


def check_scan_of_all(kernels: Kernels, metric: Metric, arrays: GraphArrays, queries: np.ndarray) -> None:
    n = len(arrays.codes)
    stored, norms = random_rows(np.random.default_rng(0), n, queries.shape[1])
    graph = kernels.open_graph(metric, stored, norms, arrays)
    rows, found, counters = scan(kernels, graph, queries, 0, n)
    for q, query in enumerate(queries):
        expected = once(estimates, arrays, metric, query)
        order = np.lexsort((np.arange(n), expected))
        assert rows[q].tolist() == order.tolist()
        assert (found[q] == expected[order]).all()  # to the bit
        assert counters[q].tolist() == [0, n, 0, 0]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("dim", "lines"), [(8, 1), (64, 1), (96, 2), (384, 1), (768, 3), (1536, 4)])
def test_estimates_are_exact(any_kernels: Kernels, metric: Metric, dim: int, lines: int) -> None:
    rng = seeded(dim)
    for widths in ((1, 2, 4), (1,), (2,), (4,), (2, 4)):
        arrays = random_arrays(rng, 61, dim, lines=lines, widths=widths)
        check_scan_of_all(any_kernels, metric, arrays, queries_of(rng, 3, dim))


@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_largest_sums_do_not_saturate(any_kernels: Kernels, width: int) -> None:
    """All fields full, or every second byte's, with weights of 127 or -127 side by side."""
    lines, n = 4, 20
    arrays = random_arrays(np.random.default_rng(1), n, 8, lines=lines)
    arrays.codes[:, HEADER:] = 255
    arrays.codes[1, HEADER::2] = 0
    fields = [(byte, shift, width, 0) for byte in range(HEADER, lines * LINE) for shift in range(0, 8, width)]
    for sign in (np.ones(len(fields)), -np.ones(len(fields)), np.resize([1, -1], len(fields))):
        full = replace(arrays, fields=np.array(fields, np.int32), field_weights=sign.astype(np.float32))
        check_scan_of_all(any_kernels, Metric.DOT, full, np.ones((1, 8), np.float32))


@pytest.mark.parametrize("metric", METRICS)
def test_queries_at_the_edges(any_kernels: Kernels, metric: Metric) -> None:
    """Zero, the graph's mean, and numbers too small to divide by."""
    rng = seeded(2)
    arrays = random_arrays(rng, 30, 24)
    queries = queries_of(rng, 4, 24)
    queries[0], queries[1], queries[2] = 0, arrays.mean, 1e-30
    check_scan_of_all(any_kernels, metric, arrays, queries)
    stored, norms = random_rows(rng, 30, 24)
    queries = np.stack([np.full(24, 1e-41), np.zeros(24)]).astype(np.float32)  # equal to what bytes can tell
    graph = any_kernels.open_graph(metric, stored, norms, replace(arrays, mean=np.zeros(24, np.float32)))
    tiny, zero = scan(any_kernels, graph, queries, 0, 30)[1]
    assert np.isfinite(tiny).all()
    assert metric is Metric.COSINE or (tiny == zero).all()
    assert (search(any_kernels, graph, queries, Walk(20, 10), 5)[0] >= 0).all()
    assert search(any_kernels, graph, queries[:0], Walk(20, 10), 5)[0].shape == (0, 5)


def ask(
    kernels: Kernels, graph: OpenGraph, queries: np.ndarray, walk: Walk | int, k: int, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if isinstance(walk, Walk):
        return search(kernels, graph, queries, walk, k, mask)
    return scan(kernels, graph, queries, walk, k, mask)


def law(
    metric: Metric, rows: np.ndarray, norms: np.ndarray, arrays: GraphArrays, queries: np.ndarray, walk: Walk | int,
    k: int, mask: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    kernels = NumpyKernels()
    return ask(kernels, kernels.open_graph(metric, rows, norms, arrays), queries, walk, k, mask)


class Pair:
    """The same graph on a backend and on numpy."""

    def __init__(self, kernels: Kernels, metric: Metric, arrays: GraphArrays, rows: np.ndarray, norms: np.ndarray):
        self.kernels, self.metric, self.rows = kernels, metric, rows
        self.graph: OpenGraph = kernels.open_graph(metric, rows, norms, arrays)
        self.given = (metric, rows, norms, arrays)

    def check(self, queries: np.ndarray, walk: Walk | int, k: int, mask: np.ndarray | None = None) -> np.ndarray:
        """By a walk, or by a scan with so many rescored. Returns the rows found."""
        rescored = walk.rescored if isinstance(walk, Walk) else walk
        rows, found, counters = ask(self.kernels, self.graph, queries, walk, k, mask)
        expected = once(law, *self.given, queries, walk, k, mask)
        assert counters.tolist() == expected[2].tolist()
        used = rows >= 0
        assert (used == (expected[0] >= 0)).all()
        assert np.isposinf(found[~used]).all()
        if rescored == 0:
            assert rows.tolist() == expected[0].tolist()
            assert (found == expected[1]).all()
            return rows
        every, errors = distances(self.metric, queries, self.rows)
        for q, answer in enumerate(rows):
            mine, theirs = answer[used[q]], expected[0][q, used[q]]
            assert len(set(mine.tolist())) == len(mine)
            assert (np.abs(found[q, used[q]] - every[q, mine]) <= errors[q, mine]).all()
            pairs = list(zip(found[q, used[q]].tolist(), mine.tolist(), strict=True))
            assert pairs == sorted(pairs)
            # Rows that stand in other places are as near, as far as sums in float32 can tell.
            assert (np.abs(every[q, mine] - every[q, theirs]) <= errors[q, mine] + errors[q, theirs]).all()
        return rows


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_walks_are_the_law_s(kernels: Kernels, metric: Metric, dtype: str) -> None:
    rng = seeded(3)
    for dim, lines, degree in ((8, 1, 12), (51, 2, 7), (384, 3, 16)):
        arrays = random_arrays(rng, N, dim, lines=lines, degree=degree)
        pair = Pair(kernels, metric, arrays, *random_rows(rng, N, dim, dtype))
        queries = queries_of(rng, 6, dim)
        for walk, k in ((Walk(20, 0), 20), (Walk(30, 10), 10), (Walk(30, 30), 5), (Walk(1, 1), 1), (Walk(3, 0), 2)):
            pair.check(queries, walk, k)
        assert (pair.check(queries, Walk(10 * N, N), N)[:, 100] >= 0).all()  # more candidates than there are rows


@pytest.mark.parametrize("detours", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_filtered_walks_are_the_law_s(kernels: Kernels, detours: bool, share: float) -> None:
    rng = seeded(int(100 * share))
    for degree in (1, 7, 16):
        arrays = random_arrays(rng, N, 40, degree=degree, lines=2)
        pair = Pair(kernels, Metric.L2, arrays, *random_rows(rng, N, 40))
        mask = rng.random(N) < share
        for walk, k in ((Walk(40, 20, detours), 10), (Walk(200, 0, detours), 150), (Walk(12, 12, detours), 12)):
            rows = pair.check(queries_of(rng, 6, 40), walk, k, mask)
            assert mask[rows[rows >= 0]].all()
            assert (np.diff((rows < 0).astype(int), axis=1) >= 0).all()
            assert ((rows >= 0).sum(axis=1) <= mask.sum()).all()


@pytest.mark.parametrize("metric", [Metric.L2, Metric.COSINE])
@pytest.mark.parametrize("share", [0.5, None])
def test_narrow_walks_are_the_law_s(kernels: Kernels, metric: Metric, share: float | None) -> None:
    rng = seeded(8)
    fewer = []
    for degree in (4, 12):
        pair = Pair(kernels, metric, random_arrays(rng, N, 24, degree=degree), *random_rows(rng, N, 24))
        mask = None if share is None else rng.random(N) < share
        for ef, near, kept, k in ((60, 1, 20, 20), (60, 10, 10, 10), (25, 25, 25, 5), (N, 30, 40, 40), (30, 5, 50, 5)):
            queries = queries_of(rng, 5, 24)
            wide = search(kernels, pair.graph, queries, Walk(ef, 0), k, mask)[2][:, 0]
            for reach, least in ((0.05, 0.0), (0.5, 1.0), (3.0, 0.0), (3.0, 100.0)):
                walk = Walk(ef, 0, bool(rng.random() < 0.2), Narrow(reach, least, near, kept))
                pair.check(queries, walk, k, mask)
                fewer.append(search(kernels, pair.graph, queries, walk, k, mask)[2][:, 0] < wide)
    assert 0 < np.mean(fewer) < 1  # some end early, some do not


def ended(arrays: GraphArrays, near_to: np.ndarray, narrow: Narrow) -> list[int]:
    """The rows that a walk expands which keeps all it meets, and ends at the first that is too far for its place."""
    entries = sorted(arrays.entries.tolist(), key=lambda row: (near_to[row], row))[:STARTS]
    pool, expanded = sorted((float(near_to[row]), row) for row in entries), []
    while True:
        place, row = next(((p, row) for p, (_, row) in enumerate(pool, 1) if row not in expanded), (0, -1))
        if place == 0:
            return expanded
        if place > narrow.kept:
            near = pool[narrow.near - 1][0]
            if pool[place - 1][0] > near + narrow.reach * max(near, narrow.least) / place**0.5:
                return expanded
        expanded.append(row)
        fresh = set(arrays.neighbours[row].tolist()) - {row for _, row in pool}
        pool = sorted(pool + [(float(near_to[row]), row) for row in fresh])


def test_a_narrow_walk_ends_at_the_first_that_is_too_far(any_kernels: Kernels) -> None:
    """What fell out of its candidates would not have been expanded."""
    rng = seeded(9)
    arrays = random_arrays(rng, N, 24)
    graph = any_kernels.open_graph(Metric.L2, *random_rows(rng, N, 24), arrays)
    for query in queries_of(rng, 4, 24):
        near_to, hops = estimates(arrays, Metric.L2, query), []
        for reach in (0.3, 1.0, 3.0, 10.0, 1e6):
            narrow = Narrow(reach, 0.0, 5, 8)
            counters = search(any_kernels, graph, query[None], Walk(N, 0, narrow=narrow), 5)[2]
            hops.append(counters[0, 0])
            assert counters[0, 0] == len(ended(arrays, near_to, narrow))
        assert hops == sorted(hops)
        assert hops[0] < hops[-1] == search(any_kernels, graph, query[None], Walk(N, 0), 5)[2][0, 0]


def test_detours_score_fewer_rows_that_are_refused(any_kernels: Kernels) -> None:
    rng = seeded(4)
    arrays = random_arrays(rng, N, 16)
    graph = any_kernels.open_graph(Metric.L2, *random_rows(rng, N, 16), arrays)
    mask = rng.random(N) < 0.2
    plain, detours = (
        search(any_kernels, graph, queries_of(rng, 9, 16), Walk(30, 0, d), 30, mask) for d in (False, True)
    )
    assert (detours[0] >= 0).sum() > 2 * (plain[0] >= 0).sum()


@pytest.mark.parametrize("metric", METRICS)
def test_scans_are_the_law_s(kernels: Kernels, metric: Metric) -> None:
    rng = seeded(5)
    pair = Pair(kernels, metric, random_arrays(rng, 700, 33, lines=2), *random_rows(rng, 700, 33))
    queries = queries_of(rng, 5, 33)
    for mask in (None, rng.random(700) < 0.3, rng.random(700) < 0.01, np.zeros(700, bool)):
        for rescored, k in ((0, 10), (30, 10), (700, 700), (0, 699)):
            rows = pair.check(queries, rescored, k, mask)
            assert ((rows >= 0).sum(axis=1) == min(k, 700 if mask is None else int(mask.sum()))).all()


def test_equal_estimates_go_by_row(kernels: Kernels) -> None:
    """Every code stands four times, so that bounds, pools and answers meet ties."""
    rng = seeded(6)
    arrays = random_arrays(rng, N, 24)
    arrays.codes[:] = arrays.codes[np.arange(N) % (N // 4)]
    rows, norms = random_rows(rng, N, 24)
    rows[:] = rows[np.arange(N) % (N // 4)]
    pair = Pair(kernels, Metric.DOT, arrays, rows, norms)
    for walk, k in ((Walk(18, 0), 17), (Walk(18, 0, True), 17)):
        pair.check(queries_of(rng, 20, 24), walk, k, rng.random(N) < 0.5)
    pair.check(queries_of(rng, 20, 24), 0, 17)


def test_a_skipped_row_is_not_met(kernels: Kernels) -> None:
    rng = seeded(7)
    arrays = random_arrays(rng, N, 24)
    pair = Pair(kernels, Metric.L2, arrays, *random_rows(rng, N, 24))
    queries = queries_of(rng, 20, 24)
    nearest = pair.check(queries, Walk(40, 0), 5)
    skipped = np.where(np.arange(20) % 5 == 0, -1, nearest[:, 0])
    skipped[1] = arrays.entries[0]
    rows = pair.check(queries, Walk(40, 0, skipped=skipped), 5)
    assert not (rows == skipped[:, None]).any()
    assert (rows[skipped < 0] == nearest[skipped < 0]).all()
    alone = replace(arrays, entries=arrays.entries[:1])
    lonely = Pair(kernels, Metric.L2, alone, *random_rows(rng, N, 24))
    assert (lonely.check(queries[:1], Walk(40, 9, skipped=arrays.entries[:1].astype(np.int64)), 5) == -1).all()


def test_an_entry_listed_twice_is_found_once(kernels: Kernels) -> None:
    rng = seeded(8)
    arrays = random_arrays(rng, N, 24)
    arrays = replace(arrays, entries=np.repeat(arrays.entries[:3], 3))
    rows = Pair(kernels, Metric.L2, arrays, *random_rows(rng, N, 24)).check(queries_of(rng, 9, 24), Walk(30, 10), 10)
    assert all(len(set(found)) == 10 for found in rows.tolist())


def test_a_neighbour_listed_twice_is_found_once(kernels: Kernels) -> None:
    rng = seeded(8)
    arrays = random_arrays(rng, N, 24)
    lists = arrays.neighbours.copy()
    lists[:, 1] = lists[:, 0]
    arrays = replace(arrays, neighbours=lists)
    rows = Pair(kernels, Metric.L2, arrays, *random_rows(rng, N, 24)).check(queries_of(rng, 20, 24), Walk(30, 20), 10)
    assert all(len(set(found)) == 10 for found in rows.tolist())


def test_a_graph_of_one_row(any_kernels: Kernels) -> None:
    rng = seeded(9)
    arrays = random_arrays(rng, 1, 8, degree=1)
    graph = any_kernels.open_graph(Metric.L2, *random_rows(rng, 1, 8), arrays)
    rows, _, counters = search(any_kernels, graph, queries_of(rng, 1, 8), Walk(5, 5), 3)
    assert rows.tolist() == [[0, -1, -1]]
    assert counters.tolist() == [[1, 1, 0, 1]]


@pytest.mark.parametrize("interleave", [1, 2, 7])
def test_tuning_does_not_change_answers(interleave: int) -> None:
    native = pytest.importorskip("vecstore.kernels.native_backend", reason="without the native extension")
    kernels, rng = native.NativeKernels(), seeded(12)
    arrays = random_arrays(rng, N, 96, lines=2)
    rows, norms = random_rows(rng, N, 96)
    graph = kernels.open_graph(Metric.COSINE, rows, norms, arrays)
    queries, mask = queries_of(rng, 90, 96), rng.random(N) < 0.4
    for walk in (Walk(25, 20), Walk(60, 20, True)):
        before = [a.tobytes() for a in search(kernels, graph, queries, walk, 10, mask)]
        graph.handle.tune(interleave, 1, 3, sparse_from=1)  # visited rows are cleared one by one
        for _ in range(2):
            assert [a.tobytes() for a in search(kernels, graph, queries, walk, 10, mask)] == before
        graph.handle.tune(4, 2, 2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_batches_and_threads_do_not_change_answers(kernels: Kernels, dtype: str) -> None:
    rng = seeded(10)
    arrays = random_arrays(rng, N, 96, lines=2)
    rows, norms = random_rows(rng, N, 96, dtype)
    graph = kernels.open_graph(Metric.COSINE, rows, norms, arrays)
    queries, mask = queries_of(rng, 131, 96), rng.random(N) < 0.6
    for walk in (Walk(25, 20), Walk(25, 0, True), 20):
        ask = search if isinstance(walk, Walk) else scan
        answers = set()
        for threads in (1, 2, 3):
            kernels.set_threads(threads)
            answers.add(tuple(a.tobytes() for a in ask(kernels, graph, queries, walk, 10, mask)))
        singles = [ask(kernels, graph, queries[q : q + 1], walk, 10, mask) for q in range(len(queries))]
        answers.add(tuple(np.concatenate(part).tobytes() for part in zip(*singles, strict=True)))
        assert len(answers) == 1
        with ThreadPoolExecutor(4) as executor:
            again = [executor.submit(ask, kernels, graph, queries, walk, 10, mask) for _ in range(8)]
            assert {tuple(a.tobytes() for a in answer.result()) for answer in again} == answers
