"""What the scans ask of a device beyond numpy's own functions. `array_device` is numpy's answer to it, `cupy_device` a
GPU's; the tests hold both to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.blocks import Blocks
from vecstore.kernels.device.encoding import Encoder
from vecstore.kernels.device.shortlist import Ready, Shortlist, Terms
from vecstore.schema import Metric

Outputs = tuple[NDArray[Any], ...]
Queue = Callable[..., tuple[Any, ...]]
LANES = 32  # places of a block of codes, rows of a tile of bits


class Plans(dict[Any, Any]):
    """Recorded work over one array, by key; it ends with the array."""


class Device(Encoder, Protocol):
    name: str  # such as "cuda:0"
    xp: Any  # numpy's functions over this device's arrays
    total_bytes: int  # of memory
    score_bytes: int  # the scores of one chunk: what stays in the device's cache between their making and their reading
    few_tables: int  # queries up to which sums of table entries cost less than products

    def working(self) -> AbstractContextManager[object]:
        """Around all use of the device by one thread: its context and a stream of the thread's own."""

    def put(self, host: NDArray[Any]) -> Any:
        """A copy on the device. Raises MemoryError where it does not fit, as everything that allocates does."""

    def get(self, array: Any) -> NDArray[Any]:
        """A copy on the host; waits for what computes it."""

    def replayed(self, plans: Plans, key: Hashable, inputs: tuple[NDArray[Any], ...], queue: Queue) -> Outputs:
        """`queue` of the inputs on the device, brought to the host. What it asks of the device depends on `key` and the
        inputs' shapes alone, so that it may be recorded once and replayed."""

    def finish(self) -> None:
        """Wait for what this thread has asked for, so that others may use it."""

    def release(self) -> None:
        """Leave the memory that nothing uses to other processes."""

    # Products

    def products(self, rows: Any, queries: Any) -> Any:
        """(m, n) products of queries (m, d) with rows (n, d), both float16, bfloat16 (uint16), float32 or int8: float32
        sums, of int8 int32. float32 may be narrowed by 2^-9 of |query| |row|."""

    def prepare(self, queries: Any, dtype: np.dtype[Any], metric: Metric, largest: float) -> Ready:
        """float32 queries (m, d) for rows of a dense type no longer than `largest`."""

    # Candidates

    def take(self, short: Shortlist, products: Any, terms: Terms) -> None:
        """Rows of a chunk within the bounds join the candidates: products (p * m, c) float32 or int32, or of as many
        queries as `terms.queries` names."""

    def tighten(self, short: Shortlist, more_than: int) -> None:
        """Of queries with more than that many candidates, at least k: the k-th becomes the bound, those above leave."""

    def settle(self, short: Shortlist) -> None:
        """Keys by `distances`, which are dropped."""

    def exact(self, short: Shortlist, rows: Any, queries: Any, ready: Ready, norms: Any | None, metric: Metric) -> None:
        """Keys by the distance as the reference computes it, in float64 and rounded once; `distances` are dropped. Keys
        of row 2^32 - 1 stay as they are."""

    def order(self, short: Shortlist, k: int) -> Any:
        """uint8: one after another the bytes of rows (m, k) int64 and distances (m, k) float32 of the k smallest keys,
        -1 and +inf where there are fewer, and of `lost`: one copy brings them to the host."""

    # Bits: tiles (t, groups, 32, 4) uint32 of 32 rows and 128 bits each, queries (m, groups, 4)

    def differing(self, tiles: Any, queries: Any, rows: tuple[int, int] | Any) -> Any:
        """int32 (m, n) differing bits of rows: (first, n), or int32 numbers."""

    def signs(self, tiles: Any, rows: tuple[int, int] | Any) -> Any:
        """float16 (n, bits): 1 for a set bit, -1 for another."""

    # Codes: see kernels.base

    def unpack_tables(self, words: Any, blocks: Blocks, values: Any, out: Any, at: int) -> None:
        """values[j, nibble j] (m, 16, w) float16 of words (blocks, words, 32, 4) uint8 into out's columns from `at`."""

    def unpack_run(self, extra: Any, blocks: Blocks, begin: int, bits: int, count: int, out: Any, at: int) -> None:
        """The fields of the run of extra (places, bytes) that begins at a byte, less their mean, into out float16."""

    def unpack_bytes(self, codes: Any, blocks: Blocks, values: Any, out: Any, at: int) -> None:
        """values[j, byte j] (m, 256, w) float16 of codes (places, m) into columns from `at` of out."""

    def unpack_words(self, words: Any, blocks: Blocks, levels: Any | None, dim: int, stride: int) -> Any:
        """int8 (places, stride): bytes less 128, or levels[nibble]; zero past `dim`."""

    def table_sums(self, words: Any, blocks: Blocks, tables: Any) -> Any:
        """float32 (m, places): sums of the entries of float32 tables (m, tables, 16) that nibbles select."""

    def add_run_sums(self, extra: Any, blocks: Blocks, begin: int, bits: int, queries: Any, out: Any) -> None:
        """Adds to out (m, places) the products of a run's fields, less their mean, with float32 queries (m, count)."""

    # Tokens: queries are runs of lines (m + 1,) int64

    def largest_sums(self, values: Any, step: Any, lines: Any, starts: Any, base: int) -> Any:
        """float32 (m, r): over a query's lines, the sum of step (l,) times the largest of values (l, n) from
        starts[i] - base to the next start; no run is empty; starts is int64 (r + 1,)."""

    def exact_tokens(self, short: Shortlist, tokens: Any, offsets: Any, queries: Any, lines: Any) -> None:
        """Keys by the score as the reference computes it: float32 queries (l, d), tokens of offsets[row] to the next.
        `distances` are dropped."""

    # Training

    def closest(self, products: Any, ready: Ready, add: Any | None, rows: Any, queries: Any, metric: Metric) -> Any:
        """int64 (m,): which of float32 rows (n, d) is nearest to each query (m, d) by the reference's distance, of
        equal ones the first. `products` (m, n) are those of ready.array, `add` (n,) what a row adds to distances."""

    def segment_sums(self, rows: Any, weights: Any | None, lists: Any, counts: Any) -> Any:
        """float64 (nlist, d): sums of float32 rows (n, d), each times its weight (n,), of each list, in the order of
        `kernels.segment_sums`; lists int64 (n,), counts int64 (nlist,) of their rows."""


def widened(xp: Any, array: Any) -> Any:
    """float32 of float16 and bfloat16 (uint16); float64 of int8, whose sums it holds exactly."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64 if array.dtype == np.int8 else np.float32, copy=False)


def to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Rounded to the nearest, ties to even; in uint16."""
    bits = values.view(np.uint32)
    rounded: NDArray[np.uint16] = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return rounded
