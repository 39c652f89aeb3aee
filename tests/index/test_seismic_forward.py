"""Seismic indexes with a copy of the rows of their own: in every form, beside the stored rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_seismic import accuracy, bitmap, built, exact, quiet, same, seeded, shortened, topical

from vecstore.errors import Corruption
from vecstore.index.base import SearchParams
from vecstore.index.seismic import SeismicIndex
from vecstore.index.sizes import Shape, index_sizes
from vecstore.index_spec import Seismic
from vecstore.kernels.base import Kernels
from vecstore.kernels.select import available_backends, get_kernels, load_backend
from vecstore.packed_sparse import PackedRows, packed
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.sparse import SparseRows

SINGLE = VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT32)
HALF = VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT16)
FORMS = [
    Seismic(values="float16", components="plain"),
    Seismic(values="float16", components="delta8"),
    Seismic(values="fixed8", components="plain"),
    Seismic(values="fixed8", components="delta8"),
]
UNSCORED = SearchParams(rescore=False)


def forward(index: SeismicIndex) -> PackedRows:
    assert index._forward is not None
    return index._forward


@pytest.fixture(scope="module")
def rows() -> SparseRows:
    return topical(np.random.default_rng(1), 900)


@pytest.fixture(scope="module")
def indexes(rows: SparseRows) -> dict[Seismic, SeismicIndex]:
    return {spec: built(rows, spec) for spec in [Seismic(), *FORMS]}


@pytest.mark.parametrize("spec", FORMS)
def test_answers_have_the_scores_of_the_stored_rows(
    rows: SparseRows, indexes: dict[Seismic, SeismicIndex], spec: Seismic
) -> None:
    rng, index, kernels = seeded(), indexes[spec], get_kernels()
    queries = shortened(rng, rows, 60)
    mask = rng.random(len(rows)) < 0.7
    for allowed in (None, bitmap(mask)):
        wanted = exact(rows, queries, 10, allowed)
        for params in (SearchParams(), SearchParams(recall_target=0.95), SearchParams(block_factor=4, oversampling=3)):
            found = index.search(kernels, queries, 10, allowed, params)
            assert accuracy(found, wanted) > 0.9
            scored = exact_distances(rows, queries, found.rows)
            assert found.distances.tobytes() == scored.tobytes()
            assert (np.diff(found.distances, axis=1) >= 0).all()
            if allowed is not None:
                assert mask[found.rows].all()
        same(index.search(kernels, queries, 10, allowed, SearchParams(recall_target=1)), wanted)
        same(index.search(kernels, queries, 10, allowed, SearchParams(exact=True)), wanted)


def searched(index: SeismicIndex, queries: SparseRows, params: SearchParams) -> Any:
    return index.search(get_kernels(), queries, 9, None, params)


def exact_distances(rows: SparseRows, queries: SparseRows, listed: np.ndarray) -> np.ndarray:
    distances = np.empty(listed.shape, np.float32)
    get_kernels().sparse_rerank(queries, rows, None, listed, distances)
    return distances


@pytest.mark.parametrize("components", ["plain", "delta8"])
def test_fixed8_scores_are_within_half_a_step(
    rows: SparseRows, indexes: dict[Seismic, SeismicIndex], components: Any
) -> None:
    index = indexes[Seismic(values="fixed8", components=components)]
    assert forward(index).step == 1 / 32  # values reach past 3.98
    assert rows.values.max() > 3.99
    queries = shortened(seeded(), rows, 60)
    found = index.search(get_kernels(), queries, 10, None, UNSCORED)
    assert found.recall is None
    bound = np.array([query.values.sum() for query in queries])[:, None] / 64 * 1.001
    errors = np.abs(found.distances - exact_distances(rows, queries, found.rows))
    assert (errors <= bound).all()
    assert errors.max() > 0


def test_gaps_and_whole_places_give_the_same_bits(rows: SparseRows, indexes: dict[Seismic, SeismicIndex]) -> None:
    queries = shortened(seeded(), rows, 40)
    for values in ("float16", "fixed8"):
        one, other = (indexes[spec] for spec in FORMS if spec.values == values)
        for params in (SearchParams(), UNSCORED):
            same(searched(one, queries, params), searched(other, queries, params))


@pytest.mark.parametrize("backend", available_backends())
def test_backends_answer_alike(rows: SparseRows, indexes: dict[Seismic, SeismicIndex], backend: str) -> None:
    index, queries = indexes[FORMS[-1]], shortened(np.random.default_rng(8), rows, 15)
    kernels: Kernels = load_backend(backend)
    for params in (SearchParams(), UNSCORED):
        same(index.search(kernels, queries, 5, None, params), index.search(get_kernels(), queries, 5, None, params))


def test_a_copy_in_halves_of_halves_is_the_rows(rows: SparseRows) -> None:
    halves = rows.astype(np.float16)
    index = SeismicIndex.build(HALF, Seismic(values="float16"), packed(halves), None, get_kernels(), quiet)
    queries = shortened(seeded(), rows, 30)
    found = index.search(get_kernels(), queries, 10, None, UNSCORED)
    assert found.distances.tobytes() == exact_distances(halves, queries, found.rows).tobytes()
    same(found, index.search(get_kernels(), queries, 10, None))
    assert found.recall is not None


def test_bytes(rows: SparseRows, indexes: dict[Seismic, SeismicIndex]) -> None:
    """Fixed8 with gaps takes at most .65 of float16 with whole places, and formulas say about what copies take."""
    sizes = {spec: (index.code_bytes - indexes[Seismic()].code_bytes) * len(rows) for spec, index in indexes.items()}
    assert sizes[Seismic(values="fixed8", components="delta8")] < 0.65 * sizes[FORMS[0]]
    shape = Shape(len(rows), rows.nnz / len(rows), len(np.unique(rows.indices)))
    for spec in FORMS:
        stated = index_sizes(spec, SINGLE, shape)["forward"]
        assert 0.9 < sizes[spec] / stated < 1.1, spec
        arrays = indexes[spec].arrays()
        assert sum(array.nbytes for name, array in arrays.items() if "forward." in name) == round(sizes[spec])


@pytest.mark.parametrize("spec", FORMS)
def test_it_is_stored_with_the_index(rows: SparseRows, indexes: dict[Seismic, SeismicIndex], spec: Seismic) -> None:
    index, queries = indexes[spec], shortened(seeded(), rows, 20)
    arrays = {name: np.array(array) for name, array in index.arrays().items()}
    again = SeismicIndex.from_arrays(SINGLE, packed(rows), arrays)
    assert again.spec == spec
    for params in (SearchParams(), UNSCORED):
        same(searched(again, queries, params), searched(index, queries, params))
    none = {name: array for name, array in arrays.items() if not name.startswith("forward.")}
    lows = arrays["forward.lows"]
    for damaged in (
        none,
        {name: array for name, array in arrays.items() if name != "forward.values"},
        arrays | {"forward.lows": lows[:-1]},
        arrays | {"forward.terms": arrays["forward.terms"][:-1]},
        arrays | {"forward.values": arrays["forward.values"][:-1]},
    ):
        with pytest.raises(Corruption, match="copy of"):
            SeismicIndex.from_arrays(SINGLE, rows, damaged)
    with pytest.raises(Corruption, match="copy of"):
        SeismicIndex.from_arrays(SINGLE, rows, indexes[Seismic()].arrays() | {"forward.lows": lows})


def test_negative_rows_and_none_have_no_copy() -> None:
    few = topical(np.random.default_rng(2), 60)
    negative = replace(few, values=few.values - np.float32(1))
    empty = SparseRows.empty(5, np.dtype(np.float32))
    for given in (negative, empty):
        index = built(given, Seismic(values="fixed8"))
        assert index._forward is None
        again = SeismicIndex.from_arrays(SINGLE, given, index.arrays())
        queries = few.take(np.arange(4))
        same(again.search(get_kernels(), queries, 5, None), exact(given, queries, 5))


def test_large_and_tiny_values_keep_their_rows() -> None:
    rows = topical(np.random.default_rng(3), 300)
    values = np.where(np.arange(rows.nnz) % 7 == 0, 1e6, 1e-7).astype(np.float32)
    wild = SparseRows(rows.offsets, rows.indices, values)
    for spec in FORMS:
        index = built(wild, spec)
        found = index.search(get_kernels(), shortened(seeded(), wild, 10), 10, None, UNSCORED)
        assert np.isfinite(found.distances).all()
        assert (found.rows >= 0).all()
