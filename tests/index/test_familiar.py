"""Queries unlike the rows keep what a target promises, and those like them are not made dearer."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest

from vecstore.errors import Corruption
from vecstore.index import costs
from vecstore.index.base import BuiltIndex, Candidates, SearchParams
from vecstore.index.familiar import search_promised
from vecstore.index.familiar_limits import AT, Familiar, open_familiar
from vecstore.index.registry import built_index, flat_class
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind

pytestmark = pytest.mark.usefixtures("no_scans")

N, DIM, K, ASKED = 4_000, 64, 10, 300
TARGET = 0.9
SPECS = ["ivf", "flat | rabitq(bits=1)", "funnel(dims=[16])", "hamming_ivf"]
SMALL = 500  # rows of a graph, which takes long to measure and finds all in data like these
SEED = 7


@dataclasses.dataclass
class Data:
    field: VectorField
    rows: Any
    norms: np.ndarray | None
    like: Any  # queries drawn as the rows are
    unlike: Any  # farther from all rows

    def limits(self, queries: Any, allowed: np.ndarray | None = None) -> np.ndarray:
        arrays = {} if self.norms is None else {"inverse_norms": self.norms}
        flat = flat_class(self.field).from_arrays(self.field, self.rows, arrays)
        return flat.search(get_kernels(), queries, K, allowed).distances[:, -1:]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@functools.cache
def data_of(text: str, metric: Metric = Metric.COSINE) -> Data:
    rng = np.random.default_rng(SEED)
    topics = unit(rng.standard_normal((60, DIM)))
    made = unit(topics[rng.integers(60, size=N + ASKED)] + 0.06 * rng.standard_normal((N + ASKED, DIM)))
    between = topics[rng.integers(60, size=(ASKED, 3))].sum(axis=1) + 0.02 * rng.standard_normal((ASKED, DIM))
    rows, like, unlike = made[: SMALL if text == "graph" else N], made[N:], unit(between)
    if text == "hamming_ivf":
        rows, like, unlike = (np.packbits(one > 0, axis=1) for one in (rows, like, unlike))
        field = VectorField(VectorKind.BINARY, DIM, Metric.HAMMING, index=parse_index(text))
        return Data(field, rows, None, like, unlike)
    norms = np.ones(len(rows), np.float32) if metric is Metric.COSINE else None
    return Data(VectorField(VectorKind.DENSE, DIM, metric, index=parse_index(text)), rows, norms, like, unlike)


@functools.cache
def built(text: str, metric: Metric = Metric.COSINE) -> BuiltIndex:
    data = data_of(text, metric)
    spec = data.field.index
    assert spec is not None
    kind = built_index(spec)
    return kind.build(data.field, spec, data.rows, data.norms, get_kernels(), lambda *_: None)


def promised(index: BuiltIndex, queries: Any, allowed: np.ndarray | None = None, **params: Any) -> Candidates:
    n = index.ntotal if allowed is None else int(np.bitwise_count(allowed).sum())
    return search_promised(index, get_kernels(), queries, K, allowed, n, SearchParams(**params))


def recall(found: Candidates, limits: np.ndarray) -> float:
    return float(((found.distances <= limits + 1e-5) & (found.rows >= 0)).sum(axis=1).mean() / K)


def unfamiliar(found: Candidates) -> int:
    return found.counters.get("queries_unfamiliar", 0)


@pytest.mark.parametrize("text", SPECS)
def test_queries_unlike_the_rows_get_what_they_are_promised(text: str) -> None:
    data, index = data_of(text), built(text)
    limits, kernels = data.limits(data.unlike), get_kernels()
    plain = recall(index.search(kernels, data.unlike, K, None, SearchParams(recall_target=TARGET)), limits)
    assert index.familiar is not None
    index.familiar.met.clear()  # as before any batch
    found = promised(index, data.unlike, recall_target=TARGET)
    assert plain < TARGET - 0.01
    assert found.basis == "unfamiliar"
    assert unfamiliar(found) > 0.7 * ASKED
    assert recall(found, limits) > plain + 0.02
    assert found.recall is not None
    assert recall(found, limits) >= found.recall - 0.03
    some = slice(0, ASKED, 6)  # one by one about as together, where a few are held to what farther ones are
    alone = [promised(index, query[None], recall_target=TARGET).distances[0, -1] for query in data.unlike[some]]
    assert found.distances[some, -1].mean() == pytest.approx(np.mean(alone), rel=0.01)


@pytest.mark.parametrize("text", SPECS)
def test_a_batch_like_the_last_one_is_held_to_more_at_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, index = data_of(text), built(text)
    familiar, limits = index.familiar, data.limits(data.unlike[100:])
    assert familiar is not None
    familiar.met.clear()
    once = promised(index, data.unlike[100:], recall_target=TARGET)
    familiar.met.clear()
    promised(index, data.unlike[:100], recall_target=TARGET)
    ((of, far),) = familiar.met.items()
    assert of == (K, SearchParams(recall_target=TARGET))
    assert far >= 1
    asked: list[int] = []
    search = index.search

    def counted(*given: Any) -> Candidates:
        asked.append(len(given[1]))
        return search(*given)

    monkeypatch.setattr(index, "search", counted)
    found = promised(index, data.unlike[100:], recall_target=TARGET)
    assert asked[0] == ASKED - 100
    assert sum(asked[1:]) < 0.3 * (ASKED - 100)  # those farther than others
    assert recall(found, limits) >= (found.recall or 1) - 0.03
    assert recall(found, limits) >= recall(once, limits) - 0.02
    for one in (data.unlike[:3], data.like[:3]):  # too few to tell
        before = dict(familiar.met)
        promised(index, one, recall_target=TARGET)
        assert familiar.met == before
    promised(index, data.like, recall_target=TARGET)
    assert familiar.met == {}


def test_another_thread_may_forget_the_last_batch_at_any_time() -> None:
    class Gone(dict[Any, float]):
        def __contains__(self, key: object) -> bool:
            return True  # as it was when this was asked

    data, index = data_of("ivf"), built("ivf")
    assert index.familiar is not None
    met, index.familiar = index.familiar, dataclasses.replace(index.familiar, met=Gone())
    try:
        assert promised(index, data.like, recall_target=TARGET).recall is not None
    finally:
        index.familiar = met


def test_lists_that_were_visited_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "EXACT_FIXED", 1e12)  # or a scan of so few rows costs least
    data, kernels = data_of("ivf"), get_kernels()
    index, before, params = built("ivf"), SearchParams(recall_target=0.9), SearchParams(recall_target=0.995)
    limits = data.limits(data.unlike)
    first, anew = (index.search(kernels, data.unlike, K, None, one) for one in (before, params))
    found = index.search_further(kernels, data.unlike, K, None, params, before, first)
    assert recall(found, limits) >= recall(anew, limits) > recall(first, limits)
    assert all(len(set(rows)) == K for rows in found.rows.tolist())
    read = [one.counters["lists_probed"] for one in (first, found, anew)]
    assert read[0] + read[1] == read[2]
    again = index.search_further(kernels, data.unlike, K, None, before, before, first)  # nothing is new
    np.testing.assert_array_equal(again.rows, first.rows)
    np.testing.assert_array_equal(again.distances, first.distances)
    monkeypatch.setattr(costs, "EXACT_FIXED", -1e12)
    assert recall(index.search_further(kernels, data.unlike, K, None, params, before, first), limits) == 1


@pytest.mark.parametrize("text", ["ivf", "hamming_ivf"])
def test_no_row_answers_twice_where_few_match(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lists held too little of was scanned for: going on from the lists that were visited would find it again."""
    monkeypatch.setattr(costs, "EXACT_FIXED", 1e15)
    monkeypatch.setattr(Familiar, "bounds", lambda self, k, recall: (0.1, 0.1))  # all queries are unfamiliar
    index, data, rng = built(text), data_of(text), np.random.default_rng(SEED)
    topped_up = 0
    for query in data.unlike[:40]:
        matches = np.zeros(-(-N // 64) * 64, np.bool_)
        matches[rng.choice(N, 2 * K, replace=False)] = True
        allowed = np.packbits(matches, bitorder="little").view(np.uint64)
        found = promised(index, query[None], allowed, recall_target=0.8)
        assert len(np.unique(found.rows)) == K
        topped_up += found.counters.get("queries_topped_up", 0)
    assert topped_up or text != "ivf"


@pytest.mark.parametrize("text", SPECS)
def test_queries_like_the_rows_are_searched_once(text: str) -> None:
    data, index = data_of(text), built(text)
    assert unfamiliar(promised(index, data.like, recall_target=TARGET)) < 0.08 * ASKED
    familiar = index.familiar
    assert familiar is not None
    kth = data.limits(data.like)[:, 0]
    near = data.like[kth <= familiar.usual[-1][1]][:50]
    found = promised(index, near, recall_target=TARGET)
    assert (found.basis, unfamiliar(found)) == ("rows", 0)


def test_a_filter_makes_no_query_unfamiliar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a third of the rows: what is found is as far as the 30th of all."""
    monkeypatch.setattr(costs, "EXACT_FIXED", 1e12)  # or a scan of so few rows costs least
    data, index = data_of("ivf"), built("ivf")
    allowed = np.packbits(np.random.default_rng(SEED).random(-(-N // 64) * 64) < 0.3, bitorder="little").view(np.uint64)
    found = promised(index, data.like, allowed, recall_target=TARGET)
    assert found.recall != 1
    assert unfamiliar(found) < 0.12 * ASKED


def test_without_a_target_less_is_promised_and_nothing_else_done() -> None:
    data, index = data_of("ivf"), built("ivf")
    plain = index.search(get_kernels(), data.unlike, K, None, SearchParams(nprobe=8))
    found = promised(index, data.unlike, nprobe=8)
    np.testing.assert_array_equal(found.rows, plain.rows)
    assert found.recall is not None
    assert plain.recall is not None
    assert found.recall < plain.recall - 0.01
    assert promised(index, data.unlike, rescore=False).basis == "rows"  # estimates tell nothing of how far rows are


def test_tuning_on_them_makes_queries_familiar() -> None:
    data, index = data_of("ivf"), built("ivf")
    tuned = index.tuned(data.unlike[:200], get_kernels())
    assert tuned is not None
    found = promised(tuned, data.unlike[200:], recall_target=TARGET)
    assert unfamiliar(found) < 0.15 * (ASKED - 200)
    assert recall(found, data.limits(data.unlike[200:])) > TARGET - 0.02
    assert promised(tuned, data.unlike[:1], recall_target=TARGET).basis == "queries"
    assert promised(index, data.like[:1], recall_target=TARGET).basis in ("rows", "unfamiliar")


def test_the_length_of_a_query_says_nothing_by_inner_product() -> None:
    data, index = data_of("ivf", Metric.DOT), built("ivf", Metric.DOT)
    counts = [unfamiliar(promised(index, scale * data.unlike, recall_target=TARGET)) for scale in (1, 0.2, 7)]
    assert counts[0] > 0.8 * ASKED
    assert counts[1] == pytest.approx(counts[0], abs=2)
    assert counts[2] == pytest.approx(counts[0], abs=2)


@pytest.mark.parametrize("text", [*SPECS, "graph"])
def test_it_is_stored_with_the_index(text: str) -> None:
    data, index = data_of(text), built(text)
    arrays = index.arrays() | ({} if data.norms is None else {"inverse_norms": data.norms})
    opened = type(index).from_arrays(data.field, data.rows, arrays)
    assert opened.familiar == index.familiar is not None
    before = {name: array for name, array in arrays.items() if name != "familiar"}
    old = type(index).from_arrays(data.field, data.rows, before)
    assert old.familiar is None
    assert (promised(old, data.unlike, recall_target=0.5).basis or "rows") == "rows"
    assert unfamiliar(promised(opened, data.unlike, recall_target=TARGET)) > 0
    one = {"familiar": arrays["familiar"][:, -1]}  # as it was stored before there were several recalls
    older = type(index).from_arrays(data.field, data.rows, arrays | one).familiar
    assert older is not None
    assert older.limits == (index.familiar.limits[-1],) * len(AT)
    with pytest.raises(Corruption, match="familiar"):
        type(index).from_arrays(data.field, data.rows, arrays | {"familiar": np.zeros((3, 2))})


def test_limits_lie_along_the_logarithm_of_k_and_the_nines_of_a_recall() -> None:
    usual, limits = ((1.0, 2.0, 4.0),) * len(AT), ((2.0, 3.0, 6.0),) * len(AT)
    familiar = Familiar(Metric.L2, usual, limits)
    assert [familiar.bounds(k, 0.9)[0] for k in (0.5, 1, 10, 100)] == [2, 2, 3, 6]
    assert familiar.bounds(1_000, 0.5)[0] == pytest.approx(9)
    assert familiar.bounds(np.sqrt(10), 1.0)[0] == pytest.approx(2.5)
    assert familiar.bounds(10, 0.93) == (3.0, pytest.approx(1))
    few = Familiar(Metric.L2, ((1.0, 2.0, np.nan),) * len(AT), ((2.0, 3.0, np.nan),) * len(AT))
    assert few.bounds(100, 0.9)[0] == pytest.approx(4)
    farther = Familiar(Metric.L2, usual, tuple((2.0 - at, 3.0 - at, 6.0 - at) for at in AT))
    assert [farther.bounds(1, at)[0] for at in (0.5, *AT, 1.0)] == pytest.approx([1.2, *(2 - at for at in AT), 1.01])
    assert farther.bounds(1, 1 - np.sqrt(0.1 * 0.2))[0] == pytest.approx(1.15)
    assert open_familiar(Metric.L2, {}) is None


def test_what_is_found_for_less_may_be_farther() -> None:
    """Without this each second query of a low target would count as unlike the rows."""
    index, data = built("hamming_ivf"), data_of("hamming_ivf")
    assert index.familiar is not None
    for recall in (0.8, 0.99):
        found = index.search(get_kernels(), data.like, K, None, SearchParams(recall_target=recall))
        limit, _ = index.familiar.bounds(K, recall)
        assert np.mean(found.distances[:, -1] > limit) < 0.06


def test_places_that_are_not_used_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fewer than k match, the k-th is nowhere, and the engine scans."""
    index = built("ivf")
    short = Candidates(np.array([[3, -1]]), np.array([[0.1, np.inf]], np.float32), recall=0.9)
    asked: list[SearchParams] = []

    def search(*given: Any) -> Candidates:
        asked.append(given[-1])
        return dataclasses.replace(short)

    monkeypatch.setattr(index, "search", search)
    found = search_promised(
        index, get_kernels(), data_of("ivf").unlike[:1], 2, None, N, SearchParams(recall_target=0.9)
    )
    assert (found.basis, found.recall, len(asked)) == ("rows", 0.9, 1)
