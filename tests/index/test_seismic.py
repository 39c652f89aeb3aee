"""The seismic index against a scan of every row."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from masks import bitmap
from seeds import seeded

from vecstore.errors import Corruption
from vecstore.index import costs
from vecstore.index.base import SearchParams, Warm
from vecstore.index.seismic import SeismicIndex
from vecstore.index.sparse_flat import SparseFlatIndex
from vecstore.index_spec import Seismic
from vecstore.kernels.base import Kernels
from vecstore.kernels.seismic_records import counts_of, decoded
from vecstore.kernels.select import available_backends, get_kernels, load_backend
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows

FIELD = VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT32)

OLD_NAMES = ("part_records", "part_blocks", "part_codes", "term_records", "records")


def quiet(phase: str, done: int, total: int) -> None:
    pass


def made(parts: list[dict[int, float]], dtype: str = "float32") -> SparseRows:
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    pairs = [pair for part in parts for pair in sorted(part.items())]
    indices = np.array([index for index, _ in pairs], np.uint32)
    return SparseRows(offsets, indices, np.array([value for _, value in pairs], dtype))


def topical(rng: np.random.Generator, n: int, topics: int = 40, terms: int = 1500, length: int = 30) -> SparseRows:
    """Rows about one topic or two each, with heavy and light terms, as learned sparse vectors are."""
    of_topic = rng.integers(0, terms, (topics, 60))
    rows = []
    for _ in range(n):
        pool = np.concatenate((of_topic[rng.integers(topics)], of_topic[rng.integers(topics)][:15]))
        chosen = np.unique(np.concatenate((rng.choice(pool, length - 8), rng.integers(0, terms, 8))))
        rows.append(dict(zip(chosen.tolist(), (rng.exponential(0.6, len(chosen)) + 0.01).tolist(), strict=True)))
    return made(rows)


def shortened(rng: np.random.Generator, rows: SparseRows, count: int) -> SparseRows:
    parts = []
    for row in rows.take(rng.integers(0, len(rows), count)):
        best = np.argsort(-row.values)[:12]
        drawn = row.values[best] * rng.uniform(0.5, 1.5, len(best))
        parts.append(dict(zip(row.indices[best].tolist(), drawn.tolist(), strict=True)))
    return made(parts)


def built(rows: SparseRows, spec: Seismic | None = None, kernels: Kernels | None = None, **more: Any) -> SeismicIndex:
    return SeismicIndex.build(FIELD, spec or Seismic(), rows, None, kernels or get_kernels(), quiet, **more)


def exact(rows: SparseRows, queries: SparseRows, k: int, allowed: Any = None) -> Any:
    return SparseFlatIndex(FIELD, rows).search(get_kernels(), queries, k, allowed)


def accuracy(found: Any, wanted: Any) -> float:
    limit = wanted.distances[:, -1:]
    return float((found.distances <= limit).mean())


def same(found: Any, wanted: Any) -> None:
    assert (found.rows == wanted.rows).all()
    assert (found.distances == wanted.distances).all()


@pytest.fixture(scope="module")
def world() -> tuple[SparseRows, SparseRows, SeismicIndex]:
    rng = np.random.default_rng(11)
    rows = topical(rng, 6000)
    return rows, shortened(rng, rows, 150), built(rows)


def test_finds_most_by_itself_and_all_on_request(world: Any) -> None:
    rows, queries, index = world
    wanted = exact(rows, queries, 10)
    found = index.search(get_kernels(), queries, 10, None)
    assert accuracy(found, wanted) > 0.95
    assert found.counters["rows_scanned"] < 0.8 * len(rows) * len(queries)
    same(index.search(get_kernels(), queries, 10, None, SearchParams(recall_target=1)), wanted)
    same(index.search(get_kernels(), queries, 10, None, SearchParams(exact=True)), wanted)
    same(index.search(get_kernels(), queries, 6000, None), exact(rows, queries, 6000))


def test_distances_are_those_of_the_stored_rows(world: Any) -> None:
    rows, queries, index = world
    found = index.search(get_kernels(), queries, 10, None)
    scored = SparseFlatIndex(FIELD, rows).rerank(get_kernels(), queries, found.rows)
    assert (scored == found.distances).all()


def test_answers_by_the_codes_of_blocks(world: Any) -> None:
    rows, queries, index = world
    wanted = exact(rows, queries, 10)
    found = index.search(get_kernels(), queries, 10, None, SearchParams(rescore=False, recall_target=0.98))
    assert accuracy(found, wanted) > 0.95
    assert found.counters["rows_rescored"] == 0
    assert found.recall is None
    scored = index.search(get_kernels(), queries, 10, None, SearchParams(recall_target=1)).distances
    assert (np.abs(found.distances / scored - 1) < 0.05).all()
    assert (found.distances != scored).any()


def test_more_work_finds_more(world: Any) -> None:
    rows, queries, index = world
    wanted = exact(rows, queries, 10)

    def curve(settings: list[SearchParams]) -> list[float]:
        return [accuracy(index.search(get_kernels(), queries, 10, None, params), wanted) for params in settings]

    for settings in (
        [SearchParams(block_factor=factor) for factor in (0.5, 1.0, 1.5, 2.5, 10.0)],
        [SearchParams(recall_target=target) for target in (0.5, 0.8, 0.9, 0.99)],
        [SearchParams(nprobe=terms, block_factor=10.0) for terms in (1, 3, 12)],
        [SearchParams(oversampling=factor, nprobe=5, block_factor=10.0) for factor in (1.0, 3.0, 20.0)],
    ):
        recalls = curve(settings)
        assert all(a <= b + 0.002 for a, b in pairwise(recalls)), (settings, recalls)
        assert recalls[0] < recalls[-1]
    targets = [SearchParams(recall_target=target) for target in (0.8, 0.9, 0.95)]
    assert all(got > params.recall_target - 0.04 for got, params in zip(curve(targets), targets, strict=True))


@pytest.mark.parametrize("kept", [0.7, 0.2, 0.05, 0.0])
def test_only_allowed_rows_are_found(world: Any, kept: float) -> None:
    rows, queries, index = world
    mask = np.random.default_rng(2).random(len(rows)) < kept
    wanted = exact(rows, queries, 10, bitmap(mask))
    found = index.search(get_kernels(), queries, 10, bitmap(mask), SearchParams(recall_target=0.98))
    assert mask[found.rows[found.rows >= 0]].all()
    assert ((found.rows >= 0).sum(axis=1) == (wanted.rows >= 0).sum(axis=1)).all()
    if kept:
        assert accuracy(found, wanted) > 0.94


def test_what_a_filter_allows_is_scored_row_by_row_where_that_costs_less(world: Any) -> None:
    rows, queries, index = world
    entries = rows.nnz / len(rows)
    blocks = costs.sparse_blocks(len(rows))
    even = int((blocks - costs.SPARSE_FIXED) / (entries * costs.SPARSE_ENTRY))
    assert 20 < even < len(rows) // 2
    for count, strategy in ((even - 5, "exact_scan"), (even + 5, "")):
        allowed = bitmap(np.arange(len(rows)) < count)
        found = index.search(get_kernels(), queries, 10, allowed, SearchParams(recall_target=0.9))
        assert found.strategy == strategy
        assert found.est_us == pytest.approx(blocks / 1e3, rel=0.1)
    assert index.search(get_kernels(), queries, 10, None).est_us is None  # nothing to choose


@pytest.mark.parametrize(
    "spec", [Seismic(), Seismic(summary="max"), Seismic(postings=4), Seismic(postings=30, list_factor=1.0)]
)
@pytest.mark.parametrize("k", [1, 10, 400])
def test_whoever_shares_an_index_is_found_where_few_do(spec: Seismic, k: int) -> None:
    rng = seeded()
    rows = topical(rng, 900, topics=25, terms=4000, length=14)
    index = built(rows, spec)
    parts = [{int(i): 1.0 for i in rng.integers(0, 4100, rng.integers(1, 4))} for _ in range(40)]
    parts += [{}, {9_999_999: 2.0}, {int(rows.indices[0]): 1.0, 4_000_000_000: 5.0}, {3: 1e-20, 5: 1e10}]
    queries = made(parts)
    mask = rng.random(len(rows)) < 0.9
    for allowed in (None, bitmap(mask)):
        wanted = exact(rows, queries, k, allowed)
        found = index.search(get_kernels(), queries, k, allowed, SearchParams(block_factor=0.5, nprobe=1))
        counts = (wanted.rows >= 0).sum(axis=1)
        assert ((found.rows >= 0).sum(axis=1) == counts).all()
        short = counts < k
        assert (found.rows[short] == wanted.rows[short]).all()
        assert (found.distances[short] == wanted.distances[short]).all()


def test_signs_are_searched_exactly(world: Any) -> None:
    rows, queries, index = world
    signed = SparseRows(queries.offsets, queries.indices, queries.values.copy())
    signed.values[:: 7 * 12] *= -1
    found = index.search(get_kernels(), signed, 10, None, SearchParams(recall_target=0.9))
    wanted = exact(rows, signed, 10)
    negative = np.logical_or.reduceat(signed.values < 0, signed.offsets[:-1])
    assert negative.any()
    assert not negative.all()
    assert (found.rows[negative] == wanted.rows[negative]).all()
    assert accuracy(found, wanted) > 0.8
    values = rows.values.copy()
    values[5] = -1
    mixed = SparseRows(rows.offsets, rows.indices, values)
    same(built(mixed).search(get_kernels(), queries, 10, None), exact(mixed, queries, 10))


@pytest.mark.parametrize(
    "rows",
    [
        made([]),
        made([{}]),
        made([{7: 1.5}]),
        made([{}] * 70),
        made([{1: 1.0, 2: 1.0}] * 300),
        made([{1: 0.0}, {1: 2.0}, {}] * 50),
        made([{1: 1e-38, 2: 1e38}, {2: 1e-40}] * 90),
        made([{(1 << 32) - 1: 1.0, i: 2.0, 70_000 + i: 0.5} for i in range(500)]),
        made([dict.fromkeys(range(70000), 1.0), dict.fromkeys(range(0, 140000, 2), 1.0)] + [{5: 3.0}] * 80),
    ],
    ids=["none", "empty", "one", "empties", "equal", "zeros", "scales", "wide", "long"],
)
def test_odd_rows(rows: SparseRows) -> None:
    queries = made([{7: 1.0}, {1: 1.0, 2: 0.3}, {(1 << 32) - 1: 1.0, 3: 9.0}, {}, dict.fromkeys(range(66000), 1.0)])
    for spec in (Seismic(), Seismic(postings=2, summary="max")):
        index = built(rows, spec)
        opened = SeismicIndex.from_arrays(FIELD, rows, index.arrays())
        for k in (1, 3, 90):
            wanted = exact(rows, queries, k)
            for one in (index, opened):
                same(one.search(get_kernels(), queries, k, None, SearchParams(recall_target=1)), wanted)
                found = one.search(get_kernels(), queries, k, None)
                assert ((found.rows >= 0) == (wanted.rows >= 0)).all()


def test_half_floats_are_scored_as_stored() -> None:
    rng = seeded()
    rows = topical(rng, 800).astype(np.float16)
    field = VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT16)
    index = SeismicIndex.build(field, Seismic(), rows, None, get_kernels(), quiet)
    queries = shortened(rng, rows.astype(np.float32), 20)
    found = index.search(get_kernels(), queries, 10, None, SearchParams(recall_target=1))
    same(found, SparseFlatIndex(field, rows).search(get_kernels(), queries, 10, None))


def test_threads_and_backends_build_the_same() -> None:
    rng = seeded()
    rows = topical(rng, 700)
    native = get_kernels()
    native.set_threads(1)
    wanted = built(rows).arrays()
    native.set_threads(3)
    pairs = [(wanted, built(rows).arrays())]
    native.set_threads(0)
    some = rows[:400]  # numpy is slow
    wanted = built(some).arrays()
    pairs += [(wanted, built(some, kernels=load_backend(name)).arrays()) for name in available_backends()]
    for wanted, arrays in pairs:
        assert arrays.keys() == wanted.keys()
        for name, array in arrays.items():
            assert array.tobytes() == wanted[name].tobytes(), name


def test_arrays_hold_all_that_a_search_needs(world: Any) -> None:
    rows, queries, index = world
    stored = {name: array.copy() for name, array in index.arrays().items()}
    for array in stored.values():
        array.flags.writeable = False
    opened = SeismicIndex.from_arrays(FIELD, rows, stored)
    same(opened.search(get_kernels(), queries, 10, None), index.search(get_kernels(), queries, 10, None))


def test_tuned_on_queries_they_are_kept(world: Any) -> None:
    rows, queries, index = world
    tuned = index.tuned(queries, get_kernels())
    assert tuned is not index
    opened = SeismicIndex.from_arrays(FIELD, rows, tuned.arrays())
    assert opened.header == tuned.header
    wanted = exact(rows, queries, 10)
    for target in (0.8, 0.9, 0.95):
        found = opened.search(get_kernels(), queries, 10, None, SearchParams(recall_target=target))
        assert accuracy(found, wanted) >= target - 0.01
    some = np.arange(0, len(rows), 2)
    merged = built(
        rows.take(some), warm=Warm(opened, np.where(np.arange(len(rows)) % 2, -1, np.arange(len(rows)) // 2))
    )
    assert (merged.arrays()["asked.indices"] == queries.indices).all()


def test_damage_is_found_on_opening(world: Any) -> None:
    rows = world[0][:2000]
    arrays = built(rows, Seismic(postings=5)).arrays()
    assert len(arrays["block_bits"])
    assert len(arrays["part_blocks"])
    for name, array in arrays.items():
        left = {other: values for other, values in arrays.items() if other != name}
        for damaged in (None, array[:-1].copy(), array.astype(np.float64), array[None]):
            given = left if damaged is None else left | {name: damaged}
            with pytest.raises(Corruption):
                SeismicIndex.from_arrays(FIELD, rows, given)
    rng = seeded()
    refused = 0
    for _ in range(150):
        name = str(rng.choice([name for name in arrays if name != "header"]))
        damaged = arrays[name].copy()
        damaged.reshape(-1).view(np.uint8)[rng.integers(damaged.nbytes)] ^= np.uint8(1 << rng.integers(8))
        try:
            opened = SeismicIndex.from_arrays(FIELD, rows, arrays | {name: damaged})
        except Corruption:
            refused += 1
        else:  # a code or a scale may be any number: answers are then worse, never read from elsewhere
            opened.search(get_kernels(), rows[:3], 10, None)
    assert refused > 50
    with pytest.raises(Corruption):
        SeismicIndex.from_arrays(FIELD, rows[:-1], arrays)


def test_a_build_can_be_stopped() -> None:
    class Stopped(Exception):
        pass

    phases = []

    def stop(phase: str, done: int, total: int) -> None:
        phases.append(phase)
        if phase == "order":
            raise Stopped

    with pytest.raises(Stopped):
        SeismicIndex.build(FIELD, Seismic(), topical(np.random.default_rng(0), 500), None, get_kernels(), stop)
    assert phases[0] == "count"


def test_fewer_postings_take_less(world: Any) -> None:
    rows, queries, index = world
    small = built(rows, Seismic(postings=40))
    assert small.code_bytes < 0.7 * index.code_bytes
    assert accuracy(small.search(get_kernels(), queries, 10, None), exact(rows, queries, 10)) > 0.9
    same(small.search(get_kernels(), queries, 10, None, SearchParams(recall_target=1)), exact(rows, queries, 10))


def earlier(index: SeismicIndex, version: int) -> dict[str, np.ndarray]:
    """The arrays as earlier versions wrote them: a mask of 8 bytes for every part, and the number of its block."""
    a, arrays = index._arrays, dict(index.arrays())
    every = np.arange(len(a.part_codes))
    entries, held = decoded(a, every), counts_of(a, every)
    order = np.lexsort((entries.places, entries.parts))
    masks = np.zeros(len(every), np.uint64)
    np.bitwise_or.at(masks, entries.parts, np.uint64(1) << entries.places.astype(np.uint64))
    codes = np.split(entries.codes[order], np.cumsum(held)[:-1])
    records = b"".join(mask.tobytes() + code.tobytes() for mask, code in zip(masks, codes, strict=True))
    starts = np.cumsum(8 + held) - (8 + held)
    ends = np.append(starts, len(records))
    arrays["records"] = np.frombuffer(records + bytes(64), np.uint8)
    arrays["term_records"] = ends[a.term_parts]
    arrays["part_blocks"] = a.all_blocks().astype(np.uint32 if version == 1 else np.uint16)
    bases = starts[::64].copy()
    within = starts - np.repeat(arrays["term_records"][:-1], np.diff(a.term_parts))
    arrays["part_records"] = within.astype(np.uint32)
    if version == 2:
        arrays["part_records"] = (starts - np.repeat(bases, 64)[: len(starts)]).astype(np.uint16)
    arrays["record_bases"] = bases
    for name in ("block_bits", *(["record_bases"] if version == 1 else [])):
        del arrays[name]
    header = arrays["header"].tobytes().replace(b'"version":3', b'"version":%d' % version)
    arrays["header"] = np.frombuffer(header, np.uint8)
    return arrays


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("n", [900, 70])
def test_indexes_of_earlier_versions_are_read(version: int, n: int) -> None:
    rng = seeded()
    rows = topical(rng, n)
    index, queries = built(rows, Seismic(postings=30) if n > 100 else None), shortened(rng, rows, 20)
    arrays = earlier(index, version)
    again = SeismicIndex.from_arrays(FIELD, rows, arrays)
    assert {name: array.tobytes() for name, array in again.arrays().items()} == {
        name: array.tobytes() for name, array in index.arrays().items()
    }
    same(again.search(get_kernels(), queries, 10, None), index.search(get_kernels(), queries, 10, None))
    damaged = [arrays | {name: arrays[name][:-1]} for name in (*OLD_NAMES, *(["record_bases"] if version == 2 else []))]
    late = arrays["part_records"].copy()
    late[-1] += 1
    for wrong in (*damaged, arrays | {"part_records": late}):
        with pytest.raises(Corruption):
            SeismicIndex.from_arrays(FIELD, rows, wrong)
