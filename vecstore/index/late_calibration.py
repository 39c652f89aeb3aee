"""How hard a search of multi-vectors must look for a wanted recall: measured at build, stored with the index.

Queries are runs of held-out rows' own tokens (the row itself does not count), or a user's own (`BuiltIndex.tuned`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index.base import allowed_count, some_alive
from vecstore.index.late_measure import First, Measured, cheapest, measured
from vecstore.index.recall_axis import (
    TARGETS,
    is_recalls,
    log_along,
    log_between,
    promised,
    recall_at,
)
from vecstore.index.scored_once import ScoredOnce
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.tokens import TokenRows

KS = (1, 10, 100)
QUERIES = 512
# Shorter runs of rows' tokens need more candidates than real queries do, whole rows fewer (docs/RESULTS-QUERIES.md).
QUERY_TOKENS = 20
QUERY_PART = 0.75  # of a row, at most
ENOUGH = 0.99  # no more candidates than this takes are measured
Coded = Callable[[TokenRows, Int64Array], Float32Array]


class LateTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For each of `ks` and each of `TARGETS`: the first stage's effort, the candidates that it should find, and how
    many of these are worth scoring by stored tokens after their codes; and the recall that they reached."""

    ks: tuple[int, ...]
    effort: tuple[tuple[int, ...], ...]
    depth: tuple[tuple[int, ...], ...]
    fine: tuple[tuple[int, ...], ...]
    reached: tuple[tuple[float, ...], ...] = ()
    rows: int = 0  # among which it was measured; 0: all

    def effort_for(self, target: float, k: int) -> int:
        return max(1, math.ceil(log_along(k, self.ks, [log_between(target, row) for row in self.effort]) - 1e-6))

    def depth_for(self, target: float, k: int) -> int:
        return max(k, math.ceil(log_along(k, self.ks, [log_between(target, row) for row in self.depth]) - 1e-6))

    def fine_for(self, target: float, k: int) -> int:
        return max(k, math.ceil(log_along(k, self.ks, [log_between(target, row) for row in self.fine]) - 1e-6))

    def recall_for(self, target: float, k: int) -> float | None:
        """What the settings for a target promise."""
        return promised(target, k, self.ks, self.reached)

    def recall_of(self, effort: int, depth: int, k: int) -> float | None:
        """What an effort promises with a depth: the less of what each of them is enough for."""
        found = []
        for value, table in ((effort, self.effort), (depth, self.depth)):
            along = [log_along(k, self.ks, [row[t] for row in table]) for t in range(len(TARGETS))]
            recall = recall_at(value, np.maximum.accumulate(along).tolist())
            if recall is None:
                return None
            found.append(recall)
        return self.recall_for(min(found), k)

    def check(self) -> None:
        """Raises Corruption for what `calibrated` would not have made."""
        tables = (*self.effort, *self.depth, *self.fine)
        fits = len(self.ks) == len(self.effort) == len(self.depth) == len(self.fine) >= 1
        fits = fits and list(self.ks) == sorted(set(self.ks)) and min(self.ks) >= 1
        fits = fits and is_recalls(self.reached, len(self.ks))
        if not fits or any(len(row) != len(TARGETS) or not all(1 <= v <= 1 << 31 for v in row) for row in tables):
            raise Corruption("the calibration of a multi-vector index does not hold tables of recall")


def uncalibrated() -> LateTable:
    """For rows too few to measure: wide enough for any."""
    row = (64,) * len(TARGETS)
    return LateTable((10,), (row,), (row,), (row,))


def queries_of(rows: TokenRows, alive: Bitmap | None = None, seed: int = 0) -> tuple[TokenRows, Int64Array]:
    """Runs of tokens of rows alive spread over all, and the row that each is of."""
    rng = np.random.default_rng(seed)
    used = np.flatnonzero(np.diff(rows.offsets) > 0)
    if alive is not None:
        used = np.intersect1d(used, some_alive(len(rows), alive, len(rows), seed))
    own = np.sort(rng.choice(used, min(QUERIES, len(used)), replace=False))
    cut = []
    for row in own:
        tokens = rows.row(int(row)).tokens
        count = min(QUERY_TOKENS, math.ceil(QUERY_PART * len(tokens)))
        first = int(rng.integers(0, len(tokens) - count + 1))
        cut.append(tokens[first : first + count])
    return TokenRows.of(cut, rows.dim, np.float32), own


def calibrated(
    rows: TokenRows, queries: TokenRows, own: Int64Array, efforts: tuple[int, ...], first: First, coded: Coded | None,
    kernels: Kernels, alive: Bitmap | None = None, *, nested: bool = True,
) -> LateTable:  # fmt: skip
    """`own` (nq,) is the row that each query was made of, -1 for a user's. Only rows `alive` are to be found, and
    `first` finds no others; `nested` says whether it finds for few candidates the first of what it finds for more."""
    n = min(int(np.count_nonzero(np.diff(rows.offsets))), allowed_count(len(rows), alive))
    ks = tuple(k for k in KS if 4 * k < n)
    if len(ks) < 2 or not len(queries):
        return uncalibrated()
    limits = _limits(rows, queries, own, ks, kernels, alive)

    def by_tokens(found: Int64Array) -> Float32Array:
        distances = np.empty(found.shape, np.float32)
        kernels.maxsim_rerank(queries, rows, found, distances)
        distances[found == own[:, None]] = np.inf
        return distances

    def by_codes(found: Int64Array) -> Float32Array:
        assert coded is not None
        distances = coded(queries, found)
        distances[found == own[:, None]] = np.inf
        return distances

    def is_enough(one: Measured) -> bool:
        return bool(one.curves(limits[:, -1], ks[-1]).sure[-1] >= ENOUGH)

    exact, scores = ScoredOnce(by_tokens), None if coded is None else ScoredOnce(by_codes)
    most = n - 1  # asked for all rows, a first stage may give them as they are, not ranked
    found = measured(queries, efforts, first, exact, scores, most, is_enough, nested)
    tables: list[list[tuple[int, ...]]] = [[], [], []]
    reached: list[tuple[float, ...]] = []
    for place, k in enumerate(ks):
        curves = [one.curves(limits[:, place], k) for one in found]
        picked = [cheapest(found, curves, limits[:, place], k, target) for target in TARGETS]
        for table, values in zip(tables, zip(*(settings for settings, _ in picked), strict=True), strict=True):
            table.append(tuple(np.maximum.accumulate(values).tolist()))
        reached.append(tuple(np.maximum.accumulate([recall for _, recall in picked]).tolist()))
    of_effort, of_depth, of_fine = (tuple(table) for table in tables)
    return LateTable(ks, of_effort, of_depth, of_fine, tuple(reached), allowed_count(len(rows), alive))


def _limits(
    rows: TokenRows, queries: TokenRows, own: Int64Array, ks: tuple[int, ...], kernels: Kernels, alive: Bitmap | None
) -> Float32Array:
    """(nq, len(ks)): the distance of the k-th nearest other row."""
    found, distances = np.empty((len(queries), ks[-1] + 1), np.int64), np.empty((len(queries), ks[-1] + 1), np.float32)
    kernels.maxsim_scan(queries, rows, alive, found, distances)
    kernels.maxsim_rerank(queries, rows, found, distances)  # to the bits that candidates get
    distances[found == own[:, None]] = np.inf
    distances.sort(axis=1)
    return distances[:, [k - 1 for k in ks]]
