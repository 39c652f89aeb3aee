"""Search of sparse rows through blocks of 64 similar ones: the contract of `open_seismic` and `seismic_search`.

Rows stand at places so that similar ones are side by side; places 64 b .. 64 b + 63 are block b. A term's part in a
block is a code that stands for the block (1 to 255), and a code (1 to 255) for each row there that has the term. A code
times the term's scale is at least the value it stands for, and less than one scale above it.

Half of all parts are of one row, and most others of a few, so that the rows of a part are held in one of two ways, told
apart by its 16 bits in `part_records`:

- of one row: bit 15 is set, bits 8 to 13 are the row's place in the block, bits 0 to 7 its code; there is no record;
- of more: the record begins so many bytes after the first of the part's group. Its first byte's bit i, lowest first,
  says whether one of the rows at places 8 i .. 8 i + 7 has the term; for each such bit follows a byte of which of them
  do, then the codes.

A term that more than one block in DENSE_SHARE holds is dense: it has a bit for every block, others the number of each
part's block.

A query's terms with a positive weight (others are refused, and counted) get whole numbers, w = floor(weight * scale *
64000 / total) + 1, total over the terms that take part. A code c counts floor(c * w / 256) + 1. What a row's codes
count is its sum, what a block's own codes count is its estimate. A search

1. reads the blocks whose estimate is no less than the `first`-th largest, in ascending order;
2. then those others, in ascending order, whose estimate times `block_factor` reaches the k-th largest sum so far
   (allowed rows only), which is looked at after every CHUNK blocks;
3. scores the `depth` rows with the largest sums, lower places first, by the stored rows.

With `coded` there is no third step: the k rows with the largest sums are the answer, at minus their sum times
256 total / 64000, and no stored row is read.

A row's sum is above 64000 / (256 total) of its score, by no more than `slack` = sum of floor(w / 256) + 3. With `all`
every row is scored whose sum is within slack of the k-th largest, and blocks are skipped only where the codes of blocks
are no less than those of their rows (`bounded`): the answer is then exact for all rows whose terms all have records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.packed_sparse import StoredRows
from vecstore.sparse import SparseRows

Bitmap: TypeAlias = NDArray[np.uint64]

BLOCK = 64  # rows
OCTETS = 8  # of the rows of a block
ONE = 1 << 15  # a part of one row
DENSE_SHARE = 8
PADDING = 64  # spare bytes after the records
CHUNK = 128  # blocks
GROUP = 64  # parts whose records begin within 15 bits
BUDGET = 64000.0
TERMS_MAX = 512  # terms of a query that take part, at most
COUNTERS = ("blocks_read", "records_read", "rows_rescored", "terms_left_out", "weights_refused")


@dataclass(frozen=True, slots=True)
class SeismicArrays:
    """`terms` have at least one part each."""

    rows: NDArray[np.uint32]  # (n,) the segment's row at each place
    terms: NDArray[np.uint32]  # (t,) ascending
    scales: NDArray[np.float32]  # (t,) positive
    term_parts: NDArray[np.int64]  # (t + 1,) first part of each term
    block_bits: NDArray[np.uint64]  # (dense terms, words) bit b % 64 of word b // 64: block b has the term
    part_blocks: NDArray[Any]  # of the other terms' parts, ascending in each; uint16, uint32 for very many blocks
    part_codes: NDArray[np.uint8]  # (p,)
    part_records: NDArray[np.uint16]  # (p,)
    record_bases: NDArray[np.int64]  # (groups,) where the first record of each group begins
    records: NDArray[np.uint8]  # (bytes + PADDING,)

    @property
    def blocks(self) -> int:
        return -(-len(self.rows) // BLOCK)

    @property
    def dense(self) -> NDArray[np.bool_]:
        """(t,)"""
        dense: NDArray[np.bool_] = np.diff(self.term_parts) * DENSE_SHARE > self.blocks
        return dense

    def starts(self, parts: NDArray[np.integer]) -> NDArray[np.int64]:
        """Where the records of these parts begin, none of which is of one row."""
        starts: NDArray[np.int64] = self.record_bases[parts // GROUP] + self.part_records[parts]
        return starts

    def all_blocks(self) -> NDArray[Any]:
        """(p,) the block of each part."""
        counts, dense = np.diff(self.term_parts), self.dense
        found = np.empty(int(counts.sum()), self.part_blocks.dtype)
        of_dense = np.repeat(dense, counts)
        found[~of_dense] = self.part_blocks
        some = np.array_split(self.block_bits, 1 + len(self.block_bits) // 64)
        runs = [np.nonzero(np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little"))[1] for bits in some]
        found[of_dense] = np.concatenate(runs)
        return found


@dataclass(frozen=True, slots=True)
class Visit:
    """How hard to look."""

    depth: int  # rows scored by the stored rows, at least k
    first: int  # blocks read before any is skipped, at least
    block_factor: float  # positive, may be inf
    terms: int = TERMS_MAX  # of the query's heaviest that take part, at least 1
    share: float = 1.0  # of the query's weight that is enough, in (0, 1]
    all: bool = False
    bounded: bool = False
    coded: bool = False  # not with `all`


@dataclass(frozen=True, slots=True)
class OpenSeismic:
    """An index in the form that a backend searches; its arrays were checked once."""

    n: int
    handle: Any  # the backend's own


class SeismicKernels(Protocol):
    def open_seismic(self, arrays: SeismicArrays) -> OpenSeismic:
        """For this backend's searches; the arrays are kept, not copied. Raises ValueError unless they fit together."""

    def seismic_search(
        self,
        index: OpenSeismic,
        rows: StoredRows,  # (n,) stored rows
        queries: SparseRows,  # float32 values
        visit: Visit,
        allowed: Bitmap | None,
        out_rows: NDArray[np.int64],  # (nq, k)
        out_distances: NDArray[np.float32],  # (nq, k), as `sparse_rerank` gives them, or by sums
        out_counters: NDArray[np.int64],  # (nq, 5): COUNTERS
    ) -> None:
        """The k nearest of the allowed rows that a search scored."""

    def sketch_nearest(
        self,
        ids: NDArray[np.uint32],  # (n, width) terms
        weights: NDArray[np.float32],  # (n, width), 0 for none
        members: NDArray[np.int64],  # (m,) rows
        centroids: NDArray[np.float32],  # (terms, c)
        out: NDArray[np.int32],  # (m,)
    ) -> None:
        """For each member the first centroid of those with the largest inner product, the same bits everywhere:
        products are summed in the order of the columns."""
