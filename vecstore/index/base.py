"""What every index offers. An index knows rows 0..n-1 of one vector field of one segment; it never sees ids."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from vecstore.index.familiar_limits import Caution, Familiar, along
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.schema import VectorField

Progress = Callable[[str, int, int], None]  # phase, done, total; may raise Cancelled


@dataclass(frozen=True, slots=True)
class SearchParams:
    """How hard to look. 0 or None is the index's own choice."""

    nprobe: int = 0  # lists to visit at most; multi-vectors: `efforts` of the first stage; seismic: terms that find
    oversampling: float = 0.0  # candidates for the rerank, as a multiple of k; at least 1
    rescore: bool = True  # False: answer with estimated distances
    exact: bool = False  # scan the stored vectors
    truncate_dim: int = 0  # compare this prefix of the vectors only
    recall_target: float = 0.0  # 0 < r <= 1: choose the rest by it
    ef: int = 0  # width of a graph walk: the candidates it keeps, at least k; multi-vectors: those of the first stage
    block_factor: float = 0.0  # sparse: a block is read if its estimate times this reaches the k-th best score
    indexed_only: bool = False  # leave out segments that wait for an index
    allow_partial: bool = False  # when time runs out, answer from the segments that were searched


DEFAULT_PARAMS = SearchParams()


@lru_cache(256, typed=True)
def params_of(*values: Any) -> SearchParams:
    """The same object for the same values of its fields: what was found out about it is known by it."""
    return SearchParams(*values)


STALE_SHARE = 0.1  # of an index's rows: when as many have died since its tables of recall were measured, these are old
PLANS_REMEMBERED = 256  # of an index, by what was asked for
EXACT_SCAN = "exact_scan"
SHORT = 0.01  # by which a promise may miss a target; by more, all rows are scanned, where they may stay in memory
SCAN_MOST_NS = 1e9  # of a query: of a scan that keeps a target at all costs


@dataclass(slots=True)
class Candidates:
    """`rows` and `distances` are (nq, k), ascending by (distance, row); unused places hold -1 and +inf.
    `counters`, of all queries, go into explain (rows scanned, blocks skipped, ...) and usage; `strategy` too, which is
    empty for the index's usual way.
    `recall` is what the calibration promises for the settings used, 1.0 where the answer is exact, None for unknown.
    `scanned` are the queries (m,) that a scan of all rows answered, because the index found too few for them."""

    rows: Int64Array
    distances: Float32Array
    counters: dict[str, int] = field(default_factory=dict)
    recall: float | None = None
    strategy: str = ""
    est_us: float | None = None  # what a query was expected to take, where ways to answer were weighed by that
    basis: str = ""  # what `recall` rests on, as in `quality.Quality`
    is_usual: bool = False  # set by the engine: the strategy is the index's usual way
    scanned: Int64Array | None = None


def is_left_open(params: SearchParams) -> bool:
    """Whether nothing but a recall is asked for, so that the way to it is the index's own choice."""
    fixed = params.nprobe or params.oversampling or params.ef or params.truncate_dim or params.exact
    return params.recall_target > 0 and params.rescore and not fixed


def falls_short(params: SearchParams, recall: float | None, scan_ns: float) -> bool:
    """Whether the recall asked for, and nothing else, is more than the calibration reaches, and a scan may keep it."""
    if recall is None or not is_left_open(params):
        return False
    return recall < params.recall_target - SHORT and scan_ns <= SCAN_MOST_NS


def allowed_count(n: int, allowed: Bitmap | None) -> int:
    """How many of n rows may be found."""
    if allowed is None:
        return n
    kept = _counts.get(id(allowed))
    if kept is not None and kept[0]() is allowed:
        return min(n, kept[1])
    return min(n, int(np.bitwise_count(allowed).sum()))


# By the object. Of ten million rows a count takes more than a walk along a graph.
_counts: dict[int, tuple[weakref.ref[Bitmap], int]] = {}


def keep_count(allowed: Bitmap) -> int:
    """Count a bitmap that is not changed any more: `allowed_count` knows it for as long as it lives."""
    count, key = int(np.bitwise_count(allowed).sum()), id(allowed)
    _counts[key] = weakref.ref(allowed, lambda _: _counts.pop(key, None)), count
    return count


def some_alive(n: int, alive: Bitmap | None, count: int, seed: int) -> Int64Array:
    """At most `count` of n rows, of those alive, drawn alike and ascending: to measure on."""
    rows = np.arange(n)
    if alive is not None:
        rows = np.flatnonzero(np.unpackbits(alive.view(np.uint8), bitorder="little")[:n])
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


class Index(ABC):
    """`field.index` is the spec that the index is built by, in `build` and in `from_arrays`."""

    name: ClassVar[str]
    complete: ClassVar[bool] = False  # finds fewer than k only where no more rows match
    ntotal: int

    @abstractmethod
    def search(
        self,
        kernels: Kernels,
        queries: Any,
        k: int,
        allowed: Bitmap | None,
        params: SearchParams = DEFAULT_PARAMS,
    ) -> Candidates:
        """The k nearest allowed rows for each query: float32 (nq, dim), packed uint8 (nq, dim / 8) for binary,
        `SparseRows` of float32 for sparse, `TermQueries` for text.

        An index that looks at a part of the rows may find fewer than k; unless it is `complete`, the engine then scans
        exactly. Of sparse rows and text only those are found that share an index with the query."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that must survive a restart, besides the stored vectors (and their `inverse_norms`, which the
        engine stores once for a segment)."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, field: VectorField, rows: Any, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from the stored vectors and `arrays()`, with `inverse_norms` beside them for cosine. The arrays are
        mapped, read-only. Raises Corruption when they do not fit together."""


I_co = TypeVar("I_co", bound="BuiltIndex", covariant=True)


@dataclass(frozen=True, slots=True)
class Warm(Generic[I_co]):
    """What a build may start from: an index of the same spec over another segment, of whose rows some are here.

    `rows` is (index.ntotal,): where each of its rows stands among those to index, -1 for one that is not there any more
    (deleted or superseded). Rows ascend by id in both, so that what is not -1 ascends."""

    index: I_co
    rows: Int64Array


@dataclass(frozen=True, slots=True)
class Way:
    """A way to answer a query: what an index's explain calls it, what it is expected to take (None where there is no
    model of that), the recall that is promised, and whether it is the one that a search takes."""

    strategy: str
    est_us: float | None
    recall: float | None
    chosen: bool


class BuiltIndex(Index):
    """An index that is built in the background from a sealed segment's rows, and stored with it.

    `code_bytes` is what a row takes in memory: codes, factors and rerank codes, not its row number or stored vector."""

    code_bytes: float
    is_exact: ClassVar[bool] = False  # finds what a scan finds
    reads_by_kernels: ClassVar[bool] = False  # search reads stored rows by kernels only: they are checked as it does
    plans_filters: ClassVar[bool] = False  # does well by any filter: else few allowed rows are scanned without it
    familiar: Familiar | None = None  # how far the calibration's queries were from what they found
    _asked: Any = None  # the user's queries that its tables of recall were measured on
    truncates: ClassVar[bool] = False  # honours `truncate_dim`; else such queries scan prefixes of the stored vectors

    def ways(self, kernels: Kernels, k: int, matches: int, params: SearchParams) -> list[Way]:
        """How a query could be answered where `matches` rows are allowed. Reads no rows."""
        return [Way(self.name, None, 1.0 if self.is_exact else None, True)]

    def caution(self, k: int, matches: int, params: SearchParams) -> Caution:
        """By how much the margin of unfamiliar queries (`familiar`) grows a step."""
        return Caution(power=along(k, 1.0, 0.5, 0.5))

    def scan_pays(self, k: int, queries: int, params: SearchParams, far: float) -> bool:
        """Whether an exact scan is cheaper for so many queries that are so many steps beyond the familiar, where a
        search does not see it by itself, since it visits more for them than for others."""
        return False

    def search_further(
        self, kernels: Kernels, queries: Any, k: int, allowed: Bitmap | None, params: SearchParams,
        before: SearchParams, found: Candidates,
    ) -> Candidates:  # fmt: skip
        """`search` by `params`, which ask for more than `before`, by which these queries found k rows each."""
        return self.search(kernels, queries, k, allowed, params)

    @property
    def on_queries(self) -> bool:
        """Whether its tables of recall were measured on queries, and not on rows of its own."""
        return self._asked is not None

    @property
    def measured_rows(self) -> int | None:
        """Among how many rows it was measured how hard to look for a recall; None where there is nothing to measure."""
        return None

    def tuned(self, queries: Any | None, kernels: Kernels, alive: Bitmap | None = None) -> Self | None:
        """The same index, which knows from these queries (nq, dim), or from those that it was measured on where they
        are None, how hard to look for a recall among the rows alive; None when it has no such tables. A build that
        starts from it (`Warm`) measures on the same queries."""
        return None

    @classmethod
    @abstractmethod
    def build(
        cls,
        field: VectorField,
        spec: Any,  # of index_spec, the kind that this class is registered for
        rows: Any,  # Rows: stored vectors, perhaps mapped; rows without a vector are zero or empty
        inverse_norms: Float32Array | None,  # (n,), cosine only
        kernels: Kernels,
        progress: Progress,
        warm: Warm[Self] | None = None,
    ) -> Self:
        """What `warm` has learned is used again, so that a merge trains nothing. Raises InvalidArgument
        (BAD_INDEX_SPEC), Cancelled."""


def is_stale(index: BuiltIndex, rows: int) -> bool:
    """Whether the index's tables of recall were measured among many more rows than the `rows` left to be found."""
    if rows == index.ntotal:
        return False
    measured = index.measured_rows
    return measured is not None and measured - rows > STALE_SHARE * index.ntotal
