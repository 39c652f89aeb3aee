"""Multi-vectors by centroids: recall, filters, what is stored, and what must not change."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from late_support import DIM, FIELD, corpus, exact, nothing, queries_from, recall

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import SearchParams, Warm
from vecstore.index.plaid import PlaidIndex
from vecstore.index.token_codes import narrowed
from vecstore.index_spec import Plaid
from vecstore.kernels.select import get_kernels, load_backend
from vecstore.kernels.token_lists import unpacked_lists
from vecstore.kernels.tokens_numpy import PythonTokens
from vecstore.tokens import TokenRows

ROWS = corpus(1200)
QUERIES = queries_from(ROWS, 60)
STORES = ["stored", "residual1", "residual2", "residual4", "residual8"]


@functools.cache
def of(spec: Plaid) -> PlaidIndex:
    """The index of ROWS that tests share, which read it only."""
    return built(spec)


def built(spec: Plaid, rows: TokenRows = ROWS, warm: Warm[PlaidIndex] | None = None) -> PlaidIndex:
    return PlaidIndex.build(FIELD, spec, rows, None, get_kernels(), nothing, warm)


@functools.cache
def built_of_codes(bits: int) -> PlaidIndex:
    return built(Plaid(tokens=f"residual{bits}", rerank="none"))  # type: ignore[arg-type]


def bitmap(mask: np.ndarray) -> np.ndarray:
    padded = np.zeros(-(-len(mask) // 64) * 64, np.uint8)
    padded[: len(mask)] = mask
    return np.packbits(padded, bitorder="little").view(np.uint64)


@pytest.mark.parametrize("tokens", STORES)
def test_recall_is_as_asked(tokens: str) -> None:
    index = of(Plaid(tokens=tokens))  # type: ignore[arg-type]
    for target in (0.8, 0.95, 0.99):
        assert recall(index, ROWS, QUERIES, 10, SearchParams(recall_target=target)) >= target - 0.1
    assert recall(index, ROWS, QUERIES, 10, SearchParams(recall_target=1.0)) == 1.0
    assert recall(index, ROWS, QUERIES, 10, SearchParams(exact=True)) == 1.0
    found = index.search(get_kernels(), QUERIES, 10, None, SearchParams(recall_target=0.95))
    assert 0 < found.counters["rows_scanned"] < len(QUERIES) * len(ROWS)
    assert 0 < found.counters["rows_rescored"] < len(QUERIES) * len(ROWS)
    assert ("rows_scored_by_codes" in found.counters) == (tokens != "stored")


def test_distances_are_exact() -> None:
    found = of(Plaid()).search(get_kernels(), QUERIES, 10, None)
    near = np.empty(found.rows.shape, np.float32)
    get_kernels().maxsim_rerank(QUERIES, ROWS, found.rows, near)
    np.testing.assert_array_equal(near, found.distances)
    order = np.lexsort((found.rows, found.distances), axis=1)
    np.testing.assert_array_equal(order, np.tile(np.arange(10), (len(QUERIES), 1)))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_answers_by_codes_alone(bits: int) -> None:
    index = built_of_codes(bits)
    found = index.search(get_kernels(), QUERIES, 10, None)
    assert "rows_rescored" not in found.counters
    truth = exact(ROWS, QUERIES, 10)
    same = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.rows, truth.rows, strict=True)])
    assert same >= {1: 0.85, 2: 0.88, 4: 0.93, 8: 0.95}[bits]
    np.testing.assert_allclose(
        found.distances[:, 0], truth.distances[:, 0], rtol={1: 0.1, 2: 0.06, 4: 0.03, 8: 0.02}[bits]
    )


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.1, 0.5, 1.0])
def test_filters_are_complete(share: float) -> None:
    rng = np.random.default_rng(3)
    mask = rng.random(len(ROWS)) < share
    allowed = bitmap(mask)
    for k in (1, 10, 50):
        found = of(Plaid()).search(get_kernels(), QUERIES, k, allowed, SearchParams(recall_target=0.95))
        matching = int((mask & (np.diff(ROWS.offsets) > 0)).sum())
        assert (np.count_nonzero(found.rows >= 0, axis=1) == min(k, matching)).all()
        assert mask[found.rows[found.rows >= 0]].all()
        limits = exact(ROWS, QUERIES, k, allowed).distances[:, -1:]
        assert (found.distances <= limits).mean() >= 0.85


def test_a_walk_too_short_is_completed() -> None:
    """One probe and one candidate cannot fill 200 places."""
    found = of(Plaid()).search(get_kernels(), QUERIES, 200, None, SearchParams(nprobe=1, ef=1))
    assert (found.rows >= 0).all()
    everything = of(Plaid()).search(get_kernels(), QUERIES[:2], 5000, None)
    assert (np.count_nonzero(everything.rows >= 0, axis=1) == np.count_nonzero(np.diff(ROWS.offsets))).all()


def test_reopened_it_answers_the_same() -> None:
    for spec in (Plaid(), Plaid(tokens="residual2", pooling=2)):
        index = built(spec)
        again = PlaidIndex.from_arrays(FIELD, ROWS, index.arrays())
        for params in (SearchParams(), SearchParams(recall_target=0.9), SearchParams(rescore=False)):
            one, two = (each.search(get_kernels(), QUERIES, 10, None, params) for each in (index, again))
            np.testing.assert_array_equal(one.rows, two.rows)
            np.testing.assert_array_equal(one.distances, two.distances)


def test_threads_and_backends_build_the_same() -> None:
    rows = ROWS[:600]
    made = []
    for threads in (1, 2):
        get_kernels().set_threads(threads)
        made.append(built(Plaid(tokens="residual2"), rows).arrays())
    get_kernels().set_threads(0)
    for name, array in made[0].items():
        np.testing.assert_array_equal(array, made[1][name])
    index = PlaidIndex.from_arrays(FIELD, rows, made[0])
    ours = index.search(get_kernels(), QUERIES, 10, None, SearchParams(nprobe=2, ef=40, rescore=False))
    law = index.search(load_backend("numpy"), QUERIES, 10, None, SearchParams(nprobe=2, ef=40, rescore=False))
    np.testing.assert_array_equal(ours.rows, law.rows)


def test_a_warm_start_keeps_what_was_learned() -> None:
    first = built(Plaid(tokens="residual2"), ROWS[:1900])
    warm = Warm(first, np.arange(1900))
    merged = built(Plaid(tokens="residual2"), ROWS, warm)
    np.testing.assert_array_equal(merged.arrays()["tokens.centroids"], first.arrays()["tokens.centroids"])
    assert recall(merged, ROWS, QUERIES, 10, SearchParams(recall_target=0.95)) >= 0.9


def test_tuned_by_queries() -> None:
    index = of(Plaid()).tuned(QUERIES, get_kernels())
    again = PlaidIndex.from_arrays(FIELD, ROWS, index.arrays())
    assert again.table == index.table
    assert recall(again, ROWS, QUERIES, 10, SearchParams(recall_target=0.95)) >= 0.95
    assert built(Plaid(), ROWS, Warm(again, np.arange(len(ROWS)))).table == index.table
    with pytest.raises(InvalidArgument):
        of(Plaid()).tuned(np.zeros((3, DIM), np.float32), get_kernels())


@pytest.mark.parametrize("n", [0, 1, 30])
def test_few_rows(n: int) -> None:
    for rows in (ROWS[:n], TokenRows.empty(n, DIM, np.float16)):
        index = built(Plaid(tokens="residual2"), rows)
        found = PlaidIndex.from_arrays(FIELD, rows, index.arrays()).search(get_kernels(), QUERIES, 5, None)
        np.testing.assert_array_equal(found.rows, exact(rows, QUERIES, 5).rows)


def test_corrupted_arrays_are_refused() -> None:
    good = built(Plaid(tokens="residual2"), ROWS[:500]).arrays()
    rows = ROWS[:500]
    changes = {
        "header": lambda a: a[:-5],
        "tokens.offsets": lambda a: a + 1,
        "tokens.homes": lambda a: a | 0xFFFF,
        "tokens.centroids": lambda a: a[:, :8],
        "tokens.centroid_scales": lambda a: a[:-1],
        "tokens.list_sizes": lambda a: a[::-1].copy(),
        "tokens.lists": lambda a: a[:-1],
        "tokens.codes": lambda a: a[:-1],
        "tokens.scales": lambda a: a.astype(np.float64),
        "tokens.levels": lambda a: a[:4],
        "tokens.scale_values": lambda a: a[:4],
    }
    for name, change in changes.items():
        for arrays in (good | {name: change(good[name])}, {key: a for key, a in good.items() if key != name}):
            with pytest.raises(Corruption):
                PlaidIndex.from_arrays(FIELD, rows, arrays)
    with pytest.raises(Corruption):
        PlaidIndex.from_arrays(FIELD, ROWS[:499], good)
    with pytest.raises(Corruption):
        PlaidIndex.from_arrays(FIELD, rows, good | {"asked.offsets": np.zeros(1, np.int64)})


def test_tokens_of_unlike_lengths_keep_their_scales() -> None:
    lengths = np.random.default_rng(9).uniform(0.1, 10, len(ROWS.tokens)).astype(np.float16)
    unlike = TokenRows(ROWS.offsets, ROWS.tokens * lengths[:, None])
    assert of(Plaid(tokens="residual2")).arrays()["tokens.scales"].dtype == np.uint8
    held = built(Plaid(tokens="residual2"), unlike).arrays()
    assert held["tokens.scales"].dtype == np.float16
    assert "tokens.scale_values" not in held
    values = of(Plaid(tokens="residual2")).arrays()["tokens.scale_values"]
    assert values[0] == 0
    assert (np.diff(np.log(values[1:])) < np.log(4) / 254 + 1e-6).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_codes_are_as_near_as_they_get_and_right_on_average(bits: int) -> None:
    tokens = ROWS.tokens.astype(np.float64)
    codes = built_of_codes(bits)._codes()
    shared, coded = codes.centroids, codes.codes
    assert shared is not None
    assert coded is not None
    values = PythonTokens(codes).decoded(0, len(tokens))
    near = (shared.centroids[:, :DIM].astype(np.float64) - 128) * shared.scales[:, None]
    stands_for = coded.wide_scales(slice(None))[:, None] * (near[shared.homes] + coded.step * values)
    along = np.vecdot(tokens, stands_for)
    assert np.mean(along / np.vecdot(tokens, tokens)) == pytest.approx(1, abs=0.005)
    nearest = along / np.vecdot(stands_for, stands_for)  # by what a code must be multiplied to be the nearest
    np.testing.assert_allclose(nearest, nearest.mean(), rtol=0.01)


def test_scales_of_bytes_are_the_nearest() -> None:
    rng = np.random.default_rng(10)
    scales = np.append(rng.uniform(0.8, 1.9, 5_000), [0, 0]).astype(np.float16)
    codes, values = narrowed(scales)
    assert values is not None
    nearest = np.abs(values[None] - scales[:, None].astype(np.float32)).argmin(axis=1)
    np.testing.assert_array_equal(codes, nearest)
    assert narrowed(np.zeros(3, np.float16))[0].tolist() == [0, 0, 0]


def test_indexes_of_version_1_are_read() -> None:
    """Lists held rows of 32 bits, and each token had a scale of 16."""
    index = of(Plaid(tokens="residual2"))
    arrays = dict(index.arrays())
    starts = np.concatenate([[0], np.cumsum(arrays.pop("tokens.list_sizes"))]).astype(np.int64)
    lists = unpacked_lists(starts, arrays.pop("tokens.lists"), len(ROWS))
    arrays["tokens.list_offsets"] = np.concatenate([[0], np.cumsum([len(rows) for rows in lists])]).astype(np.int64)
    arrays["tokens.list_rows"] = np.concatenate(lists).astype(np.uint32)
    arrays["tokens.scales"] = arrays.pop("tokens.scale_values")[arrays["tokens.scales"]].astype(np.float16)
    arrays["header"] = np.frombuffer(arrays["header"].tobytes().replace(b'"version":2', b'"version":1'), np.uint8)
    again = PlaidIndex.from_arrays(FIELD, ROWS, arrays)
    for params in (SearchParams(nprobe=2, ef=60), SearchParams(nprobe=2, ef=60, rescore=False)):
        found, wanted = (each.search(get_kernels(), QUERIES, 10, None, params) for each in (again, index))
        assert np.mean([len(set(a) & set(b)) for a, b in zip(found.rows, wanted.rows, strict=True)]) >= 9.8
    assert again.arrays()["tokens.lists"].tobytes() == index.arrays()["tokens.lists"].tobytes()
    for name in ("tokens.list_offsets", "tokens.list_rows"):
        with pytest.raises(Corruption):
            PlaidIndex.from_arrays(FIELD, ROWS, arrays | {name: arrays[name][:-1]})


def test_prefixes_are_refused() -> None:
    with pytest.raises(InvalidArgument):
        of(Plaid()).search(get_kernels(), QUERIES, 5, None, SearchParams(truncate_dim=8))
