"""Packed bitmaps in the kernels' form: bit i of uint64 word i // 64, least significant bit first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vecstore.kernels.base import Bitmap, Int64Array


def word_count(n_rows: int) -> int:
    return (n_rows + 63) // 64


def all_set(n_rows: int) -> Bitmap:
    """Ones for rows 0..n_rows-1, zeros in the rest of the last word."""
    words = np.full(word_count(n_rows), np.iinfo(np.uint64).max, dtype=np.uint64)
    if n_rows % 64:
        words[-1] = (1 << (n_rows % 64)) - 1
    return words


def clear_rows(words: Bitmap, rows: Sequence[int] | Int64Array) -> None:
    """Clear the bits of `rows`, in place."""
    wanted = np.asarray(rows, dtype=np.uint64)
    np.bitwise_and.at(words, wanted >> np.uint64(6), ~(np.uint64(1) << (wanted & np.uint64(63))))


def set_rows(words: Bitmap, rows: Sequence[int] | Int64Array) -> None:
    """Set the bits of `rows`, in place."""
    wanted = np.asarray(rows, dtype=np.uint64)
    np.bitwise_or.at(words, wanted >> np.uint64(6), np.uint64(1) << (wanted & np.uint64(63)))


def are_set(words: Bitmap, rows: Int64Array) -> np.ndarray:
    """For each row, whether its bit is set (bool)."""
    wanted = rows.astype(np.uint64)
    bits: np.ndarray = (words[wanted >> np.uint64(6)] >> (wanted & np.uint64(63))) & np.uint64(1) != 0
    return bits


def set_bits(words: Bitmap) -> Int64Array:
    """The rows whose bits are set, ascending."""
    bits = np.unpackbits(words.view(np.uint8), bitorder="little")
    return np.flatnonzero(bits)


def count_bits(words: Bitmap) -> int:
    return int(np.bitwise_count(words).sum())


def from_bools(flags: np.ndarray) -> Bitmap:
    words = np.zeros(word_count(len(flags)), dtype=np.uint64)
    packed = np.packbits(flags, bitorder="little")
    words.view(np.uint8)[: len(packed)] = packed
    return words


def resized(words: Bitmap, n_rows: int) -> Bitmap:
    """A copy that covers `n_rows` rows; bits of rows past the old end are zero."""
    grown = np.zeros(word_count(n_rows), dtype=np.uint64)
    keep = min(len(words), len(grown))
    grown[:keep] = words[:keep]
    return grown


def range_set(low: int, high: int) -> Bitmap:
    """Ones for rows low..high-1, in words that cover `high` rows."""
    words = all_set(high)
    words[: low // 64] = 0
    if low % 64:
        words[low // 64] &= np.uint64(~((1 << (low % 64)) - 1) & 0xFFFFFFFFFFFFFFFF)
    return words
