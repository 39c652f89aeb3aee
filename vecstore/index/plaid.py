"""Late interaction by centroids: rows near a query's tokens by shared centroids, then by codes, then by all tokens.

As in PLAID (Santhanam et al. 2022) tokens stand for their centroids in the first stage. Centroids are visited by gaps
and candidates scored by byte tables (native/src/centroid_search.cpp).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index import late_calibration, token_arrays, token_codes
from vecstore.index.base import Progress, Warm
from vecstore.index.header import read_header
from vecstore.index.late import LateIndex, open_asked
from vecstore.index.late_calibration import LateTable
from vecstore.index.learned import within
from vecstore.index.maxsim_flat import check_token_rows
from vecstore.index.resident import resident
from vecstore.index.token_arrays import LearnedFacts
from vecstore.index.token_codes import Learned
from vecstore.index.token_dedup import without_copies
from vecstore.index.token_pool import pooled
from vecstore.index_queried import as_queried
from vecstore.index_spec import Plaid
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.tokens import SEARCH_COUNTERS, Centroids, TokenCodes
from vecstore.schema import VectorField
from vecstore.tokens import TokenRows

VERSION = 2
SEED = 0
GROWTH_MAX = 4  # times the tokens that centroids were made for


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    n: int
    dim: int
    spec: Plaid
    table: LateTable
    trained_for: int  # tokens
    step: float


class PlaidIndex(LateIndex):
    name: ClassVar[str] = "plaid"
    efforts: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 6, 8, 12, 16, 32)

    def __init__(
        self, field: VectorField, spec: Plaid, rows: TokenRows, tokens: TokenCodes, trained_for: int, table: LateTable
    ) -> None:
        super().__init__(field, rows, _in_memory(tokens), spec.rerank == "stored", table)
        self.spec, self._trained_for = spec, trained_for
        held = sum(array.nbytes for array in token_arrays.stored_arrays(tokens).values())
        self.code_bytes = held / max(1, self.ntotal)

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: Plaid,
        rows: TokenRows,
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        """A warm start keeps the centroids and the levels of codes."""
        held = without_copies(rows, spec.dedup_eps, spec.protected, progress)
        held = pooled(held, spec.pooling, spec.protected, progress)
        total = len(held.tokens)
        known = None if warm is None else warm.index._learned()
        if warm is not None and known is not None and 0 < total <= GROWTH_MAX * warm.index._trained_for:
            learned, trained_for = known, warm.index._trained_for
        else:
            learned, trained_for = _learn(spec, held, progress), total
        tokens = token_codes.encode_rows(held, learned, progress)
        index = cls(field, spec, rows, tokens, trained_for, late_calibration.uncalibrated())
        progress("calibrate", 0, 1)
        index._asked = None if warm is None else warm.index._asked
        index._calibrate(kernels)
        progress("calibrate", 1, 1)
        return index

    def _learned(self) -> Learned | None:
        shared, coded = self._shared(), self._codes().codes
        if not len(shared.centroids):
            return None
        levels = np.full(16, 128, np.uint8) if coded is None else coded.levels
        bits, step = token_codes.BITS[self.spec.tokens], 1.0 if coded is None else coded.step
        return Learned(bits, shared.centroids, shared.scales, levels, step)

    def _codes(self) -> TokenCodes:
        assert self._tokens is not None
        return self._tokens

    def _shared(self) -> Centroids:
        shared = self._codes().centroids
        assert shared is not None
        return shared

    @property
    def _effort(self) -> int:
        return 0 if self.spec.nprobe == "auto" else self.spec.nprobe

    def _first(
        self, kernels: Kernels, queries: TokenRows, m: int, effort: int, allowed: Bitmap | None
    ) -> tuple[Int64Array, Float32Array, dict[str, int]]:
        rows, distances = np.empty((len(queries), m), np.int64), np.empty((len(queries), m), np.float32)
        counters = np.empty((len(queries), len(SEARCH_COUNTERS)), np.int64)
        kernels.centroid_search(self._opened(kernels), queries, effort, allowed, rows, distances, counters)
        visited, looked = counters.sum(axis=0).tolist()
        return rows, distances, {"centroids_visited": visited, "rows_scanned": looked}

    def arrays(self) -> dict[str, np.ndarray]:
        coded = self._codes().codes
        step = 1.0 if coded is None else coded.step
        header = Header(VERSION, self.ntotal, self.field.dim, self.spec, self.table, self._trained_for, step)
        return {
            "header": np.frombuffer(msgspec.json.encode(header), np.uint8),
            **{f"tokens.{name}": array for name, array in token_arrays.stored_arrays(self._codes()).items()},
            **self._asked_arrays(),
        }

    @classmethod
    def from_arrays(cls, field: VectorField, rows: TokenRows, arrays: Mapping[str, np.ndarray]) -> Self:
        check_token_rows(field, rows)
        header = read_header(arrays, Header, "a plaid index")
        got, wanted = (header.version, header.n, header.dim), (VERSION, len(rows), field.dim)
        if got[1:] != wanted[1:] or header.version not in (1, VERSION):
            raise Corruption(f"a plaid index is of (version, rows, dim) {got}, its segment of {wanted}")
        header.table.check()
        facts = LearnedFacts(token_codes.BITS[header.spec.tokens], header.step, True, True)
        held = within(arrays, "tokens.")
        if header.version == 1:
            held = token_arrays.packed_arrays(held)
        tokens = token_arrays.open_arrays(held, field.dim, len(rows), facts)
        index = cls(field, as_queried(header.spec, field.index), rows, tokens, header.trained_for, header.table)
        index._asked = open_asked(within(arrays, "asked."), field.dim)
        return index


def _learn(spec: Plaid, held: TokenRows, progress: Progress) -> Learned:
    total = len(held.tokens)
    count = token_codes.centroid_count(total) if spec.centroids == "auto" else min(spec.centroids, total)
    sample = sampled(held, max(token_codes.SAMPLE_MIN, count * token_codes.POINTS_PER_CENTROID))
    if not total:
        dim = held.dim
        empty = np.full((0, (dim + 3) // 4 * 4), 128, np.uint8)
        bits = token_codes.BITS[spec.tokens]
        return Learned(bits, empty, np.empty(0, np.float32), np.full(16, 128, np.uint8), 1.0)
    return token_codes.learn(sample, count, token_codes.BITS[spec.tokens], progress, SEED)


def sampled(rows: TokenRows, most: int) -> Float32Array:
    """At most so many tokens, spread over all."""
    total = len(rows.tokens)
    rng = np.random.default_rng(SEED)
    listed = np.arange(total) if total <= most else np.sort(rng.choice(total, most, replace=False))
    return rows.tokens[listed].astype(np.float32)


def _in_memory(tokens: TokenCodes) -> TokenCodes:
    """Random reads of homes and codes should not wait for the page table."""
    shared, coded = tokens.centroids, tokens.codes
    if shared is not None:
        shared = dataclasses.replace(shared, homes=resident(shared.homes), centroids=resident(shared.centroids))
    if coded is not None:
        coded = dataclasses.replace(coded, codes=resident(coded.codes))
    return TokenCodes(tokens.dim, tokens.offsets, shared, coded)
