"""How far queries are from what they find, as the calibration of an index saw it: what tells unlike queries apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.kernels.base import Float32Array
from vecstore.memory.remembered import Remembered
from vecstore.schema import Metric

KS = (1, 10, 100)
KS_REMEMBERED = 64
_LOGS = [math.log(k) for k in KS]


POWER_MAX = 4.0
NINES_MAX = 4.0


@dataclass(frozen=True, slots=True)
class Caution:
    """What one step beyond the familiar adds to what a query is held to: of the share that may be missed, a power, or a
    number of factors 1 / e."""

    power: float = 0.0
    nines: float = 0.0

    def raised(self, target: float, steps: float) -> float:
        power, nines = self._of(steps)
        return float(1 - (1 - target) ** power * math.exp(-nines))

    def kept(self, recall: float, steps: float) -> float:
        """What is left for a query so far beyond of a recall that is promised to others."""
        power, nines = self._of(steps)
        return float(max(0.0, 1 - ((1 - recall) * math.exp(nines)) ** (1 / power)))

    def kept_by_each(self, recall: float, steps: NDArray[np.floating]) -> NDArray[np.float64]:
        """(nq,), `kept` for each of the steps (nq,)."""
        powers = np.minimum(1 + self.power * steps, POWER_MAX)
        nines = np.minimum(self.nines * steps, NINES_MAX)
        kept: NDArray[np.float64] = 1 - ((1 - recall) * np.exp(nines)) ** (1 / powers)
        return np.maximum(kept, 0, dtype=np.float64)

    def is_farther(self, target: float, steps: float, ahead: float) -> bool:
        """Whether a query is to be searched again that was held to what is enough `ahead` steps beyond."""
        return self.raised(target, steps) > self.raised(target, ahead + 1)

    def _of(self, steps: float) -> tuple[float, float]:
        return min(1 + self.power * steps, POWER_MAX), min(self.nines * steps, NINES_MAX)


def along(k: int, *values: float) -> float:
    """Between `values` at k = 1, 10 and 100, and at the last beyond."""
    return float(np.interp(math.log(k), _LOGS[: len(values)], values))


@dataclass(frozen=True, slots=True)
class Familiar:
    """`limits` are distances to the k-th nearest for KS that few queries exceed, `usual` those of the median query; NaN
    beyond what the rows were enough for. Under DOT they are of queries of unit length. `met` is how far beyond the last
    batches were, by k and parameters, where these were unfamiliar for the most part."""

    metric: Metric
    usual: tuple[float, ...]
    limits: tuple[float, ...]
    met: dict[Any, float] = field(default_factory=dict, compare=False)
    _known: Remembered[float, tuple[float, float]] = field(
        default_factory=lambda: Remembered(KS_REMEMBERED), init=False, repr=False, compare=False
    )

    def bounds(self, k: float) -> tuple[float, float]:
        """The limit, as a float32 since distances are, and what is between it and the median, above 0."""
        known = self._known.get(k)
        if known is None:
            limit = self.limit(k)
            between = max(1e-12, limit - self._along(k, self.usual))
            known = self._known.keep(k, (float(np.float32(limit)), between))
        return known

    def limit(self, k: float) -> float:
        return self._along(k, self.limits)

    @staticmethod
    def _along(k: float, values: tuple[float, ...]) -> float:
        """Between the measured k, and beyond them, along log k."""
        at, known = math.log(max(1.0, k)), [value for value in values if value == value]
        place = next((place for place, one in enumerate(_LOGS[: len(known)]) if one >= at), len(known) - 1)
        if place == 0:
            return known[0]
        slope = (known[place] - known[place - 1]) / (_LOGS[place] - _LOGS[place - 1])
        return known[place] + max(0.0, slope) * (at - _LOGS[place])


def lengths_of(metric: Metric, queries: Any) -> Float32Array | np.float32:
    """(nq,) what distances are in proportion to, besides what is near."""
    if metric is not Metric.DOT:
        return np.float32(1)
    lengths: Float32Array = np.sqrt(np.vecdot(queries, queries))
    return np.maximum(lengths, np.float32(1e-15))


def familiar_arrays(familiar: Familiar | None) -> dict[str, np.ndarray]:
    return {} if familiar is None else {"familiar": np.array([familiar.usual, familiar.limits], np.float64)}


def open_familiar(metric: Metric, arrays: Mapping[str, np.ndarray]) -> Familiar | None:
    """None for an index of before there were any. Raises Corruption."""
    found = arrays.get("familiar")
    if found is None:
        return None
    if found.dtype != np.float64 or found.shape != (2, len(KS)) or not np.isfinite(found[:, 0]).all():
        message = (
            f"the familiar distances of an index are {found.dtype} {found.shape}, not finite float64 (2, {len(KS)})"
        )
        raise Corruption(message)
    usual, limits = found.tolist()
    return Familiar(metric, tuple(usual), tuple(limits))
