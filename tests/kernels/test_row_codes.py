"""Row codes on every backend and instruction set against values read one by one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from once import once
from row_codes_support import EXACT, KINDS, LANES, random_codes, reference, scan

from vecstore.kernels.base import CodeKind, Kernels, RowCodes

COUNTS = [40, 0, 64, 171]


def random_queries(rng: np.random.Generator, nq: int, dim: int, nprobe: int) -> tuple[np.ndarray, ...]:
    queries = rng.standard_normal((nq, dim)).astype(np.float32)
    probes = np.array([rng.permutation(len(COUNTS))[:nprobe] for _ in range(nq)], np.int32)
    return queries, probes, rng.standard_normal(probes.shape).astype(np.float32)


def check(
    kernels: Kernels, codes: RowCodes, queries: np.ndarray, probes: np.ndarray, list_add: np.ndarray, m: int,
    mask: np.ndarray | None = None,
) -> None:  # fmt: skip
    rows, distances, counters = scan(kernels, codes, queries, probes, list_add, m, mask)
    for q in range(len(queries)):
        all_rows, exact, error = once(reference, codes, queries[q], probes[q], list_add[q], mask)
        found = min(m, len(all_rows))
        assert counters[q].tolist() == [len(all_rows), 0, found]
        assert (rows[q, found:] == -1).all()
        assert np.isposinf(distances[q, found:]).all()
        order = np.lexsort((all_rows, exact))[:found]
        if codes.kind in EXACT:
            assert rows[q, :found].tolist() == all_rows[order].tolist()
            assert distances[q, :found].tobytes() == exact[order].tobytes()
            continue
        at = {row: i for i, row in enumerate(all_rows.tolist())}
        index = np.array([at[row] for row in rows[q, :found].tolist()], np.int64)
        assert len(set(index.tolist())) == found
        assert (np.abs(distances[q, :found] - exact[index]) <= error[index]).all()
        pairs = list(zip(distances[q, :found].tolist(), rows[q, :found].tolist(), strict=True))
        assert pairs == sorted(pairs)
        assert (np.abs(distances[q, :found] - exact[order]) <= 2 * error.max(initial=0)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 7, 8, 19, 48, 130])
def test_values_and_order(any_kernels: Kernels, kind: CodeKind, dim: int) -> None:
    rng = np.random.default_rng(dim)
    codes = random_codes(rng, kind, dim, COUNTS, 1 + dim % 3, half=dim % 2 == 1)
    for nq, m in [(1, 10), (1, 400), (3, 30), (9, 5)]:
        queries, probes, list_add = random_queries(rng, nq, dim, 3)
        probes[0, 1] = -1
        check(any_kernels, codes, queries, probes, list_add, m)


@pytest.mark.parametrize("dim", [1, 19, 48, 130])
def test_queries_of_two_bytes(any_kernels: Kernels, dim: int) -> None:
    rng = np.random.default_rng(100 + dim)
    codes = random_codes(rng, "int8", dim, COUNTS, dim % 3, query_bytes=2)
    for nq, m in [(1, 10), (1, 400), (3, 30), (9, 5)]:
        queries, probes, list_add = random_queries(rng, nq, dim, 3)
        queries[-1] *= np.float32(1e-45)  # too small to divide by
        check(any_kernels, codes, queries, probes, list_add, m)


def test_codes_without_factors(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(17)
    codes = random_codes(rng, "int8", 24, COUNTS, 0)
    queries, probes, list_add = random_queries(rng, 5, 24, 4)
    check(any_kernels, codes, queries, probes, list_add, 20, rng.random(250) < 0.5)
    nibbles = random_codes(rng, "nibble", 24, COUNTS, 1, query_bytes=2)
    with pytest.raises(ValueError, match="query_bytes"):
        scan(any_kernels, nibbles, queries, probes, list_add, 20)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_masks(any_kernels: Kernels, kind: CodeKind, share: float) -> None:
    rng = np.random.default_rng(7)
    codes = random_codes(rng, kind, 24, COUNTS, 2)
    queries, probes, list_add = random_queries(rng, 3, 24, 4)
    mask = rng.random(250) < share  # shorter than the rows: what lies past its end is not allowed
    check(any_kernels, codes, queries, probes, list_add, 20, mask)
    check(any_kernels, codes, queries[:1], probes[:1], list_add[:1], 20, mask)


@pytest.mark.parametrize(("kind", "query_bytes"), [*((kind, 1) for kind in EXACT), ("int8", 2)])
def test_extremes_do_not_saturate(any_kernels: Kernels, kind: CodeKind, query_bytes: Literal[1, 2]) -> None:
    """The largest products of either sign, next to each other, through dims enough to leave 16 bits many times over."""
    dim = 1024
    codes = random_codes(np.random.default_rng(0), kind, dim, [64], 1, query_bytes=query_bytes)
    codes.blocks[:] = np.array([0, 255], np.uint8)[np.arange(4) % 2]
    codes.blocks[0] = 0
    codes.blocks[1, :, ::2] = 255
    if codes.levels is not None:
        codes.levels[[0, 15]] = -128, 127
    for sign in (1, -1):
        queries = np.full((2, dim), sign, np.float32)
        queries[1, ::2] *= -1
        check(any_kernels, codes, queries, np.zeros((2, 1), np.int32), np.zeros((2, 1), np.float32), 64)


@pytest.mark.parametrize("kind", KINDS)
def test_ties_fall_to_the_lower_row(any_kernels: Kernels, kind: CodeKind) -> None:
    rng = np.random.default_rng(3)
    codes = random_codes(rng, kind, 16, [100, 90], 1)
    codes.factors[:] = 0
    query, add = np.ones((1, 16), np.float32), np.ones((1, 2), np.float32)
    for m in (20, 150):  # few enough that a bound is set before the other list, whose rows may be lower, is visited
        for visited in ([1, 0], [0, 1]):
            rows, distances, _ = scan(any_kernels, codes, query, np.array([visited], np.int32), add, m)
            used = np.concatenate([codes.rows[:100], codes.rows[4 * LANES : 4 * LANES + 90]])
            assert rows[0].tolist() == np.sort(used)[:m].tolist()
            assert (distances == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_has_the_bits_of_single_queries(kernels: Kernels, kind: CodeKind) -> None:
    rng = np.random.default_rng(5)
    codes = random_codes(rng, kind, 72, [700, 333], 2)
    queries = rng.standard_normal((21, 72)).astype(np.float32)
    queries[4] = 0
    probes = np.tile(np.array([[1, 0]], np.int32), (21, 1))
    list_add = rng.standard_normal(probes.shape).astype(np.float32)
    batch = scan(kernels, codes, queries, probes, list_add, 25)
    for q in range(21):
        alone = scan(kernels, codes, queries[q : q + 1], probes[q : q + 1], list_add[q : q + 1], 25)
        for together, single in zip(batch, alone, strict=True):
            assert together[q].tobytes() == single[0].tobytes()


def test_many_threads_give_the_same(kernels: Kernels) -> None:
    codes = random_codes(np.random.default_rng(9), "nibble", 512, [30000], 2)
    queries = np.random.default_rng(10).standard_normal((2, 512)).astype(np.float32)
    probes, list_add = np.zeros((2, 1), np.int32), np.zeros((2, 1), np.float32)
    kernels.set_threads(1)
    one = scan(kernels, codes, queries, probes, list_add, 50)
    kernels.set_threads(3)
    three = scan(kernels, codes, queries, probes, list_add, 50)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, three, strict=True))


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("blocks", lambda a: a[:, :, :, :3], "blocks"),
        ("blocks", lambda a: a.astype(np.uint16), "blocks"),
        ("factors", lambda a: a.astype(np.float64), "factors"),
        ("factors", lambda a: np.ascontiguousarray(np.repeat(a, 4, axis=1)), "factors"),
        ("rows", lambda a: a[:-1], "rows"),
        ("counts", lambda a: a + 1000, r"list|counts"),
        ("offsets", lambda a: a + 1, r"list|offsets"),
        ("levels", lambda a: a[:8], "levels"),
    ],
)
def test_arrays_that_do_not_fit(any_kernels: Kernels, name: str, change: object, says: str) -> None:
    codes = random_codes(np.random.default_rng(1), "nibble", 16, [40, 50], 1)
    parts = {field: getattr(codes, field) for field in RowCodes.__slots__}
    parts[name] = change(parts[name])  # type: ignore[operator]
    queries, probes = np.ones((1, 16), np.float32), np.array([[0, 1]], np.int32)
    with pytest.raises(ValueError, match=says):
        scan(any_kernels, RowCodes(**parts), queries, probes, np.zeros((1, 2), np.float32), 5)


def test_probes_and_dims_out_of_range(any_kernels: Kernels) -> None:
    codes = random_codes(np.random.default_rng(1), "int8", 16, [40], 1)
    add = np.zeros((1, 1), np.float32)
    for queries, probe in [(np.ones((1, 16), np.float32), 1), (np.ones((1, 17), np.float32), 0)]:
        with pytest.raises(ValueError, match=r"probes|blocks"):
            scan(any_kernels, codes, queries, np.array([[probe]], np.int32), add, 5)
