"""Sets of rows in three forms: roaring bitmaps, sorted uint32 row arrays, and the kernels' packed words.

`BitMap(numpy_array)` reads one boxed element at a time (40 ns a row), so rows go in through `array.array` (5 ns), and
dense sets through roaring's portable serialisation (https://github.com/RoaringBitmap/RoaringFormatSpec), which is bytes
that numpy can lay out.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

CONTAINER_WORDS = 1024  # 64-bit words of one 2^16-row container
CONTAINER_BYTES = CONTAINER_WORDS * 8
ARRAY_MAX = 4096  # containers with more rows than this are stored as bits, others as sorted uint16
COOKIE_NO_RUNS = 12346


def all_rows(n_rows: int) -> BitMap:
    """Rows 0..n_rows-1, as runs: a few bytes for each 65,536 rows."""
    return BitMap(range(n_rows))


def from_sorted_rows(rows: NDArray[np.uint32]) -> BitMap:
    """Any order gives the right set; ascending order gives it ten times as fast."""
    items = array("I")
    items.frombytes(rows.astype(np.uint32, copy=False).tobytes())
    return BitMap(items)


def from_rows(rows: NDArray[np.uint32], n_rows: int) -> BitMap:
    """A bitmap of rows in any order, repeats allowed, each below `n_rows`."""
    if len(rows) * 32 < n_rows:
        return from_sorted_rows(np.sort(rows))
    mask = np.zeros(n_rows, dtype=np.bool_)
    mask[rows] = True
    return from_mask(mask)


def from_mask(mask: NDArray[np.bool_]) -> BitMap:
    """The rows where `mask` holds."""
    if np.count_nonzero(mask) * 32 < len(mask):
        return from_sorted_rows(np.flatnonzero(mask).astype(np.uint32))
    packed = np.packbits(mask, bitorder="little")
    words = np.zeros((len(mask) + 63) // 64 * 8, dtype=np.uint8)
    words[: len(packed)] = packed
    return bitmap_from_words(words.view("<u8"))


def bitmap_words(bitmap: BitMap, n_rows: int) -> NDArray[np.uint64]:
    """The kernels' mask of ceil(n_rows / 64) words: bit i % 64 of word i // 64 says whether row i is in `bitmap`."""
    rows = np.frombuffer(bitmap.to_array(), dtype=np.uint32)
    mask = np.zeros((n_rows + 63) // 64 * 64, dtype=np.bool_)
    mask[rows[: np.searchsorted(rows, n_rows)]] = True
    return np.packbits(mask, bitorder="little").view("<u8").astype(np.uint64, copy=False)


def bitmap_from_words(words: NDArray[np.uint64]) -> BitMap:
    """The inverse of `bitmap_words`."""
    count = -(-len(words) // CONTAINER_WORDS)
    padded = np.zeros(count * CONTAINER_WORDS, dtype="<u8")
    padded[: len(words)] = words
    containers = padded.view(np.uint8).reshape(count, CONTAINER_BYTES)
    bits = _POPCOUNT[padded.view("<u2").reshape(count, CONTAINER_BYTES // 2)].sum(axis=1, dtype=np.int64)
    if bits.sum() < 4 * len(padded):
        return from_sorted_rows(_set_bits(containers).astype(np.uint32))
    used = np.flatnonzero(bits)
    sizes = np.where(bits[used] > ARRAY_MAX, CONTAINER_BYTES, 2 * bits[used])
    keys = np.stack([used, bits[used] - 1], axis=1).astype("<u2")
    starts = (8 + 8 * len(used) + np.cumsum(sizes) - sizes).astype("<u4")
    parts = [np.array([COOKIE_NO_RUNS, len(used)], dtype="<u4").tobytes(), keys.tobytes(), starts.tobytes()]
    parts += [
        containers[i].tobytes() if bits[i] > ARRAY_MAX else _set_bits(containers[i]).astype("<u2").tobytes()
        for i in used
    ]
    return BitMap.deserialize(b"".join(parts))


def _set_bits(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.flatnonzero(np.unpackbits(packed, bitorder="little").view(np.bool_))


_POPCOUNT = np.unpackbits(np.arange(1 << 16, dtype="<u2").view(np.uint8)).reshape(-1, 16).sum(axis=1, dtype=np.uint8)
