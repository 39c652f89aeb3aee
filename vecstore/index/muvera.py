"""Late interaction by one vector a row: fixed dimensional encodings searched as dense vectors are, the candidates
ranked again by the whole encodings where these are held, then by codes of tokens, then by the stored tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index import costs, late_calibration, token_arrays, token_codes
from vecstore.index.base import BuiltIndex, Progress, SearchParams, Warm, allowed_count
from vecstore.index.coded import FlatCodesIndex, IVFIndex
from vecstore.index.graph import GraphIndex
from vecstore.index.header import read_header
from vecstore.index.late import LateIndex, open_asked
from vecstore.index.late_calibration import LateTable
from vecstore.index.learned import within
from vecstore.index.maxsim_flat import check_token_rows
from vecstore.index.plaid import sampled
from vecstore.index.token_arrays import LearnedFacts
from vecstore.index.token_codes import Learned
from vecstore.index.token_dedup import without_copies
from vecstore.index.token_pool import pooled
from vecstore.index_spec import IVF, Flat, Graph, Muvera, RaBitQ
from vecstore.index_spec import Index as IndexSpec
from vecstore.kernels.allowed import allowed_rows
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.fde import GENERATOR, Fde, FdeEncoder
from vecstore.kernels.select import get_kernels
from vecstore.kernels.smallest import smallest
from vecstore.kernels.tokens import TokenCodes
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.tokens import TokenRows

VERSION = 3  # before, all indexes held their whole encodings
SEED = 0
BITS = 2  # of a component, unless the spec says otherwise: what whole encodings find, to .2 of a hundred
_BATCH = 512  # rows encoded at once
RECALLS = (0.8, 0.9, 0.95, 0.98, 0.99)  # of the first stage, by effort - 1
RANKED_AGAIN = 2  # times the candidates: found by codes of encodings, ranked by the whole ones


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    generator: int
    n: int
    dim: int
    spec: Muvera
    table: LateTable
    step: float


class MuveraIndex(LateIndex):
    name: ClassVar[str] = "muvera"

    def __init__(
        self, field: VectorField, spec: Muvera, rows: TokenRows, encodings: np.ndarray | None, first: BuiltIndex,
        tokens: TokenCodes | None, table: LateTable,
    ) -> None:  # fmt: skip
        """`encodings` (n, length) float16 are the rows' whole encodings, where they are held."""
        super().__init__(field, rows, tokens, spec.rerank == "stored", table)
        self.spec, self._encodings, self._dense = spec, encodings, first
        self._encoder = FdeEncoder(fde_of(spec, field.dim))
        coded = {} if tokens is None else token_arrays.stored_arrays(tokens)
        held = sum(array.nbytes for array in coded.values())
        self.code_bytes = first.code_bytes + held / max(1, self.ntotal)

    @property
    def efforts(self) -> tuple[int, ...]:  # type: ignore[override]
        return (1,) if self.spec.first == "flat" else tuple(range(1, len(RECALLS) + 1))

    @property
    def _nested(self) -> bool:
        """Not of lists and graphs, nor of codes whose best are ranked again."""
        return self._encodings is None

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: Muvera,
        rows: TokenRows,
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        """A warm start keeps what the first stage and the codes of tokens have learned."""
        held = without_copies(rows, spec.dedup_eps, spec.protected, progress)
        held = pooled(held, spec.pooling, spec.protected, progress)
        encoder = FdeEncoder(fde_of(spec, field.dim))
        encodings = np.empty((len(rows), encoder.fde.length), np.float16)
        limit = np.float32(np.finfo(np.float16).max)
        for low in range(0, len(rows), _BATCH):
            progress("encode rows", low, len(rows))
            encodings[low : low + _BATCH] = np.clip(encoder.documents(held[low : low + _BATCH]), -limit, limit)
        dense, kind = dense_field(spec, encoder.fde.length), dense_kind(spec)
        known = None if warm is None else Warm(warm.index._dense, warm.rows)
        first = kind.build(dense, dense.index, encodings, None, kernels, progress, known)
        tokens = None
        if spec.tokens != "stored":
            learned = None if warm is None else warm.index._learned()
            tokens = token_codes.encode_rows(held, learned or _learn(spec, held, progress), progress, listed=False)
        index = cls(
            field, spec, rows, encodings if holds_whole(spec) else None, first, tokens, late_calibration.uncalibrated()
        )
        progress("calibrate", 0, 1)
        index._asked = None if warm is None else warm.index._asked
        index._calibrate(kernels)
        progress("calibrate", 1, 1)
        return index

    def _calibrate(self, kernels: Kernels, alive: Bitmap | None = None) -> None:
        self._tune_first(kernels, alive)
        super()._calibrate(kernels, alive)

    def _tune_first(self, kernels: Kernels, alive: Bitmap | None) -> None:
        """Encodings of queries are not like those of rows: the first stage learns how hard to look from queries."""
        if self._encodings is None:
            return  # a scan of codes has nothing to learn
        queries = self._asked
        if queries is None and self._with_tokens:
            queries, _ = late_calibration.queries_of(self._rows, alive)
        if queries is not None and len(queries):
            self._dense = self._dense.tuned(self._encoder.queries(queries), kernels, alive) or self._dense

    def _learned(self) -> Learned | None:
        if self._tokens is None or self._tokens.codes is None or not len(self._tokens.codes.codes):
            return None
        shared, coded = self._tokens.centroids, self._tokens.codes
        if shared is None:
            return Learned(coded.bits, None, None, coded.levels, coded.step)
        return Learned(coded.bits, shared.centroids, shared.scales, coded.levels, coded.step)

    def _first(
        self, kernels: Kernels, queries: TokenRows, m: int, effort: int, allowed: Bitmap | None
    ) -> tuple[Int64Array, Float32Array, dict[str, int]]:
        vectors = self._encoder.queries(queries)
        again = self._encodings is not None
        most = min(self.ntotal, RANKED_AGAIN * m if again else m)
        offsets = self._rows.offsets
        if not again and allowed_count(self.ntotal, allowed) <= most:
            every = allowed_rows(allowed, self.ntotal)
            every = every[offsets[every + 1] > offsets[every]]
            return *_unranked(every, (len(queries), m)), {"rows_scanned": 0}
        found = self._dense.search(kernels, vectors, most, allowed, self._params(effort))
        rows = np.ascontiguousarray(found.rows)
        rows[(rows >= 0) & (offsets[rows + 1] == offsets[rows])] = -1  # without tokens
        if self._encodings is None:
            return rows, found.distances, found.counters
        distances = np.empty(rows.shape, np.float32)
        kernels.rerank(Metric.DOT, vectors, self._encodings, None, rows, distances)
        counters = {"encodings_reranked": int(np.count_nonzero(rows >= 0))}
        return *smallest(rows, distances, m), found.counters | counters

    def _first_ns(self, m: int, effort: int, matches: int) -> float:
        again = self._encodings is not None
        most = min(self.ntotal, RANKED_AGAIN * m if again else m)
        ways = self._dense.ways(get_kernels(), most, matches, self._params(effort))
        us = next((way.est_us for way in ways if way.chosen), None) or 0.0
        row_bytes = 2 * self._encoder.fde.length
        return us * 1e3 + costs.rescored(most if again else 0, row_bytes)

    def _params(self, effort: int) -> SearchParams:
        if self.spec.first == "flat":
            return SearchParams(rescore=False)
        return SearchParams(recall_target=RECALLS[min(effort, len(RECALLS)) - 1])

    def arrays(self) -> dict[str, np.ndarray]:
        coded = None if self._tokens is None else self._tokens.codes
        step = 1.0 if coded is None else coded.step
        header = Header(VERSION, GENERATOR, self.ntotal, self.field.dim, self.spec, self.table, step)
        held = {} if self._tokens is None else token_arrays.stored_arrays(self._tokens)
        return {
            "header": np.frombuffer(msgspec.json.encode(header), np.uint8),
            **({} if self._encodings is None or not holds_whole(self.spec) else {"encodings": self._encodings}),
            **{f"first.{name}": array for name, array in self._dense.arrays().items()},
            **{f"tokens.{name}": array for name, array in held.items()},
            **self._asked_arrays(),
        }

    @classmethod
    def from_arrays(cls, field: VectorField, rows: TokenRows, arrays: Mapping[str, np.ndarray]) -> Self:
        check_token_rows(field, rows)
        header = read_header(arrays, Header, "a muvera index")
        got = (header.version, header.generator, header.n, header.dim)
        wanted = (VERSION, GENERATOR, len(rows), field.dim)
        if got[1:] != wanted[1:] or header.version not in (1, 2, VERSION):
            raise Corruption(f"a muvera index is of (version, generator, rows, dim) {got}, its segment of {wanted}")
        header.table.check()
        spec = header.spec
        encodings, length = arrays.get("encodings"), fde_of(spec, field.dim).length
        given = encodings
        if header.version == VERSION and not holds_whole(spec):
            given = np.broadcast_to(np.zeros((), np.float16), (len(rows), length))  # a scan of codes reads none
            encodings = None
        if given is None or given.dtype != np.float16 or given.shape != (len(rows), length):
            raise Corruption(f"the encodings of a muvera index are not float16 of {len(rows)} x {length}")
        first = dense_kind(spec).from_arrays(dense_field(spec, length), given, within(arrays, "first."))
        tokens = None
        if spec.tokens != "stored":
            facts = LearnedFacts(token_codes.BITS[spec.tokens], header.step, spec.tokens != "int8", listed=False)
            tokens = token_arrays.open_arrays(within(arrays, "tokens."), field.dim, len(rows), facts)
        index = cls(field, spec, rows, encodings, first, tokens, header.table)
        index._asked = open_asked(within(arrays, "asked."), field.dim)
        return index


def fde_of(spec: Muvera, dim: int) -> Fde:
    return Fde(dim, spec.repetitions, spec.k_sim, spec.projection, spec.final_dim, spec.fill_empty, spec.seed)


def holds_whole(spec: Muvera) -> bool:
    """Whether the whole encodings are held: lists and graphs rank, or fill up, what they find by them."""
    return spec.whole or spec.first != "flat"


def _unranked(found: Int64Array, shape: tuple[int, int]) -> tuple[Int64Array, Float32Array]:
    """The same few rows for every query."""
    rows, distances = np.full(shape, -1, np.int64), np.full(shape, np.inf, np.float32)
    rows[:, : len(found)], distances[:, : len(found)] = found, 0
    return rows, distances


def dense_field(spec: Muvera, length: int) -> VectorField:
    """What the first stage takes encodings for: documents' are of different lengths, and inner products count."""
    quantizer = spec.quantizer
    index: IndexSpec
    if spec.first == "graph":
        index = Graph(quantizer=quantizer)
    elif spec.first == "ivf":
        index = IVF(quantizer=quantizer or RaBitQ(bits=BITS), rerank="none")
    else:
        index = Flat(quantizer=quantizer or RaBitQ(bits=BITS), rerank="none")
    return VectorField(VectorKind.DENSE, length, Metric.DOT, DataType.FLOAT16, index)


def dense_kind(spec: Muvera) -> type[BuiltIndex]:
    kinds: dict[str, type[BuiltIndex]] = {"flat": FlatCodesIndex, "ivf": IVFIndex, "graph": GraphIndex}
    return kinds[spec.first]


def _learn(spec: Muvera, held: TokenRows, progress: Progress) -> Learned:
    bits = token_codes.BITS[spec.tokens]
    total = len(held.tokens)
    count = 0 if spec.tokens == "int8" else token_codes.centroid_count(total)
    if not total and count:
        empty = np.full((0, (held.dim + 3) // 4 * 4), 128, np.uint8)
        return Learned(bits, empty, np.empty(0, np.float32), np.full(16, 128, np.uint8), 1.0)
    sample = sampled(held, max(token_codes.SAMPLE_MIN, count * token_codes.POINTS_PER_CENTROID))
    return token_codes.learn(sample, count, bits, progress, SEED)
