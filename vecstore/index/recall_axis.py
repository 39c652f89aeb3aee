"""The recalls that calibrations measure at, and how their tables are read between them and between the measured k."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

TARGETS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)


def nines(recall: float) -> float:
    """-ln(1 - recall), of which work is about a linear function; bounded, so that a recall of 1 has a place."""
    return -math.log(max(1.0 - recall, 1e-4))


TARGET_NINES = tuple(nines(target) for target in TARGETS)


def log_between(recall: float, values: Sequence[float]) -> float:
    """The value at a recall, of positive `values` at TARGETS: along the logarithms."""
    return float(np.exp(np.interp(nines(recall), TARGET_NINES, np.log(values))))


def log_along(k: float, ks: Sequence[int], values: Sequence[float]) -> float:
    """The value at k, of positive `values` at ascending `ks`: along the logarithms, in proportion beyond the last."""
    if k > ks[-1]:
        return values[-1] * k / ks[-1]
    return float(np.exp(np.interp(math.log(k), [math.log(each) for each in ks], np.log(values))))
