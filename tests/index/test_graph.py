"""The graph index: recall, filters, equal rows, restart, merges, and the same graph for any number of threads."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from masks import bitmap

from vecstore.errors import Corruption
from vecstore.index import graph_calibration, graph_plan
from vecstore.index.base import SearchParams, Warm
from vecstore.index.graph import GraphIndex
from vecstore.index.graph_connect import connect, reached
from vecstore.index.recall_axis import TARGETS
from vecstore.index_spec import SAQ, Graph, RaBitQ
from vecstore.kernels.base import Bitmap, Float32Array
from vecstore.kernels.select import get_kernels
from vecstore.memory.remembered import Remembered
from vecstore.schema import DataType, Metric, VectorField, VectorKind

DIM, N, K = 40, 3_000, 10
METRICS = (Metric.L2, Metric.DOT, Metric.COSINE)


def quiet(phase: str, done: int, total: int) -> None:
    del phase, done, total


def clustered(n: int, seed: int, dim: int = DIM, scale: float = 1.0) -> Float32Array:
    """Rows around 30 centres, with variances that fall, as embeddings have."""
    rng = np.random.default_rng(seed)
    spread = (1.0 / np.sqrt(1 + np.arange(dim))).astype(np.float32)
    centres = np.random.default_rng(99).standard_normal((30, dim)).astype(np.float32)
    rows = centres[rng.integers(0, 30, n)] + 1.5 * rng.standard_normal((n, dim)).astype(np.float32)
    return (scale * rows * spread).astype(np.float32)


def field_of(spec: Graph, metric: Metric = Metric.COSINE, dim: int = DIM) -> VectorField:
    return VectorField(VectorKind.DENSE, dim, metric, DataType.FLOAT32, index=spec)


def norms_of(rows: np.ndarray, metric: Metric) -> Float32Array | None:
    if metric is not Metric.COSINE:
        return None
    out = np.empty(len(rows), np.float32)
    get_kernels().inverse_norms(rows, out)
    return out


def built(rows: np.ndarray, spec: Graph | None = None, metric: Metric = Metric.COSINE, **more: object) -> GraphIndex:
    spec = spec or Graph()
    field = field_of(spec, metric, rows.shape[1])
    return GraphIndex.build(field, spec, rows, norms_of(rows, metric), get_kernels(), quiet, **more)


def exact(rows: np.ndarray, queries: np.ndarray, k: int, metric: Metric, allowed: Bitmap | None = None) -> np.ndarray:
    found = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    get_kernels().scan(metric, queries, rows, norms_of(rows, metric), allowed, *found)
    return found[1]


def recall(distances: np.ndarray, truth: np.ndarray) -> float:
    return float((distances <= truth[:, -1:] + 1e-4 * np.abs(truth[:, -1:]) + 1e-6).mean())


@pytest.fixture(scope="module")
def rows() -> Float32Array:
    return clustered(N, 1)


@pytest.fixture(scope="module")
def queries() -> Float32Array:
    return clustered(100, 2)


@pytest.fixture(scope="module")
def index(rows: Float32Array) -> GraphIndex:
    return built(rows)


@pytest.fixture
def one_thread_after() -> Iterator[None]:
    yield
    get_kernels().set_threads(0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spec", [Graph(), Graph(quantizer=RaBitQ(2)), Graph(degree=32, quantizer=SAQ(1.5))])
def test_recall_by_every_metric(rows: Float32Array, queries: Float32Array, metric: Metric, spec: Graph) -> None:
    made = built(rows, spec, metric)
    found = made.search(get_kernels(), queries, K, None, SearchParams(ef=128, oversampling=6))
    truth = exact(rows, queries, K, metric)
    assert recall(found.distances, truth) > 0.97
    assert (np.diff(found.distances, axis=1) >= 0).all()


def test_distances_are_those_of_the_stored_rows(index: GraphIndex, rows: Float32Array, queries: Float32Array) -> None:
    found = index.search(get_kernels(), queries, K, None)
    again = np.empty(found.rows.shape, np.float32)
    get_kernels().rerank(Metric.COSINE, queries, rows, norms_of(rows, Metric.COSINE), found.rows, again)
    np.testing.assert_allclose(found.distances, again, atol=1e-6)


def test_a_wider_walk_finds_no_less_and_the_widest_everything(
    index: GraphIndex, rows: Float32Array, queries: Float32Array
) -> None:
    truth = exact(rows, queries, K, Metric.COSINE)
    found = [
        recall(index.search(get_kernels(), queries, K, None, SearchParams(ef=ef, oversampling=ef / K)).distances, truth)
        for ef in (10, 40, 160, 640, N)
    ]
    assert all(later >= earlier - 0.005 for earlier, later in itertools.pairwise(found)), found
    assert found[-1] == 1.0


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95, 0.99])
def test_a_recall_target_is_kept(index: GraphIndex, rows: Float32Array, target: float) -> None:
    asked = clustered(400, 3)
    found = index.search(get_kernels(), asked, K, None, SearchParams(recall_target=target))
    assert recall(found.distances, exact(rows, asked, K, Metric.COSINE)) >= target - 0.02


@pytest.mark.parametrize("k", [1, 100, 1_000])
def test_few_and_many_answers(index: GraphIndex, rows: Float32Array, queries: Float32Array, k: int) -> None:
    found = index.search(get_kernels(), queries, k, None)
    assert (found.rows >= 0).all()
    assert all(len(set(row)) == k for row in found.rows.tolist())
    assert recall(found.distances, exact(rows, queries, k, Metric.COSINE)) > 0.95


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("far", [False, True], ids=["random", "far from the queries"])
def test_filters_are_complete(
    index: GraphIndex, rows: Float32Array, queries: Float32Array, share: float, far: bool
) -> None:
    if far:
        order = np.argsort(queries.mean(axis=0) @ rows.T)
        mask = np.zeros(N, bool)
        mask[order[: int(share * N)]] = True
    else:
        mask = np.random.default_rng(4).random(N) < share
    allowed = bitmap(mask)
    found = index.search(get_kernels(), queries, K, allowed)
    assert (found.rows >= 0).all()
    assert mask[found.rows].all()
    assert recall(found.distances, exact(rows, queries, K, Metric.COSINE, allowed)) > 0.95


def test_a_walk_that_meets_few_allowed_rows_gives_way_to_a_scan(
    index: GraphIndex, rows: Float32Array, queries: Float32Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecstore.index.graph_plan import Plan

    asked = queries[:1]
    order = np.argsort(-(asked @ rows.T)[0])
    mask = np.zeros(N, bool)
    mask[order[N // 2 :]] = True  # the far half: the walk's candidates are all refused
    monkeypatch.setattr(index, "_plan", lambda *_: Plan("walk", 128, 40))
    found = index.search(get_kernels(), asked, K, bitmap(mask))
    assert found.counters["by_scan"] == 1
    assert recall(found.distances, exact(rows, asked, K, Metric.COSINE, bitmap(mask))) > 0.95


@pytest.mark.parametrize("how", ["walk", "detours", "scan"])
def test_each_way_through_a_filter(
    index: GraphIndex, rows: Float32Array, queries: Float32Array, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecstore.index.graph_plan import Plan

    mask = np.random.default_rng(5).random(N) < 0.1
    allowed = bitmap(mask)
    monkeypatch.setattr(index, "_plan", lambda *_: Plan(how, 600, 60))  # type: ignore[arg-type]
    found = index.search(get_kernels(), queries, K, allowed)
    assert found.counters[f"by_{how}"] == len(queries)
    assert mask[found.rows].all()
    assert recall(found.distances, exact(rows, queries, K, Metric.COSINE, allowed)) > 0.9


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_no_more_is_rescored_than_there_is(
    index: GraphIndex, rows: Float32Array, queries: Float32Array, share: float
) -> None:
    """However wide a walk is asked for."""
    mask = np.random.default_rng(6).random(N) < share
    chosen = index._plan(K, SearchParams(ef=100 * N), int(mask.sum()))
    assert chosen.rescored <= min(mask.sum(), chosen.ef or N)
    found = index.search(get_kernels(), queries[:3], K, bitmap(mask), SearchParams(ef=100 * N))
    assert recall(found.distances, exact(rows, queries[:3], K, Metric.COSINE, bitmap(mask))) == 1.0


def test_fewer_matches_than_wanted_are_all_found(index: GraphIndex, queries: Float32Array) -> None:
    allowed = bitmap(np.isin(np.arange(N), [3, 77, 2_999]))
    found = index.search(get_kernels(), queries, K, allowed)
    assert [sorted(row[:3]) for row in found.rows.tolist()] == [[3, 77, 2_999]] * len(queries)
    assert (found.rows[:, 3:] == -1).all()


def test_equal_rows_are_all_found(queries: Float32Array) -> None:
    rows = clustered(2_000, 6)
    rows[500:900] = rows[499]
    rows[1_500:] = 0
    made = built(rows, metric=Metric.L2)
    found = made.search(get_kernels(), rows[499:500], 300, None, SearchParams(ef=500))
    assert recall(found.distances, exact(rows, rows[499:500], 300, Metric.L2)) == 1.0
    assert reached(made.neighbours, made.entries).all()
    truth = exact(rows, queries, K, Metric.L2)
    assert recall(made.search(get_kernels(), queries, K, None, SearchParams(ef=200)).distances, truth) > 0.95


def test_every_row_is_within_reach(index: GraphIndex) -> None:
    assert reached(index.neighbours, index.entries).all()
    own = np.arange(N)[:, None]  # stands where there is no neighbour
    lists = np.sort(index.neighbours, axis=1)
    assert ((lists[:, 1:] != lists[:, :-1]) | (lists[:, 1:] == own)).all()
    assert (index.neighbours != own).mean() > 0.9


def test_rows_out_of_reach_are_given_an_edge() -> None:
    rng = np.random.default_rng(7)
    lists = np.concatenate([rng.integers(0, 50, (50, 8)), rng.integers(0, 100, (50, 8))]).astype(np.uint32)
    entries = np.array([0], np.uint32)
    assert not reached(lists, entries).all()
    assert reached(lists, connect(lists, entries)).all()


def test_the_same_graph_for_any_number_of_threads(rows: Float32Array, one_thread_after: None) -> None:
    graphs = []
    for threads in (1, 2, 8):
        get_kernels().set_threads(threads)
        graphs.append(built(rows).neighbours)
    assert (graphs[0] == graphs[1]).all()
    assert (graphs[0] == graphs[2]).all()


def test_one_query_finds_what_a_batch_does(index: GraphIndex, queries: Float32Array) -> None:
    batch = index.search(get_kernels(), queries, K, None)
    for at in (0, 17, 99):
        one = index.search(get_kernels(), queries[at : at + 1], K, None)
        assert (one.rows[0] == batch.rows[at]).all()
        assert (one.distances[0] == batch.distances[at]).all()


@pytest.mark.parametrize("rerank", ["stored", "float16", "int8", "none"])
def test_a_restart_changes_nothing(rows: Float32Array, queries: Float32Array, rerank: str) -> None:
    spec = Graph(rerank=rerank)  # type: ignore[arg-type]
    made = built(rows, spec)
    norms = norms_of(rows, Metric.COSINE)
    assert norms is not None
    again = GraphIndex.from_arrays(field_of(spec), rows, made.arrays() | {"inverse_norms": norms})
    before, after = (one.search(get_kernels(), queries, K, None) for one in (made, again))
    assert (before.rows == after.rows).all()
    assert (before.distances == after.distances).all()
    true = np.empty(before.rows.shape, np.float32)
    get_kernels().rerank(Metric.COSINE, queries, rows, norms, before.rows, true)
    assert recall(true, exact(rows, queries, K, Metric.COSINE)) > (0.5 if rerank == "none" else 0.95)


def test_a_merge_keeps_the_graph_and_loses_no_recall(rows: Float32Array) -> None:
    asked = clustered(300, 8)
    before = built(rows)
    kept = np.random.default_rng(9).random(N) < 0.8
    late = clustered(1_000, 10)
    merged = np.concatenate([rows[kept], late])
    where = np.full(N, -1, np.int64)
    where[kept] = np.arange(kept.sum())
    warm = built(merged, warm=Warm(before, where))
    fresh = built(merged)
    truth = exact(merged, asked, K, Metric.COSINE)
    found = [
        recall(one.search(get_kernels(), asked, K, None, SearchParams(ef=64)).distances, truth) for one in (warm, fresh)
    ]
    assert found[0] >= found[1] - 0.01, found
    assert reached(warm.neighbours, warm.entries).all()
    assert warm.arrays()["coder.basis"] is before.arrays()["coder.basis"]  # nothing was learned again


@pytest.mark.usefixtures("no_scans")
def test_targets_hold_for_foreign_queries_once_tuned() -> None:
    rng = np.random.default_rng(14)
    rows = clustered(8_000, 15)
    foreign = np.float32(2) * rng.standard_normal((700, DIM)).astype(np.float32)
    made = built(rows)
    tuned = made.tuned(foreign[:400], get_kernels())
    asked = foreign[400:]
    truth = exact(rows, asked, K, Metric.COSINE)
    norms = norms_of(rows, Metric.COSINE)
    assert norms is not None
    again = GraphIndex.from_arrays(field_of(Graph()), rows, tuned.arrays() | {"inverse_norms": norms})
    off, before = 0.0, 0.0
    for target in (0.8, 0.9, 0.95):
        params = SearchParams(recall_target=target)
        measured = recall(again.search(get_kernels(), asked, K, None, params).distances, truth)
        assert measured > target - 0.03, (target, measured)
        off += abs(measured - target)
        before += abs(recall(made.search(get_kernels(), asked, K, None, params).distances, truth) - target)
    assert off <= before
    warm = built(rows, warm=Warm(again, np.arange(len(rows))))
    assert (warm.arrays()["asked"] == foreign[:400]).all()


@pytest.mark.usefixtures("no_scans")
def test_walks_end_where_calibration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer steps than a fixed width for the same recall, and not the same number for each query."""
    rng = np.random.default_rng(21)
    rows, asked = (
        (rng.standard_normal((n, 48)) * np.exp(0.5 * rng.standard_normal((n, 1)))).astype(np.float32)
        for n in (3_000, 200)
    )
    made, truth = built(rows, metric=Metric.L2), exact(rows, asked, K, Metric.L2)
    fixed = copy.copy(made)
    fixed.table = msgspec.structs.replace(made.table, reach=(), deep=(), least=())
    fixed._plans = Remembered(64)
    for target in (0.9, 0.97):
        params = SearchParams(recall_target=target)
        assert made._plan(K, params, len(rows)).narrow.reach > 0
        found, wide = (one.search(get_kernels(), asked, K, None, params) for one in (made, fixed))
        assert recall(found.distances, truth) >= target - 0.01
        assert found.recall == target
        assert found.counters["codes_scored"] < wide.counters["codes_scored"]
        alone = [made.search(get_kernels(), asked[q : q + 1], K, None, params) for q in range(40)]
        assert all((one.rows[0] == found.rows[q]).all() for q, one in enumerate(alone))
        assert len({one.counters["hops"] for one in alone}) > 5
    assert made._plan(K, SearchParams(ef=50), len(rows)).narrow.reach == 0  # as it was asked for
    assert made._plan(K, SearchParams(recall_target=0.95), len(rows) // 2).narrow.reach == 0  # many are refused
    monkeypatch.setattr(graph_plan.costs, "HOP", 0.0)  # so few rows are scanned else
    check_ends_among_the_living(made, fixed, rows, asked)
    assert built(rows[:500], metric=Metric.DOT).table.reach == ()


def check_ends_among_the_living(made: GraphIndex, fixed: GraphIndex, rows: Float32Array, asked: Float32Array) -> None:
    """Where rows have died: a tenth of all, or the nearest of some queries, whose walks meet nobody else."""
    anywhere = np.random.default_rng(22).random(len(rows)) > 0.1
    around = np.ones(len(rows), bool)
    apart = ((asked[:20, None] - rows) ** 2).sum(axis=2)
    around[np.argsort(apart, axis=1)[:, :60]] = False
    assert around.mean() > graph_plan.NARROW_FROM
    for alive in (anywhere, around):
        truth = exact(rows, asked, K, Metric.L2, bitmap(alive))
        for target in (0.9, 0.97):
            params = SearchParams(recall_target=target)
            assert made._plan(K, params, int(alive.sum())).narrow.reach > 0
            found, wide = (one.search(get_kernels(), asked, K, bitmap(alive), params) for one in (made, fixed))
            assert alive[found.rows].all()
            assert recall(found.distances, truth) >= target - 0.015
            if alive is anywhere:
                assert found.counters["codes_scored"] < wide.counters["codes_scored"]


def test_walks_among_few_that_are_alive_are_replayed(index: GraphIndex) -> None:
    alive = np.random.default_rng(5).random(N) < 0.3
    tuned = index.tuned(None, get_kernels(), bitmap(alive))
    tuned.table.check(N)
    assert tuned.table.rows == alive.sum()
    assert tuned.table.reach


def test_tables_of_walks_are_checked(index: GraphIndex) -> None:
    index.table.check(N)
    old = msgspec.structs.replace(index.table, reach=(), deep=(), least=())
    old.check(N)
    assert old.narrow(0.98, K)[0].reach == 0
    table = index.table
    for wrong in ({"least": ()}, {"deep": table.deep[:1]}, {"reach": table.reach[:1]}, {"least": (-1.0, 0.0, 0.0)},
                  {"reach": ((np.inf,) * len(TARGETS),) * 3}):  # fmt: skip
        with pytest.raises(Corruption):
            msgspec.structs.replace(table, **wrong).check(N)


def test_calibration_ends_where_no_target_would_choose_a_wider_walk(
    rows: Float32Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk, widths = graph_calibration._walked, []

    def counted(*arguments: Any) -> Any:
        widths.append(arguments[4])
        return walk(*arguments)

    monkeypatch.setattr(graph_calibration, "_walked", counted)
    early = built(rows, metric=Metric.DOT).table
    assert widths[-1] < graph_calibration.WIDTHS[-1] // 2
    monkeypatch.setattr(graph_calibration, "_is_enough", lambda *_: False)
    assert built(rows, metric=Metric.DOT).table == early


@pytest.mark.parametrize("n", [1, 2, 5, 60])
def test_a_handful_of_rows(n: int, queries: Float32Array) -> None:
    rows = clustered(n, 11)
    made = built(rows)
    found = made.search(get_kernels(), queries, min(n, K), None)
    assert recall(found.distances, exact(rows, queries, min(n, K), Metric.COSINE)) > 0.98  # as is promised


def test_values_far_from_one_are_no_harder(queries: Float32Array) -> None:
    for scale in (1e-4, 1e5):
        rows = clustered(1_500, 12, scale=scale) + np.float32(scale)
        asked = clustered(50, 13, scale=scale) + np.float32(scale)
        made = built(rows, metric=Metric.L2)
        found = made.search(get_kernels(), asked, K, None, SearchParams(ef=128))
        assert recall(found.distances, exact(rows, asked, K, Metric.L2)) > 0.95, scale


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("neighbours", lambda a: np.full_like(a, 5_000)),
        ("neighbours", lambda a: a[:-1]),
        ("codes", lambda a: a[:, :32]),
        ("entries", lambda a: a[:0]),
        ("entries", lambda a: a + 5_000),
        ("coder.bits", lambda a: a + 9),
        ("coder.basis", lambda a: a[:-1]),
        ("coder.mean", lambda a: a * np.nan),
        ("header", lambda a: a[:-9]),
        ("header", None),
    ],
)
def test_arrays_that_do_not_fit_are_refused(index: GraphIndex, rows: Float32Array, name: str, damage: object) -> None:
    arrays = index.arrays() | {"inverse_norms": norms_of(rows, Metric.COSINE)}
    if damage is None:
        del arrays[name]
    else:
        arrays[name] = damage(np.array(arrays[name]))  # type: ignore[operator]
    with pytest.raises(Corruption):
        GraphIndex.from_arrays(field_of(Graph()), rows, arrays)  # type: ignore[arg-type]
