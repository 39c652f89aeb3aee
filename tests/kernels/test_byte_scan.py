"""`byte_scan` of every backend against ByteCodes read one byte at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from masks import bitmap
from oracle import EPS, check_top_k

from vecstore.kernels.base import ByteCodes, Kernels

COUNTS = [33, 0, 1, 31, 32, 100]


def _codes(rng: np.random.Generator, counts: list[int], m: int, width: int, dim: int) -> ByteCodes:
    offsets = np.concatenate([[0], np.cumsum([-(-count // 32) for count in counts])]).astype(np.int64)
    places = int(offsets[-1]) * 32
    rows = rng.integers(0, 1 << 32, places, dtype=np.uint32)
    numbers = rng.permutation(sum(counts)).astype(np.uint32)
    for offset, count in zip(offsets, counts, strict=False):
        rows[offset * 32 : offset * 32 + count], numbers = numbers[:count], numbers[count:]
    return ByteCodes(
        offsets,
        np.array(counts, np.int64),
        rows,
        rng.integers(0, 256, (places, m), np.uint8),
        rng.standard_normal((places, 2)).astype(np.float32),
        rng.integers(-1, dim, (m, width)).astype(np.int32),
        rng.standard_normal((m, width, 256)).astype(np.float32),
    )


def _scan(
    kernels: Kernels, codes: ByteCodes, queries: np.ndarray, probes: np.ndarray, add: np.ndarray, m: int,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    out = np.full((len(queries), m), -7, np.int64), np.full((len(queries), m), np.nan, np.float32)
    counters = np.full((len(queries), 3), -7, np.int64)
    kernels.byte_scan(codes, queries, probes, add, None if mask is None else bitmap(mask), *out, counters)
    return *out, counters


def _check(
    kernels: Kernels, codes: ByteCodes, queries: np.ndarray, probes: np.ndarray, m: int, mask: np.ndarray | None = None
) -> None:
    add = np.random.default_rng(m).standard_normal(probes.shape).astype(np.float32)
    rows, distances, counters = _scan(kernels, codes, queries, probes, add, m, mask)
    total = int(codes.counts.sum())
    padded = np.concatenate([queries.astype(np.float64), np.zeros((len(queries), 1))], axis=1)
    for q in range(len(queries)):
        tables = np.einsum("jw,jwv->jv", padded[q][codes.table_dims], codes.table_values.astype(np.float64))
        exact, error, reachable = np.full(total, np.inf), np.zeros(total), np.zeros(total, bool)
        for p, probed in enumerate(probes[q]):
            for within in range(codes.counts[probed] if probed >= 0 else 0):
                place = int(codes.offsets[probed]) * 32 + within
                entries = tables[np.arange(len(tables)), codes.codes[place]]
                scale, plus = codes.factors[place].astype(np.float64)
                row = codes.rows[place]
                exact[row], reachable[row] = add[q, p] + plus + scale * entries.sum(), True
                size = abs(add[q, p]) + abs(plus) + abs(scale) * np.abs(entries).sum()
                error[row] = (8 + len(tables) / 4) * EPS * size
        wanted = reachable if mask is None else reachable & mask
        check_top_k(rows[q], distances[q], np.where(reachable, exact, 0), error, wanted)
        assert wanted.sum() <= counters[q, 0] <= reachable.sum()


def _queries(rng: np.random.Generator, nq: int, dim: int) -> np.ndarray:
    return rng.standard_normal((nq, dim)).astype(np.float32)


def _probes(rng: np.random.Generator, nq: int, nlist: int) -> np.ndarray:
    return np.insert(np.argsort(rng.random((nq, nlist)), axis=1).astype(np.int32), nlist // 2, -1, axis=1)


@pytest.mark.parametrize(("m", "width"), [(1, 1), (7, 3), (8, 2), (9, 4), (24, 1), (65, 2)])
def test_every_width(any_kernels: Kernels, m: int, width: int) -> None:
    rng = np.random.default_rng(m)
    codes = _codes(rng, COUNTS, m, width, 30)
    for nq in (1, 5):
        _check(any_kernels, codes, _queries(rng, nq, 30), _probes(rng, nq, len(COUNTS)), 10)
    _check(any_kernels, codes, _queries(rng, 2, 30), np.full((2, 1), 5, np.int32), 300)


def test_masks_and_few_lists(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(2)
    codes = _codes(rng, COUNTS, 12, 2, 20)
    n = sum(COUNTS)
    for share in (0.0, 0.03, 0.5, 1.0):
        mask = rng.random(n) < share
        _check(any_kernels, codes, _queries(rng, 3, 20), _probes(rng, 3, len(COUNTS))[:, :4].copy(), 7, mask)
    args = _queries(rng, 1, 20), np.full((1, 1), 5, np.int32), np.zeros((1, 1), np.float32)
    rows, _, _ = _scan(any_kernels, codes, *args, 300, np.ones(64, bool))
    assert rows.max() < 64


def test_ties_are_ordered_by_row(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(3)
    codes = _codes(rng, [300, 200], 10, 1, 8)
    same = replace(codes, codes=np.full_like(codes.codes, 9), factors=np.full_like(codes.factors, 0.5))
    rows, distances, _ = _scan(
        any_kernels, same, _queries(rng, 2, 8), _probes(rng, 2, 2), np.ones((2, 3), np.float32), 100
    )
    assert (rows == np.arange(100)).all()
    assert all(len(set(found.tolist())) == 1 for found in distances)


def test_threads_and_batches_agree(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(4)
    codes = _codes(rng, [9000, 700, 4000], 32, 2, 64)
    queries, probes = _queries(rng, 6, 64), _probes(rng, 6, 3)
    add = rng.standard_normal(probes.shape).astype(np.float32)
    answers = set()
    for threads in (1, 2):
        any_kernels.set_threads(threads)
        rows, distances, _ = _scan(any_kernels, codes, queries, probes, add, 20)
        singles = [_scan(any_kernels, codes, queries[[q]], probes[[q]], add[[q]], 20) for q in range(6)]
        answers.add((rows.tobytes(), distances.tobytes()))
        answers.add((b"".join(one[0].tobytes() for one in singles), b"".join(one[1].tobytes() for one in singles)))
    any_kernels.set_threads(0)
    assert len(answers) == 1


def _wrong() -> dict[str, dict[str, Any]]:
    codes = _codes(np.random.default_rng(5), [40, 3], 9, 1, 8)
    return {
        "a list that is not there": {"probes": np.full((2, 1), 2, np.int32)},
        "another number of list_add": {"list_add": np.zeros((2, 2), np.float32)},
        "no places": {"out_rows": np.empty((2, 0), np.int64), "out_distances": np.empty((2, 0), np.float32)},
        "codes that fill no block": {"codes": replace(codes, codes=codes.codes[:-1].copy())},
        "factors of one column": {"codes": replace(codes, factors=codes.factors[:, :1].copy())},
        "offsets past the codes": {"codes": replace(codes, offsets=np.array([0, 2, 4]))},
        "a dim past the query": {"codes": replace(codes, table_dims=np.full_like(codes.table_dims, 8))},
        "tables of 16": {"codes": replace(codes, table_values=codes.table_values[:, :, :16].copy())},
        "nothing": {},
    }


@pytest.mark.parametrize("wrong", _wrong())
def test_wrong_arguments_are_refused(any_kernels: Kernels, wrong: str) -> None:
    arguments: dict[str, Any] = {
        "codes": _codes(np.random.default_rng(5), [40, 3], 9, 1, 8),
        "queries": np.ones((2, 8), np.float32),
        "probes": np.zeros((2, 1), np.int32),
        "list_add": np.zeros((2, 1), np.float32),
        "allowed": None,
        "out_rows": np.empty((2, 3), np.int64),
        "out_distances": np.empty((2, 3), np.float32),
        "out_counters": np.empty((2, 3), np.int64),
    } | _wrong()[wrong]
    if wrong == "nothing":
        any_kernels.byte_scan(**arguments)
        return
    with pytest.raises(ValueError, match=r"\w"):
        any_kernels.byte_scan(**arguments)
