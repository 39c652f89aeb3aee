"""A device's products and its choice of candidates, against numpy's device; numpy's against the plain way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.arrays import Device, to_bfloat16, widened
from vecstore.kernels.device.nearest import Nearest, padded, write_answers
from vecstore.kernels.device.shortlist import Shortlist, Terms, distance_of, key_of
from vecstore.schema import Metric

LAW = ArrayDevice()


@pytest.fixture(params=[0, 1, 7], ids=["ascending", "descending", "shuffled"])
def turns(request: pytest.FixtureRequest, device: Device) -> Iterator[None]:
    """In which order the threads of the stand-in come; a GPU has its own."""
    library = getattr(getattr(device, "module", None), "_module", None)
    if not hasattr(library, "turns"):
        if request.param:
            pytest.skip("no stand-in")
        yield
        return
    library.turns(request.param)
    yield
    library.turns(0)


@pytest.fixture(params=["numpy", "device"])
def either(request: pytest.FixtureRequest) -> Device:
    return LAW if request.param == "numpy" else request.getfixturevalue("device")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
@pytest.mark.parametrize("dim", [1, 16, 33])
def test_products(device: Device, dtype: str, dim: int) -> None:
    rng = np.random.default_rng(dim)
    rows, queries = ((9 * rng.standard_normal((n, dim))).astype(np.float32) for n in (130, 7))
    if dtype == "bfloat16":
        rows, queries = to_bfloat16(rows), to_bfloat16(queries)
    else:
        rows, queries = rows.astype(dtype), queries.astype(dtype)
    with device.working():
        found = device.get(device.products(device.put(rows), device.put(queries)))
    law = LAW.products(rows, queries)
    assert found.dtype == law.dtype
    if dtype == "int8":
        np.testing.assert_array_equal(found, law)
        return
    if dtype == "float32":  # TF32
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(rows, axis=1)
        assert (np.abs(found - law) <= 2**-9 * lengths).all()
    else:
        np.testing.assert_allclose(found, law, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.DOT, Metric.COSINE])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint16])
def test_ready_queries(device: Device, dtype: type, metric: Metric) -> None:
    rng = np.random.default_rng(6)
    queries = (rng.standard_normal((20, 64)) * 10.0 ** rng.integers(-6, 7, (20, 1))).astype(np.float32)
    queries[3] = 0
    queries[4] *= 1e13  # may overflow against rows of length 1e9
    wanted = LAW.prepare(queries, np.dtype(dtype), metric, 1e9)
    with device.working():
        found = device.prepare(device.put(queries), np.dtype(dtype), metric, 1e9)
        for name in ("step", "start", "spread", "lengths"):
            own, law = device.get(getattr(found, name)), getattr(wanted, name)
            finite = np.isfinite(law)
            np.testing.assert_allclose(own[finite], law[finite], rtol=1e-5, err_msg=name)
        np.testing.assert_array_equal(device.get(found.lost), wanted.lost)
        assert wanted.lost.any()
        assert not wanted.lost.all()
        np.testing.assert_array_equal(device.get(found.array), wanted.array)
    if metric is Metric.DOT:  # the spread is at least what rounding lost, against the row that shows it best
        back = widened(np, wanted.array).astype(np.float64) * -wanted.step[:, None]
        lost = np.linalg.norm(queries.astype(np.float64) - back, axis=1)
        assert (wanted.spread[:, 0] >= 1e9 * lost).all()


@pytest.mark.parametrize("slack", [0.0, 0.3])
@pytest.mark.parametrize("k", [1, 10, 500])
def test_the_k_nearest_of_all_chunks(either: Device, k: int, slack: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.kernels.device.nearest.LEFT", 64)
    rng = np.random.default_rng(k)
    nq, n = 9, 3000
    exact = rng.standard_normal((nq, n)).astype(np.float32).round(2)  # with ties
    exact[2, 5::7] = np.inf
    noisy = exact + rng.uniform(-slack, slack, exact.shape).astype(np.float32)
    out = rng.random(n) < 0.2
    numbers = np.where(out, -1, np.arange(n)).astype(np.int32)
    with either.working():
        xp = either.xp
        nearest = Nearest(either, nq, k, 170, slack > 0)
        width = xp.full((nq, 1), slack * 1.001, np.float32) if slack else None
        for part in nearest.chunks(n, 170):
            products = either.put(np.ascontiguousarray(noisy[:, part]))
            terms = Terms(
                xp.ones(nq, np.float32), xp.zeros((nq, 1), np.float32), width, numbers=either.put(numbers[part])
            )
            nearest.take(products, terms)
        short = nearest.close()
        counts = either.get(short.counts)
        keys = either.get(short.keys)
        assert not either.get(short.lost).any()
    for q in range(nq):
        order = np.lexsort((np.arange(n), np.where(out, np.nan, exact[q])))[: min(k, int((~out).sum()))]
        own = keys[q, : counts[q]] & np.uint64(0xFFFFFFFF)
        assert set(order.tolist()) <= set(own.tolist())
        assert len(own) == k if slack == 0 else len(own) < n / 2 or k == 500
    if slack == 0:
        with either.working():
            found = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)
            assert len(write_answers(either.get(nearest.answer(k)), *found)) == 0
        for q in range(nq):
            order = np.lexsort((np.arange(n), np.where(out, np.nan, exact[q])))[:k]
            np.testing.assert_array_equal(found[0][q], order)
            np.testing.assert_array_equal(found[1][q], exact[q, order])


@pytest.mark.parametrize("slack", [False, True])
@pytest.mark.parametrize("within", [0.0, 0.02, 0.5, 1.0])  # few join together, many find the block's room full
def test_candidates_of_a_block_join_together(device: Device, within: float, slack: bool, turns: None) -> None:
    rng, rows, nq, room = np.random.default_rng(int(100 * within)), 1501, 70, 1400
    products = rng.uniform(0, 1, (nq, rows)).astype(np.float32)
    bounds = key_of(np.full(nq, within, np.float32), np.full(nq, 0xFFFFFFFF))
    spread = np.full((nq, 1), 0.01, np.float32) if slack else None
    terms = Terms(np.ones(nq, np.float32), np.zeros((nq, 1), np.float32), spread, first=7)

    def taken(by: Device) -> Shortlist:
        arrays = (np.full((nq, room), 5, np.uint64), np.full((nq, room), 5, np.float32) if slack else None)
        some = (None if array is None else by.put(array) for array in (*arrays, np.full(nq, 3, np.uint32), bounds))
        keys, distances, counts, bounds_there = some
        short = Shortlist(5, keys, distances, counts, bounds_there, by.put(np.zeros(nq, np.uint8)))
        there = Terms(by.put(terms.step), by.put(terms.start), None if spread is None else by.put(spread), first=7)
        by.take(short, by.put(products), there)
        return short

    with device.working():
        found = taken(device)
        keys, counts = device.get(found.keys), device.get(found.counts)
        distances = None if found.distances is None else device.get(found.distances)
    wanted = taken(LAW)
    np.testing.assert_array_equal(counts, wanted.counts)
    for q, count in enumerate(counts.tolist()):
        if count > room:
            continue  # lost, and said so
        order, law = np.argsort(keys[q, 3:count]), np.argsort(wanted.keys[q, 3:count])
        np.testing.assert_array_equal(keys[q, 3:count][order], wanted.keys[q, 3:count][law])
        if distances is not None and wanted.distances is not None:
            np.testing.assert_array_equal(distances[q, 3:count][order], wanted.distances[q, 3:count][law])
        assert (keys[q, :3] == 5).all()


def test_too_many_equals_are_lost_and_said_so(either: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.kernels.device.nearest.LEFT", 64)
    products = np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    products[1] = 1  # equally near, and within the slack of one another
    with either.working():
        nearest = Nearest(either, 2, 5, 100, True)
        ones, zeros = either.xp.ones(2, np.float32), either.xp.zeros((2, 1), np.float32)
        for part in nearest.chunks(4000, 100):
            spread = either.xp.full((2, 1), 1e-3, np.float32)
            own = either.put(np.ascontiguousarray(products[:, part]))
            nearest.take(own, Terms(ones, zeros, spread, first=part.start))
        assert either.get(nearest.close().lost).tolist() == [0, 1]


@pytest.mark.parametrize("slack", [0.0, 1e-3])
def test_equally_near_candidates_all_stay(device: Device, slack: float, turns: None) -> None:
    """A bound that all threads of a block have to see: keys that do not differ in what is looked at."""
    products = np.random.default_rng(0).standard_normal((2, 600)).astype(np.float32)
    products[1] = 1
    with device.working():
        xp = device.xp
        nearest = Nearest(device, 2, 5, 600, slack > 0)
        spread = xp.full((2, 1), slack, np.float32) if slack else None
        nearest.take(device.put(products), Terms(xp.ones(2, np.float32), xp.zeros((2, 1), np.float32), spread))
        short = nearest.close()
        counts, keys = device.get(short.counts), device.get(short.keys)
    found = keys[1, : counts[1]] & np.uint64(0xFFFFFFFF)
    assert sorted(found.tolist()) == list(range(600 if slack else 5))


@pytest.mark.parametrize(("nq", "some"), [(5, None), (90, 70)])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_terms_of_lists(device: Device, parts: int, nq: int, some: int | None, turns: None) -> None:
    """Every term there is, rows past a bitmap's end, lists that a query does not visit, products of some queries."""
    rng = np.random.default_rng(parts)
    n, lists = 333, 4
    start = rng.standard_normal((nq, lists)).astype(np.float32)
    start[rng.random((nq, lists)) < 0.4] = np.nan
    start[0] = 0
    host: dict[str, Any] = {
        "step": rng.standard_normal(parts * nq).astype(np.float32),
        "start": start,
        "spread": rng.uniform(0, 0.1, (nq, lists)).astype(np.float32),
        "column": rng.integers(0, lists, n).astype(np.int32),
        "add": rng.standard_normal(n).astype(np.float32),
        "scale": rng.standard_normal(n).astype(np.float32),
        "error": rng.random(n).astype(np.float32),
        "numbers": rng.permutation(n).astype(np.int32),
        "allowed": rng.integers(0, 2**64, 5, np.uint64),  # of 320 rows
    }
    if some is not None:
        host["queries"] = rng.permutation(nq)[:some].astype(np.int32)
    products = rng.standard_normal((parts * (some or nq), n)).astype(np.float32)
    answers = []
    for one in (LAW, device):
        with one.working():
            nearest = Nearest(one, nq, 10, n, True)
            nearest.take(one.put(products), Terms(**{name: one.put(array) for name, array in host.items()}))
            short = nearest.close()
            one.settle(short)
            answers.append((one.get(short.counts.copy()), one.get(nearest.answer(10))))
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    np.testing.assert_array_equal(answers[0][1], answers[1][1])


def test_keys_order_as_distances_then_rows() -> None:
    distances = np.array([-np.inf, -3, -1e-40, -0.0, 0.0, 1e-40, 2, np.inf], np.float32)
    keys = key_of(np.repeat(distances, 2), np.tile([7, 3], len(distances)).astype(np.int64))
    order = np.argsort(keys)
    np.testing.assert_array_equal(distance_of(keys[order]), np.repeat(distances, 2).astype(np.float32) + 0)
    assert (keys & np.uint64(0xFFFFFFFF))[order].tolist() == [3, 7, 3, 7, 3, 7, 3, 3, 7, 7, 3, 7, 3, 7, 3, 7]


@pytest.mark.parametrize(("nq", "size"), [(1, 1), (3, 4), (16, 16), (17, 32), (129, 192), (1024, 1024)])
def test_batches_are_padded_to_few_sizes(nq: int, size: int) -> None:
    queries = np.arange(nq * 2, dtype=np.float32).reshape(nq, 2)
    found = padded(queries)
    assert len(found) == size
    np.testing.assert_array_equal(found[:nq], queries)
    assert (found[nq:] == queries[-1]).all()
