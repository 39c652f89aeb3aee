"""turbovec (TurboQuant): 2, 3 and 4 bits a dimension, flat; calibrated as its authors advise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.contest import Built, Entrant

NEEDS = "turbovec"
CALIBRATION_ROWS = 1024


def entrants(dim: int) -> Iterable[Entrant]:
    for bits in (2, 3, 4):
        for calibrated in (False, True):
            spec = f"bit_width={bits}{' calibrated' if calibrated else ''}"
            yield Entrant("turbovec", "turbovec", spec, lambda rows, b=bits, c=calibrated: build(rows, b, c))


def make(rows: np.ndarray, bits: int, calibrated: bool) -> Any:
    import turbovec

    index = turbovec.TurboQuantIndex(dim=rows.shape[1], bit_width=bits)
    if calibrated:
        index.calibrate(rows[np.random.default_rng(0).permutation(len(rows))[:CALIBRATION_ROWS]])
    index.add(rows)
    index.prepare()
    return index


def build(rows: np.ndarray, bits: int, calibrated: bool) -> Built:
    index = make(rows, bits, calibrated)
    few, more = (len(make(np.resize(rows, (n, rows.shape[1])), bits, calibrated).to_bytes()) for n in (2048, 4096))
    return Built(lambda queries, k: index.search(queries, k)[1], (more - few) / 2048)
