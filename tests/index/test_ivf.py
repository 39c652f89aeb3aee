"""Indexes over codes: exact where they look, k answers where there are k, the same after a restart, safe to open."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ivf_support import Residuals, clustered, dense, exact, recall, silent, stored
from masks import bitmap

from vecstore.errors import Cancelled, Corruption, Unimplemented
from vecstore.index.base import SearchParams
from vecstore.index.coded import CodedIndex
from vecstore.index.registry import built_index
from vecstore.index_spec import IVF, Center, Flat, Float16, Index, Int8, Rotate
from vecstore.kernels.select import get_kernels
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import DataType, Metric

EVERYWHERE = SearchParams(nprobe=1_000_000)
METRICS = [Metric.COSINE, Metric.DOT, Metric.L2]
SPECS: dict[str, Index] = {
    "lists": IVF(quantizer=Float16()),
    "lists, centred": IVF(quantizer=Float16(), transforms=(Rotate(), Center())),
    "lists without codes": IVF(),
    "flat": Flat(quantizer=Float16()),
    "spilled": IVF(nlist=40, quantizer=Float16(), spill="soar"),
    "spilled without codes": IVF(nlist=40, spill="soar"),
    "few lists": IVF(nlist=5, nprobe=2, quantizer=Float16()),
}


@pytest.fixture(autouse=True)
def lossless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUANTIZERS, "float16", Residuals)


def build(spec: Any, metric: Metric, rows: np.ndarray, datatype: DataType = DataType.FLOAT32) -> Any:
    field = dense(rows.shape[1], metric, datatype)
    kept, norms = stored(field, rows)
    return field, kept, norms, built_index(spec).build(field, spec, kept, norms, get_kernels(), silent)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("metric", METRICS)
def test_every_list_visited_is_an_exact_answer(metric: Metric, name: str) -> None:
    rng = np.random.default_rng(1)
    rows = clustered(rng, 1200, 16) + 1  # a mean that is not zero
    field, kept, norms, index = build(SPECS[name], metric, rows)
    queries = rows[:20] + rng.standard_normal((20, 16)).astype(np.float32)
    truth, distances = exact(field, queries, kept, norms, 10)
    found = index.search(get_kernels(), queries, 10, None, EVERYWHERE)
    assert found.rows.tolist() == truth.tolist()
    assert found.distances.tobytes() == distances.tobytes()
    copies = 2 if "spilled" in name else 1
    assert found.counters["rows_scanned"] == 20 * 1200 * copies
    estimated = index.search(get_kernels(), queries, 10, None, SearchParams(nprobe=1_000_000, rescore=False))
    assert recall(estimated.rows, truth) > 0.995
    np.testing.assert_allclose(estimated.distances, distances, atol=2e-3 if metric is not Metric.COSINE else 1e-5)
    exactly = index.search(get_kernels(), queries, 10, None, SearchParams(exact=True))
    assert exactly.rows.tolist() == truth.tolist()


@pytest.mark.parametrize("datatype", list(DataType))
@pytest.mark.parametrize("rerank", ["stored", "none", "float16", "bfloat16", "int8", "float32"])
def test_rerank_copies(datatype: DataType, rerank: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUANTIZERS, "int8", Residuals)
    rng = np.random.default_rng(2)
    rows = clustered(rng, 900, 16)
    spec = IVF(nlist=8, quantizer=Float16(), rerank=rerank)
    field, kept, norms, index = build(spec, Metric.COSINE, rows, datatype)
    queries = rows[:20] + rng.standard_normal((20, 16)).astype(np.float32)
    truth, distances = exact(field, queries, kept, norms, 5)
    found = index.search(get_kernels(), queries, 5, None, SearchParams(nprobe=8, oversampling=4))
    assert recall(found.rows, truth) > 0.97
    np.testing.assert_allclose(found.distances, distances, atol=5e-3)
    copied = [array for key, array in index.arrays().items() if key.startswith("rerank.row.")]
    smaller = rerank == "int8" or (rerank in ("float16", "bfloat16") and datatype is DataType.FLOAT32)
    assert bool(copied) == smaller
    again = reopen(field, kept, norms, index)
    after = again.search(get_kernels(), queries, 5, None, SearchParams(nprobe=8, oversampling=4))
    assert after.distances.tobytes() == found.distances.tobytes()


def reopen(field: Any, rows: np.ndarray, norms: np.ndarray | None, index: CodedIndex) -> CodedIndex:
    arrays = {name: array.copy() for name, array in index.arrays().items()}
    for array in arrays.values():
        array.flags.writeable = False
    beside = {} if norms is None else {"inverse_norms": norms}
    return type(index).from_arrays(field, rows, arrays | beside)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("metric", METRICS)
def test_restart(metric: Metric, name: str) -> None:
    rows = clustered(np.random.default_rng(3), 1500, 16)
    field, kept, norms, index = build(SPECS[name], metric, rows)
    again = reopen(field, kept, norms, index)
    assert (again.ntotal, again.spec, again.calibration) == (index.ntotal, index.spec, index.calibration)
    assert again.code_bytes == index.code_bytes
    for params in (SearchParams(), SearchParams(recall_target=0.9), SearchParams(nprobe=3, rescore=False)):
        before, after = (each.search(get_kernels(), rows[:30], 7, None, params) for each in (index, again))
        assert after.rows.tobytes() == before.rows.tobytes()
        assert after.distances.tobytes() == before.distances.tobytes()
        assert after.counters == before.counters


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("share", [0.0, 0.002, 0.02, 0.3, 0.95])
def test_as_many_answers_as_matches(name: str, share: float) -> None:
    """A filter that hits other lists than the query's must not leave places empty."""
    rng = np.random.default_rng(4)
    rows = clustered(rng, 1500, 12)
    field, kept, norms, index = build(SPECS[name], Metric.L2, rows)
    queries = rows[:12]
    far = np.argsort(-((rows - queries[0]) ** 2).sum(axis=1))
    mask = np.zeros(1500, bool)
    mask[far[: int(1500 * share)]] = True  # the farthest rows from the first query
    allowed = bitmap(mask)
    for params in (
        SearchParams(),
        SearchParams(nprobe=1),
        SearchParams(recall_target=0.5),
        SearchParams(rescore=False),
    ):
        found = index.search(get_kernels(), queries, 10, allowed, params)
        assert ((found.rows >= 0).sum(axis=1) == min(10, mask.sum())).all(), params
        listed = found.rows[found.rows >= 0]
        assert mask[listed].all()
        assert all(len(set(each[each >= 0])) == (each >= 0).sum() for each in found.rows)
        assert (found.distances[:, 1:] >= found.distances[:, :-1]).all()
    truth, _ = exact(field, queries, kept, norms, 10, allowed)
    wide = index.search(get_kernels(), queries, 10, allowed, EVERYWHERE)
    assert wide.rows.tolist() == truth.tolist()


def test_filtered_recall_is_near_the_default() -> None:
    rng = np.random.default_rng(5)
    both = clustered(rng, 12_400, 16, clusters=200, spread=0.6)
    rows, queries = both[:12_000], both[12_000:]
    field, kept, norms, index = build(IVF(), Metric.L2, rows)
    for share in (0.5, 0.1, 0.03):
        allowed = bitmap(rng.random(12_000) < share)
        truth, _ = exact(field, queries, kept, norms, 10, allowed)
        found = index.search(get_kernels(), queries, 10, allowed)
        assert recall(found.rows, truth) > 0.88, share


@pytest.mark.parametrize("n", [1, 2, 3, 12, 70])
@pytest.mark.parametrize("name", SPECS)
def test_few_rows(name: str, n: int) -> None:
    rows = clustered(np.random.default_rng(6), n, 16)
    field, kept, norms, index = build(SPECS[name], Metric.COSINE, rows)
    found = index.search(get_kernels(), rows[:1], 20, None)
    truth, _ = exact(field, rows[:1], kept, norms, 20)
    assert found.rows.tolist() == truth.tolist()
    assert reopen(field, kept, norms, index).search(get_kernels(), rows[:1], 1, None).rows.tolist() == [[0]]
    assert index.search(get_kernels(), rows[:0], 3, None).rows.shape == (0, 3)


def test_rows_without_a_vector_and_equal_rows() -> None:
    rows = clustered(np.random.default_rng(7), 600, 16)
    rows[100:300] = 0
    rows[300:450] = rows[300]
    for metric in METRICS:
        field, kept, norms, index = build(IVF(nlist=12, quantizer=Float16()), metric, rows)
        queries = rows[[0, 150, 300]]
        _, distances = exact(field, queries, kept, norms, 10)
        found = index.search(get_kernels(), queries, 10, None, SearchParams(nprobe=12, oversampling=60))
        np.testing.assert_array_equal(found.distances, distances)


def test_one_query_and_many_agree() -> None:
    rows = clustered(np.random.default_rng(8), 3000, 16)
    _, _, _, index = build(IVF(quantizer=Float16()), Metric.COSINE, rows)
    together = index.search(get_kernels(), rows[:50], 10, None)
    for query in range(0, 50, 7):
        alone = index.search(get_kernels(), rows[query : query + 1], 10, None)
        assert alone.rows[0].tolist() == together.rows[query].tolist()


def test_build_twice_gives_the_same_bytes() -> None:
    rows = clustered(np.random.default_rng(9), 2000, 16)
    one, two = (build(IVF(quantizer=Float16()), Metric.COSINE, rows)[3].arrays() for _ in range(2))
    assert {name: array.tobytes() for name, array in one.items()} == {
        name: array.tobytes() for name, array in two.items()
    }


def test_progress_may_cancel_every_phase() -> None:
    rows = clustered(np.random.default_rng(10), 1500, 16)
    phases: list[str] = []
    field = dense(16, Metric.L2)
    spec = IVF(quantizer=Float16(), rerank="float16")
    kind = built_index(spec)
    kind.build(field, spec, rows, None, get_kernels(), lambda phase, done, total: phases.append(phase))
    assert {"read sample", "train lists", "balance lists", "train codes", "encode", "pack", "copy rows",
            "calibrate"} == set(phases)  # fmt: skip
    for wanted in set(phases):

        def cancel(phase: str, done: int, total: int, wanted: str = wanted) -> None:
            if phase == wanted:
                raise Cancelled("enough")

        with pytest.raises(Cancelled):
            kind.build(field, spec, rows, None, get_kernels(), cancel)


HOSTILE: dict[str, Any] = {
    "header": [None, b"{", b"\xff\xfe", lambda h: h | {"version": 9}, lambda h: h | {"n": 3}, lambda h: h | {"dim": 2},
               lambda h: h | {"metric": "l2"}, lambda h: h | {"more": 1}, lambda h: h | {"spec": {"type": "nothing"}}],
    "centroids": [None, lambda a: a[:-1], lambda a: a[:, :-1], lambda a: a.astype(np.float64), lambda a: a * np.nan],
    "scales": [None, lambda a: a[:-1], lambda a: a * np.inf],
    "lists.offsets": [None, lambda a: a[:-1], lambda a: a + 1, lambda a: a[::-1].copy(), lambda a: a.astype(np.int32),
                      lambda a: np.where(np.arange(len(a)) == 1, -5, a), lambda a: a * 2],
    "lists.rows": [None, lambda a: a[:-1], lambda a: a + np.uint32(1), lambda a: a * np.uint32(0),
                   lambda a: a[::-1].copy(), lambda a: a.astype(np.int64)],
    "codes.values": [lambda a: a[:-1]],
    "rerank.row.values": [None, lambda a: a[:-1], lambda a: a[:, :-1], lambda a: a.astype(np.float32)],
    "transform.dim": [None, lambda a: a + 1],
    "inverse_norms": [None, lambda a: a[:-1]],
}  # fmt: skip


@pytest.mark.parametrize(("name", "number"), [(name, i) for name, bad in HOSTILE.items() for i in range(len(bad))])
def test_arrays_that_do_not_fit_are_corruption(name: str, number: int) -> None:
    rows = clustered(np.random.default_rng(11), 300, 16)
    spec = IVF(nlist=6, quantizer=Float16(), rerank="float16")
    field, kept, norms, index = build(spec, Metric.COSINE, rows)
    arrays = index.arrays() | {"inverse_norms": norms}
    bad = HOSTILE[name][number]
    if bad is None:
        del arrays[name]
    elif isinstance(bad, bytes):
        arrays[name] = np.frombuffer(bad, np.uint8)
    elif name == "header":
        changed = bad(json.loads(arrays[name].tobytes()))
        arrays[name] = np.frombuffer(json.dumps(changed).encode(), np.uint8)
    else:
        arrays[name] = bad(arrays[name])
    with pytest.raises(Corruption):
        type(index).from_arrays(field, kept, arrays)


@pytest.mark.parametrize("change", ["once", "thrice", "short"])
def test_spilled_lists_hold_every_row_twice(change: str) -> None:
    rows = clustered(np.random.default_rng(12), 300, 16)
    field, kept, _, index = build(IVF(nlist=6, quantizer=Float16(), spill="soar"), Metric.L2, rows)
    arrays = index.arrays()
    listed = arrays["lists.rows"].copy()
    assert np.bincount(listed).tolist() == [2] * 300
    if change == "short":
        listed = listed[:300]
    else:
        listed[listed == 7] = 8 if change == "thrice" else 299
    with pytest.raises(Corruption):
        type(index).from_arrays(field, kept, arrays | {"lists.rows": listed})


def test_spilling_finds_more_in_as_many_lists() -> None:
    both = clustered(np.random.default_rng(14), 6200, 24, clusters=80, spread=1.0)
    rows, queries = both[:6000], both[6000:]
    recalls = []
    for spill in ("none", "soar"):
        field, kept, norms, index = build(IVF(nlist=128, spill=spill), Metric.COSINE, rows)
        truth, _ = exact(field, queries, kept, norms, 10)
        recalls.append(recall(index.search(get_kernels(), queries, 10, None, SearchParams(nprobe=4)).rows, truth))
        found = index.search(get_kernels(), queries, 10, None)
        assert recall(found.rows, truth) > 0.9
        assert all(len(set(each.tolist())) == 10 for each in found.rows)
    assert recalls[1] > recalls[0] + 0.05


def test_int8_rerank_needs_its_quantizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(QUANTIZERS, "int8", raising=False)
    rows = clustered(np.random.default_rng(13), 100, 16)
    with pytest.raises(Unimplemented, match="int8"):
        build(IVF(quantizer=Float16(), rerank="int8"), Metric.L2, rows)
    with pytest.raises(Unimplemented, match="int8"):
        build(IVF(quantizer=Int8()), Metric.L2, rows)
