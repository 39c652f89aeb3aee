"""`table_scan` of queries that read one list together: as they are alone, with tables that are linear in a code's bits
(whose sums are products where the CPU has tiles) and with others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from table_support import check, random_codes, scan, with_true_bounds

from vecstore.kernels.base import Kernels, TableCodes

LOW = [(4, 40)]
BATCHES = (2, 7, 8, 9, 16, 17, 31, 32, 40)


def of_bits(codes: TableCodes, rng: np.random.Generator) -> TableCodes:
    """The same with tables that add up what each bit of a nibble stands for."""
    *shape, _ = codes.table_values.shape
    steps = rng.standard_normal((*shape, 4)).astype(np.float32)
    bits = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(np.float32)
    first = rng.standard_normal((*shape, 1)).astype(np.float32)
    return replace(codes, table_values=np.ascontiguousarray(first + steps @ bits.T))


def all_of_one_list(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(len(queries))
    shape = len(queries), 1
    return (
        np.zeros(shape, np.int32),
        rng.standard_normal(shape).astype(np.float32),
        rng.uniform(0.5, 2, shape).astype(np.float32),
    )


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("low", [None, LOW])
@pytest.mark.parametrize("m", [1, 8, 9, 24, 96, 132])
def test_a_batch(any_kernels: Kernels, m: int, low: list[tuple[int, int]] | None, linear: bool) -> None:
    rng = np.random.default_rng(m)
    codes = random_codes(rng, [700], m, 40, width=4, runs=low, error=0.2)
    codes = of_bits(codes, rng) if linear else codes
    queries = rng.standard_normal((17, 40)).astype(np.float32)
    for eps in (0.0, 1.9):
        check(any_kernels, codes, queries, np.zeros((17, 1), np.int32), 5, 300, eps=eps)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("signs", [1, -1, 0])
@pytest.mark.parametrize("low", [None, LOW])
def test_queries_have_the_same_bits_alone_in_batches_and_on_every_instruction_set(
    native_isa: Callable[[str], Kernels], low: list[tuple[int, int]] | None, signs: int, dtype: str
) -> None:
    """Scales of one sign in a block allow cuts; of both signs none."""
    from vecstore.kernels.native_backend import supported_isas

    rng = np.random.default_rng(signs + 5)
    for m in (9, 24, 96):
        codes = of_bits(random_codes(rng, [3000], m, 40, width=4, runs=low, error=0.3, dtype=dtype), rng)
        if signs:
            codes.factors[:, 0] = signs * np.abs(codes.factors[:, 0])
        queries = rng.standard_normal((max(BATCHES), 40)).astype(np.float32)
        if low:
            codes = with_true_bounds(codes, queries, 1.9, 0.5)
        lists = all_of_one_list(queries)
        truth: tuple[bytes, bytes] | None = None
        for isa in supported_isas():
            kernels = native_isa(isa)
            for nq in (1, *BATCHES):
                found = [
                    scan(kernels, codes, queries[at : at + nq], *(one[at : at + nq] for one in lists), 10, 10, 1.9)
                    for at in range(0, len(queries), nq)
                ]
                rows, distances = (np.concatenate([one[i] for one in found]) for i in (0, 1))
                truth = truth or (rows.tobytes(), distances.tobytes())
                assert (rows.tobytes(), distances.tobytes()) == truth, (isa, nq, m)


@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e30, 1e36])
def test_sums_of_any_size(any_kernels: Kernels, size: float) -> None:
    """Numbers whose steps vanish, or whose tables overflow: nothing may be lost for that, where it has a distance."""
    rng = np.random.default_rng(3)
    codes = of_bits(random_codes(rng, [300], 24, 40, width=1, columns=2), rng)
    codes.factors[:, 0] = np.abs(codes.factors[:, 0]) / np.float32(max(size, 1))
    queries = (rng.standard_normal((9, 40)) * size / 8).astype(np.float32)
    lists = np.zeros((9, 1), np.int32)
    nothing = np.zeros((9, 1), np.float32)
    rows, _, _ = scan(any_kernels, codes, queries, lists, nothing, nothing, 300, 300)
    assert (np.sort(rows) == np.arange(300)).all()
