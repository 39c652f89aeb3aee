"""Roaring bitmaps, masks and packed words hold the same rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from vecstore.query.bitmaps import all_rows, bitmap_from_words, bitmap_words, from_mask, from_rows, from_sorted_rows


def plain_words(rows, n_rows):
    words = [0] * ((n_rows + 63) // 64)
    for row in rows:
        words[row // 64] |= 1 << (row % 64)
    return np.array(words, dtype=np.uint64)


def check(rows, n_rows):
    words = bitmap_words(BitMap(rows), n_rows)
    assert words.dtype == np.uint64
    np.testing.assert_array_equal(words, plain_words(rows, n_rows))
    mask = np.zeros(n_rows, dtype=np.bool_)
    mask[rows] = True
    array = np.array(rows, dtype=np.uint32)
    made_from_rows = from_rows(np.repeat(array, 2), n_rows), from_sorted_rows(array)
    for made in (bitmap_from_words(words), from_mask(mask), *made_from_rows):
        assert made == BitMap(rows)


@settings(deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.lists(st.integers(0, n - 1), unique=True), st.just(n))))
def test_few_rows(case):
    check(*case)


@pytest.mark.parametrize("n_rows", [1, 64, 65_535, 65_536, 65_537, 200_003])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.0625, 0.5, 1.0])
def test_many_rows(n_rows, share):
    rng = np.random.default_rng(n_rows)
    check(rng.permutation(n_rows)[: int(share * n_rows)].tolist(), n_rows)


def test_containers_of_both_kinds_side_by_side():
    dense, sparse = range(65_536), range(65_536, 2 * 65_536, 97)
    check([*dense, *sparse, *range(3 * 65_536, 3 * 65_536 + 4_097)], 4 * 65_536)


def test_rows_past_the_end_are_left_out():
    np.testing.assert_array_equal(bitmap_words(BitMap([3, 70, 200]), 65), plain_words([3], 65))
    assert len(all_rows(0)) == 0
    assert bitmap_words(BitMap(), 0).size == 0
    assert bitmap_from_words(np.zeros(0, dtype=np.uint64)) == BitMap()
