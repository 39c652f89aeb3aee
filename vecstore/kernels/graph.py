"""What a graph walk reads, and how it is asked: the contract of `Kernels.open_graph`, `graph_search` and `graph_scan`.

A row's code is lines of 64 bytes. Bytes 0..3 are two half floats, add and scale; every other byte holds two fields of 4
bits, four of 2 or eight of 1. Field f, the bits from `shift` up of byte `byte`, belongs to a direction:

    est = add_unit * add + scale * query_scale * (sum over fields of value * weight - bias)

To get weights, a query (less `mean` under l2, of unit length under cosine) is rounded to bytes, multiplied exactly with
`directions` and scaled; each field's component times its `field_weights` is rounded to bytes again, with one step for
all. `bias` is what the fields' mean values, (2^width - 1) / 2, would add. Sums are exact integers and the rest is
float32 in a fixed order without fusing, so that every backend and instruction set walks the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int8Array: TypeAlias = NDArray[np.int8]
UInt32Array: TypeAlias = NDArray[np.uint32]

LINE = 64  # bytes of a code line
HEADER = 4  # bytes of a code before its fields
COUNTERS = ("hops", "codes_scored", "candidates_kept", "rows_rescored")


@dataclass(frozen=True, slots=True)
class GraphArrays:
    """`neighbours` of a row that has fewer than others repeat its own number. Codes must be aligned to 64 bytes."""

    neighbours: UInt32Array  # (n, degree)
    codes: NDArray[np.uint8]  # (n, lines * 64)
    entries: UInt32Array  # (e,) rows where walks begin
    mean: NDArray[np.float32]  # (dim,)
    directions: Int8Array  # (d, dim)
    direction_scales: NDArray[np.float32]  # (d,)
    fields: NDArray[np.int32]  # (f, 4): byte, shift, width (1, 2 or 4), direction
    field_weights: NDArray[np.float32]  # (f,)
    add_unit: float
    scale_unit: float


@dataclass(frozen=True, slots=True)
class Narrow:
    """Lets candidates fall out, past the first `kept`, that are too far for their place (from 1): beyond t + `reach` *
    max(t, `least`) / sqrt(place), t being the estimate of the `near`-th candidate; so a walk ends early where there is
    a gap behind the nearest. Estimates are to be distances, from 0: under dot they are not. 1 <= near <= kept."""

    reach: float  # 0 keeps all
    least: float
    near: int
    kept: int


WIDE = Narrow(0.0, 0.0, 1, 1)


@dataclass(frozen=True, slots=True)
class Walk:
    """`ef` candidates are kept, at least k; the walk ends when the neighbours of all were scored. The nearest
    `rescored` allowed ones are scored by the stored rows; 0 answers with estimates. With `detours`, neighbours that are
    not allowed are replaced by allowed rows next to them; else the walk passes through them."""

    ef: int
    rescored: int
    detours: bool = False
    narrow: Narrow = WIDE
    skipped: NDArray[np.int64] | None = None  # (nq,): a row that a query's walk takes for visited, -1 for none


@dataclass(frozen=True, slots=True)
class OpenGraph:
    """A graph in the form that a backend searches; its arrays were checked once."""

    rows: NDArray[Any]  # what candidates are rescored by
    handle: Any  # the backend's own


class GraphBuilder(Protocol):
    """Fills neighbour lists; each call does a part, so that the caller can report progress and stop."""

    def carve(self) -> int:
        """Cut the rows into overlapping leaves; returns how many."""

    def join(self, begin: int, end: int) -> None:
        """Compare all pairs of these leaves."""

    def seed(self, rows: UInt32Array, neighbours: UInt32Array) -> None:
        """Known edges: `neighbours` (m, any) of `rows` (m,), a row's own number for none."""

    def prune(self, begin: int, end: int) -> None:
        """Choose neighbours for these rows; lists that stay shorter are filled up with the row's own number."""

    def pruned(self, begin: int, end: int) -> None:
        """In place of `prune`: the lists of these rows are as it left them."""

    def held(self, begin: int, end: int, out: UInt32Array) -> None:
        """What was found for these rows so far, into `out` (end - begin, reservoir), their own numbers for nothing.
        Another builder of the same rows that is seeded with it goes on from here."""

    def reverse(self) -> None:
        """After all rows are pruned: collect the edges that lead to each row."""

    def finish(self, begin: int, end: int) -> None:
        """Choose again with those edges, and fill up the lists of these rows."""


@dataclass(frozen=True, slots=True)
class ByteRows:
    """Rows as bytes in -127..127 with a scale each: row i is about scales[i] * bytes[i]."""

    bytes: Int8Array  # (n, width), a multiple of 8; zeros past the dimension
    scales: NDArray[np.float32]  # (n,)
    squares: NDArray[np.float32]  # (n,): (scale * scale) * (sum of squared bytes)
    sums: NDArray[np.int32]  # (n,): of the row's bytes


@dataclass(frozen=True, slots=True)
class BuildParams:
    """`fanout[level]` leaders are followed by each row at a level of carving, 1 past the last level."""

    leaf_rows: int = 1024  # at most
    leaf_nearest: int = 8  # each row's nearest in a leaf that are kept
    reservoir: int = 64  # nearest rows kept for each row
    fanout: tuple[int, ...] = (14, 2, 1)
    seed: int = 0
    alpha: float = 1.2  # a neighbour is left out when alpha * (its squared distance to a chosen one) <= to the row
