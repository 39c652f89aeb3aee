"""The graph builder on every backend and instruction set: the law's graph, whatever the threads and the parts; and the
law against a plain rendering of what is to be kept."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from graph_support import build, byte_rows, plain_graph

from vecstore.kernels.base import Kernels
from vecstore.kernels.graph import BuildParams, ByteRows, GraphBuilder
from vecstore.kernels.numpy_backend import NumpyKernels

N, DEGREE = 1000, 16
PARAMS = {
    "deep": BuildParams(leaf_rows=100, leaf_nearest=4, reservoir=24, fanout=(3, 2, 1), seed=1),
    "wide": BuildParams(leaf_rows=400, leaf_nearest=8, reservoir=40, fanout=(6, 2), seed=(1 << 64) - 5, alpha=1.0),
    "small reservoirs": BuildParams(leaf_rows=64, leaf_nearest=3, reservoir=5, fanout=(2,), alpha=1.4),
    "more leaders than a list": BuildParams(leaf_rows=16, leaf_nearest=20, reservoir=20, fanout=(40, 1)),
}


def clustered(seed: int, n: int, dim: int) -> np.ndarray:
    """Clusters, 300 copies of a row, a few rows of zero, and one that is far away."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((12, dim))
    rows = centres[rng.integers(12, size=n)] + rng.standard_normal((n, dim))
    drawn = rng.permutation(n)
    rows[drawn[: min(300, n // 4)]] = rows[drawn[-1]]
    rows[drawn[-8:-1]] = 0
    rows[drawn[-9]] *= 1e6
    return rows


@cache
def inputs(dim: int) -> ByteRows:
    return byte_rows(clustered(dim, N, dim))


@cache
def law(params: str, dim: int) -> np.ndarray:
    return build(NumpyKernels(), inputs(dim), PARAMS[params], DEGREE)


def check_lists(lists: np.ndarray, n: int) -> None:
    """Rows in range, none twice; a row's own number only behind the others."""
    assert lists.max() < n
    own = lists == np.arange(n)[:, None]
    assert (np.diff(own.astype(int), axis=1) >= 0).all()
    for row, found in enumerate(lists.tolist()):
        others = [other for other in found if other != row]
        assert len(set(others)) == len(others)


@pytest.mark.parametrize("params", PARAMS)
@pytest.mark.parametrize("dim", [20, 96])
def test_graphs_are_the_law_s(kernels: Kernels, params: str, dim: int) -> None:
    lists = build(kernels, inputs(dim), PARAMS[params], DEGREE)
    assert (lists == law(params, dim)).all()
    check_lists(lists, N)


@pytest.mark.parametrize("alpha", [1.0, 1.2])
@pytest.mark.parametrize(
    ("degree", "nearest", "reservoir"), [(8, 6, 20), (12, 59, 64), (1, 3, 4), (24, 8, 4), (40, 2, 1024)]
)
def test_one_leaf_is_as_it_is_described(
    any_kernels: Kernels, alpha: float, degree: int, nearest: int, reservoir: int
) -> None:
    rows = byte_rows(clustered(3, 60, 12))
    params = BuildParams(leaf_rows=60, leaf_nearest=nearest, reservoir=reservoir, fanout=(1,), alpha=alpha)
    lists = build(any_kernels, rows, params, degree)
    assert lists.tolist() == plain_graph(rows, params, degree)


def test_threads_and_parts_do_not_change_graphs(kernels: Kernels) -> None:
    for threads, parts in ((1, 1), (2, 7), (8, 1), (8, 3)):
        kernels.set_threads(threads)
        lists = build(kernels, inputs(96), PARAMS["deep"], DEGREE, parts=parts)
        assert (lists == law("deep", 96)).all()


@pytest.mark.parametrize("params", PARAMS)
def test_a_builder_goes_on_from_what_another_held(kernels: Kernels, params: str) -> None:
    """Interrupted while leaves are joined, then while rows are pruned, each time by a builder that knows nothing."""
    rows, how = inputs(20), PARAMS[params]
    every = np.arange(N, dtype=np.uint32)

    def begun(lists: np.ndarray, held: np.ndarray | None) -> GraphBuilder:
        builder = kernels.graph_builder(rows, how, lists)
        if held is not None:
            builder.seed(every, held)
        return builder

    def held_by(builder: GraphBuilder) -> np.ndarray:
        out = np.empty((N, how.reservoir), np.uint32)
        for low in range(0, N, 300):
            builder.held(low, min(N, low + 300), out[low : low + 300])
        return out

    joins, prunes, finishes = (np.full((N, DEGREE), 0xFFFFFFFF, np.uint32) for _ in range(3))
    builder = begun(joins, None)
    leaves = builder.carve()
    builder.join(0, leaves // 3)
    builder = begun(prunes, held_by(builder))
    assert builder.carve() == leaves
    builder.join(leaves // 3, leaves)
    for low, high in ((0, 256), (256, 512)):
        builder.prune(low, high)
    finishes[:512] = prunes[:512]
    builder = begun(finishes, held_by(builder))
    builder.pruned(0, 512)
    builder.prune(512, N)
    builder.reverse()
    builder.finish(0, N)
    assert (finishes == law(params, 20)).all()


def test_lists_that_were_not_pruned_are_refused(any_kernels: Kernels) -> None:
    rows = inputs(20)
    builder = any_kernels.graph_builder(rows, PARAMS["deep"], np.full((N, DEGREE), N, np.uint32))
    with pytest.raises(ValueError, match="neighbours"):
        builder.pruned(0, 10)
    with pytest.raises(ValueError, match="out"):
        builder.held(0, 10, np.empty((10, 3), np.uint32))


def test_another_seed_gives_another_graph(any_kernels: Kernels) -> None:
    rows = byte_rows(clustered(4, 300, 16))
    params = [BuildParams(leaf_rows=32, leaf_nearest=3, reservoir=16, fanout=(2,), seed=seed) for seed in (0, 1)]
    one, other = (build(any_kernels, rows, p, 8) for p in params)
    assert (one != other).any()


def test_known_edges_are_kept(any_kernels: Kernels) -> None:
    """A few leaves find few neighbours; known edges bring the nearest to the front of every list."""
    values = np.random.default_rng(5).standard_normal((400, 24))
    rows = byte_rows(values)
    stood_for = rows.scales[:, None] * rows.bytes
    between = ((stood_for[:, None] - stood_for) ** 2).sum(axis=2)
    np.fill_diagonal(between, np.inf)
    nearest = np.argsort(between, axis=1)[:, :3].astype(np.uint32)
    params = BuildParams(leaf_rows=32, leaf_nearest=2, reservoir=24, fanout=(1,))
    known = np.concatenate((nearest, nearest[:, :1], np.arange(400, dtype=np.uint32)[:, None]), axis=1)
    numbers = np.random.default_rng(6).permutation(400).astype(np.uint32)
    without = build(any_kernels, rows, params, 8)
    lists = build(any_kernels, rows, params, 8, known=(numbers, np.ascontiguousarray(known[numbers])))
    assert (without[:, 0] != nearest[:, 0]).any()
    assert (lists[:, 0] == nearest[:, 0]).all()
    assert (lists == build(NumpyKernels(), rows, params, 8, known=(numbers, known[numbers]))).all()
    nothing = known[:0], np.empty(0, np.uint32)
    assert (build(any_kernels, rows, params, 8, known=nothing[::-1]) == without).all()


@pytest.mark.parametrize("n", [1, 2, 3, 17, 33])
def test_few_rows(any_kernels: Kernels, n: int) -> None:
    rows = byte_rows(np.random.default_rng(n).standard_normal((n, 5)))
    params = BuildParams(leaf_rows=16, leaf_nearest=20, reservoir=64, fanout=(2,))
    lists = build(any_kernels, rows, params, 8)
    check_lists(lists, n)
    assert (lists == build(NumpyKernels(), rows, params, 8)).all()
    if n <= 8:
        assert [sorted(set(found)) for found in lists.tolist()] == [list(range(n))] * n


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_but_copies_of_one_row(any_kernels: Kernels, value: float) -> None:
    rows = byte_rows(np.full((500, 8), value))
    params = BuildParams(leaf_rows=64, leaf_nearest=6, reservoir=16, fanout=(2, 1))
    lists = build(any_kernels, rows, params, 8)
    check_lists(lists, 500)
    assert (lists == build(NumpyKernels(), rows, params, 8)).all()
