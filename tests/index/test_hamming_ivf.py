"""Lists of packed bits: what probing all finds is exact, what it finds by default is as good as it says."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.errors import Cancelled, Corruption
from vecstore.index.base import SearchParams, Warm
from vecstore.index.flat import BinaryFlatIndex
from vecstore.index.hamming_ivf import HammingIvfIndex
from vecstore.index.majority import nearest_centroids, train_centroids
from vecstore.index.registry import built_index
from vecstore.index_spec import HammingIVF
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, VectorField, VectorKind

BITS = 128


def _field(spec: HammingIVF) -> VectorField:
    return VectorField(VectorKind.BINARY, BITS, Metric.HAMMING, index=spec)


def _build(rows: np.ndarray, spec: HammingIVF | None = None, warm: HammingIvfIndex | None = None) -> HammingIvfIndex:
    spec = spec or HammingIVF()
    start = None if warm is None else Warm(warm, np.full(warm.ntotal, -1))
    return HammingIvfIndex.build(_field(spec), spec, rows, None, get_kernels(), lambda *_: None, start)


def _clustered(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (40, BITS), np.uint8)[rng.integers(0, 40, n)]
    bits[rng.random(bits.shape) < 0.15] ^= 1
    return np.packbits(bits, axis=1)


def _flat(rows: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    return BinaryFlatIndex(_field(HammingIVF()), rows).search(get_kernels(), queries, k, allowed).rows


ROWS = _clustered(1, 8000)
QUERIES = _clustered(1, 8300)[8000:]


def _recall(found: np.ndarray, queries: np.ndarray = QUERIES) -> float:
    """By distance: where many rows are as near as the tenth, any of them will do."""
    differing = np.unpackbits(queries[:, None] ^ ROWS[found], axis=2).sum(axis=2)
    reach = np.unpackbits(queries ^ ROWS[_flat(ROWS, queries, 10)[:, 9]], axis=1).sum(axis=1)
    return float((differing <= reach[:, None]).mean())


def test_default_and_target_recall_hold_for_new_queries() -> None:
    index = _build(ROWS)
    found = index.search(get_kernels(), QUERIES, 10, None)
    assert found.counters["rows_scanned"] < 0.7 * len(ROWS) * len(QUERIES)
    assert _recall(found.rows) >= 0.92
    work = found.counters["rows_scanned"]
    for target, more in ((0.6, False), (0.999, True)):
        found = index.search(get_kernels(), QUERIES, 10, None, SearchParams(recall_target=target))
        assert _recall(found.rows) >= target - 0.03
        assert (found.counters["rows_scanned"] > work) is more


def test_more_lists_find_more_and_all_find_everything() -> None:
    index = _build(ROWS, HammingIVF(nlist=64))
    recalls = []
    for nprobe in (1, 4, 16, 63, 64, 1000):
        found = index.search(get_kernels(), QUERIES, 10, None, SearchParams(nprobe=nprobe))
        assert (np.diff(found.distances, axis=1) >= 0).all()
        recalls.append(_recall(found.rows))
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1
    exact = _flat(ROWS, QUERIES, 10).tolist()
    assert found.rows.tolist() == exact
    assert index.search(get_kernels(), QUERIES, 10, None, SearchParams(exact=True)).rows.tolist() == exact
    by_spec = _build(ROWS, HammingIVF(nlist=64, nprobe=5)).search(get_kernels(), QUERIES, 10, None)
    assert by_spec.counters["lists_probed"] == 5 * len(QUERIES)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_further_search_visits_what_was_not_visited(share: float) -> None:
    index, kernels = _build(ROWS, HammingIVF(nlist=64)), get_kernels()
    mask = np.random.default_rng(4).random(len(ROWS)) < share
    allowed = None if share == 1 else np.packbits(mask, bitorder="little").view(np.uint64)
    before, params = SearchParams(nprobe=4), SearchParams(nprobe=12)
    first, whole = (index.search(kernels, QUERIES, 10, allowed, one) for one in (before, params))
    more = index.search_further(kernels, QUERIES, 10, allowed, params, before, first)
    np.testing.assert_array_equal(more.rows, whole.rows)
    np.testing.assert_array_equal(more.distances, whole.distances)
    assert more.recall == whole.recall
    assert more.counters["rows_scanned"] + first.counters["rows_scanned"] == whole.counters["rows_scanned"]
    same = index.search_further(kernels, QUERIES, 10, allowed, before, before, first)
    np.testing.assert_array_equal(same.rows, first.rows)
    assert (same.recall, same.counters) == (first.recall, {})


def test_masks() -> None:
    index = _build(ROWS, HammingIVF(nlist=64))
    rng = np.random.default_rng(2)
    for share in (0.0, 0.004, 0.5):
        mask = rng.random(len(ROWS)) < share
        allowed = np.packbits(mask, bitorder="little").view(np.uint64)
        found = index.search(get_kernels(), QUERIES, 10, allowed, SearchParams(nprobe=8))
        assert mask[found.rows[found.rows >= 0]].all()
        if share < 0.1:  # fewer rows than the lists hold: scanned, exactly
            assert found.rows.tolist() == _flat(ROWS, QUERIES, 10, allowed).tolist()


def test_massive_ties_fall_to_the_lower_row() -> None:
    rng = np.random.default_rng(3)
    rows = np.zeros((4000, BITS // 8), np.uint8)
    rows[:, 0] = 1 << rng.integers(0, 3, 4000)
    index = _build(rows, HammingIVF(nlist=3))
    found = index.search(get_kernels(), rows[:50], 20, None, SearchParams(nprobe=2))
    assert (found.distances == 0).all()
    assert found.rows.tolist() == _flat(rows, rows[:50], 20).tolist()


def test_building_twice_gives_the_same_bytes_on_any_backend() -> None:
    rows = ROWS[:1500]
    spec = HammingIVF(nlist=20)
    one = _build(rows, spec).arrays()
    two = HammingIvfIndex.build(_field(spec), spec, rows, None, NumpyKernels(), lambda *_: None).arrays()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name], err_msg=name)


def test_centroids_are_majorities_of_their_rows() -> None:
    centroids = train_centroids(get_kernels(), ROWS, 40, lambda *_: None)
    assigned = nearest_centroids(get_kernels(), ROWS, centroids)
    within = np.unpackbits(ROWS ^ centroids[assigned], axis=1).sum(axis=1).mean()
    centres = np.packbits(np.random.default_rng(1).integers(0, 2, (40, BITS), np.uint8), axis=1)
    ideal = np.unpackbits(ROWS ^ centres[nearest_centroids(get_kernels(), ROWS, centres)], axis=1).sum(axis=1).mean()
    assert within < 1.35 * ideal
    assert within < 0.8 * np.unpackbits(ROWS[1:] ^ ROWS[:-1], axis=1).sum(axis=1).mean()


@pytest.mark.parametrize("spec", [HammingIVF(nlist=32), HammingIVF()])
def test_a_merge_trains_nothing(spec: HammingIVF) -> None:
    warm = _build(ROWS[:4000], spec)
    phases: list[str] = []
    merged = HammingIvfIndex.build(
        _field(spec), spec, ROWS, None, get_kernels(), lambda phase, *_: phases.append(phase),
        Warm(warm, np.arange(4000)),
    )  # fmt: skip
    assert "train" not in phases
    np.testing.assert_array_equal(merged.arrays()["centroids"], warm.arrays()["centroids"])
    assert merged.ntotal == len(ROWS)


def test_a_build_can_be_cancelled() -> None:
    def stop(phase: str, done: int, total: int) -> None:
        if phase == "assign":
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        HammingIvfIndex.build(_field(HammingIVF()), HammingIVF(), ROWS, None, get_kernels(), stop)


@pytest.mark.parametrize("n", [0, 1, 2, 33])
def test_few_rows(n: int) -> None:
    index = _build(ROWS[:n])
    found = index.search(get_kernels(), QUERIES[:2], 5, None)
    assert found.rows.tolist() == _flat(ROWS[:n], QUERIES[:2], 5).tolist()


def test_restart() -> None:
    index = _build(ROWS, HammingIVF(nlist=50))
    arrays = index.arrays()
    for array in arrays.values():
        array.flags.writeable = False
    again = built_index(HammingIVF()).from_arrays(_field(HammingIVF(nlist=50)), ROWS, arrays)
    before, after = (one.search(get_kernels(), QUERIES, 10, None) for one in (index, again))
    assert before.rows.tolist() == after.rows.tolist()
    assert before.counters == after.counters


def test_a_small_segment_has_no_more_lists_than_rows() -> None:
    index = _build(ROWS[:10], HammingIVF(nlist=64))
    assert len(index.arrays()["centroids"]) == 10
    assert _build(ROWS[:0], HammingIVF(nlist=64), warm=index).ntotal == 0


def test_arrays_that_do_not_fit_are_corruption() -> None:
    rows = ROWS[:500]
    good = _build(rows, HammingIVF(nlist=10)).arrays()

    def swapped(name: str, place: int, value: float) -> np.ndarray:
        array = good[name].copy()
        array.reshape(-1)[place] = value
        return array

    bad: list[tuple[str, np.ndarray | None]] = [
        *((name, None) for name in good if name != "familiar"),  # which an older index does not have
        *((name, array[:-1]) for name, array in good.items()),
        *((name, array.astype(np.float32)) for name, array in good.items()),
        ("offsets", swapped("offsets", 0, 1)),
        ("offsets", swapped("offsets", 10, 501)),
        ("offsets", swapped("offsets", 3, 500)),
        ("list_rows", swapped("list_rows", 7, 500)),
        ("list_rows", swapped("list_rows", 7, good["list_rows"][8])),
        ("table.ks", swapped("table.ks", 0, 0)),
        ("table.efforts", swapped("table.efforts", 0, np.nan)),
        ("table.efforts", swapped("table.efforts", 0, 11)),
        ("table.rows", swapped("table.rows", 0, 501)),
    ]
    for name, array in bad:
        arrays = {**good, name: array} if array is not None else {key: good[key] for key in good if key != name}
        with pytest.raises(Corruption):
            HammingIvfIndex.from_arrays(_field(HammingIVF(nlist=10)), rows, arrays)
