"""Searches through blocks of sparse rows: the same on every backend and instruction set, and right against a scan."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import oracle
import pytest
from sparse_support import random_rows

from vecstore.index.seismic_parts import Kept, build_parts
from vecstore.index.seismic_terms import count_terms
from vecstore.kernels.base import Kernels
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.seismic import COUNTERS, SeismicArrays, Visit
from vecstore.sparse import SparseRows

SMALL = np.arange(90, dtype=np.uint32)
WIDE = np.unique(np.random.default_rng(0).integers(0, 2**32, 500, dtype=np.uint64)).astype(np.uint32)
ALL = Kept(0.0, 1 << 40)


def seeded() -> np.random.Generator:
    seed = int(np.random.default_rng().integers(1 << 31))
    print("seed", seed)
    return np.random.default_rng(seed)


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
    allowed = None if masked is None else oracle.bitmap(rng.random(n) < masked)
    for _ in range(4):
        k = int(rng.choice([1, 3, 40]))
        visit = Visit(
            depth=k + int(rng.integers(0, 9)), first=int(rng.integers(1, 6)),
            block_factor=float(rng.choice([0.5, 1.0, 1.7, math.inf])), terms=int(rng.choice([1, 3, 512])),
            share=float(rng.choice([0.5, 0.9, 1.0])), all=bool(rng.integers(2)), bounded=bool(rng.integers(2)),
        )  # fmt: skip
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
        allowed = None if mask is None else oracle.bitmap(mask)
        for k in (1, 10, 100):
            visit = Visit(k, 2, 1.0, all=True, bounded=summary == "max")
            out, distances, _ = searched(any_kernels, arrays, rows, queries, visit, k, allowed)
            wanted = oracle.outputs(len(queries), k)
            any_kernels.sparse_scan(queries, rows, None, allowed, *wanted)
            assert (out == wanted[0]).all()
            assert (distances == wanted[1]).all()


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
    def having(name: str, at: int, value: int) -> SeismicArrays:
        array = getattr(a, name).copy()
        array[at] = value
        return replace(a, **{name: array})

    part = int(a.term_parts[1])
    return {
        "row past the end": having("rows", 3, len(a.rows)),
        "row twice": having("rows", 3, int(a.rows[4])),
        "terms": having("terms", 1, int(a.terms[0])),
        "scale": having("scales", 0, 0),
        "parts begin": having("term_parts", 0, 1),
        "parts end": having("term_parts", -1, len(a.part_blocks) + 1),
        "parts fall": having("term_parts", 1, len(a.part_blocks)),
        "records begin": having("term_records", 0, 8),
        "records end": having("term_records", -1, len(a.records)),
        "records fall": having("term_records", 1, len(a.records)),
        "block": having("part_blocks", 0, -(-len(a.rows) // 64)),
        "blocks fall": having("part_blocks", part - 1, 0) if part > 1 else having("part_blocks", 0, 60_000),
        "code": having("part_codes", 0, 0),
        "record": having("part_records", 0, 1),
        "last record": having("part_records", len(a.part_records) - 1, 60_000),
        "group": having("record_bases", len(a.record_bases) - 1, int(a.record_bases[-1]) + 1),
        "group past the end": having("record_bases", len(a.record_bases) - 1, 1 << 62),
        "group before the first": having("record_bases", len(a.record_bases) - 1, -(1 << 62)),
        "few groups": replace(a, record_bases=a.record_bases[1:].copy()),
        "mask": having("records", 0, int(a.records[0]) ^ 1),
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


def test_rows_past_the_last_are_refused(any_kernels: Kernels) -> None:
    rows = SparseRows(np.array([0, 1, 2]), np.array([5, 5], np.uint32), np.ones(2, np.float32))
    arrays = arrays_of(np.random.default_rng(0), rows)
    records = arrays.records.copy()
    records[0] = 0b101  # the third of two rows
    with pytest.raises(ValueError, match=r"."):
        any_kernels.open_seismic(replace(arrays, records=records))


@pytest.mark.parametrize("bad", [{"block_factor": 0.0}, {"share": 0.0}, {"share": 1.5}, {"terms": 0}])
def test_impossible_visits_are_refused(any_kernels: Kernels, bad: dict[str, float]) -> None:
    rng = np.random.default_rng(0)
    rows = random_rows(rng, 50, SMALL, 9)
    arrays = arrays_of(rng, rows)
    with pytest.raises(ValueError, match=r"."):
        searched(any_kernels, arrays, rows, rows[:2].astype(np.float32), replace(Visit(3, 1, 1.0), **bad), 3)
