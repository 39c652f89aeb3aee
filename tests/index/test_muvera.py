"""Multi-vectors by one vector a row: recall over every first stage, filters, what is stored."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from late_support import DIM, FIELD, corpus, exact, nothing, queries_from, recall
from test_plaid import bitmap

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index import late
from vecstore.index.base import SearchParams, Warm
from vecstore.index.muvera import MuveraIndex
from vecstore.index_spec import Int8, Muvera, RaBitQ
from vecstore.kernels.select import get_kernels
from vecstore.tokens import TokenRows

ROWS = corpus(800)
QUERIES = queries_from(ROWS, 40)
SMALL = Muvera(repetitions=8, k_sim=3, projection=8)


def built(spec: Muvera, rows: TokenRows = ROWS, warm: Warm[MuveraIndex] | None = None) -> MuveraIndex:
    return MuveraIndex.build(FIELD, spec, rows, None, get_kernels(), nothing, warm)


def changed(**fields: object) -> Muvera:
    return Muvera(**{"repetitions": 8, "k_sim": 3, "projection": 8, **fields})  # type: ignore[arg-type]


@functools.cache
def of(spec: Muvera) -> MuveraIndex:
    """The index of ROWS that tests share, which read it only."""
    return built(spec)


@pytest.mark.parametrize(
    "spec",
    [
        SMALL,
        changed(fill_empty=True, quantizer=Int8()),
        changed(first="ivf", tokens="int8"),
        changed(first="graph", tokens="residual4"),
        changed(final_dim=256, tokens="residual2"),
        changed(projection=0, repetitions=4),
        changed(whole=True, quantizer=RaBitQ(bits=1)),
    ],
    ids=["flat", "fill", "ivf", "graph", "folded", "unprojected", "whole"],
)
def test_recall_is_as_asked(spec: Muvera) -> None:
    index = of(spec).tuned(queries_from(ROWS, 100, seed=9), get_kernels())
    again = MuveraIndex.from_arrays(FIELD, ROWS, index.arrays())
    for target in (0.8, 0.95):
        params = SearchParams(recall_target=target)
        assert recall(again, ROWS, QUERIES, 10, params) >= target - 0.1
        one, two = (each.search(get_kernels(), QUERIES, 10, None, params) for each in (index, again))
        np.testing.assert_array_equal(one.rows, two.rows)
        np.testing.assert_array_equal(one.distances, two.distances)
    assert recall(again, ROWS, QUERIES, 10, SearchParams(recall_target=1.0)) == 1.0
    found = again.search(get_kernels(), QUERIES, 10, None, SearchParams(oversampling=5))
    assert found.counters["rows_rescored"] > 0
    if spec.whole or spec.first != "flat":
        assert found.counters["encodings_reranked"] > found.counters["rows_rescored"]
    else:
        assert "encodings_reranked" not in found.counters
        assert "encodings" not in index.arrays()


@pytest.mark.parametrize("share", [0.01, 0.2, 0.7])
def test_filters_are_complete(share: float) -> None:
    mask = np.random.default_rng(3).random(len(ROWS)) < share
    found = of(SMALL).search(get_kernels(), QUERIES, 20, bitmap(mask), SearchParams(oversampling=3))
    matching = int((mask & (np.diff(ROWS.offsets) > 0)).sum())
    assert (np.count_nonzero(found.rows >= 0, axis=1) == min(20, matching)).all()
    assert mask[found.rows[found.rows >= 0]].all()


def test_warm_and_tuned() -> None:
    first = built(changed(tokens="residual2"), ROWS[:1000])
    merged = built(changed(tokens="residual2"), ROWS, Warm(first, np.arange(1000)))
    np.testing.assert_array_equal(merged.arrays()["tokens.centroids"], first.arrays()["tokens.centroids"])
    index = of(SMALL).tuned(QUERIES, get_kernels())
    assert recall(index, ROWS, QUERIES, 10, SearchParams(recall_target=0.95)) >= 0.93
    assert MuveraIndex.from_arrays(FIELD, ROWS, index.arrays()).table == index.table


@pytest.mark.parametrize("n", [1, 30])
def test_few_rows(n: int) -> None:
    for rows in (ROWS[:n], TokenRows.empty(n, DIM, np.float16)):
        index = built(changed(tokens="residual2"), rows)
        found = MuveraIndex.from_arrays(FIELD, rows, index.arrays()).search(get_kernels(), QUERIES, 5, None)
        np.testing.assert_array_equal(found.rows, exact(rows, QUERIES, 5).rows)


def test_corrupted_arrays_are_refused() -> None:
    good = of(changed(whole=True)).arrays()
    changes = {
        "header": lambda a: a[3:],
        "encodings": lambda a: a[:, :-1],
        "first.header": lambda a: a[:-9],
    }
    for name, change in changes.items():
        for arrays in (good | {name: change(good[name])}, {key: a for key, a in good.items() if key != name}):
            with pytest.raises(Corruption):
                MuveraIndex.from_arrays(FIELD, ROWS, arrays)
    with pytest.raises(Corruption):
        MuveraIndex.from_arrays(FIELD, ROWS[:-1], good)
    with pytest.raises(InvalidArgument):
        of(SMALL).search(get_kernels(), QUERIES, 5, None, SearchParams(truncate_dim=8))


def test_an_index_of_version_2_keeps_its_whole_encodings() -> None:
    new = of(SMALL).arrays()
    header = json.loads(new["header"].tobytes()) | {"version": 2}
    del header["spec"]["whole"]
    arrays = new | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    with pytest.raises(Corruption):
        MuveraIndex.from_arrays(FIELD, ROWS, arrays)
    old = MuveraIndex.from_arrays(FIELD, ROWS, arrays | {"encodings": of(changed(whole=True)).arrays()["encodings"]})
    found = old.search(get_kernels(), QUERIES, 10, None, SearchParams(oversampling=5))
    again = of(changed(whole=True)).search(get_kernels(), QUERIES, 10, None, SearchParams(oversampling=5))
    np.testing.assert_array_equal(found.rows, again.rows)
    assert found.counters["encodings_reranked"] == again.counters["encodings_reranked"]
    assert "encodings" not in old.arrays()


def test_codes_find_what_whole_encodings_do() -> None:
    """Queries' encodings are much shorter than the mean of rows', which codes are relative to."""
    index = built(changed(quantizer=RaBitQ(bits=2)))
    products = index._encoder.queries(QUERIES) @ index._encoder.documents(ROWS).T
    best = np.argsort(-products, axis=1)[:, :50]
    rows, distances, _ = index._first(get_kernels(), QUERIES, 50, 1, None)
    assert np.mean([len(np.intersect1d(*pair)) / 50 for pair in zip(rows, best, strict=True)]) > 0.75
    assert 0.8 < np.median(-distances / np.take_along_axis(products, rows, axis=1)) < 1.4


@pytest.mark.parametrize("rescore", [True, False])
def test_rows_without_tokens_are_no_answers_although_few_are_allowed(
    rescore: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "SCAN_ROWS", 0)
    rows = corpus(120)
    counts = np.where(np.arange(120) < 90, 0, np.diff(rows.offsets))
    few = TokenRows(np.append(0, np.cumsum(counts)), rows.tokens[-counts.sum() :])
    index = built(changed(tokens="int8"), few)
    monkeypatch.setattr(index, "_planned", lambda k, params, matches: late.Plan(1, 120, 60, None))
    found = index.search(get_kernels(), QUERIES, 40, None, SearchParams(ef=120, rescore=rescore))
    assert "rows_scored_by_codes" in found.counters
    assert np.unique(found.rows).tolist() == [-1, *range(90, 120)]


def test_more_candidates_than_are_allowed() -> None:
    mask = np.arange(len(ROWS)) % 2 == 0
    index = of(changed(tokens="residual2"))
    params = SearchParams(ef=len(ROWS) - 1)
    found = index.search(get_kernels(), QUERIES, 10, bitmap(mask), params)
    scanned = index._exact.search(get_kernels(), QUERIES, 10, bitmap(mask))
    np.testing.assert_array_equal(found.rows[:, 0], scanned.rows[:, 0])
