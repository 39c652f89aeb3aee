"""Approximate search of sparse vectors through blocks of similar rows, answers scored by the stored vectors.

After Seismic (Bruch et al., SIGIR 2024) in what it rests on: a summary for each block, blocks skipped by their summary
against the k-th best score, few rows scored in full. Unlike there, blocks are of the rows, not of each list: the rows
are put in an order in which similar ones are side by side, 64 to a block, and each term has a code for each block and,
in it, for each row (vecstore/kernels/seismic.py). All sums are then of small integers, 64 rows at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index import costs
from vecstore.index.asked import open_asked_sparse
from vecstore.index.base import (
    DEFAULT_PARAMS,
    EXACT_SCAN,
    BuiltIndex,
    Candidates,
    Progress,
    SearchParams,
    Warm,
    Way,
    allowed_count,
    some_alive,
)
from vecstore.index.resident import resident
from vecstore.index.seismic_calibration import QUERIES, UNCALIBRATED, calibrated, drawn
from vecstore.index.seismic_forward import forward_arrays, forward_copy, more_than, open_forward, rescore
from vecstore.index.seismic_header import VERSION, Header, open_header
from vecstore.index.seismic_order import similar_order, sketches
from vecstore.index.seismic_parts import Kept, build_parts, coded_entries
from vecstore.index.seismic_plan import FIRST_BLOCKS, Planner
from vecstore.index.seismic_terms import count_terms, least_kept, smallest_value
from vecstore.index.seismic_versions import OLD_VERSIONS, of_today
from vecstore.index.sparse_flat import SparseFlatIndex, check_sparse_rows
from vecstore.index_spec import Seismic
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.seismic import BLOCK, COUNTERS, TERMS_MAX, OpenSeismic, SeismicArrays, Visit
from vecstore.kernels.select import get_kernels
from vecstore.packed_sparse import PackedRows, StoredRows
from vecstore.schema import VectorField
from vecstore.sparse import SparseRows

SEED = 0
LIST_FACTOR = 6.0
_ARRAYS = tuple(SeismicArrays.__slots__)
_REFUSED = COUNTERS.index("weights_refused")


class SeismicIndex(BuiltIndex):
    name: ClassVar[str] = "seismic"
    complete: ClassVar[bool] = True
    plans_filters: ClassVar[bool] = True

    def __init__(
        self,
        field: VectorField,
        rows: StoredRows,
        spec: Seismic,
        arrays: SeismicArrays,
        header: Header,
        forward: PackedRows | None,
    ) -> None:
        """`forward` is what `forward_copy` gives."""
        self.field, self.spec, self.header = field, spec, header
        self.ntotal = len(rows)
        self._rows, self._forward = rows, forward
        named = {name: resident(getattr(arrays, name)) for name in _ARRAYS}
        self._arrays = SeismicArrays(**named)
        self._exact = SparseFlatIndex(field, rows)
        copied = sum(array.nbytes for array in forward_arrays(forward).values())
        self.code_bytes = (copied + sum(array.nbytes for array in named.values())) / max(1, self.ntotal)
        self._copy_is_exact = spec.values == "float16" and field.storage_dtype == np.float16
        self._pruned = header.coded < header.nnz
        self._asked: SparseRows | None = None  # the user's queries that the table was measured on
        self._open: dict[str, OpenSeismic] = {}
        self._planner = Planner(header.table, self.ntotal, self._pruned)

    @classmethod
    def build(
        cls,
        field: VectorField,
        spec: Seismic,
        rows: StoredRows,
        inverse_norms: Float32Array | None,
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        """A warm start keeps the queries that it was tuned on."""
        progress("count", 0, 1)
        terms, counts = count_terms(rows)
        negative = smallest_value(rows) < 0
        forward = None if negative else forward_copy(rows, terms, spec)
        if negative:
            terms, counts = terms[:0], counts[:0]
            order = np.arange(len(rows), dtype=np.uint32)
        else:
            order = similar_order(sketches(rows, terms, counts, progress), kernels, progress)
        kept = _kept(spec, rows, len(terms))
        arrays = build_parts(rows, order, terms, counts, kept, spec.summary, progress)
        coded = coded_entries(arrays)
        step = 1.0 if forward is None else forward.step
        header = Header(VERSION, len(rows), rows.nnz, spec, coded, negative, UNCALIBRATED, step)
        index = cls(field, rows, spec, arrays, header, forward)
        progress("calibrate", 0, 1)
        index._asked = None if warm is None else warm.index._asked
        index._calibrate(kernels)
        progress("calibrate", 1, 1)
        return index

    @property
    def measured_rows(self) -> int | None:
        return None if self.header.negative else self.header.table.rows or self.ntotal

    def tuned(self, queries: Any | None, kernels: Kernels, alive: Bitmap | None = None) -> Self:
        index = copy.copy(self)
        if queries is not None:
            index._asked = SparseRows(queries.offsets, queries.indices, queries.values.astype(np.float32))
        index._calibrate(kernels, alive)
        return index

    def _calibrate(self, kernels: Kernels, alive: Bitmap | None = None) -> None:
        """By the user's queries where there are any, by entries of held-out rows otherwise."""
        if self.header.negative:
            return
        asked = self._asked
        if asked is None:
            filled = np.flatnonzero(np.diff(self._rows.offsets))
            if alive is not None:
                filled = np.intersect1d(filled, some_alive(self.ntotal, alive, self.ntotal, SEED))
            rng = np.random.default_rng(SEED)
            own = np.sort(rng.permutation(filled)[:QUERIES])
            asked = drawn(self._rows.take(own), rng)
        else:
            own = np.full(len(asked), -1, np.int64)

        count = allowed_count(self.ntotal, alive)

        def search(queries: SparseRows, k: int, factor: float | None) -> tuple[Int64Array, Float32Array]:
            if factor is None:
                found = self._exactly(kernels, queries, k, alive)
            else:
                found = self._found(kernels, queries, k, alive, self._planner.visit(k, count, factor))
            return found.rows, found.distances

        self.header = msgspec.structs.replace(self.header, table=calibrated(search, asked, own, count))
        self._planner = Planner(self.header.table, self.ntotal, self._pruned)

    def search(
        self,
        kernels: Kernels,
        queries: SparseRows,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        """`nprobe` bounds how many of a query's terms, the heaviest, find candidates. Answers have exact distances,
        with `rescore` False those by the index's copy of the rows or, where it has none, by the codes of its blocks.
        Where a weight is not positive the search is exact."""
        matches = allowed_count(self.ntotal, allowed)
        if params.exact or params.truncate_dim or self.header.negative or matches <= k or k == 0:
            return self._exact.search(kernels, queries, k, allowed, params)
        cost: float | None = None  # where a filter leaves a choice
        if allowed is not None:
            by_rows, by_blocks = self._costs(matches)
            cost = min(by_rows, by_blocks)
            if by_rows <= by_blocks:
                scored = self._exact.search(kernels, queries, k, allowed, params)
                scored.est_us = round(cost / 1e3, 1)
                return scored
        if params.recall_target == 1:
            found = self._exactly(kernels, queries, k, allowed)
            found.recall = 1.0
            return found
        visit, recall = self._planner.plan(k, matches, params)
        found = self._found(kernels, queries, k, allowed, visit, params.rescore)
        found.recall = recall if params.rescore or self._copy_is_exact else None
        found.est_us = None if cost is None else round(cost / 1e3, 1)
        self._complete(kernels, queries, allowed, found)
        return found

    def ways(self, kernels: Kernels, k: int, matches: int, params: SearchParams) -> list[Way]:
        """Blocks, or the allowed rows one by one."""
        by_rows, by_blocks = self._costs(matches)
        only = params.exact or bool(params.truncate_dim) or self.header.negative or matches <= k
        first = only or (matches < self.ntotal and by_rows <= by_blocks)
        exact = Way(EXACT_SCAN, by_rows / 1e3, 1.0, first)
        if only:
            return [exact]
        return [Way(self.name, by_blocks / 1e3, self._planner.plan(k, matches, params)[1], not first), exact]

    def _costs(self, matches: int) -> tuple[float, float]:
        by_rows = costs.sparse_exact(matches, self.header.nnz / max(1, self.ntotal))
        return by_rows, costs.sparse_blocks(self.ntotal)

    def _found(
        self,
        kernels: Kernels,
        queries: SparseRows,
        k: int,
        allowed: Bitmap | None,
        visit: Visit,
        rescored: bool = True,
    ) -> Candidates:
        nq = len(queries)
        if not rescored and self._forward is None:
            visit = replace(visit, share=1.0, coded=True)
        copied = None if visit.all else self._forward
        scored = self._rows if copied is None else copied
        again = rescored and copied is not None and not self._copy_is_exact
        count = min(more_than(k, self.spec), visit.depth) if again else k
        rows, distances = np.empty((nq, count), np.int64), np.empty((nq, count), np.float32)
        counters = np.empty((nq, len(COUNTERS)), np.int64)
        kernels.seismic_search(self._opened(kernels), scored, queries, visit, allowed, rows, distances, counters)
        if again:
            rows, distances = rescore(kernels, queries, self._rows, rows, k)
        counted = (counters[0] if nq == 1 else counters.sum(axis=0)).tolist()
        found = Candidates(rows, distances, dict(zip(COUNTERS, counted, strict=True)))
        found.counters["rows_scanned"] = BLOCK * found.counters["blocks_read"]
        if found.counters["weights_refused"]:
            which = np.flatnonzero(counters[:, _REFUSED])
            self._replace(found, which, self._exact.search(kernels, queries.take(which), k, allowed))
        return found

    def _exactly(self, kernels: Kernels, queries: SparseRows, k: int, allowed: Bitmap | None) -> Candidates:
        """Through the blocks where every entry has a code and every term takes part, else by reading the rows."""
        if self._pruned or int(np.diff(queries.offsets).max(initial=0)) > TERMS_MAX:
            return self._exact.search(kernels, queries, k, allowed)
        visit = Visit(k, FIRST_BLOCKS, 1.0, TERMS_MAX, 1.0, all=True, bounded=self.spec.summary == "max")
        return self._found(kernels, queries, k, allowed, visit)

    def _complete(self, kernels: Kernels, queries: SparseRows, allowed: Bitmap | None, found: Candidates) -> None:
        """Where fewer than k were found, though rows may match by entries or terms that took no part."""
        if not (self._pruned or found.counters["terms_left_out"]):
            return
        if len(queries) == 1 and found.rows[0, -1] >= 0:
            return
        short = np.flatnonzero(found.rows[:, -1] < 0)
        if not len(short):
            return
        self._replace(found, short, self._exactly(kernels, queries.take(short), found.rows.shape[1], allowed))

    @staticmethod
    def _replace(found: Candidates, which: Int64Array, exact: Candidates) -> None:
        found.rows[which], found.distances[which] = exact.rows, exact.distances
        found.counters["queries_rescanned"] = found.counters.get("queries_rescanned", 0) + len(which)
        found.counters["rows_scanned"] += exact.counters["rows_scanned"]

    def _opened(self, kernels: Kernels) -> OpenSeismic:
        opened = self._open.get(kernels.name)
        if opened is None:
            opened = self._open[kernels.name] = kernels.open_seismic(self._arrays)
        return opened

    def arrays(self) -> dict[str, np.ndarray]:
        asked = {} if self._asked is None else self._asked.arrays()
        return {
            "header": np.frombuffer(msgspec.json.encode(self.header), np.uint8),
            **{name: getattr(self._arrays, name) for name in _ARRAYS},
            **{f"asked.{name}": array for name, array in asked.items()},
            **forward_arrays(self._forward),
        }

    @classmethod
    def from_arrays(cls, field: VectorField, rows: StoredRows, arrays: Mapping[str, np.ndarray]) -> Self:
        check_sparse_rows(field, rows)
        header = open_header(rows, arrays)
        if header.version in OLD_VERSIONS:
            arrays = of_today(header.version, arrays, len(rows))
            header = msgspec.structs.replace(header, version=VERSION)
        missing = [name for name in _ARRAYS if name not in arrays]
        if missing:
            raise Corruption(f"a seismic index lacks its {missing[0]}")
        parts = SeismicArrays(**{name: arrays[name] for name in _ARRAYS})
        forward = open_forward(rows, header.spec, header.step, arrays)
        if forward is None and header.spec.values != "stored" and rows.nnz and not header.negative:
            raise Corruption("a seismic index lacks its copy of the rows")
        index = cls(field, rows, header.spec, parts, header, forward)
        index._check()
        index._asked = open_asked_sparse(arrays)
        return index

    def _check(self) -> None:
        """Raises Corruption for arrays that searches could not trust."""
        if len(self._arrays.rows) != self.ntotal:
            raise Corruption(f"a seismic index places {len(self._arrays.rows)} rows of {self.ntotal}")
        try:
            self._opened(get_kernels())
        except ValueError as error:
            raise Corruption(f"the arrays of a seismic index do not fit together: {error}") from None
        coded = coded_entries(self._arrays)
        if coded != self.header.coded:
            raise Corruption(f"a seismic index has codes of {coded} entries, its header says {self.header.coded}")


def _kept(spec: Seismic, rows: StoredRows, terms: int) -> Kept:
    if spec.postings == "auto":
        return Kept(0.0, max(1, len(rows)))
    factor = LIST_FACTOR if spec.list_factor == "auto" else spec.list_factor
    return Kept(least_kept(rows, spec.postings * terms), max(1, int(spec.postings * factor)))
