"""Multi-index hashing answers exactly what a scan does, survives a restart, and refuses arrays that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.errors import Corruption, InvalidArgument
from vecstore.index.base import SearchParams
from vecstore.index.flat import BinaryFlatIndex
from vecstore.index.mih import MihIndex
from vecstore.index.registry import built_index
from vecstore.index_spec import MIH
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind


def _field(bits: int, spec: MIH | None = None) -> VectorField:
    return VectorField(VectorKind.BINARY, bits, Metric.HAMMING, index=spec or MIH())


def _build(rows: np.ndarray, spec: MIH | None = None) -> MihIndex:
    spec = spec or MIH()
    return MihIndex.build(_field(rows.shape[1] * 8, spec), spec, rows, None, get_kernels(), lambda *_: None)


def _clustered(rng: np.random.Generator, n: int, bits: int, flips: int, nq: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Rows in groups of near copies, and queries near some of them."""
    centres = rng.integers(0, 2, (max(n // 15, 1), bits), np.uint8)
    rows = centres[rng.integers(0, len(centres), n)]
    rows[rng.random(rows.shape) < flips / bits] ^= 1
    queries = rows[rng.integers(0, n, nq)].copy()
    queries[rng.random(queries.shape) < flips / bits] ^= 1
    return np.packbits(rows, axis=1), np.packbits(queries, axis=1)


@pytest.mark.parametrize("bits", [8, 64, 96, 128, 192, 256, 1024])
@pytest.mark.parametrize("flips", [0.3, 3, 12])
def test_exact_neighbours(bits: int, flips: float) -> None:
    seed = 100 * bits + int(flips * 10)
    rng = np.random.default_rng(seed)
    rows, queries = _clustered(rng, 4000, bits, min(flips, bits / 4))
    index, flat = _build(rows), BinaryFlatIndex(_field(bits), rows)
    masks = [None, *(np.packbits(rng.random(4032) < p, bitorder="little").view(np.uint64) for p in (0.03, 0.5))]
    for k in (1, 10, 100):
        for allowed in masks:
            if allowed is not None:
                allowed[-1] &= np.uint64((1 << (4000 % 64)) - 1)
            found = index.search(get_kernels(), queries, k, allowed)
            exact = flat.search(get_kernels(), queries, k, allowed)
            np.testing.assert_array_equal(found.rows, exact.rows, err_msg=f"seed {seed}")
            np.testing.assert_array_equal(found.distances, exact.distances, err_msg=f"seed {seed}")


def test_near_neighbours_are_found_without_a_scan() -> None:
    rows, queries = _clustered(np.random.default_rng(1), 30_000, 128, 3)
    index = _build(rows)
    found = index.search(get_kernels(), queries, 5, None)
    assert found.counters["queries_scanned"] == 0
    assert found.counters["rows_scanned"] < 0.02 * len(rows) * len(queries)
    assert index.search(get_kernels(), queries, 5, None, SearchParams(exact=True)).rows.tolist() == found.rows.tolist()


def test_far_neighbours_are_scanned() -> None:
    rng = np.random.default_rng(2)
    rows, queries = rng.integers(0, 256, (3000, 32), np.uint8), rng.integers(0, 256, (4, 32), np.uint8)
    found = _build(rows).search(get_kernels(), queries, 10, None)
    assert found.counters["queries_scanned"] == 4
    assert found.counters["buckets_probed"] <= 4 * 3000 // 64 + 4
    exact = BinaryFlatIndex(_field(256), rows).search(get_kernels(), queries, 10, None)
    assert found.rows.tolist() == exact.rows.tolist()


@pytest.mark.parametrize("radius", [0, 1, 7, 8, 20, 128])
def test_everything_within_a_radius(radius: int) -> None:
    rows, queries = _clustered(np.random.default_rng(radius), 3000, 128, 4)
    index, flat = _build(rows), BinaryFlatIndex(_field(128), rows)
    differing = np.unpackbits(queries[:, None] ^ rows[None], axis=2).sum(axis=2)
    for limit in (3, 3000):
        found = index.search_radius(get_kernels(), queries, radius, limit, None)
        scanned = flat.search_radius(get_kernels(), queries, radius, limit, None)
        for q in range(len(queries)):
            near = np.flatnonzero(differing[q] <= radius)
            expected = near[np.lexsort((near, differing[q][near]))][:limit]
            assert found.rows[q][found.rows[q] >= 0].tolist() == expected.tolist()
            assert scanned.rows[q].tolist() == found.rows[q].tolist()
            assert scanned.distances[q].tolist() == found.distances[q].tolist()


def test_restart() -> None:
    rows, queries = _clustered(np.random.default_rng(3), 2000, 72, 3)
    index = _build(rows, MIH(chunks=7))
    arrays = index.arrays()
    for array in arrays.values():
        array.flags.writeable = False
    again = built_index(MIH()).from_arrays(_field(72), rows, arrays)
    assert again.ntotal == 2000
    before, after = (one.search(get_kernels(), queries, 9, None) for one in (index, again))
    assert before.rows.tolist() == after.rows.tolist()
    assert before.counters == after.counters
    assert index.code_bytes == 7 * 4 + 4 * sum((1 << int(b)) + 1 for b in np.diff(arrays["mih_starts"])) / 2000


@pytest.mark.parametrize("n", [0, 1, 2, 65])
def test_few_rows(n: int) -> None:
    rows = np.arange(n * 8, dtype=np.uint8).reshape(n, 8)
    found = _build(rows).search(NumpyKernels(), np.zeros((2, 8), np.uint8), 3, None)
    exact = BinaryFlatIndex(_field(64), rows).search(NumpyKernels(), np.zeros((2, 8), np.uint8), 3, None)
    assert found.rows.tolist() == exact.rows.tolist()


def test_bad_chunks_are_refused() -> None:
    rows = np.zeros((4, 16), np.uint8)
    for chunks in (0, 5, 129):
        with pytest.raises(InvalidArgument, match=f"chunks is {chunks}") as error:
            _build(rows, MIH(chunks=chunks))
        assert error.value.reason == "BAD_INDEX_SPEC"


def test_arrays_that_do_not_fit_are_corruption() -> None:
    rows, _ = _clustered(np.random.default_rng(4), 300, 64, 3)
    good = _build(rows).arrays()
    size = 1 << int(good["mih_starts"][1])

    def swapped(name: str, place: int, value: int) -> np.ndarray:
        array = good[name].copy()
        array.reshape(-1)[place] = value
        return array

    bad: list[tuple[str, np.ndarray | None]] = [
        ("mih_starts", None),
        ("mih_buckets", None),
        ("mih_rows", None),
        ("mih_starts", good["mih_starts"][:-1]),
        ("mih_starts", good["mih_starts"].astype(np.int64)),
        ("mih_starts", swapped("mih_starts", 0, 1)),
        ("mih_starts", swapped("mih_starts", 1, 63)),
        ("mih_starts", np.empty((0, 0), np.int32)),
        ("mih_buckets", good["mih_buckets"][:-1]),
        ("mih_buckets", good["mih_buckets"].astype(np.int32)),
        ("mih_buckets", swapped("mih_buckets", 0, 1)),
        ("mih_buckets", swapped("mih_buckets", size, 301)),
        ("mih_buckets", swapped("mih_buckets", 5, 1 << 31)),
        ("mih_rows", good["mih_rows"][:, :-1]),
        ("mih_rows", good["mih_rows"].astype(np.int64)),
        ("mih_rows", swapped("mih_rows", 17, 300)),
    ]
    for name, array in bad:
        arrays = {**good, name: array} if array is not None else {key: good[key] for key in good if key != name}
        with pytest.raises(Corruption, match=r"mih|chunk"):
            MihIndex.from_arrays(_field(64), rows, arrays)
    with pytest.raises(Corruption):
        MihIndex.from_arrays(_field(64), rows[:, :4], good)
