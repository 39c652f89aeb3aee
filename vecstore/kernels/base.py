"""The kernels protocol: arrays in, `out` arrays back; no ids, no policy, no allocation that the caller can see.

Every operation writes, for each query, the k smallest (distance, row) pairs in ascending order; equal distances are
ordered by row. Places past the number of allowed rows hold row -1 and distance +inf. Inputs are validated by the
caller (finite, right shapes, C-contiguous); kernels check shapes and dtypes and raise ValueError on a mismatch. Dense
rows may be some columns of a wider array, `rows[:, :64]`: a prefix is searched without a copy.

Distances: l2 = squared Euclidean, dot = -<q, x>, cosine = 1 - <q, x> * inverse_norms[row] / |q|, hamming = differing
bits, maxsim = minus the sum, over a query's tokens, of the largest <q, x> of a row's tokens. Sums are float32; backends
agree with float64 numpy within the tolerance table in tests/kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.graph import BuildParams, ByteRows, GraphArrays, GraphBuilder, OpenGraph, UInt32Array, Walk
from vecstore.kernels.row_bytes import RowBytes
from vecstore.kernels.seismic import SeismicKernels
from vecstore.kernels.sparse import SparseKernels
from vecstore.kernels.token_row_bytes import TokenRowBytes
from vecstore.kernels.tokens import OpenTokens, TokenCodes
from vecstore.schema import Metric
from vecstore.tokens import TokenRows

Float32Array: TypeAlias = NDArray[np.float32]
Int64Array: TypeAlias = NDArray[np.int64]
UInt8Array: TypeAlias = NDArray[np.uint8]
Bitmap: TypeAlias = NDArray[np.uint64]  # bit i of word i // 64, least significant first: row i is allowed
DenseRows: TypeAlias = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16]  # uint16 holds bfloat16
Factors: TypeAlias = NDArray[np.float32] | NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class TableCodes:
    """Codes scanned by table look-up, in lists of blocks of 32 rows; the last block of a list is padded.

    A row's first-stage code is `m` nibbles. Nibble j selects entry v of a query's table j, which is linear in the
    query: table[j, v] = sum over w of query[table_dims[j, w]] * table_values[j, w, v]  (a table_dims of -1 adds
    nothing). With S the sum of the m entries, the first estimate of a row's distance is

        est = list_add + add + scale * S

    and with stage-two codes (`extra`), for rows whose est is near enough, the full estimate is

        full = list_add + extra_add + extra_scale * (S + sum over runs and dims of query[dim] * step[dim] * low[dim])

    where S is summed in float32 (in the first stage it may be rounded: 8-bit tables) and low is the number in the dim's
    low bits less its mean, value - (2^bits - 1) / 2. A dim may stand in several runs (5 bits = 4 + 1): sums are
    additive. A run of c dims with b bits takes c * b / 8 bytes of a row; byte i holds dims i, i + c * b / 8,
    i + 2 * c * b / 8, ..., the first lowest. Where wanted (eps > 0), |est - distance| <= eps * error * list_radius.
    """

    offsets: Int64Array  # (nlist + 1,) first block of each list
    counts: Int64Array  # (nlist,) rows of each list
    rows: NDArray[np.uint32]  # (nblocks * 32,) the segment's row of each place, any value in padding
    blocks: UInt8Array  # (nblocks, ceil(m / 8), 32, 4): 4 bytes of each row, byte b holds nibble 2b low and 2b + 1 high
    factors: Factors  # (nblocks, 1 to 3, 32): scale; add, else 0; error, where there are bounds
    table_dims: NDArray[np.int32]  # (m, w)
    table_values: Float32Array  # (m, w, 16)
    extra: UInt8Array | None = None  # (nblocks * 32, extra_bytes): per row, run after run
    extra_factors: Factors | None = None  # (nblocks * 32, 1 to 3): the same for the full estimate
    extra_runs: NDArray[np.int32] | None = None  # (nruns, 2): bits (1, 2, 4 or 8) and count of dims, a multiple of 8
    extra_dims: NDArray[np.int32] | None = None  # (sum of counts,): the query component of each, -1 for padding
    extra_steps: Float32Array | None = None  # (sum of counts,)


CodeKind: TypeAlias = Literal["float16", "bfloat16", "e4m3", "e5m2", "int8", "nibble"]


@dataclass(frozen=True, slots=True)
class RowCodes:
    """Codes scanned by their inner product with the query, in lists of blocks of 32 rows; the last block of a list is
    padded.

        est = list_add + add + scale * <query, values of the code>

    | kind              | blocks                                     | values             |
    | ----------------- | ------------------------------------------ | ------------------ |
    | float16, bfloat16 | (nblocks, 32, dim) float16, uint16         | the numbers        |
    | e4m3, e5m2        | (nblocks, 32, dim) uint8                   | the numbers        |
    | int8              | (nblocks, 2 * ceil(dim / 8), 32, 4) uint8  | byte - 128         |
    | nibble            | (nblocks, ceil(dim / 8), 32, 4) uint8      | levels[nibble]     |

    int8 and nibble blocks hold four bytes of each row side by side; byte b holds nibble 2b low and 2b + 1 high, as in
    TableCodes. For these two kinds the query is rounded too: step = max |query| / 127, and est is computed in float32
    as (list_add + add) + scale * (step * <rounded query, values>) from an exact integer product, so that every backend
    gives the same bits. With two `query_bytes` it is rounded to 128 * high + low instead, step = max |query| / 16319,
    high in -127..127 and low in -64..63; the product is then 128 * <high, values> + <low, values>, each exact before
    it becomes a float32.
    """

    kind: CodeKind
    offsets: Int64Array  # (nlist + 1,) first block of each list
    counts: Int64Array  # (nlist,) rows of each list
    rows: NDArray[np.uint32]  # (nblocks * 32,) the segment's row of each place, any value in padding
    blocks: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float16]
    factors: Factors  # (nblocks, 0 to 3, 32): scale, else 1; add, else 0; the third is not read
    levels: NDArray[np.int8] | None = None  # (16,), nibble only
    query_bytes: Literal[1, 2] = 1  # 2: int8 only


@dataclass(frozen=True, slots=True)
class ByteCodes:
    """Codes of bytes scanned by table look-up, in lists whose places come in blocks of 32 rows as in TableCodes.

    est = list_add + add + scale * S,    S = sum over the m bytes of table[j, byte j]
    table[j, v] = sum over w of query[table_dims[j, w]] * table_values[j, w, v]    (-1 adds nothing)
    """

    offsets: Int64Array  # (nlist + 1,) first block of each list
    counts: Int64Array  # (nlist,) rows of each list
    rows: NDArray[np.uint32]  # (nblocks * 32,) the segment's row of each place, any value in padding
    codes: UInt8Array  # (nblocks * 32, m)
    factors: Float32Array  # (nblocks * 32, 2): scale, add
    table_dims: NDArray[np.int32]  # (m, w)
    table_values: Float32Array  # (m, w, 256)


@dataclass(frozen=True, slots=True)
class MihTables:
    """Multi-index hashing: for each chunk of a row's bits, the rows by the chunk's value.

    Bit i of a row is bit i % 8 of byte i // 8, and bit 0 of a chunk's value is its first bit. Rows whose chunk j has
    value v are rows[j, buckets[b + v] : buckets[b + v + 1]], where b = sum over chunks before j of (2^bits + 1).
    """

    starts: NDArray[np.int32]  # (chunks + 1,): first bit of each chunk, then the row's bits; chunks of 1 to 24 bits
    buckets: NDArray[np.uint32]  # (sum of 2^bits + 1,)
    rows: NDArray[np.uint32]  # (chunks, n)


class Kernels(SparseKernels, SeismicKernels, Protocol):
    @property
    def name(self) -> str:
        """native, numba or numpy."""

    @property
    def isa(self) -> str:
        """amx, avx512, avx2, neon, scalar, or what the backend compiles for."""

    @property
    def threads(self) -> int:
        """Threads that one call may use now."""

    def scan(
        self,
        metric: Metric,
        queries: Float32Array,  # (nq, dim)
        rows: DenseRows,  # (n, dim)
        inverse_norms: Float32Array | None,  # (n,), cosine only
        allowed: Bitmap | None,  # ceil(n / 64) words, None allows all
        out_rows: Int64Array,  # (nq, k)
        out_distances: Float32Array,  # (nq, k)
        row_bytes: RowBytes | None = None,  # of the first rows, by the same metric
    ) -> None:
        """Exact k nearest rows by l2, dot or cosine. Where there are bytes, they may be read in place of most rows: the
        answer is the same."""

    def nearest(
        self,
        metric: Metric,
        queries: Float32Array,  # (nq, dim)
        rows: Float32Array,  # (n, dim), n > 0
        query_bounds: Float32Array,  # (nq, width), all finite, as are their products with row_bounds
        row_bounds: Float32Array,  # (n, width)
        base: Float32Array,  # (nq,)
        out_rows: Int64Array,  # (nq,)
        out_distances: Float32Array,  # (nq,)
    ) -> int:
        """The nearest row by l2 or dot, with the bits of `scan` for k = 1, where no distance is below
        base - <query_bounds, row_bounds>. Returns how many pairs were compared in full."""

    def round_rows(
        self,
        metric: Metric,
        rows: DenseRows,  # (n, dim)
        inverse_norms: Float32Array | None,  # (n,), cosine only
    ) -> RowBytes | None:
        """The rows as bytes, for `scan`; None where this backend reads rows themselves."""

    def hamming_scan(
        self,
        queries: UInt8Array,  # (nq, nbytes)
        rows: UInt8Array,  # (n, nbytes), any width
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        """Exact k nearest rows by Hamming distance."""

    def hamming_list_scan(
        self,
        queries: UInt8Array,  # (nq, nbytes)
        codes: UInt8Array,  # (n, nbytes) in list order
        rows: NDArray[np.uint32],  # (n,) the segment's row of each code
        offsets: Int64Array,  # (nlist + 1,) first code of each list
        probes: NDArray[np.int32],  # (nq, nprobe), -1 for none
        allowed: Bitmap | None,  # over the segment's rows, which are as many as the codes
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_scanned: Int64Array,  # (nq,) codes compared
    ) -> None:
        """The k nearest rows of the probed lists by Hamming distance."""

    def mih_search(
        self,
        queries: UInt8Array,  # (nq, nbytes)
        rows: UInt8Array,  # (n, nbytes)
        tables: MihTables,
        max_distance: int,
        budget: int,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,  # (nq, 3): buckets looked up, rows compared, 1 where the answer is proven exact
    ) -> None:
        """The k nearest rows within max_distance. A query whose proof would take more than `budget` look-ups and
        comparisons together is given up: its third counter is 0 and its rows are not to be used."""

    def rerank(
        self,
        metric: Metric,
        queries: Float32Array,  # (nq, dim)
        rows: DenseRows,  # (n, dim)
        inverse_norms: Float32Array | None,
        candidates: Int64Array,  # (nq, m), -1 for none
        out_distances: Float32Array,  # (nq, m), +inf where the candidate is -1
    ) -> None:
        """Distances to listed rows, in the candidates' order."""

    def dense_list_scan(
        self,
        metric: Metric,
        queries: Float32Array,  # (nq, dim)
        rows: DenseRows,  # (n, dim)
        inverse_norms: Float32Array | None,  # (n,), cosine only
        list_rows: NDArray[np.uint32],  # (places,) the row of each place in lists
        offsets: Int64Array,  # (nlist + 1,) first place of each list
        probes: NDArray[np.int32],  # (nq, nprobe), -1 for none
        allowed: Bitmap | None,  # over the rows
        out_rows: Int64Array,  # (nq, k)
        out_distances: Float32Array,  # (nq, k)
        out_scanned: Int64Array,  # (nq,) places of the probed lists, allowed or not
    ) -> None:
        """The k nearest allowed rows of the probed lists by l2, dot or cosine. A row that stands in two lists is found
        twice."""

    def table_scan(
        self,
        codes: TableCodes,
        queries: Float32Array,  # (nq, dim)
        probes: NDArray[np.int32],  # (nq, nprobe) lists in the order to visit, -1 for none
        list_add: Float32Array,  # (nq, nprobe)
        list_radius: Float32Array,  # (nq, nprobe)
        k: int,
        eps: float,
        allowed: Bitmap | None,  # over the segment's rows
        out_rows: Int64Array,  # (nq, m), m >= k
        out_distances: Float32Array,  # (nq, m)
        out_counters: Int64Array,  # (nq, 3): rows scanned, rows refined by stage two, rows within bounds
    ) -> None:
        """The m nearest allowed rows of the probed lists by estimated distance (full where there is a stage two).
        With eps > 0 and an error column in the last stage, only rows whose lower bound is at most the k-th smallest
        upper bound; stage two may skip a row whose first-stage lower bound is above that, or above the m-th smallest
        full estimate. A row past the bitmap's end is not allowed; a row that stands in two lists is found twice."""

    def row_scan(
        self,
        codes: RowCodes,
        queries: Float32Array,  # (nq, dim)
        probes: NDArray[np.int32],  # (nq, nprobe) lists in the order to visit, -1 for none
        list_add: Float32Array,  # (nq, nprobe)
        allowed: Bitmap | None,  # over the segment's rows
        out_rows: Int64Array,  # (nq, m), m >= 1
        out_distances: Float32Array,  # (nq, m)
        out_counters: Int64Array,  # (nq, 3): allowed rows scanned, 0, rows found: as for table_scan without stage two
    ) -> None:
        """The m nearest allowed rows of the probed lists by estimated distance. A row past the bitmap's end is not
        allowed; a row that stands in two lists is found twice."""

    def byte_scan(
        self,
        codes: ByteCodes,
        queries: Float32Array,  # (nq, dim)
        probes: NDArray[np.int32],  # (nq, nprobe) lists in the order to visit, -1 for none
        list_add: Float32Array,  # (nq, nprobe)
        allowed: Bitmap | None,  # over the segment's rows
        out_rows: Int64Array,  # (nq, m), m >= 1
        out_distances: Float32Array,  # (nq, m)
        out_counters: Int64Array,  # (nq, 3): rows scanned, 0, rows found
    ) -> None:
        """The m nearest allowed rows of the probed lists by estimated distance."""

    def open_graph(
        self, metric: Metric, rows: DenseRows, inverse_norms: Float32Array | None, arrays: GraphArrays
    ) -> OpenGraph:
        """A graph over `rows` for this backend's searches; the arrays are kept, not copied."""

    def graph_search(
        self,
        graph: OpenGraph,
        queries: Float32Array,  # (nq, dim)
        walk: Walk,
        allowed: Bitmap | None,
        out_rows: Int64Array,  # (nq, k)
        out_distances: Float32Array,  # (nq, k)
        out_counters: Int64Array,  # (nq, 4): kernels.graph.COUNTERS
    ) -> None:
        """The k nearest of the allowed rows that a walk from the entries met, fewer where it met fewer."""

    def graph_scan(
        self,
        graph: OpenGraph,
        queries: Float32Array,  # (nq, dim)
        rescored: int,  # of all allowed rows the nearest by their codes, scored by the stored rows; 0: by codes only
        allowed: Bitmap | None,
        out_rows: Int64Array,  # (nq, k)
        out_distances: Float32Array,  # (nq, k)
        out_counters: Int64Array,  # (nq, 4)
    ) -> None:
        """The k nearest of all allowed rows by their codes, without walking."""

    def graph_builder(self, rows: ByteRows, params: BuildParams, neighbours: UInt32Array) -> GraphBuilder:
        """What fills `neighbours` (n, degree), the same for any number of threads."""

    def maxsim_scan(
        self,
        queries: TokenRows,  # float32 tokens
        rows: TokenRows,  # float32 or float16 tokens
        allowed: Bitmap | None,
        out_rows: Int64Array,  # (nq, k)
        out_distances: Float32Array,  # (nq, k)
        row_bytes: TokenRowBytes | None = None,  # of the first rows
    ) -> None:
        """Exact k nearest rows by maxsim. A row without tokens is not found. `row_bytes` as in `scan`."""

    def round_tokens(self, rows: TokenRows) -> TokenRowBytes | None:
        """The rows as bytes, for `maxsim_scan`; None where this backend reads rows themselves."""

    def maxsim_rerank(
        self,
        queries: TokenRows,
        rows: TokenRows,
        candidates: Int64Array,  # (nq, m), -1 for none
        out_distances: Float32Array,  # (nq, m), +inf where the candidate is -1 or has no tokens
    ) -> None:
        """Distances by maxsim to listed rows, in the candidates' order."""

    def open_tokens(self, codes: TokenCodes) -> OpenTokens:
        """Token codes for this backend's searches; the arrays are kept, not copied."""

    def centroid_search(
        self,
        tokens: OpenTokens,
        queries: TokenRows,
        lists: int,  # centroids visited for each token of a query; 0: every row is scored
        allowed: Bitmap | None,
        out_rows: Int64Array,  # (nq, m)
        out_distances: Float32Array,  # (nq, m): minus the scores by centroids
        out_counters: Int64Array,  # (nq, 2): kernels.tokens.SEARCH_COUNTERS
    ) -> None:
        """The m nearest of the allowed rows that have a token at a visited centroid, by all their centroids. Visited
        are, of all centroids, those of the least gap: how much less its product with a query token is than the
        largest with that token, for the token where that is least (equal ones by number)."""

    def token_rerank(
        self, tokens: OpenTokens, queries: TokenRows, candidates: Int64Array, out_distances: Float32Array
    ) -> None:
        """Distances by the codes of listed rows, as `maxsim_rerank`."""

    def inverse_norms(self, rows: DenseRows, out: Float32Array) -> None:
        """1 / |row| of each row, 0 for a zero row."""

    def set_threads(self, threads: int) -> None:
        """Bound the threads one call may use; 0 means one for each core."""
