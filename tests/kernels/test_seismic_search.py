"""Searches through blocks of sparse rows: the same on every backend and instruction set, and right against a scan."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import oracle
import pytest
from masks import bitmap
from seeds import seeded
from sparse_support import random_rows

from vecstore.index.seismic_parts import Kept, build_parts, padded
from vecstore.index.seismic_terms import count_terms
from vecstore.kernels.base import Kernels
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.seismic import COUNTERS, SeismicArrays, Visit
from vecstore.kernels.seismic_numpy import query_terms
from vecstore.kernels.seismic_records import counts_of, decoded, encoded, placed
from vecstore.sparse import SparseRows

SMALL = np.arange(90, dtype=np.uint32)
WIDE = np.unique(np.random.default_rng(0).integers(0, 2**32, 500, dtype=np.uint64)).astype(np.uint32)
ALL = Kept(0.0, 1 << 40)


def arrays_of(rng: np.random.Generator, rows: SparseRows, kept: Kept = ALL, summary: str = "mean") -> SeismicArrays:
    order = rng.permutation(len(rows)).astype(np.uint32)
    made = build_parts(rows, order, *count_terms(rows), kept, summary, lambda *_: None)  # type: ignore[arg-type]
    assert made.part_blocks.dtype == np.uint16
    return replace(made, part_blocks=made.part_blocks.astype(rng.choice(["uint16", "uint32"])))


def searched(
    kernels: Kernels, arrays: SeismicArrays, rows: SparseRows, queries: SparseRows, visit: Visit, k: int,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    out, distances = oracle.outputs(len(queries), k)
    counters = np.full((len(queries), len(COUNTERS)), -7, np.int64)
    index = kernels.open_seismic(arrays)
    kernels.seismic_search(index, rows, queries, visit, allowed, out, distances, counters)
    return out, distances, counters


@pytest.mark.parametrize("terms", [SMALL, WIDE], ids=["small", "wide"])
@pytest.mark.parametrize("masked", [None, 0.5, 0.02, 0.0])
def test_backends_find_the_same(kernels: Kernels, terms: np.ndarray, masked: float | None) -> None:
    rng = seeded()
    n = int(rng.choice([1, 63, 64, 65, 700, 12_000 if masked is None else 2_000]))
    rows = random_rows(rng, n, terms, 9, str(rng.choice(["float16", "float32"])))
    queries = random_rows(rng, 9, terms, 6)
    kept = Kept(float(rng.choice([0.0, 0.4])), int(rng.choice([5, 1 << 40])))
    arrays = arrays_of(rng, rows, kept, str(rng.choice(["mean", "max"])))
    allowed = None if masked is None else bitmap(rng.random(n) < masked)
    for _ in range(4):
        k = int(rng.choice([1, 3, 40]))
        visit = Visit(
            depth=k + int(rng.integers(0, 9)), first=int(rng.integers(1, 6)),
            block_factor=float(rng.choice([0.5, 1.0, 1.7, math.inf])), terms=int(rng.choice([1, 3, 512])),
            share=float(rng.choice([0.5, 0.9, 1.0])), all=bool(rng.integers(2)), bounded=bool(rng.integers(2)),
        )  # fmt: skip
        visit = replace(visit, coded=not visit.all and bool(rng.integers(2)))
        mine = searched(kernels, arrays, rows, queries, visit, k, allowed)
        law = searched(NumpyKernels(), arrays, rows, queries, visit, k, allowed)
        for got, wanted in zip(mine, law, strict=True):
            assert got.tobytes() == wanted.tobytes(), visit


@pytest.mark.parametrize("summary", ["mean", "max"])
@pytest.mark.parametrize("terms", [SMALL, WIDE], ids=["small", "wide"])
def test_asked_for_all_a_search_is_exact(any_kernels: Kernels, summary: str, terms: np.ndarray) -> None:
    rng = seeded()
    n = int(rng.integers(1, 3000))
    rows = random_rows(rng, n, terms, 10)
    queries = random_rows(rng, 12, terms, 8)
    queries = SparseRows(queries.offsets, queries.indices, rng.random(queries.nnz, np.float32) * 10 + np.float32(1e-6))
    arrays = arrays_of(rng, rows, summary=summary)
    for mask in (None, rng.random(n) < 0.3):
        allowed = None if mask is None else bitmap(mask)
        for k in (1, 10, 100):
            visit = Visit(k, 2, 1.0, all=True, bounded=summary == "max")
            out, distances, _ = searched(any_kernels, arrays, rows, queries, visit, k, allowed)
            wanted = oracle.outputs(len(queries), k)
            any_kernels.sparse_scan(queries, rows, None, allowed, *wanted)
            assert (out == wanted[0]).all()
            assert (distances == wanted[1]).all()


def test_scores_by_codes_are_a_little_too_high_and_read_no_row(any_kernels: Kernels) -> None:
    rng = seeded()
    rows, queries = random_rows(rng, 900, SMALL, 10), random_rows(rng, 6, SMALL, 8, empty=0)
    arrays, visit = arrays_of(rng, rows), Visit(1, 1, math.inf, coded=True)
    out, distances, counters = searched(any_kernels, arrays, rows, queries, visit, 900)
    exact = np.empty(out.shape, np.float32)
    any_kernels.sparse_rerank(queries, rows, None, out, exact)
    for q, query in enumerate(queries):
        terms, met = query_terms(arrays, query, visit), out[q] >= 0
        assert met.sum() == np.isfinite(exact[q]).sum() > 0
        above = exact[q, met] - distances[q, met]
        assert (above > 0).all()
        assert (above <= terms.slack * terms.unit).all()
    assert (counters[:, 2] == 0).all()
    others = SparseRows(rows.offsets, rows.indices, rows.values * np.float32(3))
    again = searched(any_kernels, arrays, others, queries, visit, 900)
    assert [one.tobytes() for one in again] == [one.tobytes() for one in (out, distances, counters)]


def test_bounds_skip_blocks(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(40), 64)
    indices = np.stack((cluster, 40 + rng.integers(0, 10, len(cluster))), axis=1).astype(np.uint32)
    offsets = np.arange(0, 2 * len(cluster) + 1, 2).astype(np.int64)
    rows = SparseRows(offsets, indices.ravel(), rng.random(indices.size, np.float32) + np.float32(0.5))
    arrays = build_parts(
        rows, np.arange(len(rows), dtype=np.uint32), *count_terms(rows), ALL, "max", lambda *_: None
    )  # fmt: skip
    query = SparseRows(np.array([0, 2]), np.array([7, 45], np.uint32), np.array([3.0, 0.5], np.float32))
    out, _, counters = searched(any_kernels, arrays, rows, query, Visit(5, 1, 1.0, all=True, bounded=True), 5)
    assert counters[0, 0] < 40
    assert (cluster[out[0]] == 7).all()


def test_more_is_read_for_a_larger_factor_or_more_terms(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(5)
    rows = random_rows(rng, 4000, SMALL, 10)
    queries = random_rows(rng, 5, SMALL, 12, empty=0)
    arrays = arrays_of(rng, rows)
    visits = [Visit(15, 2, factor) for factor in (0.5, 1.0, 1.5, 3.0, math.inf)]
    read = [searched(any_kernels, arrays, rows, queries, visit, 10)[2][:, 0] for visit in visits]
    assert all((a <= b).all() for a, b in pairwise(read))
    assert (read[0] < read[-1]).all()
    left = [
        searched(any_kernels, arrays, rows, queries, Visit(15, 2, 1.0, terms), 10)[2][:, 3] for terms in (1, 4, 512)
    ]
    assert (left[0] >= left[1]).all()
    assert (left[2] == 0).all()
    assert left[0].max() > 0


def test_threads_do_not_change_answers(kernels: Kernels) -> None:
    rng = np.random.default_rng(3)
    rows, queries = random_rows(rng, 3000, WIDE, 20), random_rows(rng, 40, WIDE, 9)
    arrays = arrays_of(rng, rows)
    visit = Visit(15, 3, 1.4, share=0.9)
    kernels.set_threads(1)
    alone = searched(kernels, arrays, rows, queries, visit, 10)
    kernels.set_threads(4)
    for got, wanted in zip(searched(kernels, arrays, rows, queries, visit, 10), alone, strict=True):
        assert got.tobytes() == wanted.tobytes()


def test_labels_are_the_same_everywhere(any_kernels: Kernels) -> None:
    rng = seeded()
    ids = rng.integers(0, 50, (300, 7)).astype(np.uint32)
    weights = (rng.random((300, 7)) * (rng.random((300, 7)) < 0.8)).astype(np.float32)
    centroids = rng.random((50, 5), np.float32)
    centroids[:, 3] = centroids[:, 1]  # ties fall to the first
    members = np.sort(rng.choice(300, 120, replace=False))
    mine, law = np.empty(120, np.int32), np.empty(120, np.int32)
    any_kernels.sketch_nearest(ids, weights, members, centroids, mine)
    NumpyKernels().sketch_nearest(ids, weights, members, centroids, law)
    exact = np.einsum("mw,mwc->mc", weights[members].astype(float), centroids[ids[members]].astype(float))
    assert (mine == law).all()
    assert (mine != 3).all()
    assert (exact[np.arange(120), mine] >= exact.max(axis=1) - 1e-5).all()


def _damaged(a: SeismicArrays) -> dict[str, SeismicArrays]:
    def having(name: str, at: Any, value: int) -> SeismicArrays:
        array = getattr(a, name).copy()
        array[at] = value
        return replace(a, **{name: array})

    several = int(np.flatnonzero(a.part_records < 1 << 15)[0])
    return {
        "row past the end": having("rows", 3, len(a.rows)),
        "row twice": having("rows", 3, int(a.rows[4])),
        "terms": having("terms", 1, int(a.terms[0])),
        "scale": having("scales", 0, 0),
        "parts begin": having("term_parts", 0, 1),
        "parts end": having("term_parts", -1, len(a.part_codes) + 1),
        "parts fall": having("term_parts", 1, len(a.part_codes)),
        "bits of blocks": having("block_bits", (0, 0), int(a.block_bits[0, 0]) ^ 1),
        "bits past the last block": having("block_bits", (0, 0), int(a.block_bits[0, 0]) ^ (1 << 40 | 1)),
        "few bits of blocks": replace(a, block_bits=a.block_bits[1:].copy()),
        "more blocks": replace(a, part_blocks=np.zeros(len(a.part_blocks) + 1, a.part_blocks.dtype)),
        "code": having("part_codes", 0, 0),
        "record": having("part_records", several, int(a.part_records[several]) + 1),
        "record past the end": having("part_records", several, 32_000),
        "no record": having("part_records", several, 1 << 15 | 5),
        "another form": having("part_records", several, 3 << 14),
        "group": having("record_bases", len(a.record_bases) - 1, int(a.record_bases[-1]) + 1),
        "group past the end": having("record_bases", len(a.record_bases) - 1, 1 << 62),
        "group before the first": having("record_bases", len(a.record_bases) - 1, -(1 << 62)),
        "few groups": replace(a, record_bases=a.record_bases[1:].copy()),
        "octets": having("records", 0, int(a.records[0]) ^ 1),
        "rows": having("records", 1, int(a.records[1]) ^ 1),
        "no rows": having("records", 1, 0),
        "no spare bytes": replace(a, records=a.records[:-1].copy()),
        "empty": replace(a, records=a.records[:10].copy()),
        "few scales": replace(a, scales=a.scales[1:].copy()),
    }


def test_damaged_arrays_are_refused(any_kernels: Kernels) -> None:
    rng = seeded()
    rows = random_rows(rng, 200, SMALL, 9)
    arrays = arrays_of(rng, rows)
    any_kernels.open_seismic(arrays)
    for what, damaged in _damaged(arrays).items():
        print(what)
        with pytest.raises(ValueError, match=r"."):
            any_kernels.open_seismic(damaged)


def test_damaged_blocks_of_rare_terms_are_refused(any_kernels: Kernels) -> None:
    rng = seeded()
    rows = random_rows(rng, 2000, WIDE, 2)
    arrays = arrays_of(rng, rows, Kept(0.0, 3))
    assert len(arrays.part_blocks)
    assert not arrays.dense.any()
    any_kernels.open_seismic(arrays)
    term = int(np.flatnonzero(np.diff(arrays.term_parts) > 1)[0])
    first = arrays.term_parts[term]
    for at, block in ((0, -(-len(rows) // 64)), (first, arrays.part_blocks[first + 1])):
        blocks = arrays.part_blocks.copy()
        blocks[at] = block
        with pytest.raises(ValueError, match=r"."):
            any_kernels.open_seismic(replace(arrays, part_blocks=blocks))


def test_rows_past_the_last_are_refused(any_kernels: Kernels) -> None:
    rows = SparseRows(np.array([0, 1, 2, 3]), np.array([5, 5, 7], np.uint32), np.ones(3, np.float32))
    arrays = arrays_of(np.random.default_rng(0), rows)
    assert (arrays.part_records < 1 << 15).tolist() == [True, False]
    any_kernels.open_seismic(arrays)
    words, records = arrays.part_records.copy(), arrays.records.copy()
    words[1] = 1 << 15 | 3 << 8 | 255  # the fourth of three rows
    records[1] = 0b1001
    for damaged in (replace(arrays, part_records=words), replace(arrays, records=records)):
        with pytest.raises(ValueError, match=r"."):
            any_kernels.open_seismic(damaged)


def test_parts_of_one_row_and_of_all() -> None:
    """Both forms of a part, and both of where parts are, at their ends."""
    rng = seeded()
    held = np.concatenate([[1, 64, 2, 63], rng.integers(1, 65, 300), rng.integers(1, 4, 2000)])
    places = np.concatenate([np.sort(rng.permutation(64)[:count]) for count in held]).astype(np.uint8)
    codes = rng.integers(1, 256, len(places), np.uint8)
    made = encoded(places, codes, held)
    words, bases = placed(made.words, made.sizes)
    assert (made.sizes == 0).tolist() == (held == 1).tolist()
    of = SeismicArrays(*(np.empty(0),) * 7, words, bases, padded([made.records]))  # type: ignore[arg-type]
    every = np.arange(len(held))
    assert (counts_of(of, every) == held).all()
    found = decoded(of, every)
    order = np.lexsort((found.places, found.parts))
    assert (found.parts[order] == np.repeat(every, held)).all()
    assert (found.places[order] == places).all()
    assert (found.codes[order] == codes).all()


@pytest.mark.parametrize("bad", [{"block_factor": 0.0}, {"share": 0.0}, {"share": 1.5}, {"terms": 0}])
def test_impossible_visits_are_refused(any_kernels: Kernels, bad: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    rows = random_rows(rng, 50, SMALL, 9)
    arrays = arrays_of(rng, rows)
    with pytest.raises(ValueError, match=r"."):
        searched(any_kernels, arrays, rows, rows[:2].astype(np.float32), replace(Visit(3, 1, 1.0), **bad), 3)
