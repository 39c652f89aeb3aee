"""Token codes: every backend and instruction set gives the bits of numpy, and numpy what the formula says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from masks import bitmap
from oracle import outputs

from vecstore.kernels import token_encode
from vecstore.kernels.base import Kernels
from vecstore.kernels.numpy_backend import NumpyKernels
from vecstore.kernels.token_lists import packed_lists, unpacked_lists
from vecstore.kernels.tokens import Centroids, Codes, TokenCodes, centroid_bytes, code_bytes
from vecstore.tokens import TokenRows

LAW = NumpyKernels()


def token_codes(
    rng: np.random.Generator, counts: list[int], dim: int, bits: int = 0, centroids: int = 0, scales: str = "f4"
) -> TokenCodes:
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    total = int(offsets[-1])
    shared = coded = None
    if centroids:
        homes = rng.integers(0, centroids, total).astype(np.uint16)
        values = rng.integers(0, 256, (centroids, centroid_bytes(dim))).astype(np.uint8)
        rows = np.repeat(np.arange(len(counts)), counts)
        lists = [np.unique(rows[homes == c]) for c in range(centroids)]
        starts = np.concatenate([[0], np.cumsum([len(each) for each in lists])]).astype(np.int64)
        steps = rng.uniform(0.001, 0.004, centroids).astype(np.float32)
        shared = Centroids(homes, values, steps, *packed_lists(starts, np.concatenate(lists)))
    if bits:
        codes = rng.integers(0, 256, (total, code_bytes(dim, bits))).astype(np.uint8)
        held, values = rng.uniform(0.5, 2, total), rng.uniform(0.5, 2, 256).astype(np.float32)
        own = rng.integers(0, 256, total).astype(np.uint8) if scales == "u1" else held.astype(scales)
        levels = rng.integers(0, 256, 16).astype(np.uint8)
        coded = Codes(bits, codes, own, levels, 0.003, values if scales == "u1" else None)  # type: ignore[arg-type]
    return TokenCodes(dim, offsets, shared, coded)


def queries_of(rng: np.random.Generator, counts: list[int], dim: int) -> TokenRows:
    return TokenRows.of([rng.standard_normal((m, dim)) for m in counts], dim, np.float32)


def searched(kernels: Kernels, codes: TokenCodes, queries: TokenRows, lists: int, k: int, mask: Any) -> list[Any]:
    rows, distances = outputs(len(queries), k)
    counters = np.empty((len(queries), 2), np.int64)
    allowed = None if mask is None else bitmap(mask)
    kernels.centroid_search(kernels.open_tokens(codes), queries, lists, allowed, rows, distances, counters)
    return [rows, distances, counters]


def reranked(kernels: Kernels, codes: TokenCodes, queries: TokenRows, candidates: np.ndarray) -> np.ndarray:
    out = np.empty(candidates.shape, np.float32)
    kernels.token_rerank(kernels.open_tokens(codes), queries, candidates, out)
    return out


def test_numpy_is_the_formula() -> None:
    rng = np.random.default_rng(1)
    for dim, bits, scales in ((96, 2, "u1"), (10, 4, "f4"), (13, 1, "f2"), (7, 8, "u1")):
        codes = token_codes(rng, [3, 5, 0, 2], dim, bits, 6, scales)
        assert codes.codes is not None
        assert codes.centroids is not None
        c, k = codes.centroids, codes.codes
        queries = queries_of(rng, [4], dim)
        fields = np.unpackbits(k.codes, axis=1, bitorder="little").reshape(10, -1, 8 // bits, bits)
        numbers = (fields << np.arange(bits)).sum(axis=3).transpose(0, 2, 1).reshape(10, -1)[:, :dim]
        values = (numbers if bits == 8 else k.levels[numbers].astype(int)) - 128
        shared = (c.centroids[c.homes][:, :dim].astype(float) - 128) * c.scales[c.homes, None]
        own = k.scales if k.scale_values is None else k.scale_values[k.scales]
        tokens = (shared + k.step * values) * own[:, None].astype(float)
        top = np.abs(queries.tokens).max(axis=1, keepdims=True)
        rounded = np.rint(queries.tokens * (127 / top)) * top / 127
        found = reranked(LAW, codes, queries, np.array([[0, 1, 2, 3, -1]]))[0]
        for row in (0, 1, 3):
            own = tokens[codes.offsets[row] : codes.offsets[row + 1]]
            np.testing.assert_allclose(found[row], -(own @ rounded.T).max(axis=0).sum(), rtol=1e-5)
        assert np.isinf(found[[2, 4]]).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_codes_have_the_same_bits_everywhere(kernels: Kernels, bits: int) -> None:
    rng = np.random.default_rng(bits)
    for dim in (1, 7, 8, 33, 96, 128, 300):
        for centroids in (0, 40):
            scales = ("u1", "f4", "f2")[dim % 3]
            codes = token_codes(rng, [*rng.integers(0, 12, 30), 150, 300], dim, bits, centroids, scales)
            queries = queries_of(rng, [1, 8, 9, 16, 31, 40], dim)
            candidates = rng.integers(-1, 32, (6, 37))
            wanted = reranked(LAW, codes, queries, candidates)
            np.testing.assert_array_equal(reranked(kernels, codes, queries, candidates), wanted)


def test_centroid_search_is_the_same_everywhere(kernels: Kernels) -> None:
    rng = np.random.default_rng(2)
    for dim, n, centroids in ((96, 300, 70), (5, 64, 3), (40, 0, 5), (24, 130, 1)):
        codes = token_codes(rng, list(rng.integers(0, 9, n)), dim, centroids=centroids)
        queries = queries_of(rng, [1, 8, 15, 16, 17, 33, 70], dim)
        for lists in (0, 1, 2, 5, 1000):
            for mask in (None, rng.random(n) < 0.4, np.zeros(n, bool)):
                for k in (1, 20, 400):
                    wanted = searched(LAW, codes, queries, lists, k, mask)
                    for got, law in zip(searched(kernels, codes, queries, lists, k, mask), wanted, strict=True):
                        np.testing.assert_array_equal(got, law)


def test_rows_far_apart_in_lists_are_found(kernels: Kernels) -> None:
    rng = np.random.default_rng(8)
    counts = np.zeros(40_000, int)
    counts[rng.choice(40_000, 150, replace=False)] = 1
    codes = token_codes(rng, list(counts), 8, centroids=40)
    queries = queries_of(rng, [2, 5], 8)
    wanted = searched(LAW, codes, queries, 3, 60, None)
    for got, law in zip(searched(kernels, codes, queries, 3, 60, None), wanted, strict=True):
        np.testing.assert_array_equal(got, law)


def test_lists_are_given_back() -> None:
    rng = np.random.default_rng(7)
    n = 2**32 - 2
    held = [[], [0], [5, 6, 7, 134, 135], [n - 1], [], [0, n - 1], [127, 128, 16_384, 2**21, 2**28 + 2**21]]
    lists = [np.array(rows, np.int64) for rows in held] + [np.unique(rng.integers(0, 1 << 20, 3_000))]
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in lists])]).astype(np.int64)
    starts, packed = packed_lists(offsets, np.concatenate(lists))
    for rows, again in zip(lists, unpacked_lists(starts, packed, n), strict=True):
        np.testing.assert_array_equal(rows, again)
    with pytest.raises(ValueError, match="lists hold row"):
        unpacked_lists(starts, packed, n - 1)


def test_a_search_of_all_rows_is_the_interaction_of_all(kernels: Kernels) -> None:
    rng = np.random.default_rng(3)
    codes = token_codes(rng, list(rng.integers(1, 30, 200)), 96, centroids=50)
    queries = queries_of(rng, [10], 96)
    rows, distances, counters = searched(kernels, codes, queries, 0, 200, None)
    c = codes.centroids
    assert c is not None
    shared = (c.centroids[:, :96].astype(float) - 128) * c.scales[:, None]
    products = np.maximum(shared @ queries.tokens.T, 0)[c.homes]
    exact = np.maximum.reduceat(products, codes.offsets[:-1], axis=0).sum(axis=1)
    assert sorted(rows[0]) == list(range(200))
    assert counters.tolist() == [[50, 200]]
    # Each of ten tokens is off by a rounded query and half a step of the table.
    longest = np.linalg.norm(queries.tokens, axis=1).max() * np.linalg.norm(shared, axis=1).max()
    np.testing.assert_allclose(-distances[0], exact[rows[0]], atol=15 * longest / 255)


def test_threads_change_nothing(kernels: Kernels) -> None:
    rng = np.random.default_rng(4)
    codes = token_codes(rng, list(rng.integers(0, 40, 3000)), 96, 2, 700)
    queries = queries_of(rng, [12, 32, 7] * 8, 96)
    candidates = rng.integers(-1, 3000, (24, 200))
    found = []
    for threads in (1, 2):
        kernels.set_threads(threads)
        found.append([*searched(kernels, codes, queries, 2, 50, None), reranked(kernels, codes, queries, candidates)])
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def _changed(part: Any, **changes: Any) -> Any:
    return type(part)(**{name: changes.get(name, getattr(part, name)) for name in type(part).__slots__})


def test_refusals(any_kernels: Kernels) -> None:
    rng = np.random.default_rng(5)
    good = token_codes(rng, [3, 4, 2], 16, 4, 5)
    c, k = good.centroids, good.codes
    assert c is not None
    assert k is not None
    wrong: list[TokenCodes] = [
        _changed(good, offsets=good.offsets + 1),
        _changed(good, offsets=np.array([0, 5, 3, 9])),
        _changed(good, dim=24),
        _changed(good, centroids=None, codes=None),
        _changed(good, centroids=_changed(c, homes=np.full(9, 5, np.uint16))),
        _changed(good, centroids=_changed(c, homes=c.homes[:-1])),
        _changed(good, centroids=_changed(c, scales=c.scales[:-1])),
        _changed(good, centroids=_changed(c, lists=np.full(len(c.lists), 3, np.uint8))),
        _changed(good, centroids=_changed(c, lists=c.lists | 128)),
        _changed(good, centroids=_changed(c, lists=c.lists[:-1])),
        _changed(good, centroids=_changed(c, list_starts=c.list_starts[::-1].copy())),
        _changed(good, centroids=_changed(c, list_starts=c.list_starts + 1)),
        _changed(good, codes=_changed(k, bits=3)),
        _changed(good, codes=_changed(k, bits=8)),
        _changed(good, codes=_changed(k, levels=k.levels[:4])),
        _changed(good, codes=_changed(k, scales=k.scales.astype(np.float64))),
        _changed(good, codes=_changed(k, scales=np.zeros(9, np.uint8))),
        _changed(good, codes=_changed(k, scales=np.zeros(9, np.uint8), scale_values=np.ones(255, np.float32))),
        _changed(good, codes=_changed(k, scale_values=np.ones(256, np.float32))),
    ]
    for codes in wrong:
        with pytest.raises(ValueError, match=r"offsets|shape|homes|lists|bits|dtype|need"):
            any_kernels.open_tokens(codes)
    queries = queries_of(rng, [2], 16)
    for candidate in (3, -2):
        with pytest.raises(ValueError, match="candidate"):
            reranked(any_kernels, good, queries, np.array([[candidate]]))
    with pytest.raises(ValueError, match="components"):
        reranked(any_kernels, good, queries_of(rng, [2], 12), np.array([[0]]))
    with pytest.raises(ValueError, match="no codes"):
        reranked(any_kernels, _changed(good, codes=None), queries, np.array([[0]]))
    with pytest.raises(ValueError, match="no centroids"):
        searched(any_kernels, _changed(good, centroids=None), queries, 1, 2, None)


def test_the_nearest_centroid_is_the_same_everywhere(
    isa: str, native_isa: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(6)
    for dim, count, total in ((96, 700, 600), (5, 1, 3), (33, 257, 40), (8, 9, 0)):
        centroids = rng.integers(0, 256, (count, centroid_bytes(dim))).astype(np.uint8)
        centroids[count // 2] = centroids[0]  # a tie
        scales = rng.uniform(0.001, 0.004, count).astype(np.float32)
        scales[count // 2] = scales[0]
        tokens = rng.standard_normal((total, dim)).astype(np.float32)
        tokens[:1] = 0
        native = native_isa(isa)
        monkeypatch.setattr(token_encode, "get_kernels", lambda native=native: native)
        found = token_encode.nearest_centroids(tokens, centroids, scales)
        monkeypatch.setattr(token_encode, "get_kernels", lambda: LAW)
        np.testing.assert_array_equal(found, token_encode.nearest_centroids(tokens, centroids, scales))
        if total:
            exact = tokens @ ((centroids[:, :dim].astype(np.float32) - 128) * scales[:, None]).T
            assert (exact.max(axis=1) - exact[np.arange(total), found] <= 0.02 * np.abs(exact).max()).all()
