"""What effort a wanted recall takes, where one number says how hard an index looks (lists visited, rows kept): measured
at build on held-out rows, stored with the index."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.recall_axis import TARGETS, log_between, nines, recall_at, surely
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.memory.remembered import Remembered

KS = (1, 10, 100)
QUERIES = 512
KS_REMEMBERED = 256

# Rows and distances (nq, k) of the nearest by an effort; None: exactly.
Search = Callable[[int, int | None], tuple[Int64Array, Float32Array]]


@dataclass(frozen=True, slots=True)
class EffortTable:
    """`efforts` (len(ks), len(TARGETS)) find a share of the `ks` nearest; what lies between those that were measured is
    on lines. `rows` is among how many it was measured."""

    ks: Int64Array
    efforts: NDArray[np.float64]
    rows: int
    _known: Remembered[float, list[float]] = field(
        default_factory=lambda: Remembered(KS_REMEMBERED), init=False, repr=False, compare=False
    )

    def effort_for(self, recall: float, k: float) -> int:
        """Between the measured k, and beyond them, along the logarithms."""
        return max(1, math.ceil(log_between(recall, self._along(k)) - 1e-6))

    def recall_of(self, effort: int, k: float) -> float | None:
        return recall_at(effort, self._along(k))

    def _along(self, k: float) -> list[float]:
        known = self._known.get(k)
        return self._known.keep(k, self._worked_out(k)) if known is None else known

    def _worked_out(self, k: float) -> list[float]:
        ks, efforts = np.log(self.ks), np.log(self.efforts)
        if len(ks) > 1 and k > self.ks[-1]:
            slope = np.maximum(0, (efforts[-1] - efforts[-2]) / (ks[-1] - ks[-2]))
            found = efforts[-1] + slope * (math.log(k) - ks[-1])
        else:
            found = np.array([np.interp(math.log(k), ks, efforts[:, t]) for t in range(len(TARGETS))])
        values: list[float] = np.exp(np.minimum(found, 40.0)).tolist()
        return values

    def arrays(self) -> dict[str, np.ndarray]:
        return {"table.ks": self.ks, "table.efforts": self.efforts, "table.rows": np.array([self.rows], np.int64)}


def uncalibrated(most: int, n: int) -> EffortTable:
    """For rows too few to measure: all effort."""
    return EffortTable(np.array([10], np.int64), np.full((1, len(TARGETS)), float(max(1, most))), n)


def calibrated(search: Search, efforts: Iterable[int], most: int, own: Int64Array, n: int) -> EffortTable:
    """Of n rows, by queries each of which is the row `own` (nq,), -1 for real ones. A row as near as the k-th is as
    good as it, and none is an answer to itself. `efforts` ascend, until the recall is complete; `most` is exact."""
    ks = tuple(k for k in KS if 4 * k < n)
    if not ks or most <= 1 or not len(own):
        return uncalibrated(most, n)
    more = int(own.max() >= 0)
    limits = _others(own, *search(ks[-1] + more, None))
    tried: list[int] = []
    recalls: list[list[float]] = []
    for effort in efforts:
        tried.append(min(effort, most))
        near = [_others(own, *search(k + more, tried[-1]))[:, :k] for k in ks]
        good = [(one <= limits[:, k - 1 : k]).sum(axis=1) / k for one, k in zip(near, ks, strict=True)]
        recalls.append([float(surely(one)) for one in good])
        if min(recalls[-1]) >= 1 or effort >= most:
            break
    curves = np.maximum.accumulate(np.array(recalls), axis=0)
    table = [[_where(nines(target), curves[:, place], tried) for target in TARGETS] for place in range(len(ks))]
    return EffortTable(np.array(ks, np.int64), np.maximum.accumulate(np.array(table), axis=1), n)


def _where(wanted: float, recalls: NDArray[np.float64], tried: Sequence[int]) -> float:
    """The effort that reaches so many nines, on the line between two that were tried."""
    reached = [nines(recall) for recall in recalls]
    first = next((place for place, one in enumerate(reached) if one >= wanted), len(tried) - 1)
    if first == 0 or reached[first] <= reached[first - 1]:
        return float(tried[first])
    share = (min(wanted, reached[first]) - reached[first - 1]) / (reached[first] - reached[first - 1])
    return float(tried[first - 1] * (tried[first] / tried[first - 1]) ** share)


def _others(own: Int64Array, rows: Int64Array, distances: Float32Array) -> Float32Array:
    others = np.where((rows == own[:, None]) | (rows < 0), np.float32(np.inf), distances)
    others.sort(axis=1)
    return others


def open_table(arrays: Mapping[str, Any], what: str, most: int, n: int) -> EffortTable:
    """Raises Corruption for what `calibrated` would not have made."""
    ks, efforts, rows = (arrays.get(f"table.{name}") for name in ("ks", "efforts", "rows"))
    if ks is None or efforts is None or rows is None:
        raise Corruption(f"{what} lacks its table of recall")
    fits = ks.dtype == np.int64 and ks.ndim == 1 and len(ks) >= 1 and (np.diff(ks) > 0).all() and ks[0] >= 1
    fits = fits and efforts.dtype == np.float64 and efforts.shape == (len(ks), len(TARGETS))
    fits = fits and bool(((efforts >= 1) & (efforts <= max(1, most))).all()) and (np.diff(efforts, axis=1) >= 0).all()
    if not fits or rows.dtype != np.int64 or rows.shape != (1,) or not 0 <= rows[0] <= n:
        raise Corruption(f"the table of recall of {what} does not hold efforts of 1 to {most} for {n} rows")
    return EffortTable(ks, efforts, int(rows[0]))
