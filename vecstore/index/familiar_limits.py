"""How far queries are from what they find, as the calibration of an index saw it: what tells unlike queries apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.recall_axis import nines
from vecstore.kernels.base import Float32Array
from vecstore.memory.remembered import Remembered
from vecstore.schema import Metric

KS = (1, 10, 100)
AT = (0.8, 0.9, 0.95, 0.99)  # recalls that limits are measured at: what is found for less is farther
KS_REMEMBERED = 64
_LOGS = [math.log(k) for k in KS]
_NINES = [nines(recall) for recall in AT]
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
    """`limits` (len(AT), len(KS)) are distances to the k-th of what a search for a recall finds that few queries
    exceed, `usual` those of the median query; NaN beyond what the rows were enough for. Under DOT they are of queries
    of unit length. `met` is how far beyond the last batches were, by k and parameters, where these were unfamiliar for
    the most part."""

    metric: Metric
    usual: tuple[tuple[float, ...], ...]
    limits: tuple[tuple[float, ...], ...]
    met: dict[Any, float] = field(default_factory=dict, compare=False)
    _known: Remembered[tuple[float, float], tuple[float, float]] = field(
        default_factory=lambda: Remembered(KS_REMEMBERED), init=False, repr=False, compare=False
    )

    def bounds(self, k: float, recall: float) -> tuple[float, float]:
        """The limit, as a float32 since distances are, and what is between it and the median, above 0, for what a
        search for such a recall finds."""
        key = k, recall
        known = self._known.get(key)
        if known is None:
            limit, usual = (_between(k, recall, values) for values in (self.limits, self.usual))
            known = self._known.keep(key, (float(np.float32(limit)), max(1e-12, limit - usual)))
        return known


def _between(k: float, recall: float, values: tuple[tuple[float, ...], ...]) -> float:
    """Between the measured k and recalls; beyond them, along log k."""
    return float(np.interp(nines(recall), _NINES, [_along(k, row) for row in values]))


def _along(k: float, values: tuple[float, ...]) -> float:
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
    if found.shape == (2, len(KS)):  # of before they were measured at more than one recall
        found = np.repeat(found[:, None], len(AT), axis=1)
    if found.dtype != np.float64 or found.shape != (2, len(AT), len(KS)) or not np.isfinite(found[:, :, 0]).all():
        wanted = f"finite float64 (2, {len(AT)}, {len(KS)})"
        raise Corruption(f"the familiar distances of an index are {found.dtype} {found.shape}, not {wanted}")
    usual, limits = (tuple(tuple(row) for row in one) for one in found.tolist())
    return Familiar(metric, usual, limits)
