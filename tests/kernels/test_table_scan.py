"""`table_scan` of every backend and instruction set against TableCodes read one nibble at a time."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from table_support import check, random_codes, scan, with_true_bounds

from vecstore.kernels.base import Kernels, TableCodes

COUNTS = [33, 0, 1, 31, 32, 100]
RUNS = {"1": [(1, 40)], "2": [(2, 24)], "4": [(4, 40)], "8": [(8, 16)], "5": [(4, 40), (1, 40)]}


def _queries(rng: np.random.Generator, nq: int, dim: int) -> np.ndarray:
    return rng.standard_normal((nq, dim)).astype(np.float32)


def _probes(rng: np.random.Generator, nq: int, nlist: int) -> np.ndarray:
    """Every list once, in an order of each query's own, with one place of none."""
    order = np.argsort(rng.random((nq, nlist)), axis=1).astype(np.int32)
    return np.insert(order, nlist // 2, -1, axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_nibbles_alone(any_kernels: Kernels, columns: int, dtype: str) -> None:
    rng = np.random.default_rng(columns)
    shapes = ((1, 1, 1), (2, 3, 10), (17, 4, 300), (24, 4, 1), (33, 1, 10), (96, 2, 10))
    for m, width, places in shapes:
        codes = random_codes(rng, COUNTS, m, 40, width=width, columns=columns, dtype=dtype)
        for nq in (1, 5):
            check(any_kernels, codes, _queries(rng, nq, 40), _probes(rng, nq, len(COUNTS)), 1, places)


@pytest.mark.parametrize("extra_columns", [1, 2, 3])
@pytest.mark.parametrize("runs", RUNS)
def test_low_bits(any_kernels: Kernels, runs: str, extra_columns: int) -> None:
    rng = np.random.default_rng(extra_columns)
    for dtype, columns, m in (("float32", 3, 24), ("float16", 1, 9)):
        shape = {"columns": columns, "extra_columns": extra_columns, "dtype": dtype}
        codes = random_codes(rng, COUNTS, m, 33, runs=RUNS[runs], **shape)
        for nq in (1, 5):
            queries, probes = _queries(rng, nq, 33), _probes(rng, nq, len(COUNTS))
            refined = check(any_kernels, codes, queries, probes, 5, 20)
            assert refined > 0
            check(any_kernels, codes, queries, probes, 5, 20, eps=1.5)


@pytest.mark.parametrize("eps", [0.5, 1.9])
@pytest.mark.parametrize("runs", [None, "4", "5"])
def test_rows_beyond_the_bounds_are_left_out(any_kernels: Kernels, runs: str | None, eps: float) -> None:
    rng = np.random.default_rng(3)
    codes = random_codes(rng, [200, 77], 24, 40, runs=RUNS[runs] if runs else None, error=0.2)
    queries, probes = _queries(rng, 3, 40), _probes(rng, 3, 2)
    add, radius = np.zeros(probes.shape, np.float32), np.ones(probes.shape, np.float32)
    for k, m in ((1, 1), (1, 50), (10, 10), (10, 270), (277, 277)):
        check(any_kernels, codes, queries, probes, k, m, eps=eps)
    rows, _, _ = scan(any_kernels, codes, queries, probes, add, radius, 10, 270, eps)
    assert ((rows >= 0).sum(axis=1) < 200).all()


def test_without_an_error_column_nothing_is_bounded(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(4)
    for columns, extra_columns, runs in ((2, 1, None), (3, 2, RUNS["4"]), (2, 2, RUNS["4"])):
        codes = random_codes(rng, [90], 24, 40, columns=columns, runs=runs, extra_columns=extra_columns)
        check(any_kernels, codes, _queries(rng, 3, 40), np.zeros((3, 1), np.int32), 2, 30, eps=2.0)


@pytest.mark.parametrize("m", [255, 256, 257, 258, 512, 1024, 2048])
def test_sums_of_many_tables_do_not_overflow(any_kernels: Kernels, m: int) -> None:
    """Sixteen bits hold the sum of 257 entries of 8-bit tables; nibbles of 15 in rising tables give the largest."""
    rng = np.random.default_rng(m)
    codes = random_codes(rng, [33, 40], m, 50, width=2)
    queries, probes = _queries(rng, 3, 50), _probes(rng, 3, 2)
    check(any_kernels, codes, queries, probes, 5, 73)
    rising = np.broadcast_to(np.arange(16, dtype=np.float32), codes.table_values.shape).copy()
    blocks = codes.blocks.copy()
    blocks[0], blocks[2] = 0xFF, 0x00
    largest = replace(codes, blocks=blocks, table_values=rising, table_dims=np.zeros_like(codes.table_dims))
    for queries in (np.ones((1, 50), np.float32), -np.ones((1, 50), np.float32)):
        check(any_kernels, largest, queries, probes[:1], 5, 10)
        check(any_kernels, largest, queries, probes[:1], 5, 10, eps=1.0)


@pytest.mark.parametrize("runs", [None, "4"])
def test_masks(any_kernels: Kernels, runs: str | None) -> None:
    rng = np.random.default_rng(6)
    codes = random_codes(rng, COUNTS, 24, 40, runs=RUNS[runs] if runs else None)
    queries, probes = _queries(rng, 3, 40), _probes(rng, 3, len(COUNTS))
    n = sum(COUNTS)
    one = np.zeros(n, bool)
    one[rng.integers(n)] = True
    for mask in (np.zeros(n, bool), np.ones(n, bool), one, rng.random(n) < 0.05, rng.random(n) < 0.5):
        for eps in (0.0, 1.0):
            check(any_kernels, codes, queries, probes, 3, 12, eps=eps, mask=mask)


def test_rows_past_the_bitmap_are_not_allowed(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(7)
    codes = random_codes(rng, [100], 8, 16)
    args = _queries(rng, 1, 16), np.zeros((1, 1), np.int32), *(np.ones((1, 1), np.float32),) * 2
    rows, _, counters = scan(any_kernels, codes, *args, 1, 100, mask=np.ones(64, bool))
    assert sorted(rows[0].tolist()) == [-1] * 36 + list(range(64))
    assert 64 <= counters[0, 0] <= 100


def test_fewer_rows_than_places(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(8)
    for counts in ([0], [0, 0], [1], [31]):
        codes = random_codes(rng, counts, 5, 8, runs=RUNS["8"])
        for eps in (0.0, 1.0):
            check(any_kernels, codes, _queries(rng, 2, 8), _probes(rng, 2, len(counts)), 40, 50, eps=eps)


def test_no_probes_and_no_queries(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(9)
    codes = random_codes(rng, [40], 5, 8)
    for nq, nprobe in ((2, 0), (0, 1), (0, 0)):
        lists = np.zeros((nq, nprobe), np.int32)
        nothing = np.zeros((nq, nprobe), np.float32)
        rows, distances, counters = scan(any_kernels, codes, _queries(rng, nq, 8), lists, nothing, nothing, 2, 3)
        assert (rows == -1).all()
        assert np.isposinf(distances).all()
        assert (counters == 0).all()


@pytest.mark.parametrize("runs", [None, "2"])
def test_ties_are_ordered_by_row(any_kernels: Kernels, runs: str | None) -> None:
    rng = np.random.default_rng(10)
    codes = random_codes(rng, [300, 200], 12, 16, columns=1, runs=RUNS[runs] if runs else None, extra_columns=1)
    same: dict[str, Any] = {"blocks": np.broadcast_to(codes.blocks[:1, :, :1], codes.blocks.shape) & 15}
    same["blocks"] = np.ascontiguousarray(same["blocks"] | same["blocks"] << 4)
    same["factors"] = np.full_like(codes.factors, 0.5)
    if runs:
        same |= {"extra": np.full_like(codes.extra, 7), "extra_factors": np.full_like(codes.extra_factors, 0.5)}
    codes = replace(codes, **same)
    args = _queries(rng, 3, 16), _probes(rng, 3, 2), *(np.ones((3, 3), np.float32),) * 2
    rows, distances, _ = scan(any_kernels, codes, *args, 10, 100)
    assert (rows == np.arange(100)).all()
    assert all(len(set(found.tolist())) == 1 for found in distances)


def test_bits_of_threads_and_batches_agree(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(11)
    codes = random_codes(rng, [3000, 500, 2500], 48, 64, width=2, runs=RUNS["4"])
    queries, probes = _queries(rng, 9, 64), _probes(rng, 9, 3)
    add = rng.standard_normal(probes.shape).astype(np.float32)
    radius = np.ones(probes.shape, np.float32)
    answers = []
    for threads in (1, 2, 3):
        any_kernels.set_threads(threads)
        rows, distances, _ = scan(any_kernels, codes, queries, probes, add, radius, 10, 40)
        answers.append((rows.tobytes(), distances.tobytes()))
        singles = [
            scan(any_kernels, codes, queries[i], probes[i], add[i], radius[i], 10, 40)[:2]
            for i in (slice(q, q + 1) for q in range(9))
        ]
        answers.append((b"".join(r.tobytes() for r, _ in singles), b"".join(d.tobytes() for _, d in singles)))
    any_kernels.set_threads(0)
    assert len(set(answers)) == 1


def _staged(rng: np.random.Generator, queries: np.ndarray, scales: str = "mixed", add: float = 1.0) -> TableCodes:
    codes = random_codes(rng, [6001], 48, 64, width=2, runs=RUNS["5"], error=0.2)
    sign = {"mixed": np.sign(codes.factors[:, 0]), "negative": -1, "positive": 1}[scales]
    scale = sign * np.abs(codes.factors[:, 0])
    factors = np.stack([scale, add * codes.factors[:, 1], codes.factors[:, 2]], axis=1).astype(np.float32)
    extra = np.stack([scale.reshape(-1), factors[:, 1].reshape(-1), codes.extra_factors[:, 2]], axis=1)
    codes = replace(codes, factors=factors, extra_factors=np.ascontiguousarray(extra, np.float32))
    return with_true_bounds(codes, queries, 0.1, 1.0)  # wide bounds: many rows have to be refined


def _over_one_list(kernels: Kernels, codes: TableCodes, queries: np.ndarray) -> list[bytes]:
    probes = np.zeros((len(queries), 1), np.int32)
    nothing, radius = np.zeros(probes.shape, np.float32), np.ones(probes.shape, np.float32)
    return [array.tobytes() for array in scan(kernels, codes, queries, probes, nothing, radius, 10, 12, 1.9)]


@pytest.mark.parametrize(("scales", "add"), [("mixed", 1), ("negative", 1), ("positive", 1), ("negative", 3e5)])
def test_queries_of_one_list_answer_together_as_alone(
    native_isa: Callable[[str], Kernels], isa: str, scales: str, add: float
) -> None:
    """Together, blocks are left out of which no row can be near: the same rows are refined all the same."""
    rng = np.random.default_rng(12)
    queries = _queries(rng, 35, 64)  # whole tiles of 32 and 8, and 3 more
    queries[5] = 0  # whose tables have no steps
    codes = _staged(rng, queries, scales, add)
    kernels = native_isa(isa)
    kernels.set_threads(1)
    together = _over_one_list(kernels, codes, queries)
    alone = [_over_one_list(kernels, codes, queries[q : q + 1]) for q in range(len(queries))]
    kernels.set_threads(0)
    assert together == [b"".join(part) for part in zip(*alone, strict=True)]


@pytest.mark.parametrize("m", [9, 96, 512, 520])  # sixteen bits hold the sums of up to 512 nibbles
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_queries_of_one_list_answer_together_without_low_bits(
    native_isa: Callable[[str], Kernels], isa: str, columns: int, m: int
) -> None:
    rng = np.random.default_rng(14)
    queries = _queries(rng, 11, 64)
    codes = random_codes(rng, [1500], m, 64, width=2, columns=columns)
    codes.factors[:, 0] = -np.abs(codes.factors[:, 0])
    codes.blocks[20] = 0xFF
    rising = np.broadcast_to(np.arange(16, dtype=np.float32), codes.table_values.shape).copy()
    kernels = native_isa(isa)
    kernels.set_threads(1)
    for asked, values in ((queries, codes.table_values), (np.abs(queries), rising)):
        of = replace(codes, table_values=values)
        together = _over_one_list(kernels, of, asked)
        alone = [_over_one_list(kernels, of, asked[q : q + 1]) for q in range(len(asked))]
        assert together == [b"".join(part) for part in zip(*alone, strict=True)]
    kernels.set_threads(0)


def test_instruction_sets_answer_the_same_and_refine_few_rows(native_isa: Callable[[str], Kernels]) -> None:
    from vecstore.kernels.native_backend import supported_isas

    rng = np.random.default_rng(13)
    queries = _queries(rng, 5, 64)
    codes = _staged(rng, queries)
    answers = [_over_one_list(native_isa(isa), codes, queries) for isa in supported_isas()]
    assert all(answer[:2] == answers[0][:2] for answer in answers)
    for answer in answers:  # tiles look at more rows between two bounds
        refined = np.frombuffer(answer[2], np.int64).reshape(-1, 3)[:, 1]
        assert 500 < refined.sum() < 1400, "the nearest by estimate are refined first, others if still near at the end"


def test_any_shape(any_kernels: Kernels) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    rng = np.random.default_rng(seed)
    for _ in range(12):
        dim, m, nq = int(rng.integers(1, 90)), int(rng.integers(1, 300)), int(rng.integers(1, 9))
        counts = rng.choice([0, 1, 31, 32, 33, 64, 90], rng.integers(1, 6)).tolist()
        runs = [(int(rng.choice([1, 2, 4, 8])), 8 * int(rng.integers(1, 9))) for _ in range(rng.integers(0, 4))]
        codes = random_codes(
            rng, counts, m, dim, width=int(rng.integers(1, 5)), columns=int(rng.integers(1, 4)), runs=runs or None,
            extra_columns=int(rng.integers(1, 4)), dtype=str(rng.choice(["float32", "float16"])),
        )  # fmt: skip
        mask = rng.random(sum(counts)) < rng.random() if rng.random() < 0.5 else None
        k = int(rng.integers(1, 20))
        m = k + int(rng.integers(0, 60))
        eps = float(rng.choice([0.0, 0.7, 2.0]))
        check(any_kernels, codes, _queries(rng, nq, dim), _probes(rng, nq, len(counts)), k, m, eps=eps, mask=mask)


def _wrong() -> dict[str, dict[str, Any]]:
    codes = random_codes(np.random.default_rng(12), [40, 3], 9, 8, runs=[(4, 16)])
    return {
        "a list that is not there": {"probes": np.full((2, 1), 2, np.int32)},
        "a list below -1": {"probes": np.full((2, 1), -2, np.int32)},
        "probes of int64": {"probes": np.zeros((2, 1), np.int64)},
        "another number of list_add": {"list_add": np.zeros((2, 2), np.float32)},
        "another number of list_radius": {"list_radius": np.zeros((1, 1), np.float32)},
        "k above the places": {"k": 4},
        "k of 0": {"k": 0},
        "negative eps": {"eps": -1.0},
        "eps that is no number": {"eps": float("nan")},
        "queries of another width": {"queries": np.ones((2, 3), np.float32)},
        "counters of another shape": {"out_counters": np.empty((2, 2), np.int64)},
        "blocks of another width": {"codes": replace(codes, blocks=codes.blocks[:, :, :8].copy())},
        "blocks of fewer tables": {"codes": replace(codes, blocks=codes.blocks[:, :1].copy())},
        "offsets that descend": {"codes": replace(codes, offsets=np.array([0, 3, 2]))},
        "offsets past the blocks": {"codes": replace(codes, offsets=np.array([0, 2, 4]))},
        "more rows than lanes": {"codes": replace(codes, counts=np.array([65, 3]))},
        "short rows": {"codes": replace(codes, rows=codes.rows[:-1].copy())},
        "four factors": {"codes": replace(codes, factors=np.ones((3, 4, 32), np.float32))},
        "factors of float64": {"codes": replace(codes, factors=codes.factors.astype(np.float64))},
        "a dim past the query": {"codes": replace(codes, table_dims=np.full_like(codes.table_dims, 8))},
        "table values of another shape": {"codes": replace(codes, table_values=codes.table_values[:4].copy())},
        "extra without steps": {"codes": replace(codes, extra_steps=None)},
        "runs of three bits": {"codes": replace(codes, extra_runs=np.array([[3, 16]], np.int32))},
        "runs of 4 dims": {"codes": replace(codes, extra_runs=np.array([[4, 4]], np.int32))},
        "short low bits": {"codes": replace(codes, extra=codes.extra[:, :7].copy())},
        "an extra dim past the query": {"codes": replace(codes, extra_dims=np.full_like(codes.extra_dims, 8))},
        "nothing": {},
    }


@pytest.mark.parametrize("wrong", _wrong())
def test_wrong_arguments_are_refused(any_kernels: Kernels, wrong: str) -> None:
    arguments: dict[str, Any] = {
        "codes": random_codes(np.random.default_rng(12), [40, 3], 9, 8, runs=[(4, 16)]),
        "queries": np.ones((2, 8), np.float32),
        "probes": np.zeros((2, 1), np.int32),
        "list_add": np.zeros((2, 1), np.float32),
        "list_radius": np.zeros((2, 1), np.float32),
        "k": 1,
        "eps": 0.0,
        "allowed": None,
        "out_rows": np.empty((2, 3), np.int64),
        "out_distances": np.empty((2, 3), np.float32),
        "out_counters": np.empty((2, 3), np.int64),
    } | _wrong()[wrong]
    if wrong == "nothing":
        any_kernels.table_scan(**arguments)
        return
    with pytest.raises(ValueError, match=r"\w"):
        any_kernels.table_scan(**arguments)
