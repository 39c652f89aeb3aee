"""Packed sparse rows: decoded alike everywhere, and searched to the bits of the rows they were made of."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from masks import bitmap
from seeds import seeded
from sparse_support import random_rows, random_saturation

from vecstore.index.seismic_parts import Kept, build_parts
from vecstore.index.seismic_terms import count_terms
from vecstore.kernels.base import Kernels
from vecstore.kernels.seismic import COUNTERS, Visit
from vecstore.kernels.sparse import INVERTED_COUNTERS
from vecstore.offsets import taken_of
from vecstore.packed_sparse import PackedRows, packed
from vecstore.sparse import SparseRows

HASHED = np.unique(np.random.default_rng(0).integers(0, 2**32, 3000, dtype=np.uint64)).astype(np.uint32)
HASHED[-1] = 2**32 - 1


TERMS = {"two bytes": 60_000, "three bytes": 90_000}


def packed_rows(rows: SparseRows, components: str = "delta8") -> PackedRows:
    return packed(rows, components)  # type: ignore[arg-type]


def spread_rows(rng: np.random.Generator, n: int, n_terms: int) -> SparseRows:
    """Gaps of one byte to as many as there are; the last row has all terms."""
    terms = np.unique(rng.integers(0, 2**32, n_terms, dtype=np.uint64)).astype(np.uint32)
    counts = rng.integers(0, 60, n)
    spread = [np.sort(rng.choice(int(rng.choice([count, 3000, len(terms)])), count, False)) for count in counts]
    rows = [*spread, np.arange(len(terms))]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    places = np.concatenate(rows)
    return SparseRows(offsets, terms[places], rng.random(len(places), np.float32) + np.float32(0.01))


@pytest.mark.parametrize("form", ["delta8", "plain"])
@pytest.mark.parametrize("kind", ["dense", "two bytes", "three bytes"])
def test_rows_come_back(any_kernels: Kernels, kind: str, form: str) -> None:
    rng = seeded()
    n = int(rng.integers(1, 200))
    rows = random_rows(rng, n, HASHED, 40) if kind == "dense" else spread_rows(rng, n, TERMS[kind])
    mine = packed_rows(rows, form)
    assert not mine.delta or mine.highs.dtype == (np.uint16 if kind == "three bytes" else np.uint8)
    for listed in (np.arange(len(rows)), rng.integers(0, len(rows), 30), np.empty(0, np.int64)):
        wanted, got = rows.take(listed), mine.take(listed)
        for name, array in wanted.arrays().items():
            assert got.arrays()[name].dtype == array.dtype
            assert got.arrays()[name].tobytes() == array.tobytes(), name
        offsets, _ = taken_of(mine.offsets, listed)
        out = np.full(int(offsets[-1]), 7, np.uint32)
        any_kernels.unpack_places(mine, listed, offsets, out)
        assert (mine.terms[out] == wanted.indices).all()
    low, high = sorted(rng.integers(0, len(rows) + 1, 2).tolist())
    assert mine[low:high].indices.tobytes() == rows[low:high].indices.tobytes()
    assert [one.nnz for one in mine] == np.diff(rows.offsets).tolist()


@pytest.mark.parametrize(
    ("values", "stored"),
    [([1, 255, 3], np.uint8), ([1, 256, 3], np.float16), ([0.5, -2, 3], np.float16), ([0.1, 1, 2], np.float32),
     ([1, 70_000, 2], np.float32), ([2**-24, 1, 2], np.float16), ([2**-25, 1, 2], np.float32),
     ([-1, 1, 2], np.float16)],
)  # fmt: skip
def test_values_are_as_narrow_as_is_exact(values: list[float], stored: type) -> None:
    rows = SparseRows(np.array([0, 2, 3]), np.array([1, 9, 4], np.uint32), np.array(values, np.float32))
    mine = packed_rows(rows)
    assert mine.values.dtype == stored
    assert mine[:].values.tobytes() == rows.values.tobytes()
    half = packed_rows(rows.astype(np.float16)) if np.abs(values).max() < 60_000 else mine
    assert half.values.dtype.itemsize <= 4


@pytest.mark.parametrize("form", ["delta8", "plain"])
@pytest.mark.parametrize("values", ["counts", "float16", "float32"])
def test_searches_give_the_bits_of_plain_rows(any_kernels: Kernels, form: str, values: str) -> None:
    rng = seeded()
    n = int(rng.integers(1, 300))
    terms = HASHED
    rows = random_rows(rng, n, terms, 25) if rng.random() < 0.5 else spread_rows(rng, n, 3100)
    n, terms = len(rows), np.unique(rows.indices)
    if values == "counts":
        rows = SparseRows(rows.offsets, rows.indices, rng.integers(1, 9, rows.nnz).astype(np.float32))
    elif values == "float32":
        rows = SparseRows(rows.offsets, rows.indices, rng.random(rows.nnz, np.float32) + np.float32(1e-3))
    else:
        rows = rows.astype(np.float16)
    mine = packed_rows(rows, form)
    queries = random_rows(rng, 5, terms if rng.random() < 0.5 else np.union1d(terms, [5, 2**31]), 12)
    saturation = random_saturation(rng, n) if rng.random() < 0.5 else None
    allowed = None if rng.random() < 0.5 else bitmap(rng.random(n) < 0.5)
    k = int(rng.choice([1, 10, 400]))
    candidates = rng.integers(-1, n, (5, 40))
    asked = np.unique(np.append(queries.indices, terms[:3]))
    wanted = rows.nnz and build_parts(
        rows, rng.permutation(n).astype(np.uint32), *count_terms(rows), Kept(0.0, 1 << 40), "mean", lambda *_: None
    )
    windows = [any_kernels.open_window(any_kernels.build_window(0, rows, saturation))]

    def answers(stored: SparseRows | PackedRows) -> list[bytes]:
        found, distances = oracle.outputs(5, k)
        any_kernels.sparse_scan(queries, stored, saturation, allowed, found, distances)
        reranked = np.empty(candidates.shape, np.float32)
        any_kernels.sparse_rerank(queries, stored, saturation, candidates, reranked)
        counts = np.empty((2, len(asked)), np.int64)
        any_kernels.sparse_document_frequency(asked, stored, allowed, counts[0])
        any_kernels.inverted_document_frequency(windows, asked, stored, allowed, counts[1])
        listed, near = oracle.outputs(5, k)
        counted = np.empty((5, len(INVERTED_COUNTERS)), np.int64)
        any_kernels.inverted_search(windows, queries, stored, saturation, allowed, listed, near, counted)
        every = [found, distances, reranked, counts, listed, near, counted]
        if wanted:
            opened = any_kernels.open_seismic(wanted)
            blocks, scored = oracle.outputs(5, k)
            read = np.empty((5, len(COUNTERS)), np.int64)
            any_kernels.seismic_search(opened, stored, queries, Visit(k + 3, 2, 1.5), allowed, blocks, scored, read)
            every += [blocks, scored, read]
        assert (found >= 0).any() or not rows.nnz or allowed is not None or len(asked) == 3
        return [array.tobytes() for array in every]

    assert answers(mine) == answers(rows)


def _with(rows: PackedRows, **parts: np.ndarray) -> PackedRows:
    return PackedRows.from_arrays(rows.arrays() | parts, rows.dtype)


def _changed(array: np.ndarray, at: int, value: int) -> np.ndarray:
    other = array.copy()
    other[at] = value
    return other


def test_arrays_that_do_not_fit_are_refused() -> None:
    rows = spread_rows(np.random.default_rng(4), 50, 3100)
    mine = packed_rows(rows)
    entry = int(np.flatnonzero(np.unpackbits(mine.flags, bitorder="little"))[0])
    for parts, message in [
        ({"offsets": mine.offsets + 1}, "offsets"),
        ({"offsets": _changed(mine.offsets, 3, 1 << 40)}, "offsets"),
        ({"terms": mine.terms[::-1].copy()}, "ascend"),
        ({"terms": mine.terms[:-1]}, "past the terms"),
        ({"flags": _changed(mine.flags, entry // 8, 0)}, "flags"),
        ({"flags": mine.flags[:-1]}, "flags"),
        ({"lows": mine.lows[:-1]}, "lows"),
        ({"highs": mine.highs[:-1]}, "starts"),
        ({"highs": np.full_like(mine.highs, 255)}, "past the terms"),
        ({"starts": _changed(mine.starts, 2, 0)}, "starts|flags"),
        ({"values": mine.values[:-1]}, "offsets"),
        ({"values": mine.values.astype(np.float64)}, "float64"),
        ({"lows": mine.lows.astype(np.int16)}, "int16"),
    ]:
        with pytest.raises(ValueError, match=message):
            _with(mine, **parts)
    plain = packed_rows(rows, "plain")
    with pytest.raises(ValueError, match="past the terms"):
        _with(plain, lows=_changed(plain.lows, 5, 60_000))
    with pytest.raises(ValueError, match="ascend"):
        _with(plain, lows=plain.lows[::-1].copy(), offsets=np.array([0, len(plain.values)]))


def test_bytes_for_an_entry() -> None:
    """Gaps of a vocabulary of 16 bits take 1 byte and 1 or 2 bits where rows have some hundred entries."""
    rng = np.random.default_rng(5)
    rows = random_rows(rng, 200, np.arange(8000, dtype=np.uint32), 150, empty=0)
    mine = packed_rows(rows)
    assert mine.values.dtype == np.float16
    codes = mine.lows.nbytes + mine.highs.nbytes + mine.flags.nbytes
    assert codes < 1.5 * rows.nnz
    assert packed_rows(rows, "plain").lows.nbytes == 2 * rows.nnz
