"""The recalls that calibrations measure at, and how their tables are read between them and between the measured k."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MARGIN = 1.0  # standard errors by which a measured recall must exceed what is promised for it
TARGETS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)


def nines(recall: float) -> float:
    """-ln(1 - recall), of which work is about a linear function; bounded, so that a recall of 1 has a place."""
    return -math.log(max(1.0 - recall, 1e-4))


def of_nines(value: float) -> float:
    """The recall whose `nines` these are."""
    return 1.0 - math.exp(-value)


TARGET_NINES = tuple(nines(target) for target in TARGETS)


def log_between(recall: float, values: Sequence[float]) -> float:
    """The value at a recall, of positive `values` at TARGETS: along the logarithms."""
    return float(np.exp(np.interp(nines(recall), TARGET_NINES, np.log(values))))


def log_along(k: float, ks: Sequence[int], values: Sequence[float]) -> float:
    """The value at k, of positive `values` at ascending `ks`: along the logarithms, in proportion beyond the last."""
    if k > ks[-1]:
        return values[-1] * k / ks[-1]
    return float(np.exp(np.interp(math.log(k), [math.log(each) for each in ks], np.log(values))))


def recall_at(value: float, values: Sequence[float]) -> float | None:
    """The recall at which `log_between` gives a value, of `values` that do not fall; None below the first."""
    place = bisect_right(values, value)
    if place == 0:
        return None
    if place == len(values):
        return TARGETS[-1]
    low, high = values[place - 1], values[place]
    share = math.log(value / low) / math.log(high / low)
    return of_nines(TARGET_NINES[place - 1] + share * (TARGET_NINES[place] - TARGET_NINES[place - 1]))


def promised(recall: float, k: float, ks: Sequence[int], reached: Sequence[Sequence[float]]) -> float | None:
    """What the settings for a recall reached when they were measured, `reached` for each of `ks` and TARGETS; None
    where that is not known."""
    if not reached:
        return None
    at_recall = [float(np.interp(nines(recall), TARGET_NINES, [nines(one) for one in row])) for row in reached]
    return of_nines(float(np.interp(math.log(k), [math.log(each) for each in ks], at_recall)))


def is_recalls(reached: Sequence[Sequence[float]], ks: int) -> bool:
    """Whether a stored table is one of `reached`, or none."""
    fits = len(reached) in (0, ks) and all(len(row) == len(TARGETS) for row in reached)
    return fits and all(0 <= recall <= 1 for row in reached for recall in row)


def surely(recalls: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of the recalls of queries (nq, ...), what the mean of all such queries exceeds by MARGIN standard errors."""
    count = max(1, len(recalls))
    mean = recalls.mean(axis=0, dtype=np.float64)
    lower: NDArray[np.float64] = mean - MARGIN * recalls.std(axis=0, dtype=np.float64) / math.sqrt(count)
    return lower
